//! What a request needs before anything goes upstream: a place among those under way, an input that is
//! not too large, and a session that holds its answer back. (Its credits: [`super::credits`].)

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::aside::Aside;
use super::bill::Bill;
use super::closing::Closing;
use super::connection::Busy;
use super::context::{Caller, Context, Planned};
use super::gate::{Gate, Limits};
use super::opening::Opening;
use super::retries::Turn;
use super::shared::Shared;
use super::shares::Share;
use super::{count, hedge, names, session};
use crate::metrics::InFlight;
use tollgate_base::clock;
use tollgate_config::Timeouts;
use tollgate_config::access::{AccessKey, Configuration};
use tollgate_config::types::{Commit, StopOn};
use tollgate_failover::{Candidate, Machine};
use tollgate_wire::GatewayError;
use tollgate_wire::request::RequestBody;

/// Lets a request in, unless the process is stopping or its account has its share of connections.
pub fn enter(
    shared: &Shared,
    caller: &Caller,
    head: &RequestHeader,
    keeps: Option<&mut Busy>,
    has: &mut Vec<Share>,
) -> Result<InFlight, GatewayError> {
    if shared.drain.refuses() {
        return Err(GatewayError::shutting_down());
    }
    let connections = caller.snapshot.config.proxy.max_connections;
    if let Some(most) = connections {
        let account = &caller.key.account;
        let supply = caller.supply(most.saturating_add(shared.metrics.read_on()));
        let take = || shared.scarce.connections.take(account, 1, supply);
        // The requests of a connection of HTTP/2 share one, and so do the turns of a WebSocket.
        let enters = match keeps {
            Some(keeps) => keeps.counts_for(account, take),
            None if head.version == Version::HTTP_2 => true,
            None => {
                let share = take();
                let taken = share.is_some();
                has.extend(share);
                taken
            }
        };
        if !enters {
            return Err(GatewayError::overloaded());
        }
    }
    Ok(shared.metrics.in_flight())
}

/// Gives a request whose body is there, and whose account may pay for it, a place among those under way; what is read on
/// for its usage needs none.
pub fn place(shared: &Shared, caller: &Caller, has: &mut Vec<Share>) -> Result<(), GatewayError> {
    let Some(most) = caller.snapshot.config.proxy.max_in_flight else {
        return Ok(());
    };
    let supply = caller.supply(most.saturating_add(shared.metrics.read_on()));
    let place = shared.scarce.in_flight.take(&caller.key.account, 1, supply);
    has.push(place.ok_or_else(GatewayError::overloaded)?);
    Ok(())
}

/// Refuses prompts longer than `max_input_tokens`. A cheap bound decides nearly always; only a prompt
/// between the bound and the limit is counted, away from the proxy's threads. `unseen` is about what the body does not
/// show.
pub async fn check(
    aside: &Aside,
    key: &AccessKey,
    body: &RequestBody,
    unseen: u64,
    candidates: &[Candidate],
) -> Result<(), GatewayError> {
    let Some(limit) = key.max_input_tokens() else {
        return Ok(());
    };
    if body.prompt_bound().saturating_add(unseen) <= limit {
        return Ok(());
    }
    let model = candidates.first().map(|c| c.upstream_model.clone());
    let counted = count::before(aside, &model.unwrap_or_default(), body, limit).await?;
    let tokens = counted.saturating_add(unseen);
    if tokens > limit {
        return Err(GatewayError::input_too_large(tokens, limit));
    }
    Ok(())
}

/// What a request may wish for itself.
struct Wishes {
    commit: Commit,
    /// Whether a content filter's refusal is the last word.
    stops: bool,
}

/// What the configuration says, or the request's own headers.
fn wishes(configuration: Option<&Configuration>, headers: &HeaderMap) -> Wishes {
    let is = |name: &HeaderName, word: &str| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        value.map(|value| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let configured = configuration.map_or_else(Commit::default, |c| c.commit);
    let stops = configuration.is_some_and(|c| c.stop_on.contains(&StopOn::ContentFilter));
    Wishes {
        commit: match is(&names::X_TOLLGATE_COMMIT, "whole") {
            Some(true) => Commit::Whole,
            Some(false) => Commit::First,
            None => configured,
        },
        stops: is(&names::X_TOLLGATE_STOP_ON, "content_filter").unwrap_or(stops),
    }
}

/// The limits of a request whose head had been read at `started`.
fn limits(started: Instant, streams: bool, commit: Commit, timeouts: &Timeouts) -> Limits {
    Limits {
        open_at: streams.then_some(started + timeouts.hold),
        idle: timeouts.stream_idle,
        whole: commit == Commit::Whole,
        keepalive: (streams && !timeouts.keepalive.is_zero()).then_some(timeouts.keepalive),
    }
}

/// Everything is settled but the answer: from here on Pingora sees the held session.
pub fn start(
    shared: &Arc<Shared>,
    session: &mut Session,
    ctx: &mut Context,
    candidates: Vec<Candidate>,
    bill: Bill,
    turn: Option<Turn>,
    in_flight: InFlight,
) {
    let (Some(caller), Some(received)) = (&ctx.caller, &ctx.received) else {
        return;
    };
    let timeouts = caller.timeouts(candidates.first());
    let (now, streams, bill) = (clock::now(), received.body.stream(), Arc::new(bill));
    let configuration = caller.key.configuration.as_ref();
    let Wishes { commit, stops } =
        wishes(configuration.map(|c| &**c), &session.req_header().headers);
    let config = &caller.snapshot.config;
    let retry = configuration.map_or(config.retry, |c| config.retry.with(&c.retry));
    let limits = limits(ctx.started, streams, commit, &timeouts);
    let gate = Arc::new(Gate::new(limits, shared.drain.clone(), now));
    let opening = Opening {
        request_id: ctx.request_id.clone(),
        dialect: ctx.dialect,
        chunked: session.req_header().version != Version::HTTP_10,
        cors: ctx.cors.clone(),
    };
    let (head, pace) = (session.req_header(), (limits.idle, limits.whole));
    let hedging = hedge::wished(shared, head, ctx, pace, &candidates, &bill);
    let place = &mut session.downstream_session;
    // While the wrapper is in place it bounds each write itself.
    place.set_write_timeout(None);
    let closing = Closing {
        aside: caller.aside.clone(),
        bill: bill.clone(),
        body: received.body.clone(),
        cut_off: streams && config.ledger.cut_off,
        grace: config.ledger.usage_grace,
        metrics: shared.metrics.clone(),
        hedging: hedging.clone(),
    };
    let (bytes, patience) = (received.body.bytes().clone(), config.proxy.read_timeout);
    let unwrap = session::wrap(place, bytes, gate.clone(), opening, closing, turn, patience);
    ctx.answered.overhead = now.duration_since(received.at);
    ctx.planned = Some(Planned {
        machine: Machine::new(&candidates, ctx.started, timeouts.total)
            .retrying(retry)
            .stopping_at_filters(stops),
        candidates,
        idle: timeouts.stream_idle,
        gate,
        bill,
        hedging,
        unwrap: Some(unwrap),
        _in_flight: in_flight,
    });
}
