//! The end of every request: the client's session goes back to Pingora, and what happened is recorded. What was
//! held at admission is settled before the last byte of the answer leaves; where none does, here.

use std::time::Instant;

use pingora_proxy::Session;

use super::aside::Aside;
use super::attempt::ended;
use super::bill::Finish;
use super::chosen::is_provoked;
use super::context::{Context, PastAttempt, Planned};
use super::count;
use super::gate::Phase;
use super::hedge;
use super::record::Record;
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_wire::Endpoint;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::{Observer, Settled};

/// Pingora's `logging`.
pub async fn request(shared: &Shared, session: &mut Session, ctx: &mut Context) {
    let now = clock::now();
    if let Some(unwrap) = ctx
        .planned
        .as_mut()
        .and_then(|planned| planned.unwrap.take())
    {
        ctx.answered.client_gone |= unwrap.restore(&mut session.downstream_session);
    }
    conclude_last(shared, ctx, now);
    hedge::record(shared, ctx, now);
    let (settled, cost) = settle(ctx).await;
    hedge::settle(ctx).await;
    if let Some(settled) = &settled {
        weigh(shared, ctx, settled);
    }
    let record = Record {
        shared,
        ctx,
        settled,
        cost,
        now,
        wall: clock::wall(),
    };
    record.attempts();
    record.log(session);
    record.trace(session);
    // The place among the requests under way is given back with the context.
}

/// The attempt that did not fail: it committed, and its answer came to its end.
fn conclude_last(shared: &Shared, ctx: &mut Context, now: Instant) {
    let (Some(caller), Some(planned), Some(attempt)) =
        (&ctx.caller, &mut ctx.planned, ctx.attempt.take())
    else {
        return;
    };
    planned.machine.commit();
    ctx.answered.status = attempt.status.unwrap_or_default();
    let (candidate, class) = (
        &planned.candidates[attempt.candidate],
        attempt.endpoint.into(),
    );
    let outcome = planned.gate.judged().or_else(|| attempt.outcome.clone());
    let body = ctx.received.as_ref().map(|received| &received.body);
    match &outcome {
        None => {
            shared.succeed(candidate, class, now);
            if let Some(body) = body {
                hedge::learn(shared, body, planned, &attempt, now);
            }
        }
        Some(outcome) => {
            let provoked =
                body.is_some_and(|body| is_provoked(&attempt, candidate, outcome, None, body));
            let account = &caller.key.account;
            shared.learn(candidate, account, class, outcome, provoked, now);
        }
    }
    ended(&ctx.request_id, candidate, &attempt, outcome.as_ref());
    let observer = planned.gate.take_observer();
    let past = PastAttempt::of(&attempt, outcome, observer, now);
    ctx.past.push(past);
}

/// Takes note of what a prompt counts for at its provider, so that the next one's quota is seen.
fn weigh(shared: &Shared, ctx: &Context, settled: &Settled) {
    let (Some(received), Some(planned), Some(last)) =
        (&ctx.received, &ctx.planned, ctx.past.last())
    else {
        return;
    };
    let candidate = &planned.candidates[last.candidate];
    let (key, model) = (&candidate.key.id, &candidate.upstream_model);
    let prompt = (settled.usage.input(), settled.usage.cached_read());
    let (headroom, bytes) = (&shared.health.headroom, received.body.prompt_bound());
    headroom.count(key, model, bytes, prompt);
}

/// Settles what was not settled before its last byte: an answer that broke off, a request that failed.
pub async fn settle(ctx: &mut Context) -> (Option<Settled>, NanoUsd) {
    let (Some(endpoint), Some(planned)) = (ctx.endpoint, &ctx.planned) else {
        return (None, NanoUsd::ZERO);
    };
    if let Some(closed) = planned.bill.closed() {
        return (closed.settled, closed.cost);
    }
    let (Some(caller), Some(received)) = (&ctx.caller, &ctx.received) else {
        return (None, NanoUsd::ZERO);
    };
    let Some(last) = ctx.past.last_mut() else {
        // Nothing went upstream: its time was over, or no candidate could take the request.
        planned.bill.abandon();
        return (None, NanoUsd::ZERO);
    };
    let settled = match endpoint {
        Endpoint::Generate(_) => used(&caller.aside, planned, last, &received.body).await,
        Endpoint::CountTokens => None,
    };
    let closed = planned.bill.close(Finish {
        settled,
        status: last.status,
        outcome: last.outcome.as_ref(),
        stop_reason: last.stop_reason(),
        committed: planned.gate.committed_at(),
        now: clock::now(),
    });
    (closed.settled, closed.cost)
}

/// What the last attempt used: as reported, or counted; nothing if it failed before any of it left. A client that did
/// not wait for it pays its prompt, and what was produced.
async fn used(
    aside: &Aside,
    planned: &Planned,
    last: &mut PastAttempt,
    body: &RequestBody,
) -> Option<Settled> {
    let began =
        planned.gate.phase() == Phase::Committed && last.status.is_some_and(|status| status < 300);
    if !began && !last.forsaken {
        return None;
    }
    let unseen = || last.forsaken.then(|| Observer::whole(body.endpoint()));
    let observer = last.observer.take().or_else(unseen)?;
    if observer.usage_final() {
        let settled = count::reported(&observer);
        last.observer = Some(observer);
        return settled;
    }
    let candidate = &planned.candidates[last.candidate];
    let (observer, settled) = count::answer(aside, &planned.bill, observer, candidate, body).await;
    last.observer = observer;
    settled
}
