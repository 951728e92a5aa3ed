//! The next attempt: a candidate, its body, and an address to send it to.

use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use pingora_proxy::Session;

use super::chosen::{Chosen, is_provoked};
use super::context::{Attempt, Context, PastAttempt, Planned};
use super::gate::{Phase, ended_by_gateway};
use super::line::Line;
use super::outbound::Outgoing;
use super::quota::{Asking, waited};
use super::shared::Shared;
use super::worded::worded_aside;
use super::{hedge, peers, uplink};
use tollgate_base::clock;
use tollgate_failover::{Candidate, ConnectFailure, Outcome, Step};

/// Pingora's `upstream_peer`. The same candidate again if only its connection was stale or another
/// address of it is left, else the machine's next one.
pub async fn begin(
    shared: &Arc<Shared>,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<Box<HttpPeer>> {
    loop {
        if ctx.attempt.is_none() {
            next(shared, session, ctx).await?;
        }
        let error = match peer(shared, ctx) {
            Ok(peer) => return Ok(peer),
            Err(error) => error,
        };
        // Pingora calls no other hook for it, and an attempt that is left without an outcome counts as a success.
        let Some(attempt) = ctx.attempt.take() else {
            return Err(error);
        };
        let outcome = Outcome::Connect(ConnectFailure::Tls);
        if end(shared, ctx, &attempt, outcome, false) != Step::Next {
            return Err(error);
        }
    }
}

/// The connection that the attempt under way needs.
fn peer(shared: &Shared, ctx: &Context) -> Result<Box<HttpPeer>> {
    let (Some(planned), Some(attempt)) = (&ctx.planned, &ctx.attempt) else {
        return Err(ended_by_gateway());
    };
    let left = attempt.by.saturating_duration_since(clock::now());
    if let Some(early) = &attempt.early {
        return Ok(early.peer(left));
    }
    let Some(address) = attempt.addresses.last() else {
        return Err(ended_by_gateway());
    };
    let provider = &planned.candidates[attempt.candidate].provider;
    let peer = peers::peer(&shared.peers, provider, *address, left);
    if let Err(error) = &peer {
        shared.peers.tell(provider, error);
    }
    peer
}

/// Pingora's `connected_to_upstream`.
///
/// # Errors
/// If the provider has closed the connection, so that nothing is written on it.
pub fn connected(ctx: &mut Context, reused: bool, fd: RawFd) -> Result<()> {
    let line = reused.then(|| Line::of(fd)).flatten();
    if let Some(attempt) = &mut ctx.attempt {
        attempt.connection = Some(fd).filter(|_| attempt.early.is_none());
    }
    match &ctx.planned {
        Some(planned) if !planned.gate.connected(line) => {
            let closed =
                Error::explain(ErrorType::ConnectionClosed, "the provider closed it before");
            Err(closed.into_up())
        }
        _ => Ok(()),
    }
}

/// Takes candidates until one has an address; those without end here, without a round through Pingora.
async fn next(shared: &Arc<Shared>, session: &mut Session, ctx: &mut Context) -> Result<()> {
    while let Some(mut attempt) = choose(shared, session, ctx).await {
        let Some(planned) = &ctx.planned else { break };
        if attempt.early.is_some() {
            ctx.attempt = Some(attempt);
            return Ok(());
        }
        let provider = &planned.candidates[attempt.candidate].provider;
        let left = attempt.by.saturating_duration_since(attempt.started);
        let patience = left.min(super::CONNECT_TIMEOUT);
        let found = shared.peers.lookup(provider, attempt.started, patience);
        let found = match found.await {
            Ok(addresses) => {
                attempt.addresses = addresses;
                over_websocket(shared, session, ctx, &mut attempt).await
            }
            Err(outcome) => Err(outcome),
        };
        match found {
            Ok(()) => {
                ctx.attempt = Some(attempt);
                return Ok(());
            }
            Err(outcome) => {
                if end(shared, ctx, &attempt, outcome, false) != Step::Next {
                    break;
                }
            }
        }
    }
    Err(ended_by_gateway())
}

/// Asks over a WebSocket, if the request is a turn of one and the candidate has one.
async fn over_websocket(
    shared: &Arc<Shared>,
    session: &Session,
    ctx: &Context,
    attempt: &mut Attempt,
) -> std::result::Result<(), Outcome> {
    let (Some(turn), Some(caller), Some(planned), Some(called)) =
        (&ctx.turn, &ctx.caller, &ctx.planned, ctx.endpoint)
    else {
        return Ok(());
    };
    let asking = uplink::Asking {
        shared,
        outgoing: Outgoing {
            shared,
            called,
            candidate: &planned.candidates[attempt.candidate],
            request_id: &ctx.request_id,
            trace: ctx.trace.as_ref(),
        },
        turn,
        head: session.req_header(),
        aside: &caller.aside,
        most: caller.snapshot.config.proxy.max_body,
    };
    asking.begin(attempt).await
}

/// The machine's next candidate, as an attempt that has no address yet. One whose provider another
/// request is probing comes after the others.
async fn choose(shared: &Shared, session: &mut Session, ctx: &mut Context) -> Option<Attempt> {
    let early = (ctx.planned.as_mut()).and_then(|planned| adopted(shared, planned));
    if early.is_some() {
        return early;
    }
    let (caller, received) = (ctx.caller.as_ref()?, ctx.received.as_ref()?);
    let (body, key, planned) = (&received.body, &caller.key, ctx.planned.as_mut()?);
    let asking = Asking {
        shared,
        caller,
        body,
    };
    let taken = asking.order(session, planned).await.ok()?;
    let translation = &mut ctx.translation;
    let mut now = clock::now();
    let (index, candidate, worded) = loop {
        let index = planned.machine.next(now)?;
        let wait = planned.machine.take_wait();
        if let Some(until) = wait.filter(|until| now < *until)
            && !waited(session, &planned.gate, until, now).await
        {
            return None;
        }
        let candidate = &planned.candidates[index];
        let ready = translation.ready(&caller.aside, body, key, index, candidate);
        let is_ready = ready.await;
        now = clock::now(); // a large body takes its time
        if !is_ready {
            planned.machine.decline();
            continue;
        }
        if !shared.health.begin(candidate, &key.account, now) && planned.machine.postpone() {
            continue;
        }
        let carried = translation.take(index);
        let worded = worded_aside(&caller.aside, body, key, candidate, carried).await;
        now = clock::now(); // and so it does here
        match worded {
            Some(worded) => break (index, candidate, worded),
            None => planned.machine.decline(),
        }
    };
    let (id, number) = (&ctx.request_id, ctx.past.len() + 1);
    log::debug!(
        "request {id}: attempt {number} asks {candidate} with the key {}",
        candidate.key.id
    );
    let begun = match taken {
        Some((at, begun)) if at == index => Some(begun),
        _ => asking.begin(candidate, now),
    };
    let chosen = Chosen {
        index,
        candidate,
        worded,
        begun,
        idle: planned.idle,
    };
    let attempt = chosen.begins(caller, body, ctx.started, ctx.trace.is_some(), now);
    planned.gate.begin(attempt.by, now);
    planned.bill.attempt(candidate, now);
    hedge::arm(&asking, planned, index, now);
    Some(attempt)
}

/// The attempt that was begun beside the one before, and goes on alone; if there is one that may.
fn adopted(shared: &Shared, planned: &mut Planned) -> Option<Attempt> {
    let hedging = planned.hedging.as_ref()?;
    let now = clock::now();
    let Some((attempt, payee)) = hedging.adopt(&mut planned.machine) else {
        hedging.give_up(now);
        return None;
    };
    let heard = attempt.early.as_ref().is_some_and(|early| early.is_heard());
    // What has come of it is looked at, however late it is.
    let by = match heard {
        true => attempt.by.max(now + HEARD),
        false => attempt.by,
    };
    planned.gate.begin(by, now);
    planned.bill.adopt(payee);
    let before = planned.machine.attempts().last();
    if before.is_some_and(|before| before.outcome == Outcome::Cancelled) {
        shared.metrics.hedge("won");
    }
    Some(attempt)
}

/// How long the answer of an attempt that was begun beside another has to be looked at, if some of it is there.
const HEARD: Duration = Duration::from_secs(1);

/// Records a failed attempt, and says what follows. `is_asked` is whether the provider has the whole request.
pub fn end(
    shared: &Shared,
    ctx: &mut Context,
    attempt: &Attempt,
    outcome: Outcome,
    is_asked: bool,
) -> Step {
    let now = clock::now();
    let (Some(caller), Some(received), Some(planned)) =
        (&ctx.caller, &ctx.received, &mut ctx.planned)
    else {
        return Step::Stop;
    };
    if planned.gate.phase() != Phase::Committed {
        let (candidates, machine) = (&planned.candidates, &mut planned.machine);
        let translation = &mut ctx.translation;
        translation.prune_known(&received.body, &caller.key, candidates, machine);
    }
    let candidate = &planned.candidates[attempt.candidate];
    let fault = planned.gate.fault();
    let provoked = is_provoked(attempt, candidate, &outcome, fault.as_ref(), &received.body);
    let (account, class) = (&caller.key.account, attempt.endpoint.into());
    shared.learn(candidate, account, class, &outcome, provoked, now);
    let observer = planned.gate.take_observer();
    let mut past = PastAttempt {
        forsaken: is_asked && is_forsaken(attempt, &outcome),
        ..PastAttempt::of(attempt, Some(outcome.clone()), observer, now)
    };
    if outcome == Outcome::Cancelled {
        let works = is_asked && attempt.status.is_none_or(|status| status < 300);
        past.owed = planned.bill.gave_way(past.finish()).filter(|_| works);
        hedge::learn(shared, &received.body, planned, attempt, now);
    } else if planned.gate.phase() != Phase::Committed && !past.forsaken {
        // What has begun to leave is settled with the request, and so is what nobody waited for.
        planned.bill.failed(past.finish());
    }
    ended(&ctx.request_id, candidate, attempt, Some(&outcome));
    ctx.past.push(past);
    let step = planned.machine.failed(outcome, now);
    if let Some(hedging) = planned.hedging.as_ref().filter(|_| step != Step::Next) {
        hedging.give_up(now);
    }
    step
}

/// Says in the process log what a candidate answered.
pub fn ended(
    request_id: &str,
    candidate: &Candidate,
    attempt: &Attempt,
    outcome: Option<&Outcome>,
) {
    let (key, took) = (
        &candidate.key.id,
        clock::now().duration_since(attempt.started),
    );
    let named = attempt.provider_request_id.as_deref().unwrap_or("-");
    let outcome: &dyn fmt::Display = match outcome {
        Some(outcome) => outcome,
        None => &"an answer",
    };
    log::debug!(
        "request {request_id}: {candidate} with the key {key}: {outcome} after {took:?}, there {named}"
    );
}

/// Whether the client left while the provider was at work on an answer, and not on an error.
fn is_forsaken(attempt: &Attempt, outcome: &Outcome) -> bool {
    let works = attempt.status.is_none_or(|status| status < 300);
    works && *outcome == Outcome::ClientGone
}
