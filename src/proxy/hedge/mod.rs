//! The next attempt, begun early: beside one of which nothing has come for longer than usual.
//!
//! There is no second way to a client. What is begun early is sent and read by a task of its own ([`leg`]), and looked at by
//! a gate of its own, which says when its answer would commit. Then the open attempt gives way, as one that has failed;
//! Pingora asks for the next peer, and is handed what was read and what comes ([`super::early`]) as a connection. From there
//! on it is an attempt like any other: the law of commit, translation, observation and settlement are the same code. If the
//! open attempt fails by itself, it goes on alone in the same way. If the open attempt commits, it is cancelled, and what it
//! used is the house's ([`super::bill`]).

mod leg;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_http::RequestHeader;

use super::beside::{Hedging, Progress, Second};
use super::bill::{Bill, Finish};
use super::chosen::is_provoked;
use super::context::{Attempt, Caller, Context, Planned};
use super::count;
use super::early::Task;
use super::quota::Asking;
use super::shared::Shared;
use super::translation::CacheHints;
use crate::metrics::traces::Trace;
use tollgate_base::clock;
use tollgate_failover::Candidate;
use tollgate_wire::Endpoint;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::Observer;

/// Whose paces are alike: those of one model of one provider, for streams and for whole answers.
#[derive(Hash)]
struct Pace<'a> {
    provider: &'a str,
    model: &'a str,
    streams: bool,
}

impl<'a> Pace<'a> {
    fn of(candidate: &'a Candidate, body: &RequestBody) -> Pace<'a> {
        Pace {
            provider: &candidate.provider.id,
            model: candidate.known_model(),
            streams: body.stream(),
        }
    }
}

/// What an attempt is made of that is begun early.
struct Ground {
    shared: Arc<Shared>,
    caller: Caller,
    body: RequestBody,
    /// The client's.
    head: RequestHeader,
    request_id: Arc<str>,
    trace: Option<Trace>,
    /// When the request's head had been read.
    started: Instant,
    hints: CacheHints,
    bill: Arc<Bill>,
    /// Longest silence inside its answer.
    idle: Duration,
    /// Whether a stream commits when it is whole.
    whole: bool,
    /// Whose budget it is.
    configuration: Arc<str>,
}

/// Returns what a request needs to be sent early; `None` if its configuration does not wish it, or if it must not be sent
/// twice: because its provider keeps or does something besides answering. `idle` is the longest silence inside its answer,
/// `whole` whether a stream commits when it is whole.
pub fn wished(
    shared: &Arc<Shared>,
    head: &RequestHeader,
    ctx: &Context,
    (idle, whole): (Duration, bool),
    candidates: &[Candidate],
    bill: &Arc<Bill>,
) -> Option<Arc<Hedging>> {
    let (caller, body) = (ctx.caller.as_ref()?, &ctx.received.as_ref()?.body);
    let configuration = caller.key.configuration.as_ref()?;
    let hedge = configuration.hedge?;
    shared.hedges.budgets.earn(&configuration.id, hedge.percent);
    let generates = matches!(body.endpoint(), Endpoint::Generate(_));
    if !generates || candidates.len() < 2 || body.is_stored() || !body.asked().extras.is_empty() {
        return None;
    }
    let ground = Arc::new(Ground {
        shared: shared.clone(),
        caller: caller.clone(),
        body: body.clone(),
        head: head.clone(),
        request_id: ctx.request_id.clone(),
        trace: ctx.trace,
        started: ctx.started,
        hints: ctx.translation.hints,
        bill: bill.clone(),
        idle,
        whole,
        configuration: configuration.id.clone(),
    });
    let begins = move |index, candidate, progress| begin(&ground, index, candidate, progress);
    Some(Arc::new(Hedging::new(Box::new(begins), bill.clone())))
}

/// The candidate of this index is attempted: when nothing of its answer has come for longer than 19 of 20 took before, the
/// one that would follow is begun beside it.
pub fn arm(asking: &Asking<'_>, planned: &Planned, index: usize, now: Instant) {
    let configuration = asking.caller.key.configuration.as_ref();
    let hedge = configuration.and_then(|configuration| configuration.hedge);
    let (Some(hedging), Some(hedge)) = (&planned.hedging, hedge) else {
        return;
    };
    let pace = Pace::of(&planned.candidates[index], asking.body);
    let usual = asking.shared.hedges.paces.percentile(&pace);
    let following = usual.and_then(|_| planned.machine.following(now));
    let following = following.map(|index| (index, &planned.candidates[index]));
    if let (true, Some(usual)) = (hedging.arm(following), usual) {
        let after = Duration::from_millis(usual).max(hedge.at_least);
        planned.gate.hedge_at(now.checked_add(after).unwrap_or(now));
    }
}

/// Begins an attempt, unless its candidate had better be left alone, or the budget is used up.
fn begin(
    ground: &Arc<Ground>,
    index: usize,
    candidate: Candidate,
    progress: Arc<Progress>,
) -> Option<Task> {
    let shared = &ground.shared;
    if ground.asking().wait(&candidate, clock::now()).is_some() {
        return None;
    }
    if !shared.hedges.budgets.spend(&ground.configuration) {
        shared.metrics.hedge("over_budget");
        return None;
    }
    let leg = leg::run(ground.clone(), index, candidate, progress);
    Some(Task(tokio::spawn(leg).abort_handle()))
}

impl Ground {
    fn asking(&self) -> Asking<'_> {
        Asking {
            shared: &self.shared,
            caller: &self.caller,
            body: &self.body,
        }
    }
}

