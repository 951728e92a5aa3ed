//! Providers: which there are, how they do, their keys, and which of these rest.

use axum::http::Method;
use futures::try_join;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::api::Fault;
use super::format::{away, count, countdown, list, millis, number, text, texts};
use super::forms::Form;
use super::provider::{self, page_of};
use super::view::{self, badge};
use super::visit::{self, Answer, Answered, Visit};
use crate::admin::context::escaped;

const HERE: &str = "/console/providers";
const FIELDS: [&str; 4] = ["providerId", "name", "value", "keySource"];

pub(super) async fn answer(visit: &Visit, post: bool, rest: &[&str]) -> Answered {
    match (post, rest) {
        (false, []) => all(visit, None, None).await,
        (true, []) => create(visit).await,
        (_, ["keys", id, change @ ("rotate" | "delete")]) => {
            let path = visit::resource("provider-keys", id);
            let key = visit.own(&path, &[]).await?;
            match (post, *change) {
                (false, "rotate") => rotate_form(visit, &key, None).await,
                (false, _) => {
                    let title = format!("Delete “{}”", text(&key, "name"));
                    let what = format!(
                        "Delete the provider key “{}” ({}) of {}? Requests that need it fail from then on.",
                        text(&key, "name"),
                        text(&key, "keyRedacted"),
                        text(&key, "providerId"),
                    );
                    Ok(view::confirm(visit, &title, &what, "Delete", HERE).await)
                }
                (true, "rotate") => {
                    let body = json!({"name": text(&key, "name"), "value": visit.sent("value")});
                    let path = format!("{path}/rotate");
                    match visit.send(Method::POST, &path, Some(&body)).await {
                        Ok(_) => Ok(done(visit, "rotated")),
                        Err(fault) => rotate_form(visit, &key, Some(&fault.of_form()?)).await,
                    }
                }
                (true, _) => {
                    visit.send(Method::DELETE, &path, None).await?;
                    Ok(done(visit, "deleted"))
                }
            }
        }
        (true, ["custom"]) => match provider::create(visit).await {
            Ok(answer) => Ok(answer),
            Err(fault) => all(visit, None, Some(&fault.of_form()?)).await,
        },
        (_, ["of", rest @ ..]) => provider::answer(visit, post, rest).await,
        (true, ["keys", id, "clear"]) => {
            let path = visit::resource("cool-downs", id);
            visit.change(Method::DELETE, &path, None).await?;
            Ok(done(visit, "cleared"))
        }
        _ => Err(super::not_there(post)),
    }
}

fn done(visit: &Visit, what: &str) -> Answer {
    Answer::See(visit.to(HERE, &[("done", what)]))
}

/// The page. `fault`: of the form for a key; `custom`: of the one for a provider.
async fn all(visit: &Visit, fault: Option<&Fault>, custom: Option<&Fault>) -> Answered {
    let pairs = [("beforeId", visit.asked("beforeId"))];
    let health = async {
        match visit.is_for_all() {
            true => visit.get("/provider-health", &[]).await,
            // It is about all accounts' requests.
            false => Ok(Value::Null),
        }
    };
    let (providers, keys, resting, health) = try_join!(
        visit.get("/catalog/providers", &[]),
        visit.own("/provider-keys", &pairs),
        visit.get("/cool-downs", &[]),
        health,
    )?;
    let mut providers: Vec<&Value> = list(&providers, "providers").iter().collect();
    providers.sort_by_key(|provider| text(provider, "id"));
    let resting = list(&resting, "coolDowns");
    let main = html! {
        div #resting data-live="5000" {
            (cool_downs(visit, resting))
            (health_table(visit, list(&health, "providers")))
        }
        (view::to_form(visit, "New provider key"))
        (keys_table(visit, list(&keys, "aiGatewayProviderKeys"), resting))
        (view::paging(visit, &keys))
        @if visit.may_change() { (form(visit, &providers, fault)) }
        (table(visit, &providers))
        @if visit.may_change() { (provider::form(visit, custom)) }
    };
    Ok(view::with_form(visit, fault.or(custom), "Providers", main).await)
}

