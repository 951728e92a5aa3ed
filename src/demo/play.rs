//! Sends an answer, as well or as badly as its model does.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::Value;

use super::model::Model;

/// Silence of the model `slow` before its first token.
const SLOW: Duration = Duration::from_secs(2);
/// Between two words, so that streaming can be seen.
const PACE: Duration = Duration::from_millis(10);
/// Before a connection is dropped, so that what was written has left.
const LINGER: Duration = Duration::from_millis(20);
/// Content events of the model `cut` before it drops the connection.
const BEFORE_CUT: usize = 2;

/// The end marker of OpenAI's completions.
const DONE: &str = "data: [DONE]\n\n";

/// One server-sent event.
#[derive(Debug)]
pub(super) struct Frame {
    /// What it is for.
    pub(super) part: Part,
    /// The event's bytes, its blank line included.
    pub(super) text: String,
}

/// What an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Before, between or after content: roles, starts, ends, usage.
    Frame,
    /// Text, a tool call, reasoning.
    Content,
    /// The stream's end marker.
    End,
}

impl Frame {
    /// An event as it was written, which may be the stream's end marker.
    pub(super) fn written(part: Part, text: &str) -> Frame {
        let is_end = text == DONE || text.starts_with("event: message_stop\n");
        Frame {
            part: if is_end { Part::End } else { part },
            text: text.to_owned(),
        }
    }

    /// Returns the event's data, if that is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        let (_, data) = self.text.split_once("data: ")?;
        serde_json::from_str(data).ok()
    }

    /// Changes the event's data, if that is JSON.
    pub(super) fn change(&mut self, change: impl Fn(&mut Value)) {
        if let (Some(mut data), Some((name, _))) = (self.json(), self.text.split_once("data: ")) {
            change(&mut data);
            self.text = format!("{name}data: {data}\n\n");
        }
    }

    /// An event without a name, as chat completions have it.
    pub(super) fn data(part: Part, data: &Value) -> Frame {
        Frame {
            part,
            text: format!("data: {data}\n\n"),
        }
    }

    /// An event named by its data's `type`, as Responses and Messages have it.
    pub(super) fn named(part: Part, data: &Value) -> Frame {
        let name = data.get("type").and_then(Value::as_str).unwrap_or("error");
        Frame {
            part,
            text: format!("event: {name}\ndata: {data}\n\n"),
        }
    }

    /// The end marker of completions.
    pub(super) fn done() -> Frame {
        Frame::written(Part::End, DONE)
    }
}

/// What a body does next.
enum Step {
    Send(String),
    Pause(Duration),
    /// Silence until the client leaves.
    Hang,
    /// Drop the connection.
    Cut,
}

/// An event stream.
pub(super) fn stream(model: Model, frames: Vec<Frame>) -> Response {
    let mut response = Response::new(body(steps(model, frames)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// An answer in one piece.
pub(super) async fn whole(model: Model, answer: &Value) -> Response {
    let text = answer.to_string();
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    let steps = match model {
        Model::Stall => vec![Step::Hang],
        Model::CutEarly => vec![Step::Cut],
        Model::Cut => vec![Step::Send(half), Step::Cut],
        Model::Malformed => vec![Step::Send(half)],
        _ => {
            if model == Model::Slow {
                tokio::time::sleep(SLOW).await;
            }
            return super::json(StatusCode::OK, answer);
        }
    };
    let mut response = Response::new(body(steps));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn steps(model: Model, frames: Vec<Frame>) -> Vec<Step> {
    if model == Model::Stall {
        return vec![Step::Hang];
    }
    let mut steps = Vec::new();
    let mut contents = 0;
    for Frame { part, text } in frames {
        match (model, part) {
            (Model::CutEarly, Part::Content) => return cut(steps),
            (Model::Cut, Part::Content) if contents == BEFORE_CUT => return cut(steps),
            (Model::NoDone, Part::End) => continue,
            (Model::Slow, Part::Content) if contents == 0 => steps.push(Step::Pause(SLOW)),
            (Model::Malformed, Part::Content) if contents == 1 => {
                steps.push(Step::Send("data: {\"broken\": \n\n".to_owned()));
            }
            (Model::Long, _) => {}
            (_, Part::Content) if contents > 0 => steps.push(Step::Pause(PACE)),
            _ => {}
        }
        contents += usize::from(part == Part::Content);
        steps.push(Step::Send(text));
    }
    if model == Model::Cut {
        cut(steps)
    } else {
        steps
    }
}

fn cut(mut steps: Vec<Step>) -> Vec<Step> {
    steps.push(Step::Cut);
    steps
}

fn body(steps: Vec<Step>) -> Body {
    let played = stream::iter(steps).filter_map(|step| async {
        match step {
            Step::Send(text) => Some(Ok(Bytes::from(text))),
            Step::Pause(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Step::Hang => match std::future::pending::<Infallible>().await {},
            Step::Cut => {
                tokio::time::sleep(LINGER).await;
                Some(Err(io::Error::other("dropped, as this model does")))
            }
        }
    });
    Body::from_stream(played)
}
