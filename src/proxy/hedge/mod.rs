//! The next attempt, begun early: beside one of which nothing has come for longer than usual.
//!
//! ```text
//!   idle ── arm ──▶ armed ── begin ──▶ begun ── adopt ──▶ it is the attempt under way
//!     ▲               │                  │
//!     └── next attempt┘                  └── give up ──▶ it came second, and is cancelled
//! ```
//!
//! There is no second way to a client. What is begun early is sent and read by a task of its own ([`leg`]), and looked at by
//! a gate of its own, which says when its answer would commit. Then the open attempt gives way, as one that has failed;
//! Pingora asks for the next peer, and is handed what was read and what comes ([`early`]) as a connection. From there on it
//! is an attempt like any other: the law of commit, translation, observation and settlement are the same code. If the
//! open attempt fails by itself, it goes on alone in the same way. If the open attempt commits, it is cancelled.
//!
//! Invariants: a request is sent early once at most; what is sent early is the machine's next attempt or none; what came
//! second is the house's ([`super::bill`]).

mod early;
mod leg;

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora_core::connectors::http::Connector;
use pingora_http::RequestHeader;
use tokio::sync::Notify;

pub use early::Early;
use early::Task;

use super::attempt::is_provoked;
use super::bill::{Bill, Finish, Payee};
use super::context::{Attempt, Caller, Context, PastAttempt, Planned};
use super::count;
use super::gate::Gate;
use super::quota::Asking;
use super::shared::Shared;
use super::translation::CacheHints;
use crate::metrics::traces::Trace;
use tollgate_base::clock;
use tollgate_config::access::Hedge;
use tollgate_failover::hedge::Budgets;
use tollgate_failover::{Candidate, Machine, Outcome};
use tollgate_ledger::estimate::Estimates;
use tollgate_wire::Endpoint;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::Observer;

/// What all requests share that may be sent early.
#[derive(Default)]
pub struct Hedges {
    /// How long candidates take until something of their answers comes, ms.
    paces: Estimates,
    /// How many requests may be sent early.
    budgets: Budgets,
    /// Opens connections for them; set once when the process starts.
    pub connector: OnceLock<Connector>,
}

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

/// A request that may be sent early.
pub struct Hedging {
    ground: Arc<Ground>,
    state: Mutex<State>,
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
    hedge: Hedge,
    configuration: Arc<str>,
}

enum State {
    /// Nothing is due.
    Idle,
    /// This candidate is due.
    Armed(usize, Box<Candidate>),
    /// It is on its way.
    Begun(Leg),
    /// It was, or cannot be; what came second is recorded at the request's end.
    Over(Option<Box<PastAttempt>>),
}

/// An attempt that is begun beside another.
struct Leg {
    candidate: usize,
    progress: Arc<Progress>,
    /// What sends and reads it.
    task: Task,
}

/// How far it is.
#[derive(Default)]
struct Progress {
    seen: Mutex<Seen>,
    /// Its answer would commit.
    ready: Notify,
}

#[derive(Default)]
struct Seen {
    /// From when its request is sent on, until it is adopted.
    attempt: Option<(Attempt, Payee)>,
    /// Looks at its answer, until it is adopted.
    trial: Option<Gate>,
}

impl Hedging {
    /// Returns what a request needs to be sent early; `None` if its configuration does not wish it, or if it must not be
    /// sent twice: because its provider keeps or does something besides answering.
    pub fn of(
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
        if !generates || candidates.len() < 2 || body.is_stored() || !body.asked().extras.is_empty()
        {
            return None;
        }
        let ground = Ground {
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
            hedge,
            configuration: configuration.id.clone(),
        };
        Some(Arc::new(Hedging {
            ground: Arc::new(ground),
            state: Mutex::new(State::Idle),
        }))
    }

    /// An attempt begins: when nothing of its answer has come for longer than 19 of 20 took before, the one that would
    /// follow is begun beside it.
    pub fn arm(
        &self,
        candidate: &Candidate,
        following: Option<(usize, &Candidate)>,
        gate: &Gate,
        now: Instant,
    ) {
        let mut state = self.state.lock();
        if matches!(*state, State::Begun(_) | State::Over(_)) {
            return;
        }
        let ground = &self.ground;
        let pace = Pace::of(candidate, &ground.body);
        let usual = ground.shared.hedges.paces.percentile(&pace);
        *state = match (usual, following) {
            (Some(usual), Some((index, following))) => {
                let after = Duration::from_millis(usual).max(ground.hedge.at_least);
                gate.hedge_at(now.checked_add(after).unwrap_or(now));
                State::Armed(index, Box::new(following.clone()))
            }
            _ => State::Idle,
        };
    }