fn cool_downs(visit: &Visit, resting: &[Value]) -> Markup {
    let columns = [
        ("Provider key", ""),
        ("For", ""),
        ("Why", ""),
        ("Ends", ""),
        ("Change", ""),
    ];
    html! {
        @if resting.is_empty() {
            p.notice { "No provider key rests: each is tried in its turn." }
        } @else {
            (view::table("Provider keys that rest, and are tried last", &columns, &html! {
                @for one in resting {
                    @let key = text(one, "providerKeyId");
                    tr {
                        th scope="row" { (key) " " span.quiet { (text(one, "providerId")) } }
                        td { @match one["modelId"].as_str() { Some(model) => { (model) }, None => "all models" } }
                        td { (badge("bad", text(one, "reason"))) }
                        td { (countdown(text(one, "until"))) }
                        td { @if visit.may_change() { (view::action(visit, &format!("{HERE}/keys/{}/clear", escaped(key)), "", "Clear")) } }
                    }
                }
            }))
        }
    }
}

/// How providers do, as this gateway has seen it.
fn health_table(visit: &Visit, providers: &[Value]) -> Markup {
    const SHOWN: usize = 4;
    let columns = [
        ("Provider", ""),
        ("State", ""),
        ("Attempts", "n"),
        ("How they ended", "wide"),
        ("First token p50", "n wide"),
        ("p95", "n wide"),
        ("Answer p50", "n"),
        ("p95", "n"),
    ];
    let latency = |of: &Value, name: &str| match of[name].as_u64() {
        Some(ms) => millis(ms),
        None => "–".to_owned(),
    };
    let outcomes = |one: &Value| {
        let all = list(one, "attempts");
        let shown = all.iter().take(SHOWN);
        let mut shown: Vec<String> = shown
            .map(|one| format!("{} {}", count(number(one, "count")), text(one, "outcome")))
            .collect();
        if all.len() > SHOWN {
            shown.push("…".to_owned());
        }
        shown.join(", ")
    };
    if providers.is_empty() {
        return html! {};
    }
    view::table(
        "Health, since this gateway was started",
        &columns,
        &html! {
            @for one in providers {
                @let id = text(one, "providerId");
                @let attempts = list(one, "attempts").iter().map(|one| number(one, "count")).sum();
                tr {
                    th scope="row" {
                        @if id == "other" { "Those of tenants" } @else { a href=(visit.to(&page_of(id), &[])) { (id) } }
                    }
                    td {
                        @match text(one, "breaker") {
                            "closed" => (badge("good", "reached")),
                            "half-open" => (badge("bad", "to be tried")),
                            _ => (badge("bad", "not reached")),
                        }
                        @if let Some(until) = one["breakerUntil"].as_str() { " " (countdown(until)) }
                    }
                    td.n { (count(attempts)) }
                    td.wide { (outcomes(one)) }
                    td.n.wide { (latency(&one["firstToken"], "p50Ms")) }
                    td.n.wide { (latency(&one["firstToken"], "p95Ms")) }
                    td.n { (latency(&one["duration"], "p50Ms")) }
                    td.n { (latency(&one["duration"], "p95Ms")) }
                }
            }
        },
    )
}

