//! The next attempt: a candidate, its body, and an address to send it to.

use std::borrow::Cow;

use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::Result;

use super::context::{Attempt, Context, PastAttempt};
use super::flight::{Phase, ended_by_gateway};
use super::shared::Shared;
use super::{admit, peers, settle};
use crate::catalog::Provider;
use crate::clock;
use crate::dialect::request::{Edit, RequestBody};
use crate::dialect::{Endpoint, Surface};
use crate::failover::{Candidate, Outcome, Step};
use crate::ledger::NanoUsd;

/// Pingora's `upstream_peer`. The same candidate again if only its connection was stale or another
/// address of it is left, else the machine's next one.
pub async fn begin(shared: &Shared, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    if ctx.attempt.is_none() {
        next(shared, ctx).await?;
    }
    peer(shared, ctx)
}

/// Takes candidates until one has an address; those without end here, without a round through Pingora.
async fn next(shared: &Shared, ctx: &mut Context) -> Result<()> {
    while let Some(mut attempt) = choose(shared, ctx) {
        let Some(planned) = &ctx.planned else { break };
        let provider = &planned.candidates[attempt.candidate].provider;
        let left = attempt.by.saturating_duration_since(attempt.started);
        let patience = left.min(super::CONNECT_TIMEOUT);
        match shared
            .peers
            .lookup(provider, attempt.started, patience)
            .await
        {
            Ok(addresses) => {
                attempt.addresses = addresses;
                ctx.attempt = Some(attempt);
                return Ok(());
            }
            Err(outcome) => {
                if end(shared, ctx, &attempt, outcome) != Step::Next {
                    break;
                }
            }
        }
    }
    Err(ended_by_gateway())
}

/// The machine's next candidate, as an attempt that has no address yet. One whose provider another
/// request is probing comes after the others.
fn choose(shared: &Shared, ctx: &mut Context) -> Option<Attempt> {
    let now = clock::now();
    let planned = ctx.planned.as_mut()?;
    let index = loop {
        let index = planned.machine.next(now)?;
        if shared.health.begin(&planned.candidates[index], now) || !planned.machine.postpone() {
            break index;
        }
    };
    let planned = ctx.planned.as_ref()?;
    let candidate = &planned.candidates[index];
    let timeouts = admit::timeouts(ctx, Some(candidate));
    let by = planned.total_by.min(now + timeouts.per_request);
    planned.flight.begin(by, now);
    planned.tab.attempt(candidate);
    candidate.key.used.mark(clock::wall_ms());
    let (body, strip_usage) = body(ctx, candidate);
    Some(Attempt {
        candidate: index,
        started: now,
        by,
        body,
        strip_usage,
        addresses: Vec::new(),
        stale: 0,
        status: None,
        retry_after: None,
        outcome: None,
    })
}

/// Records a failed attempt, and says what follows.
pub fn end(shared: &Shared, ctx: &mut Context, attempt: &Attempt, outcome: Outcome) -> Step {
    let now = clock::now();
    let Some(planned) = &mut ctx.planned else {
        return Step::Stop;
    };
    shared.learn(&planned.candidates[attempt.candidate], &outcome, now);
    let tap = planned.flight.take_tap();
    // What has begun to leave is settled with the request.
    let cost = match planned.flight.phase() {
        Phase::Committed => NanoUsd::ZERO,
        _ => {
            let reported = tap.as_ref().and_then(settle::reported);
            planned.tab.failed(reported, attempt.status)
        }
    };
    ctx.past.push(PastAttempt {
        candidate: attempt.candidate,
        took: now.duration_since(attempt.started),
        status: attempt.status,
        outcome: Some(outcome.clone()),
        tap,
        cost,
    });
    planned.machine.failed(outcome, now)
}

/// The body in the candidate's own words, and whether its usage chunk must be taken out again.
fn body(ctx: &Context, candidate: &Candidate) -> (bytes::Bytes, bool) {
    let (Some(received), Some(caller)) = (&ctx.received, &ctx.caller) else {
        return (bytes::Bytes::new(), false);
    };
    let body = &received.body;
    let model = candidate.model.as_deref();
    let provider = &candidate.provider;
    let unlisted = unlisted(provider, body);
    let strip: Vec<&str> = provider
        .unsupported_parameters
        .iter()
        .chain(model.into_iter().flat_map(|m| &m.unsupported_parameters))
        .map(String::as_str)
        .chain(unlisted.iter().map(|name| &**name))
        .collect();
    let configured = caller
        .key
        .configuration
        .as_ref()
        .and_then(|c| c.max_output_tokens);
    let limits = [
        model
            .and_then(|m| m.max_output_tokens)
            .filter(|most| *most > 0),
        configured,
        caller.key.settings.max_output_tokens,
    ];
    let chunked = matches!(
        ctx.endpoint,
        Some(Endpoint::Generate(
            Surface::ChatCompletions | Surface::Completions
        ))
    );
    let ask = chunked && body.stream() && !strip.contains(&"stream_options");
    let rendered = body.render(&Edit {
        model: &candidate.upstream_model,
        strip: &strip,
        max_output_tokens: limits.into_iter().flatten().min(),
        include_usage: ask,
    });
    (rendered, ask && !body.wants_usage_chunk())
}

/// The fields of the body that are not among those that the provider takes.
fn unlisted<'a>(provider: &Provider, body: &'a RequestBody) -> Vec<Cow<'a, str>> {
    if provider.supported_parameters.is_empty() {
        return Vec::new();
    }
    let surface = body.endpoint().surface();
    body.other_names()
        .filter(|name| !provider.takes(surface, name))
        .collect()
}

fn peer(shared: &Shared, ctx: &Context) -> Result<Box<HttpPeer>> {
    let (Some(planned), Some(attempt)) = (&ctx.planned, &ctx.attempt) else {
        return Err(ended_by_gateway());
    };
    let Some(address) = attempt.addresses.last() else {
        return Err(ended_by_gateway());
    };
    let candidate = &planned.candidates[attempt.candidate];
    let left = attempt.by.saturating_duration_since(clock::now());
    peers::peer(&shared.peers, &candidate.provider, *address, left)
}
