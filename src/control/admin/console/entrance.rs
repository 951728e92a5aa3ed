//! The pages for whoever is not signed in.

use maud::{Markup, html};

use super::api::Fault;
use super::browser::{BEGIN, SIGN_IN};
use super::person::Person;
use super::view::{document, framed, mark, reason};
use crate::admin::context::escaped;
use tollgate_config::Oidc;

/// Most groups that are listed.
const GROUPS: usize = 50;

/// The page for whoever is not signed in. `fault`: of the API key; `oidc`: the identity provider, and what is wrong with a
/// sign-in by it.
pub(super) fn sign_in(
    next: &str,
    fault: Option<&Fault>,
    oidc: Option<(&Oidc, Option<&Fault>)>,
) -> Markup {
    let said = fault.map(|fault| &*fault.msg);
    let body = html! {
        body.alone {
            main #main {
                h1 { (mark()) "Tollgate" }
                @if let Some((oidc, fault)) = oidc {
                    div.card {
                        @if let Some(fault) = fault { p.fault role="alert" { (fault.msg) } }
                        a.button.primary href=(begin(next)) { "Sign in by " (oidc.shown) }
                    }
                }
                form.card method="post" action="/console/sign-in" {
                    input type="hidden" name="next" value=(next);
                    div.field {
                        label for="key" { "API key" }
                        input #key name="key" type="password" required autocomplete="current-password" autofocus
                            aria-describedby=(if said.is_some() { "key-fault key-hint" } else { "key-hint" })
                            aria-invalid=[said.map(|_| "true")];
                        @if let Some(said) = said { p.fault #key-fault role="alert" { (said) } }
                        p.hint #key-hint {
                            "A key of the admin API, " code { "tga-…" } ", or " code { "TOLLGATE_ADMIN_KEY" }
                            ". It is exchanged for a session of at most 12 hours, and not kept."
                        }
                    }
                    button.primary type="submit" { "Sign in" }
                }
                p.quiet { a href="/docs" { "The admin API" } " · " a href="/reference" { "What else is here" } }
            }
        }
    };
    document("Sign in", &body)
}

/// Where a sign-in by the identity provider begins.
fn begin(next: &str) -> String {
    format!("{}?next={}", BEGIN, escaped(next))
}

/// The page of somebody whom the identity provider knows, and who has no role here.
pub(super) fn unmapped(person: &Person) -> Markup {
    let groups = person.groups();
    let body = html! {
        body.alone {
            main #main {
                h1 { "No role here" }
                p.fault role="alert" { "You are " strong { (person.name()) } ", and none of your groups has a role in this gateway." }
                @if groups.is_empty() {
                    p {
                        "No groups came with you: the claim that lists them may have another name ("
                        code { "admin.oidc.groups_claim" } "), or want a scope of its own (" code { "admin.oidc.scopes" } ")."
                    }
                } @else {
                    p { "These groups came with you; " code { "admin.oidc.roles" } " can give one of them a role:" }
                    ul { @for group in groups.iter().take(GROUPS) { li { code { (group) } } } }
                    @if groups.len() > GROUPS { p { "And " (groups.len() - GROUPS) " more." } }
                }
                p { a href=(SIGN_IN) { "To the sign-in" } }
            }
        }
    };
    document("No role here", &body)
}

/// The page that leads on by a step of its own: after a redirect it would still be the step before.
pub(super) fn onwards(done: &str, next: &str) -> Markup {
    let body = html! {
        body.alone { main #main { h1 { (done) } p { a href=(next) { "Go on" } } } }
    };
    let refresh = html! { meta http-equiv="refresh" content=(format!("0;url={next}")); };
    framed(done, &refresh, &body)
}

/// A page of what went wrong for whoever is not signed in.
pub(super) fn refused(fault: &Fault) -> Markup {
    let body = html! {
        body.alone {
            main #main {
                h1 { (reason(fault.status)) }
                p.fault role="alert" { (fault.msg) }
                p { a href="/" { "To the console" } }
            }
        }
    };
    document(reason(fault.status), &body)
}
