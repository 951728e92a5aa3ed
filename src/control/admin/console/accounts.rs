//! Accounts: who owns keys and credits.

use axum::http::Method;
use maud::html;

use super::api::Fault;
use super::format::{day, list, text};
use super::forms::Form;
use super::view::{self, badge};
use super::visit::{Answer, Answered, Visit};

const HERE: &str = "/console/accounts";
const FIELDS: [&str; 3] = ["id", "name", "description"];

pub(super) async fn show(visit: &Visit) -> Answered {
    page(visit, None).await
}

async fn page(visit: &Visit, fault: Option<&Fault>) -> Answered {
    let pairs = [("beforeId", visit.asked("beforeId"))];
    let answer = visit.get("/accounts", &pairs).await?;
    let columns = [
        ("Account", ""),
        ("Name", ""),
        ("Made", "wide"),
        ("From", ""),
        ("Look", ""),
    ];
    let form = Form::new::<&str>(visit, fault, &[]);
    let main = html! {
        (view::table("All accounts", &columns, &html! {
            @for account in list(&answer, "accounts") {
                @let id = text(account, "id");
                tr {
                    th scope="row" { (id) }
                    td { (text(account, "name")) }
                    td.wide { (day(text(account, "createdAt"))) }
                    td { @if view::is_declared(account) { (badge("plain", "in the file")) } }
                    td { a href=(format!("/?account={}", crate::admin::context::escaped(id))) { "Show" span.hidden { " " (id) } } }
                }
            }
        }))
        (view::paging(visit, &answer))
        @if visit.may_change() {
            section.card aria-labelledby="new" {
                h2 #new { "New account" }
                (form.others(&FIELDS))
                form method="post" action=(visit.to(HERE, &[])) {
                    (view::token(visit))
                    (form.line("id", "Id", "Lowercase letters, digits, - and _; made up if empty", false))
                    (form.line("name", "Name", "For people", false))
                    (form.line("description", "Description", "", false))
                    button.primary type="submit" { "Create" }
                }
            }
        }
    };
    Ok(view::with_form(visit, fault, "Accounts", main).await)
}

pub(super) async fn create(visit: &Visit) -> Answered {
    let body = visit.body(FIELDS);
    match visit
        .change(Method::POST, "/accounts", Some(&body.into()))
        .await
    {
        Ok(_) => Ok(Answer::See(visit.to(HERE, &[("done", "created")]))),
        Err(fault) => page(visit, Some(&fault.of_form()?)).await,
    }
}
