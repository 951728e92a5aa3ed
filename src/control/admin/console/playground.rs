//! A chat with any model that an access key may call, sent through the proxy as an application's request.
//!
//! The request goes out here and not in the browser: the page may then go on speaking to nobody but the console, and the
//! proxy need not let pages of other origins read its answers. The token is neither kept nor shown again.

use std::convert::Infallible;
use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::stream;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::api::Fault;
use super::format::{list, number, text};
use super::forms::Form;
use super::view::{self, facts};
use super::visit::{self, Answer, Answered, Visit};
use crate::admin::auth;
use crate::admin::chat::{self, Chat};
use crate::admin::error::ApiError;
use crate::admin::operation::Needs;

const HERE: &str = "/console/playground";
const FIELDS: [&str; 3] = ["access-token", "model", "prompt"];

/// Longest answer that is shown whole, in bytes.
const LARGEST: u64 = 4 << 20;
/// What is read of a stream at once, in bytes.
const PIECE: usize = 16 << 10;
/// Pieces that wait for the browser.
const WAITING: usize = 8;

/// Headers of an answer that are worth seeing, besides those that begin with `x-`.
const SHOWN: [&str; 3] = ["content-type", "retry-after", "server-timing"];

/// What was said before.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: Role,
    content: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

pub(super) async fn show(visit: &Visit) -> Answered {
    allowed(visit, Needs::Read)?;
    Ok(page(visit, None, &html! {}).await)
}

/// Sees that the visitor may do this for the account, which no call of the API says here.
///
/// # Errors
/// 403.
fn allowed(visit: &Visit, needs: Needs) -> Result<(), Fault> {
    let caller = &visit.from.caller;
    auth::allow(caller, needs).map_err(Fault::of)?;
    auth::account(caller, visit.account())
        .map(drop)
        .map_err(Fault::of)
}

async fn page(visit: &Visit, fault: Option<&Fault>, answer: &Markup) -> Answer {
    let begin = FIELDS.map(|name| match name {
        "access-token" => (name, String::new()),
        name => (name, visit.sent(name).to_owned()),
    });
    let form = Form::new(visit, fault, &begin);
    let main = html! {
        @if visit.may_change() {
            (form.others(&FIELDS))
            form.card #playground method="post" action=(visit.to(HERE, &[])) data-chat=(visit.to(HERE, &[("stream", "1")]))
                data-request=(visit.to("/console/requests/", &[])) {
                (view::token(visit))
                (form.secret("access-token", "Access key", "The token of an access key. It is charged and limited as ever, and the token is not kept"))
                (form.line("model", "Model", "As a request names it, as in openai:gpt-4o", true))
                (form.lines("prompt", "Message", ""))
                div.buttons { button.primary type="submit" { "Send" } }
            }
            div #chat aria-live="polite" { (answer) }
        } @else {
            p.notice { "A chat is charged to an access key: your role may only read." }
        }
    };
    view::with_form(visit, fault, "Playground", main).await
}

/// Sends the form's message: the answer is streamed if the page's script asks for it, and a page otherwise.
pub(super) async fn send(visit: &Visit) -> Answered {
    allowed(visit, Needs::Write)?;
    let streams = !visit.asked("stream").is_empty();
    let chat = match request(visit, streams) {
        Ok(chat) => chat,
        Err(fault) => return Ok(page(visit, Some(&fault), &html! {}).await),
    };
    let Ok(permit) = visit.chats.clone().try_acquire_owned() else {
        let msg = "As many chats as there may be are under way: try again when one has ended.";
        return Err(Fault::new(StatusCode::TOO_MANY_REQUESTS, msg));
    };
    let process = visit.process.clone();
    let answer = blocking(move || process.converse(&chat)).await?;
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            let fault = Fault::new(StatusCode::BAD_GATEWAY, why);
            return Ok(page(visit, Some(&fault), &html! {}).await);
        }
    };
    if streams {
        return Ok(Answer::Other(streamed(answer, permit)));
    }
    let (status, headers) = (answer.status, shown(&answer));
    let whole = move || {
        let mut whole = Vec::new();
        let read = answer.body.take(LARGEST).read_to_end(&mut whole);
        drop(permit);
        read.map(|_| whole)
    };
    let whole = blocking(whole).await?.map_err(|error| {
        let msg = format!("The answer broke off: {error}.");
        Fault::new(StatusCode::BAD_GATEWAY, msg)
    })?;
    let answer = told(visit, status, &headers, &whole);
    Ok(page(visit, None, &answer).await)
}

