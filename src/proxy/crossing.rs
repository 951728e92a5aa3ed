//! Requests that cross from the client's API to another one of a candidate's.
//!
//! A body is read into the neutral model at most once, and only if a candidate needs it; it is written for a
//! candidate when its turn comes. A candidate that cannot be told the request is no candidate: passing over it
//! is no attempt, and nothing is learned of it.

use bytes::Bytes;

use super::context::{Context, Planned};
use crate::access::AccessKey;
use crate::dialect::request::RequestBody;
use crate::dialect::translate::{self, Conversation, Refusal, Reply, Target, Translated};
use crate::dialect::{Endpoint, GatewayError, Surface};
use crate::failover::Candidate;

/// What is known of a request's crossing.
#[derive(Default)]
pub struct Crossing {
    conversation: Option<Result<Conversation, Refusal>>,
    /// What is ready for the candidate of this index.
    ready: Option<(usize, Carried)>,
    /// Why the first candidate that was passed over was.
    refusal: Option<Refusal>,
    /// The candidates that are left have been looked at.
    pruned: bool,
}

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

/// Passes over candidates until one can be told the request.
///
/// # Errors
/// A refusal that names the field at fault, if none can.
pub fn prepare(ctx: &mut Context, candidates: &mut Vec<Candidate>) -> Result<(), GatewayError> {
    let (Some(caller), Some(received)) = (&ctx.caller, &ctx.received) else {
        return Err(GatewayError::internal());
    };
    let Endpoint::Generate(called) = received.body.endpoint() else {
        return Ok(());
    };
    let mut passed = 0;
    for candidate in candidates.iter() {
        if candidate.surface == called {
            break;
        }
        match carry(&mut ctx.crossing, &received.body, &caller.key, candidate) {
            Some(carried) => {
                ctx.crossing.ready = Some((0, carried));
                break;
            }
            None => passed += 1,
        }
    }
    if passed == candidates.len() {
        return Err(not_carried(ctx));
    }
    candidates.drain(..passed);
    Ok(())
}

/// Whether the candidate of this index can be told the request. What crosses is ready for [`take`] then.
pub fn ready(ctx: &mut Context, index: usize) -> bool {
    let (Some(caller), Some(received), Some(planned)) = (&ctx.caller, &ctx.received, &ctx.planned)
    else {
        return false;
    };
    let candidate = &planned.candidates[index];
    if candidate.surface == received.body.endpoint().surface() {
        return true;
    }
    let done = ctx
        .crossing
        .ready
        .as_ref()
        .is_some_and(|(of, _)| *of == index);
    if done {
        return true;
    }
    let carried = carry(&mut ctx.crossing, &received.body, &caller.key, candidate);
    ctx.crossing.ready = carried.map(|carried| (index, carried));
    ctx.crossing.ready.is_some()
}

/// What is ready for the candidate of this index; `None` if the request reaches it as it is.
pub fn take(ctx: &mut Context, index: usize) -> Option<Carried> {
    let (of, carried) = ctx.crossing.ready.take()?;
    if of == index {
        return Some(carried);
    }
    ctx.crossing.ready = Some((of, carried));
    None
}

/// Passes over the candidates left that cannot be told the request, so that it is known whether an attempt that
/// fails is the last one. Called only when one fails.
pub fn prune(ctx: &mut Context) {
    let (Some(caller), Some(received), Some(planned)) =
        (&ctx.caller, &ctx.received, &mut ctx.planned)
    else {
        return;
    };
    if std::mem::replace(&mut ctx.crossing.pruned, true) {
        return;
    }
    let called = received.body.endpoint().surface();
    let Planned {
        machine,
        candidates,
        ..
    } = planned;
    // The keys of one model are next to each other, and are told the same.
    let mut last: Option<(usize, bool)> = None;
    machine.keep(|index| {
        let candidate = &candidates[index];
        if candidate.surface == called {
            return true;
        }
        if let Some((of, can)) = last
            && candidates[of].upstream_model == candidate.upstream_model
            && candidates[of].provider.id == candidate.provider.id
        {
            return can;
        }
        let can = carry(&mut ctx.crossing, &received.body, &caller.key, candidate).is_some();
        last = Some((index, can));
        can
    });
}

/// The refusal when no candidate could be told the request.
pub fn not_carried(ctx: &Context) -> GatewayError {
    match (&ctx.crossing.refusal, ctx.endpoint) {
        (Some(refusal), Some(endpoint)) => GatewayError::not_carried(refusal, endpoint.surface()),
        _ => GatewayError::internal(),
    }
}

/// The most tokens that a candidate's answer may have, if anything limits them.
pub fn most_output(key: &AccessKey, candidate: &Candidate) -> Option<u64> {
    let model = candidate.model.as_deref();
    let configuration = key.configuration.as_ref();
    let limits = [
        model
            .and_then(|model| model.max_output_tokens)
            .filter(|most| *most > 0),
        configuration.and_then(|configuration| configuration.max_output_tokens),
        key.settings.max_output_tokens,
    ];
    limits.into_iter().flatten().min()
}

/// Writes the request for a candidate, on the nearest of its APIs that can be told it.
fn carry(
    crossing: &mut Crossing,
    body: &RequestBody,
    key: &AccessKey,
    candidate: &Candidate,
) -> Option<Carried> {
    let called = body.endpoint().surface();
    let read = crossing
        .conversation
        .get_or_insert_with(|| translate::read(called, body.bytes()));
    let target = Target::of_model(&candidate.upstream_model, most_output(key, candidate));
    let carried = match read {
        Ok(conversation) => {
            let mut first = None;
            let others = called.served_by().iter().copied();
            others
                .filter(|surface| *surface != called && candidate.offers(*surface))
                .find_map(|surface| {
                    let written = translate::write(conversation, surface, &target);
                    written
                        .and_then(|written| carried(surface, written))
                        .map_err(|refusal| first.get_or_insert(refusal).clone())
                        .ok()
                })
                .ok_or(first)
        }
        Err(refusal) => Err(Some(refusal.clone())),
    };
    match carried {
        Ok(carried) => Some(carried),
        Err(refusal) => {
            crossing.refusal = crossing.refusal.take().or(refusal);
            None
        }
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
