//! Translation between dialects, so that any client may be served by any provider. Pure; no I/O.
//!
//! Every surface has a reader and a writer for requests, whole answers and streams; what one reads is said in
//! the neutral model (`neutral`), and another writes it. `README.md`, beside this file, says field by
//! field what survives.
//!
//! Invariants: what a target cannot carry is named ([`Translated::dropped`]), or refused if the request would
//! mean something else without it ([`Refusal`]); no input makes it panic; a stream's fragments leave as they
//! come, and a stream and the whole answer of the same content say the same.

use super::sse;
use super::{Dialect, Surface};

mod chat;
mod custom;
mod effort;
mod encoder;
mod errors;
mod format;
mod json;
mod media;
mod messages;
mod names;
mod native;
mod neutral;
mod out;
mod reply;
mod responses;
mod schema;
mod sink;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tools;
mod usage;

pub use encoder::{Encoder, answer_of_events};
pub use errors::{error, failure_body};
pub use native::{Adapted, adapted};
use neutral::Answer;
pub use neutral::{Conversation, Delta, Event, Kind, Proof, Stop};
pub use reply::Reply;
pub use stream::Stream;
pub use target::{Target, Thinks};

/// Why a request cannot be carried over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` cannot be carried over to the provider's API: {why}")]
pub struct Refusal {
    /// Where in the request, in the client's own names: `n`, or `messages[2].content[0]`.
    pub field: String,
    /// What is wrong with it; quotes nothing of the request.
    pub why: String,
}

impl Refusal {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal {
            field: field.into(),
            why: why.into(),
        }
    }
}

/// A request in the provider's dialect.
#[derive(Clone, Debug)]
pub struct Translated {
    /// Its body.
    pub body: Vec<u8>,
    /// What was dropped, in the client's names, each once; for `x-tollgate-dropped`. At most 64 names of
    /// visible ASCII without commas.
    pub dropped: Vec<String>,
    /// What the answer's translation needs to know of the request.
    pub reply: Reply,
}

/// Translates a request that was made on `from` for a provider that is called on `to`.
///
/// The body must have been validated: later duplicates of a member win.
///
/// # Errors
/// A [`Refusal`] that names the field without which the request would mean something else, or that cannot be
/// understood.
pub fn request(
    from: Surface,
    to: Surface,
    body: &[u8],
    target: &Target<'_>,
) -> Result<Translated, Refusal> {
    let conversation = read(from, body)?;
    write(&conversation, to, target)
}

/// Reads a request into the neutral model.
///
/// # Errors
/// A [`Refusal`] of what cannot be understood, or be said to no other surface.
pub fn read(from: Surface, body: &[u8]) -> Result<Conversation, Refusal> {
    let mut conversation = match from {
        Surface::ChatCompletions => chat::read_request(body),
        Surface::Responses => responses::read_request(body),
        Surface::Messages => messages::read_request(body),
        Surface::Completions | Surface::Embeddings => {
            Err(Refusal::new("body", "this API has no translation"))
        }
    }?;
    conversation.pair();
    Ok(conversation)
}

/// Writes a request for a provider that is called on `to`.
///
/// # Errors
/// A [`Refusal`] of what the target's API cannot say.
pub fn write(
    conversation: &Conversation,
    to: Surface,
    target: &Target<'_>,
) -> Result<Translated, Refusal> {
    let mut reply = Reply::new(conversation, to);
    let mut lost = Lost::new(conversation);
    let body = match to {
        Surface::ChatCompletions => {
            chat::write_request(conversation, target, &mut reply, &mut lost)?
        }
        Surface::Responses => {
            responses::write_request(conversation, target, &mut reply, &mut lost)?
        }
        Surface::Messages => messages::write_request(conversation, target, &mut reply, &mut lost)?,
        Surface::Completions | Surface::Embeddings => {
            return Err(Refusal::new("body", "this API has no translation"));
        }
    };
    Ok(Translated {
        body,
        dropped: lost.names,
        reply,
    })
}

/// Translates a whole answer of the provider for the client. `created` is in Unix time (s), for dialects that
/// tell it.
///
/// # Errors
/// A [`Refusal`] if the answer is not what the provider's surface answers with.
pub fn answer(reply: &Reply, body: &[u8], created: u64) -> Result<Vec<u8>, Refusal> {
    let answer = match reply.provider {
        Surface::ChatCompletions => chat::read_answer(body),
        Surface::Responses => responses::read_answer(body),
        Surface::Messages => messages::read_answer(body),
        Surface::Completions | Surface::Embeddings => None,
    };
    written(reply, answer, created)
}

