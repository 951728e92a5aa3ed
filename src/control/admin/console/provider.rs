//! One provider: what it is, and whether it works. Custom ones are made and deleted.

use axum::http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::api::{self, Fault};
use super::format::{count, list, millis, number, text, texts};
use super::forms::{Form, put, split};
use super::view::{self, badge, facts};
use super::visit::{self, Answer, Answered, Visit};
use crate::admin::context::escaped;
use tollgate_wire::Surface;

const HERE: &str = "/console/providers";
const ITEMS: &str = "aiGatewayProviders";
const FIELDS: [&str; 7] = [
    "custom.providerId",
    "custom.name",
    "custom.baseUrl",
    "custom.supportedApiSurfaces",
    "custom.models",
    "custom.auth",
    "custom.websocket",
];
const TESTED: [&str; 2] = ["model", "providerKeyId"];

/// The page of a provider, by the word in `provider:model`.
pub(super) fn page_of(id: &str) -> String {
    format!("{HERE}/of/{}", escaped(id))
}

pub(super) async fn answer(visit: &Visit, post: bool, rest: &[&str]) -> Answered {
    match (post, rest) {
        (false, [id]) => show(visit, id, None, None).await,
        (true, [id, "test"]) => {
            let body = visit.body(TESTED);
            let path = format!("{}/test", visit::resource("providers", id));
            match visit.send(Method::POST, &path, Some(&body.into())).await {
                Ok(result) => show(visit, id, None, Some(&result)).await,
                Err(fault) => show(visit, id, Some(&fault.of_form()?), None).await,
            }
        }
        (false, [id, "delete"]) => {
            let custom = custom(visit, id).await?.ok_or_else(api::missing)?;
            let user = "a provider key or a configuration refers to it";
            let kind = ("provider", &custom);
            Ok(view::confirm_deletion(visit, kind, user, &page_of(id)).await)
        }
        (true, [id, "delete"]) => {
            let custom = custom(visit, id).await?.ok_or_else(api::missing)?;
            let path = visit::resource("providers", text(&custom, "id"));
            visit.send(Method::DELETE, &path, None).await?;
            Ok(Answer::See(visit.to(HERE, &[("done", "deleted")])))
        }
        _ => Err(super::not_there(post)),
    }
}

/// The account's custom provider that is called so, if there is one.
async fn custom(visit: &Visit, id: &str) -> Result<Option<Value>, Fault> {
    let all = visit.own("/providers", &[]).await?;
    let found = list(&all, ITEMS)
        .iter()
        .find(|one| text(one, "providerId") == id);
    Ok(found.cloned())
}

async fn show(visit: &Visit, id: &str, fault: Option<&Fault>, result: Option<&Value>) -> Answered {
    let path = visit::resource("catalog/providers", id);
    let found = visit.get(&path, &[]).await?;
    let custom = custom(visit, id).await?;
    let keys = visit.own("/provider-keys", &[("provider", id)]).await?;
    let models = number(&found, "modelCount");
    let main = html! {
        (facts(&[
            ("Id", html! { code { (id) } }),
            ("Address", html! { code { (text(&found, "baseUrl")) } }),
            ("APIs", html! { (texts(&found, "surfaces").join(", ")) }),
            ("Models", html! { a href=(visit.to("/console/catalog", &[("provider", id)])) { (count(models)) }
                @if found["passthrough"] == true { ", and any other as " code { (id) ":model" } } }),
            ("Key", html! { @if found["needsKey"] == true { "needed" } @else { "not needed" } }),
        ]))
        @if visit.may_change() {
            section.card aria-labelledby="test" {
                h2 #test { "Test it" }
                p { "Its list of models is asked for, and each of its APIs is called once with a short prompt, which its owner is billed for. Nothing is charged here." }
                (test_form(visit, id, list(&keys, "aiGatewayProviderKeys"), fault))
            }
        }
        @if let Some(result) = result { (steps(result)) }
        @if visit.may_change() && custom.is_some_and(|custom| !view::is_declared(&custom)) {
            div.buttons { a.button.danger href=(visit.to(&format!("{}/delete", page_of(id)), &[])) { "Delete" } }
        }
    };
    Ok(view::with_form(visit, fault, text(&found, "displayName"), main).await)
}

fn test_form(visit: &Visit, id: &str, keys: &[Value], fault: Option<&Fault>) -> Markup {
    let begin = TESTED.map(|name| (name, visit.sent(name).to_owned()));
    let form = Form::new(visit, fault, &begin);
    let mut choices = vec![("", "The first that there is")];
    choices.extend(keys.iter().map(|key| (text(key, "id"), text(key, "name"))));
    html! {
        (form.others(&TESTED))
        form method="post" action=(visit.to(&format!("{}/test", page_of(id)), &[])) {
            (view::token(visit))
            (form.line("model", "Model", "As the provider knows it. Empty: the first of the catalog for each API", false))
            (form.choice("providerKeyId", "Provider key", "", &choices))
            button.primary type="submit" { "Test" }
        }
    }
}