async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(what).await;
    done.map_err(|error| Fault::of(ApiError::internal(error)))
}

/// The request that the form asks for.
///
/// # Errors
/// What is wrong, by field.
fn request(visit: &Visit, streams: bool) -> Result<Chat, Fault> {
    let mut fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "Something is missing.");
    let token = visit.sent("access-token");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "must be the token of an access key, tg-…";
        fault
            .details
            .insert("access-token".to_owned(), what.to_owned());
    }
    for name in ["model", "prompt"] {
        if visit.sent(name).is_empty() {
            fault
                .details
                .insert(name.to_owned(), "must be given".to_owned());
        }
    }
    let before = match visit.sent("history") {
        "" => Vec::new(),
        history => serde_json::from_str::<Vec<Turn>>(history).map_err(|_| {
            Fault::new(
                StatusCode::BAD_REQUEST,
                "What was said before cannot be read: load the page again.",
            )
        })?,
    };
    if !fault.details.is_empty() {
        return Err(fault);
    }
    let mut messages = before;
    messages.push(Turn {
        role: Role::User,
        content: visit.sent("prompt").to_owned(),
    });
    let mut body = json!({"model": visit.sent("model"), "messages": messages});
    if streams {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    Ok(Chat {
        token: token.to_owned(),
        body: body.to_string(),
    })
}

fn shown(answer: &chat::Answered) -> Vec<(String, String)> {
    let headers = answer.headers.iter();
    let shown = headers.filter(|(name, _)| name.starts_with("x-") || SHOWN.contains(&&**name));
    shown.cloned().collect()
}

/// A line with status and headers as JSON, and then the answer as it comes.
fn streamed(answer: chat::Answered, permit: impl Send + 'static) -> Response {
    let head = json!({"status": answer.status, "headers": shown(&answer)});
    let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut body = answer.body;
        let mut piece = vec![0; PIECE];
        // It ends with the answer, or when nobody listens any more.
        while let Ok(length @ 1..) = body.read(&mut piece) {
            let read = piece.get(..length).unwrap_or_default();
            if sender.blocking_send(Bytes::copy_from_slice(read)).is_err() {
                break;
            }
        }
        drop(permit);
    });
    let first = stream::once(async move { Bytes::from(format!("{head}\n")) });
    let rest = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let all = futures::StreamExt::map(futures::StreamExt::chain(first, rest), Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(all));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A whole answer, for whoever reads without a script.
fn told(visit: &Visit, status: u16, headers: &[(String, String)], body: &[u8]) -> Markup {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let choice = list(&said, "choices").first().unwrap_or(&Value::Null);
    let usage = &said["usage"];
    let request = headers.iter().find(|(name, _)| name == "x-request-id");
    let mut known: Vec<(&str, Markup)> = vec![
        ("Status", html! { (status) }),
        (
            "Tokens",
            html! { (number(usage, "prompt_tokens")) " in, " (number(usage, "completion_tokens")) " out" },
        ),
    ];
    if let Some((_, id)) = request {
        let target = visit.to(&visit::page("requests", id), &[]);
        known.push((
            "Request",
            html! { a href=(target) { "Its attempts and its charge" } },
        ));
    }
    html! {
        h2 { "Answer" }
        @match status {
            200 => p.said { (text(&choice["message"], "content")) },
            _ => p.fault { (text(&said["error"], "message")) },
        }
        (facts(&known))
        details {
            summary { "Headers" }
            dl.facts { @for (name, value) in headers { div { dt { (name) } dd { (value) } } } }
        }
    }
}