fn keys_table(visit: &Visit, keys: &[Value], resting: &[Value]) -> Markup {
    let columns = [
        ("Key", ""),
        ("Provider", ""),
        ("Value", "wide"),
        ("Whose", "wide"),
        ("Last used", ""),
        ("State", ""),
        ("Change", ""),
    ];
    if keys.is_empty() {
        return view::empty(
            "No provider keys yet",
            &html! {
                p { "Without one a provider that needs a key is not called. Add one below, or in the configuration file." }
            },
        );
    }
    let rests = |id: &str| resting.iter().any(|one| text(one, "providerKeyId") == id);
    view::table(
        "Provider keys",
        &columns,
        &html! {
            @for key in keys {
                @let id = text(key, "id");
                @let changes = visit.may_change() && !view::is_declared(key);
                tr {
                    th scope="row" { (text(key, "name")) }
                    td { (text(key, "providerId")) }
                    td.wide { code { (text(key, "keyRedacted")) } }
                    td.wide { @if text(key, "keySource") == "managed" { "managed" } @else { "user" } }
                    td { @match key["lastUsed"].as_str() { Some(used) => { (away(used)) }, None => { span.quiet { "never" } } } }
                    td {
                        @if rests(id) { (badge("bad", "rests")) } @else { (badge("good", "ready")) }
                        @if view::is_declared(key) { " " (badge("plain", "in the file")) }
                    }
                    td {
                        @if changes {
                            @for (word, change) in [("Rotate", "rotate"), ("Delete", "delete")] {
                                a.button href=(visit.to(&format!("{HERE}/keys/{}/{change}", escaped(id)), &[])) {
                                    (word) span.hidden { " " (text(key, "name")) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn table(visit: &Visit, providers: &[&Value]) -> Markup {
    let columns = [
        ("Provider", ""),
        ("Address", "wide"),
        ("APIs", "wide"),
        ("Models", "n"),
        ("Kind", ""),
    ];
    view::table(
        "Providers of the catalog",
        &columns,
        &html! {
            @for provider in providers {
                @let id = text(provider, "id");
                tr {
                    th scope="row" {
                        a href=(visit.to(&page_of(id), &[])) { (text(provider, "displayName")) }
                        " " span.quiet { (id) }
                    }
                    td.wide { code { (text(provider, "baseUrl")) } }
                    td.wide { (texts(provider, "surfaces").join(", ")) }
                    td.n { a href=(visit.to("/console/catalog", &[("provider", id)])) { (count(number(provider, "modelCount"))) span.hidden { " models" } } }
                    td { @if provider["builtIn"] == true { (badge("plain", "built in")) } @else { (badge("plain", "custom")) } }
                }
            }
        },
    )
}

fn form(visit: &Visit, providers: &[&Value], fault: Option<&Fault>) -> Markup {
    let form = Form::new::<&str>(visit, fault, &[]);
    let choices: Vec<(&str, &str)> = providers
        .iter()
        .map(|provider| (text(provider, "id"), text(provider, "displayName")))
        .collect();
    html! {
        section.card aria-labelledby="new" {
            h2 #new { "New provider key" }
            (form.others(&FIELDS))
            form method="post" action=(visit.to(HERE, &[])) {
                (view::token(visit))
                (form.choice("providerId", "Provider", "", &choices))
                (form.line("name", "Name", "", true))
                (form.secret("value", "Value", "It is encrypted before it is stored, and never shown again"))
                @if visit.is_for_all() {
                    (form.choice("keySource", "Whose", "A managed key serves every account, and credits pay the price",
                        &[("user", "This account's own"), ("managed", "Managed: the operator's")]))
                }
                button.primary type="submit" { "Add" }
            }
        }
    }
}

async fn create(visit: &Visit) -> Answered {
    let body = visit.body(FIELDS);
    match visit
        .send(Method::POST, "/provider-keys", Some(&body.into()))
        .await
    {
        Ok(_) => Ok(done(visit, "created")),
        Err(fault) => all(visit, Some(&fault.of_form()?), None).await,
    }
}

async fn rotate_form(visit: &Visit, key: &Value, fault: Option<&Fault>) -> Answered {
    let form = Form::new::<&str>(visit, fault, &[]);
    let main = html! {
        section.card {
            p {
                "The provider key " strong { (text(key, "name")) } " of " (text(key, "providerId"))
                " gets another value. Requests under way finish with the one they began with; a rest of the key ends."
            }
            (form.others(&["value"]))
            form method="post" action=(visit.to(&visit.path, &[])) {
                (view::token(visit))
                (form.secret("value", "New value", ""))
                button.primary type="submit" { "Rotate" }
                " " a.button href=(visit.to(HERE, &[])) { "Cancel" }
            }
        }
    };
    let title = format!("Rotate “{}”", text(key, "name"));
    Ok(view::with_form(visit, fault, &title, main).await)
}