fn steps(result: &Value) -> Markup {
    let columns = [
        ("Tried", ""),
        ("Works", ""),
        ("Status", "n"),
        ("Time", "n"),
        ("What is wrong", ""),
    ];
    let word = |step: &Value| match text(step, "step") {
        "connection" => "Connection".to_owned(),
        "models" => "List of models".to_owned(),
        surface => surface.to_owned(),
    };
    html! {
        @if result["works"] == true {
            p.notice role="status" { "It works: every API answers as it should." }
        } @else {
            p.fault role="status" { "It does not work as it should." }
        }
        (view::table("What was tried", &columns, &html! {
            @for step in list(result, "steps") {
                tr {
                    th scope="row" { (word(step)) }
                    td { @if step["works"] == true { (badge("good", "yes")) } @else { (badge("bad", "no")) } }
                    td.n { @if let Some(status) = step["status"].as_u64() { (status) } }
                    td.n { (millis(number(step, "ms"))) }
                    td {
                        (text(step, "reason"))
                        @let models = texts(step, "models");
                        @if !models.is_empty() {
                            details { summary { (count(u64::try_from(models.len()).unwrap_or_default())) " models" } (models.join(", ")) }
                        }
                    }
                }
            }
        }))
    }
}

/// The form of a new custom provider.
pub(super) fn form(visit: &Visit, fault: Option<&Fault>) -> Markup {
    let begin = [(
        "custom.supportedApiSurfaces",
        Surface::ChatCompletions.name().to_owned(),
    )];
    let form = Form::new(visit, fault, &begin);
    let surfaces = Surface::ALL.map(Surface::name).join(", ");
    html! {
        section.card aria-labelledby="new-provider" {
            h2 #new-provider { "New custom provider" }
            (form.others(&FIELDS))
            form method="post" action=(visit.to(&format!("{HERE}/custom"), &[])) {
                (view::token(visit))
                (form.line("custom.providerId", "Provider id", "The word in provider:model, as in internal-vllm", true))
                (form.line("custom.name", "Label", "For people", true))
                (form.line("custom.baseUrl", "Base URL", "As in https://llm.example/v1", true))
                (form.lines("custom.supportedApiSurfaces", "APIs that it has", &format!("One a line: {surfaces}")))
                (form.lines("custom.models", "Its models", "One a line, as it knows them. Others can be called all the same"))
                (form.choice("custom.auth", "How a key travels", "", &[
                    ("", "As its APIs have it"), ("bearer", "Authorization: Bearer"), ("x-api-key", "x-api-key"),
                    ("api-key", "api-key"), ("none", "It needs none"),
                ]))
                (form.choice("custom.websocket", "Turns of clients' WebSockets", "OpenAI's WebSocket mode, beside openai/responses", &[
                    ("", "It is asked over HTTP"), ("true", "It is asked over a WebSocket as well"),
                ]))
                button.primary type="submit" { "Create" }
            }
        }
    }
}

/// Makes a custom provider of the form.
///
/// # Errors
/// With what is wrong called as the form's fields are.
pub(super) async fn create(visit: &Visit) -> Answered {
    let sent = |name: &str| visit.sent(&format!("custom.{name}"));
    let mut body = Map::new();
    for name in ["providerId", "name", "baseUrl", "auth"] {
        put(&mut body, name, sent(name));
    }
    if sent("websocket") == "true" {
        body.insert("websocket".to_owned(), true.into());
    }
    let surfaces = split(sent("supportedApiSurfaces")).into_iter();
    let surfaces: Vec<Value> = surfaces
        .map(|name| match name.split_once('/') {
            Some((format, surface)) => json!({"format": format, "surface": surface}),
            None => json!({"format": name}),
        })
        .collect();
    if !surfaces.is_empty() {
        body.insert("supportedApiSurfaces".to_owned(), surfaces.into());
    }
    let models = split(sent("models")).into_iter();
    let models: Vec<Value> = models.map(|model| json!({"modelId": model})).collect();
    if !models.is_empty() {
        body.insert("models".to_owned(), models.into());
    }
    match visit
        .send(Method::POST, "/providers", Some(&body.into()))
        .await
    {
        Ok(made) => {
            let page = page_of(text(&made, "providerId"));
            Ok(Answer::See(visit.to(&page, &[("done", "created")])))
        }
        Err(mut fault) => {
            let details = std::mem::take(&mut fault.details).into_iter();
            fault.details = details
                .map(|(field, what)| (format!("custom.{field}"), what))
                .collect();
            // Of all that it says, only its id can be another's.
            if fault.status == StatusCode::CONFLICT {
                let field = "custom.providerId".to_owned();
                fault.details.insert(field, fault.msg.clone());
            }
            Err(fault)
        }
    }
}
