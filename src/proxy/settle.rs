//! The end of every request: the client's session goes back to Pingora, and what happened is recorded:
//! usage events, metrics, a line in the access log. What was held at admission is settled before the last byte
//! of the answer leaves; where none does, here.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use pingora_proxy::Session;

use super::aside::Aside;
use super::context::{Context, PastAttempt, Planned};
use super::count;
use super::flight::Phase;
use super::shared::Shared;
use crate::metrics::access_log::{Attempt as Line, Entry};
use crate::metrics::{RouteMetrics, StatusClass};
use tollgate_base::Timestamp;
use tollgate_base::clock;
use tollgate_failover::{Candidate, Outcome};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::events::UsageEvent;
use tollgate_wire::Endpoint;
use tollgate_wire::report::Usage;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::Settled;

/// Pingora's `logging`.
pub async fn request(shared: &Shared, session: &mut Session, ctx: &mut Context) {
    let now = clock::now();
    if let Some(unwrap) = ctx
        .planned
        .as_mut()
        .and_then(|planned| planned.unwrap.take())
    {
        unwrap.restore(&mut session.downstream_session);
    }
    conclude_last(shared, ctx, now);
    let (settled, cost) = settle(shared, ctx).await;
    let wall = clock::wall();
    if let Some(planned) = &ctx.planned {
        record_attempts(shared, ctx, planned, settled, cost, wall, now);
    } else if ctx.answered.status > 0 {
        shared.metrics.unrouted(
            ctx.endpoint.map(Endpoint::surface),
            StatusClass::of(ctx.answered.status),
        );
        if let Some(code) = ctx.answered.code {
            shared.metrics.error(code);
        }
    }
    log(shared, session, ctx, settled, wall, now);
    // The place among the requests under way is given back with the context.
}

/// The attempt that did not fail: it committed, and its answer came to its end.
fn conclude_last(shared: &Shared, ctx: &mut Context, now: Instant) {
    let (Some(planned), Some(attempt)) = (&mut ctx.planned, ctx.attempt.take()) else {
        return;
    };
    planned.machine.commit();
    ctx.answered.status = attempt.status.unwrap_or_default();
    let candidate = &planned.candidates[attempt.candidate];
    match &attempt.outcome {
        None => shared.health.on_success(candidate),
        Some(outcome) => shared.learn(candidate, outcome, now),
    }
    ctx.past.push(PastAttempt {
        candidate: attempt.candidate,
        dialect: attempt.endpoint.surface().dialect(),
        took: now.duration_since(attempt.started),
        status: attempt.status,
        outcome: attempt.outcome,
        tap: planned.flight.take_tap(),
        cost: NanoUsd::ZERO,
    });
}

/// Settles what was not settled before its last byte: an answer that broke off, a request that failed.
pub async fn settle(shared: &Shared, ctx: &mut Context) -> (Option<Settled>, NanoUsd) {
    let (Some(Endpoint::Generate(_)), Some(planned)) = (ctx.endpoint, &ctx.planned) else {
        return (None, NanoUsd::ZERO);
    };
    if let Some(closed) = planned.tab.closed() {
        return (closed.settled, closed.cost);
    }
    let (Some(received), Some(last)) = (&ctx.received, ctx.past.last_mut()) else {
        return (None, NanoUsd::ZERO);
    };
    let settled = used(&shared.aside, planned, last, &received.body).await;
    let (status, failed) = (last.status, last.outcome.is_some());
    let closed = planned.tab.close(settled, status, failed);
    (settled, closed.cost)
}

/// What the last attempt used: as reported, or counted; nothing if it failed before any of it left.
async fn used(
    aside: &Aside,
    planned: &Planned,
    last: &mut PastAttempt,
    body: &RequestBody,
) -> Option<Settled> {
    let began = planned.flight.phase() == Phase::Committed
        && last.status.is_some_and(|status| status < 300);
    if !began {
        return None;
    }
    let tap = last.tap.take()?;
    if tap.usage_final() {
        let settled = count::reported(&tap);
        last.tap = Some(tap);
        return settled;
    }
    let model = &planned.candidates[last.candidate].upstream_model;
    let (tap, settled) = count::answer(aside, tap, model, body).await;
    last.tap = tap;
    settled
}