    /// It is time: the attempt that was armed begins, unless its candidate had better be left alone or the budget is used up.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Armed(..)) {
            return;
        }
        let State::Armed(index, candidate) = std::mem::replace(&mut *state, State::Over(None))
        else {
            return;
        };
        let (ground, shared) = (&self.ground, &self.ground.shared);
        if ground.asking().wait(&candidate, clock::now()).is_some() {
            return;
        }
        if !shared.hedges.budgets.spend(&ground.configuration) {
            shared.metrics.hedge("over_budget");
            return;
        }
        let progress = Arc::new(Progress::default());
        let leg = leg::run(ground.clone(), index, *candidate, progress.clone());
        *state = State::Begun(Leg {
            candidate: index,
            progress,
            task: Task(tokio::spawn(leg).abort_handle()),
        });
    }

    /// Waits until the answer of what was begun early would commit.
    pub async fn ready(&self) {
        let progress = match &*self.state.lock() {
            State::Begun(leg) => Some(leg.progress.clone()),
            _ => None,
        };
        match progress {
            Some(progress) => progress.ready.notified().await,
            None => pending().await,
        }
    }

    /// Returns how many attempts there are besides those that have ended, and the one under way.
    pub fn beside(&self) -> usize {
        usize::from(matches!(&*self.state.lock(), State::Begun(leg) if leg.is_sent()))
    }

    /// The open attempt has ended: the one beside it is the next one, if it was sent and may go on.
    pub fn adopt(&self, machine: &mut Machine) -> Option<(Attempt, Payee)> {
        let mut state = self.state.lock();
        let State::Begun(leg) = &*state else {
            return None;
        };
        if !leg.is_sent() || !machine.adopt(leg.candidate) {
            return None;
        }
        let State::Begun(leg) = std::mem::replace(&mut *state, State::Over(None)) else {
            return None;
        };
        let mut seen = leg.progress.seen.lock();
        seen.trial = None;
        let (attempt, payee) = seen.attempt.take()?;
        drop(seen);
        if let Some(early) = &attempt.early {
            early.has(leg.task);
        }
        let before = machine.attempts().last();
        if before.is_some_and(|before| before.outcome == Outcome::Cancelled) {
            self.ground.shared.metrics.hedge("won");
        }
        Some((attempt, payee))
    }

    /// Another attempt came first, or none will come: what was begun early is cancelled.
    pub fn give_up(&self, now: Instant) {
        let mut state = self.state.lock();
        if let State::Begun(leg) = &*state {
            let lost = leg.lost(&self.ground, now);
            *state = State::Over(lost.map(Box::new));
        }
    }

    fn take_lost(&self) -> Option<Box<PastAttempt>> {
        match &mut *self.state.lock() {
            State::Over(lost) => lost.take(),
            _ => None,
        }
    }
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

impl Leg {
    fn is_sent(&self) -> bool {
        self.progress.seen.lock().attempt.is_some()
    }

    /// What it is recorded as; `None` if nothing of it was sent.
    fn lost(&self, ground: &Ground, now: Instant) -> Option<PastAttempt> {
        let mut seen = self.progress.seen.lock();
        let (attempt, payee) = seen.attempt.take()?;
        let (account, candidate) = (&ground.caller.key.account, payee.candidate());
        let refused = attempt
            .status
            .and_then(|status| Outcome::of_status(status, attempt.retry_after));
        let works = refused.is_none();
        let outcome = refused.unwrap_or(Outcome::Cancelled);
        let provoked = is_provoked(&attempt, candidate, &outcome, None, &ground.body);
        let class = attempt.endpoint.into();
        let shared = &ground.shared;
        shared.learn(candidate, account, class, &outcome, provoked, now);
        let observer = seen.trial.take().and_then(|trial| trial.take_observer());
        ground.bill.lost(
            &payee,
            Finish {
                settled: observer.as_ref().and_then(count::reported),
                status: attempt.status,
                outcome: Some(&outcome),
                stop_reason: observer
                    .as_ref()
                    .and_then(Observer::finish_reason)
                    .unwrap_or_default(),
                committed: None,
                now,
            },
        );
        Some(PastAttempt {
            candidate: self.candidate,
            span: attempt.span,
            started: attempt.started,
            ended: now,
            status: attempt.status,
            provider_request_id: attempt.provider_request_id,
            outcome: Some(outcome),
            observer,
            forsaken: false,
            owed: Some(payee)
                .filter(|_| works && attempt.early.is_some_and(|early| early.is_asked())),
            settled: None,
        })
    }
}

/// Learns how long an attempt took until something of its answer had come; if nothing has, it took longer than this.
pub fn learn(planned: &Planned, attempt: &Attempt, now: Instant) {
    let Some(hedging) = &planned.hedging else {
        return;
    };
    let early = attempt.early.as_ref().and_then(|early| early.heard_at());
    let first = early.or(planned.gate.alive_at()).unwrap_or(now);
    let took = clock::millis(first.saturating_duration_since(attempt.started));
    let candidate = &planned.candidates[attempt.candidate];
    let ground = &hedging.ground;
    let pace = Pace::of(candidate, &ground.body);
    let at = clock::unix().as_secs();
    ground.shared.hedges.paces.learn(&pace, took, at);
}

/// A request is over: what came second stands before the attempt that came first.
pub fn record(ctx: &mut Context, now: Instant) {
    let hedging = ctx
        .planned
        .as_ref()
        .and_then(|planned| planned.hedging.as_ref());
    let Some(hedging) = hedging else { return };
    hedging.give_up(now);
    if let Some(lost) = hedging.take_lost() {
        let before_last = ctx.past.len().saturating_sub(1);
        ctx.past.insert(before_last, *lost);
    }
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
