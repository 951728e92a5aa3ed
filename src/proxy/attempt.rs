//! The next attempt: a candidate, its body, and an address to send it to.

use std::time::{Duration, Instant};

use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::Result;

use super::context::{Attempt, Context, PastAttempt};
use super::flight::ended_by_gateway;
use super::shared::Shared;
use super::{admit, peers};
use crate::clock;
use crate::config::Timeouts;
use crate::dialect::request::Edit;
use crate::dialect::{Endpoint, Surface};
use crate::failover::{Candidate, Outcome, Step};

/// Pingora's `upstream_peer`. The same candidate again if only its connection was stale or another
/// address of it is left, else the machine's next one.
pub async fn begin(shared: &Shared, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    if let Some(attempt) = &ctx.attempt {
        return peer(shared, ctx, attempt);
    }
    while let Some(Chosen {
        index,
        candidate,
        timeouts,
        by,
        at: now,
    }) = choose(shared, ctx)
    {
        let base = &candidate.provider.base_url;
        let patience = by
            .saturating_duration_since(now)
            .min(super::CONNECT_TIMEOUT);
        match shared.peers.lookup(base, now, patience).await {
            Ok(mut addresses) => {
                let Some(address) = addresses.pop() else {
                    return Err(ended_by_gateway());
                };
                let (body, strip_usage) = body(ctx, &candidate);
                ctx.attempt = Some(Attempt {
                    candidate: index,
                    started: now,
                    by,
                    timeouts,
                    body,
                    strip_usage,
                    addresses,
                    address,
                    stale: 0,
                    status: None,
                    retry_after: None,
                    outcome: None,
                });
                if let Some(attempt) = &ctx.attempt {
                    return peer(shared, ctx, attempt);
                }
            }
            // Nothing to connect to: the next candidate without a round through Pingora.
            Err(outcome) => {
                if end(
                    shared,
                    ctx,
                    index,
                    clock::now().duration_since(now),
                    None,
                    outcome,
                ) != Step::Next
                {
                    return Err(ended_by_gateway());
                }
            }
        }
    }
}

/// What the machine chose.
struct Chosen {
    index: usize,
    candidate: Candidate,
    timeouts: Timeouts,
    at: Instant,
    by: Instant,
}

/// The machine's next candidate; one whose provider another request is probing comes after the others.
fn choose(shared: &Shared, ctx: &mut Context) -> Option<Chosen> {
    let at = clock::now();
    let planned = ctx.planned.as_mut()?;
    let index = loop {
        let index = planned.machine.next(at)?;
        if shared.health.begin(&planned.candidates[index], at) || !planned.machine.postpone() {
            break index;
        }
    };
    let candidate = planned.candidates[index].clone();
    let by = planned.total_by;
    let timeouts = admit::timeouts(ctx, Some(&candidate));
    let by = by.min(at + timeouts.per_request);
    ctx.planned.as_ref()?.flight.begin(by, at);
    Some(Chosen {
        index,
        candidate,
        timeouts,
        at,
        by,
    })
}

/// Records a failed attempt, and says what follows.
pub fn end(
    shared: &Shared,
    ctx: &mut Context,
    candidate: usize,
    took: Duration,
    status: Option<u16>,
    outcome: Outcome,
) -> Step {
    let now = clock::now();
    let Some(planned) = &mut ctx.planned else {
        return Step::Stop;
    };
    shared.learn(&planned.candidates[candidate], &outcome, now);
    ctx.past.push(PastAttempt {
        candidate,
        took,
        status,
        outcome: Some(outcome.clone()),
        tap: None,
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
    let strip: Vec<&str> = candidate
        .provider
        .unsupported_parameters
        .iter()
        .chain(model.into_iter().flat_map(|m| &m.unsupported_parameters))
        .map(String::as_str)
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
        caller.snapshot.config.limits.max_output_tokens,
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

fn peer(shared: &Shared, ctx: &Context, attempt: &Attempt) -> Result<Box<HttpPeer>> {
    let Some(planned) = &ctx.planned else {
        return Err(ended_by_gateway());
    };
    let candidate = &planned.candidates[attempt.candidate];
    let left = attempt.by.saturating_duration_since(clock::now());
    peers::peer(&shared.peers, &candidate.provider, attempt.address, left)
}
