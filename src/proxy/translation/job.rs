//! One translation of a request, with all that it needs, so that any thread may do it.

use std::sync::Arc;

use bytes::Bytes;

use super::CacheHints;
use crate::proxy::aside::LARGE;
use tollgate_config::catalog::Capabilities;
use tollgate_failover::Candidate;
use tollgate_wire::request::RequestBody;
use tollgate_wire::translate;
use tollgate_wire::translate::{Conversation, Refusal, Reply, Target, Translated};
use tollgate_wire::vendor::Vendor;
use tollgate_wire::{Endpoint, Surface};

/// The request in the neutral model, or why it has no place there.
pub(super) type Read = Result<Conversation, Refusal>;

/// A request in the words of a candidate's API.
pub struct Carried {
    /// The API.
    pub surface: Surface,
    /// The body, in which the candidate's own edits are still to be made.
    pub body: RequestBody,
    /// The client's fields that it has no place for.
    pub dropped: Vec<String>,
    /// What the way back needs.
    pub reply: Reply,
}

/// For whom a request is translated, whichever key is used for it. So a large body is translated once for a model,
/// however many keys there are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Addressee {
    provider: Arc<str>,
    model: Arc<str>,
}

/// Holds a translation to do, on any thread.
pub(super) struct Job {
    pub called: Surface,
    pub bytes: Bytes,
    /// As it was read for an earlier candidate.
    pub read: Option<Arc<Read>>,
    pub candidate: Candidate,
    /// The most tokens that its answer may have.
    pub most: Option<u64>,
    /// What its provider is told for the sake of its prompt cache.
    pub hints: CacheHints,
}

/// What a job came to.
pub(super) struct Done {
    pub read: Arc<Read>,
    /// Else why the nearest of its APIs cannot take it; `None` if it has none.
    pub carried: Result<Carried, Option<Refusal>>,
}

impl Job {
    /// Whom it is for.
    pub fn told(&self) -> Addressee {
        Addressee {
            provider: self.candidate.provider.id.clone(),
            model: self.candidate.upstream_model.clone(),
        }
    }

    /// Returns whether it is too much for the proxy's threads.
    pub fn is_large(&self) -> bool {
        self.bytes.len() > LARGE
    }

    /// Reads the request, if it was not, and writes it on the nearest of the candidate's APIs that can take it.
    pub fn run(self) -> Done {
        let read = self
            .read
            .clone()
            .unwrap_or_else(|| Arc::new(translate::read(self.called, &self.bytes)));
        let carried = match &*read {
            Ok(conversation) => self.write(conversation),
            Err(refusal) => Err(Some(refusal.clone())),
        };
        Done { read, carried }
    }

    fn write(&self, conversation: &Conversation) -> Result<Carried, Option<Refusal>> {
        let cache_key = self.hints.session.map(|session| session.to_string());
        let target = Target {
            cache_marks: self.hints.wanted,
            cache_key: cache_key.as_deref(),
            ..target(&self.candidate, self.most)
        };
        let mut first = None;
        for surface in self.surfaces() {
            let written = translate::write(conversation, surface, &target);
            match written.and_then(|written| carried(surface, written)) {
                Ok(carried) => return Ok(carried),
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        Err(first)
    }

    /// The candidate's other APIs than the client's, the nearest first.
    fn surfaces(&self) -> Vec<Surface> {
        let others = self.called.served_by().iter().copied();
        let offered =
            |surface: &Surface| *surface != self.called && self.candidate.offers(*surface);
        let mut surfaces: Vec<Surface> = others.filter(offered).collect();
        if Vendor::rules(self.candidate.provider.vendor).prefers_chat {
            surfaces.sort_by_key(|surface| *surface != Surface::ChatCompletions);
        }
        surfaces
    }
}

/// Returns what is known of a candidate's model; `most` is the most tokens that its answer may have.
pub fn target(candidate: &Candidate, most: Option<u64>) -> Target<'_> {
    let Candidate {
        provider, model, ..
    } = candidate;
    let model = model.as_deref();
    let known = model.map_or_else(Capabilities::default, |model| model.capabilities);
    Target {
        unsupported: [
            &provider.unsupported_parameters,
            model.map_or(&[], |model| &model.unsupported_parameters),
        ],
        extensions: provider.chat_extensions,
        ..Target::of_model(&candidate.upstream_model, most).knowing(known, provider.vendor)
    }
}

fn carried(surface: Surface, written: Translated) -> Result<Carried, Refusal> {
    let body = RequestBody::parse(Endpoint::Generate(surface), Bytes::from(written.body));
    // What was read from a valid body is written as one; its size or its limits may still be out of bounds.
    let body = body.map_err(|bad| Refusal {
        field: bad.param.unwrap_or("body").to_owned(),
        why: bad.message,
    })?;
    Ok(Carried {
        surface,
        body,
        dropped: written.dropped,
        reply: written.reply,
    })
}