/// Learns how long an attempt took until something of its answer had come; if nothing has, it took longer than this.
pub fn learn(
    shared: &Shared,
    body: &RequestBody,
    planned: &Planned,
    attempt: &Attempt,
    now: Instant,
) {
    if planned.hedging.is_none() {
        return;
    }
    let early = attempt.early.as_ref().and_then(|early| early.heard_at());
    let first = early.or(planned.gate.alive_at()).unwrap_or(now);
    let took = clock::millis(first.saturating_duration_since(attempt.started));
    let pace = Pace::of(&planned.candidates[attempt.candidate], body);
    let at = clock::unix().as_secs();
    shared.hedges.paces.learn(&pace, took, at);
}

/// A request is over: what came second stands before the attempt that came first.
pub fn record(shared: &Shared, ctx: &mut Context, now: Instant) {
    let (Some(caller), Some(received), Some(planned)) = (&ctx.caller, &ctx.received, &ctx.planned)
    else {
        return;
    };
    let Some(hedging) = &planned.hedging else {
        return;
    };
    hedging.give_up(now);
    let Some(second) = hedging.take_second() else {
        return;
    };
    let Second { attempt, past } = *second;
    let candidate = &planned.candidates[past.candidate];
    if let Some(outcome) = &past.outcome {
        let provoked = is_provoked(&attempt, candidate, outcome, None, &received.body);
        let (account, class) = (&caller.key.account, attempt.endpoint.into());
        shared.learn(candidate, account, class, outcome, provoked, now);
    }
    let before_last = ctx.past.len().saturating_sub(1);
    ctx.past.insert(before_last, past);
}

/// Counts what the house owes for attempts that came second, and charges it.
pub async fn settle(ctx: &mut Context) {
    let (Some(caller), Some(received), Some(planned)) = (&ctx.caller, &ctx.received, &ctx.planned)
    else {
        return;
    };
    for past in &mut ctx.past {
        let Some(payee) = past.owed.take() else {
            continue;
        };
        let (candidate, body) = (&planned.candidates[past.candidate], &received.body);
        let unseen = || Observer::whole(body.endpoint());
        let observer = past.observer.take().unwrap_or_else(unseen);
        let counted = count::answer(&caller.aside, &planned.bill, observer, candidate, body).await;
        (past.observer, past.settled) = counted;
        planned.bill.charge_house(
            &payee,
            Finish {
                settled: past.settled.clone(),
                status: past.status,
                outcome: past.outcome.as_ref(),
                stop_reason: "",
                committed: None,
                now: past.ended,
            },
        );
    }
}