/// Returns the whole answer that a provider's stream amounts to, for a client that asked for one. The stream is whole.
///
/// # Errors
/// A [`Refusal`] if it does not come to the end that the provider's surface has, or reports a failure.
pub fn answer_of_stream(reply: &Reply, stream: &[u8], created: u64) -> Result<Vec<u8>, Refusal> {
    written(reply, stream::collect(reply, stream), created)
}

/// Returns the stream of a provider's whole answer, for a client that asked for one.
///
/// # Errors
/// A [`Refusal`] if the answer is not what the provider's surface answers with.
pub fn stream_of_answer(reply: &Reply, body: &[u8], created: u64) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    match Stream::new(reply, created).whole(body, &mut out) {
        true => Ok(out),
        false => Err(not_an_answer()),
    }
}

/// Returns what is known of a request that reached its provider as it is, for an answer whose form is not the one that
/// was asked for.
///
/// # Errors
/// A [`Refusal`] of what cannot be understood.
pub fn untranslated(surface: Surface, body: &[u8]) -> Result<Reply, Refusal> {
    Ok(Reply::new(&read(surface, body)?, surface))
}

/// Returns the members of a request for a response that the response repeats, as they were asked for, with what the
/// schema of responses wants in them; none if the body is no JSON object.
pub fn response_echo(body: &[u8]) -> serde_json::Map<String, serde_json::Value> {
    responses::echo_of(body)
}

fn not_an_answer() -> Refusal {
    Refusal::new("body", "the provider's answer is not of its API's shape")
}

fn written(reply: &Reply, answer: Option<Answer>, created: u64) -> Result<Vec<u8>, Refusal> {
    let mut answer = answer.ok_or_else(not_an_answer)?;
    reply.restore(&mut answer, created);
    Ok(match reply.client {
        Surface::Responses => responses::write_answer(&answer, reply, created),
        Surface::Messages => messages::write_answer(&answer),
        _ => chat::write_answer(&answer, created),
    })
}

/// Most names that are listed.
const MAX_DROPPED: usize = 64;

/// A name of the client's own choosing, as a header may have it.
fn header_text(name: &str) -> String {
    let fit = |c: char| c.is_ascii_graphic() && c != ',';
    name.chars()
        .map(|c| if fit(c) { c } else { '?' })
        .take(64)
        .collect()
}

/// What gets lost, by the client's names.
#[derive(Debug)]
struct Lost {
    surface: Surface,
    names: Vec<String>,
}

impl Lost {
    /// Nothing yet.
    fn of(surface: Surface) -> Lost {
        Lost {
            surface,
            names: Vec::new(),
        }
    }

    fn new(conversation: &Conversation) -> Lost {
        let mut lost = Lost::of(conversation.surface);
        for name in &conversation.unknown {
            lost.name(&header_text(name));
        }
        for field in &conversation.dropped {
            lost.add(*field);
        }
        lost
    }

    fn add(&mut self, field: neutral::Field) {
        self.name(field.name(self.surface));
    }

    fn name(&mut self, name: &str) {
        if self.names.len() < MAX_DROPPED && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    fn add_if(&mut self, field: neutral::Field, said: bool) {
        if said {
            self.add(field);
        }
    }

    fn refuse<T>(&self, field: neutral::Field, why: &str) -> Result<T, Refusal> {
        Err(Refusal::new(field.name(self.surface), why))
    }

    /// Whether the client speaks OpenAI, whose file ids its own APIs share.
    fn is_openai(&self) -> bool {
        self.surface.dialect() == Dialect::OpenAi
    }

    /// A request without anything to answer is refused everywhere.
    fn something(&self, turns: &[serde_json::Value]) -> Result<(), Refusal> {
        if turns.is_empty() {
            return Err(self.media("there is nothing to answer"));
        }
        Ok(())
    }

    /// A refusal of something in a turn.
    fn media(&self, why: &str) -> Refusal {
        let field = match self.surface {
            Surface::Responses => "input",
            _ => "messages",
        };
        Refusal::new(field, why)
    }

    fn file_id(&self, what: &str) -> Refusal {
        self.media(&format!(
            "{what} is given by an id that only its own provider knows; send a URL or base64"
        ))
    }
}