fn record_attempts(
    shared: &Shared,
    ctx: &Context,
    planned: &Planned,
    settled: Option<Settled>,
    cost: NanoUsd,
    wall: SystemTime,
    now: Instant,
) {
    let (Some(caller), Some(endpoint)) = (&ctx.caller, ctx.endpoint) else {
        return;
    };
    let committed = planned.flight.committed_at();
    for (index, past) in ctx.past.iter().enumerate() {
        let candidate = &planned.candidates[past.candidate];
        let last = index + 1 == ctx.past.len();
        // A failed attempt that is the last one is settled with its request.
        let cost = if last { past.cost + cost } else { past.cost };
        let settled = if last {
            settled
        } else {
            past.tap.as_ref().and_then(count::reported)
        };
        let route = route(shared, candidate, endpoint);
        route.attempt(label(past));
        if let Some(settled) = settled {
            route.usage(&settled.usage, !settled.estimated);
        }
        if last {
            observe(&route, ctx, committed, settled, now);
        }
        let provider = &candidate.provider;
        let model = candidate.model.as_deref();
        route.cost(cost);
        let Some(ledger) = &shared.ledger else {
            continue;
        };
        let event = Arc::new(UsageEvent {
            id: shared.event_ids.next(),
            event_time: Timestamp(wall),
            request_id: ctx.request_id.clone(),
            access_key_id: caller.key.id.clone(),
            account: caller.key.account.clone(),
            surface: endpoint.surface(),
            provider: provider.id.clone(),
            provider_display_name: provider.display_name.clone(),
            model: candidate.upstream_model.clone(),
            model_display_name: model.map_or_else(
                || candidate.upstream_model.clone(),
                |m| m.display_name.clone(),
            ),
            attempt_number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            is_final_attempt: last,
            status_code: past.status.unwrap_or_default(),
            outcome: label(past),
            timed_out: past.outcome == Some(Outcome::Timeout),
            is_error: past.outcome.is_some(),
            is_streaming: ctx.received.as_ref().is_some_and(|r| r.body.stream()),
            stop_reason: past
                .tap
                .as_ref()
                .and_then(|tap| tap.finish_reason())
                .unwrap_or_default()
                .to_owned(),
            tokens: settled.map(|s| s.usage).unwrap_or_default(),
            estimated: settled.is_some_and(|s| s.estimated),
            orphaned: false,
            total_cost: cost.0,
            key_source: candidate.key.kind,
            provider_key_id: candidate.key.id.clone(),
            provider_key_display_name: candidate.key.value.redacted().clone(),
            latency_to_commit: committed
                .filter(|_| last)
                .map(|at| at.duration_since(now - past.took)),
            latency: past.took,
        });
        match planned.tab.receipt().filter(|_| last) {
            Some(receipt) => receipt.note(&event),
            None => ledger.till.note(&event),
        }
        // An answer that broke off says nothing of how long answers are.
        if let (Some(settled), None) = (settled, &past.outcome) {
            let (key, model) = (&caller.key.id, &candidate.upstream_model);
            ledger.estimates.learn(key, model, settled.usage.output);
        }
    }
}

fn route(shared: &Shared, candidate: &Candidate, endpoint: Endpoint) -> Arc<RouteMetrics> {
    shared.metrics.route(
        &candidate.provider.id,
        candidate.model.as_ref().map(|model| &model.id),
        endpoint.surface(),
    )
}

fn observe(
    route: &RouteMetrics,
    ctx: &Context,
    committed: Option<Instant>,
    settled: Option<Settled>,
    now: Instant,
) {
    route.request(
        StatusClass::of(ctx.answered.status),
        now.duration_since(ctx.started),
    );
    let streamed = ctx.received.as_ref().is_some_and(|r| r.body.stream());
    if let (Some(committed), true) = (committed, streamed) {
        route.first_token(committed.duration_since(ctx.started));
        if let Some(settled) = settled {
            route.pace(now.duration_since(committed), settled.usage.output);
        }
    }
}

fn label(past: &PastAttempt) -> &'static str {
    past.outcome.as_ref().map_or("ok", Outcome::label)
}

fn log(
    shared: &Shared,
    session: &Session,
    ctx: &Context,
    settled: Option<Settled>,
    wall: SystemTime,
    now: Instant,
) {
    let head = session.req_header();
    let total = now.duration_since(ctx.started);
    let candidate = |past: &PastAttempt| {
        ctx.planned
            .as_ref()
            .map(|planned| &planned.candidates[past.candidate])
    };
    let lines: Vec<Line<'_>> = ctx
        .past
        .iter()
        .filter_map(|past| {
            let candidate = candidate(past)?;
            Some(Line {
                provider: &candidate.provider.id,
                model: &candidate.upstream_model,
                outcome: label(past),
            })
        })
        .collect();
    let key = ctx.caller.as_ref().map(|caller| &caller.key);
    let body = ctx.received.as_ref().map(|received| &received.body);
    if let Some(surface) = ctx
        .endpoint
        .map(Endpoint::surface)
        .filter(|_| !lines.is_empty())
    {
        shared.metrics.overhead(surface, ctx.answered.overhead);
    }
    shared.access_log.write(&Entry {
        time: Timestamp(wall.checked_sub(total).unwrap_or(wall)),
        request_id: &ctx.request_id,
        access_key: key.map(|key| &*key.id),
        account: key.map(|key| &*key.account),
        configuration: key
            .and_then(|key| key.configuration.as_ref())
            .map(|c| &*c.id),
        method: head.method.as_str(),
        path: head.uri.path(),
        surface: ctx.endpoint.map(Endpoint::surface),
        requested_model: body.map(RequestBody::model),
        provider: lines.last().map(|line| line.provider),
        model: lines.last().map(|line| line.model),
        attempts: &lines,
        status: Some(ctx.answered.status).filter(|status| *status > 0),
        error: ctx.answered.code,
        stream: body.is_some_and(RequestBody::stream),
        bytes_in: body.map_or(0, |body| body.bytes().len() as u64),
        bytes_out: session.body_bytes_sent() as u64,
        tokens: settled
            .map(|s| s.usage)
            .filter(|usage| *usage != Usage::default()),
        estimated: settled.is_some_and(|s| s.estimated),
        to_commit: ctx
            .planned
            .as_ref()
            .and_then(|p| p.flight.committed_at())
            .map(|at| at.duration_since(ctx.started)),
        total,
        client_ip: session
            .client_addr()
            .and_then(|address| address.as_inet())
            .map(|address| address.ip()),
        client_gone: ctx.answered.client_gone,
    });
}
