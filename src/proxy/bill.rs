//! What one request owes: its hold, and what each of its attempts used.
//!
//! Who pays for what: the caller pays the answer it gets, once. What an attempt cost that failed before any of its
//! answer left is the operator's: on a managed key it is charged to the account [`HOUSE`].
//!
//! Invariant: the hold is settled once, before the last byte of the answer leaves; if the answer never comes to
//! its end, when the request does. Every attempt's usage event goes with the settlement, so that events, daily totals
//! and money say the same.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use tollgate_base::{Timestamp, clock};
use tollgate_failover::{Candidate, Outcome};
use tollgate_ledger::cost::{self, Terms};
use tollgate_ledger::events::{EventIds, UsageEvent};
use tollgate_ledger::till::{Extension, Hold, Till};
use tollgate_ledger::{HOUSE, KeyKind, NanoUsd};
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Unit, Usage};
use tollgate_wire::tokens::Settled;

/// Gathers what a request owes.
pub struct Bill {
    about: About,
    state: Mutex<OpenBill>,
}

/// What is the same for all attempts of a request.
pub struct About {
    /// The request's id.
    pub request_id: Arc<str>,
    /// Whose access key it came with.
    pub access_key: Arc<str>,
    /// Who pays.
    pub account: Arc<str>,
    /// The API that was called.
    pub surface: Surface,
    /// Whether the client asked for a stream.
    pub streams: bool,
    /// How many answers it asks for, at least 1.
    pub answers: u64,
    /// How many prompts it has, at least 1.
    pub prompts: u64,
    /// Searches of the web that it orders of every answer, whether or not they are reported.
    pub searches: u64,
    /// How large its containers of code may be, GB, at least 1.
    pub container_gb: u64,
    /// Pico-dollars per token, for every request that is served.
    pub fee: u64,
    /// When it was admitted (Unix time, s).
    pub at: u64,
    /// Where events get their ids.
    pub ids: Arc<EventIds>,
}

#[derive(Default)]
struct OpenBill {
    /// `None` without a ledger, and once it is settled.
    hold: Option<Hold>,
    /// Answer tokens that the hold pays for.
    covered: u64,
    /// Who serves the attempt under way.
    payee: Option<Payee>,
    /// How many attempts there were.
    attempts: u32,
    /// Of attempts that have failed; once it is closed, of all, if there was no hold.
    events: Vec<UsageEvent>,
    /// See [`Bill::costs_its_hold`].
    blind: bool,
    closed: Option<Closed>,
}

struct Payee {
    candidate: Candidate,
    number: u32,
    started: Instant,
    /// Its answer is an error: the status, and what it means.
    refused: Option<(u16, Outcome)>,
    /// What its provider calls the request.
    named: Option<Arc<str>>,
}

/// How an attempt ended.
pub struct Finish<'a> {
    /// What it used; `None` if that is nothing.
    pub settled: Option<Settled>,
    /// The provider's status, if it answered one.
    pub status: Option<u16>,
    /// `None` is success.
    pub outcome: Option<&'a Outcome>,
    /// Why the answer ended, in the provider's words.
    pub stop_reason: &'a str,
    /// When its answer committed.
    pub committed: Option<Instant>,
    /// When it ended.
    pub now: Instant,
}

/// How the request was settled.
#[derive(Clone)]
pub struct Closed {
    /// What it used; `None` if that is nothing.
    pub settled: Option<Settled>,
    /// What it cost its account.
    pub cost: NanoUsd,
    /// Whether some of what was served has no price.
    pub assumed: bool,
}

/// Answer tokens that a hold is extended by, at least.
const MORE: u64 = 64;

impl Bill {
    /// A request whose credits are held for an answer of `covered` tokens; without a ledger, or where nothing is
    /// charged, no hold.
    pub fn new(about: About, hold: Option<Hold>, covered: u64) -> Bill {
        let state = OpenBill {
            hold,
            covered,
            ..OpenBill::default()
        };
        Bill {
            about,
            state: Mutex::new(state),
        }
    }

    /// The next attempt begins.
    pub fn attempt(&self, candidate: &Candidate, now: Instant) {
        let mut state = self.state.lock();
        state.attempts += 1;
        state.payee = Some(Payee {
            candidate: candidate.clone(),
            number: state.attempts,
            started: now,
            refused: None,
            named: None,
        });
    }

    /// The provider of the attempt under way has a name of its own for the request.
    pub fn named(&self, id: Option<Arc<str>>) {
        if let Some(payee) = &mut self.state.lock().payee {
            payee.named = id;
        }
    }

    /// The attempt under way is answered by an error, which may be relayed.
    pub fn refused(&self, status: u16, outcome: &Outcome) {
        if let Some(payee) = &mut self.state.lock().payee {
            payee.refused = Some((status, outcome.clone()));
        }
    }

    /// Whether credits can be had for an answer of this many tokens. What is missing is asked for, and the answer
    /// goes on meanwhile; false once it is known that there is no more.
    pub fn affords(&self, output: u64) -> bool {
        let mut state = self.state.lock();
        if output <= state.covered {
            return true;
        }
        let more = (output - state.covered).max(MORE);
        let prompt = state.hold.as_ref().map_or(0, Hold::prompt_tokens);
        let price = state.payee.as_ref().and_then(|payee| {
            let terms = self.terms(&payee.candidate, self.about.fee);
            // The request itself, and the tier of its prompt, are in both.
            let cost = |output| {
                let usage = Usage::tokens(prompt, output);
                terms.cost(&usage, &Context::STANDARD).ok()
            };
            Some(cost(state.covered + more)? - cost(state.covered)?)
        });
        let (Some(price), Some(hold)) = (price, &mut state.hold) else {
            return true;
        };
        match hold.extend(price) {
            Extension::Granted => {
                state.covered += more;
                true
            }
            Extension::Asked => true,
            Extension::Gone => false,
        }
    }

    /// The attempt failed before any of its answer left: its caller pays nothing for it. What its provider reported
    /// all the same is charged to the house, if the key is the operator's.
    pub fn failed(&self, mut finish: Finish<'_>) {
        let mut state = self.state.lock();
        let Some(payee) = state.payee.take() else {
            return;
        };
        finish.settled = self.believed(&payee, finish.settled);
        let event = self.event(&payee, &finish, false);
        let managed = payee.candidate.key.kind == KeyKind::Managed;
        if let (Some(settled), Some(hold), true) = (&finish.settled, &state.hold, managed) {
            let bill = self.bill(&payee.candidate, settled, 0);
            // It is all that the house has of it.
            let mut charged = UsageEvent {
                id: self.about.ids.next(),
                account: HOUSE.into(),
                is_final_attempt: true,
                ..event.clone()
            };
            match bill {
                Some(bill) => charge(&mut charged, bill),
                None => charged.total_cost = hold.estimate().0,
            }
            hold.till().charge(&charged);
        }
        state.events.push(event);
    }

    /// Nobody knows what the answer used, as where it may go on unseen: it costs what was held for it, at least.
    pub fn costs_its_hold(&self) {
        self.state.lock().blind = true;
    }

    /// Whether it does.
    #[cfg(test)]
    pub fn is_blind(&self) -> bool {
        self.state.lock().blind
    }

    /// Settles the hold with what the last attempt used. Without effect the second time.
    pub fn close(&self, mut finish: Finish<'_>) -> Closed {
        let mut state = self.state.lock();
        if let Some(closed) = &state.closed {
            return closed.clone();
        }
        let mut events = std::mem::take(&mut state.events);
        let hold = state.hold.take();
        if let Some(payee) = state.payee.take() {
            finish.settled = self.believed(&payee, finish.settled);
            let mut event = self.event(&payee, &finish, true);
            if let (Some(settled), Some(hold)) = (&finish.settled, &hold) {
                match self.bill(&payee.candidate, settled, self.about.fee) {
                    Some(bill) => charge(&mut event, bill),
                    // Admission made sure that there is a price. If there is none all the same, it is not free.
                    None => (event.total_cost, event.held) = (hold.estimate().0, true),
                }
            }
            if let (true, Some(hold)) = (state.blind, &hold) {
                event.estimated = true;
                if event.total_cost < hold.estimate().0 {
                    (event.total_cost, event.held) = (hold.estimate().0, true);
                    event.sheet = None;
                }
            }
            events.push(event);
        } else if let Some(last) = events.last_mut() {
            last.is_final_attempt = true;
        }
        let closed = Closed {
            settled: finish.settled,
            cost: NanoUsd(events.last().map_or(0, |event| event.total_cost)),
            assumed: events.last().is_some_and(|event| event.assumed),
        };
        state.closed = Some(closed.clone());
        match hold {
            Some(hold) => hold.settle(events),
            None => state.events = events,
        }
        closed
    }

    /// Nothing was tried, and nothing will be: what was held is given back.
    pub fn abandon(&self) {
        self.close(Finish {
            settled: None,
            status: None,
            outcome: None,
            stop_reason: "",
            committed: None,
            now: clock::now(),
        });
    }

    /// How many answers it asks for, at least 1.
    pub fn answers(&self) -> u64 {
        self.about.answers
    }

    /// The events of a request that nothing was held for, once it is closed.
    pub fn take_events(&self) -> Vec<UsageEvent> {
        std::mem::take(&mut self.state.lock().events)
    }

    /// Where its credits are held, until it is closed.
    pub fn till(&self) -> Option<Arc<Till>> {
        let state = self.state.lock();
        state.hold.as_ref().map(|hold| hold.till().clone())
    }

    /// How it was settled, if it was.
    pub fn closed(&self) -> Option<Closed> {
        self.state.lock().closed.clone()
    }

    /// Who serves the attempt under way.
    pub fn candidate(&self) -> Option<Candidate> {
        let state = self.state.lock();
        state.payee.as_ref().map(|payee| payee.candidate.clone())
    }

    /// Whether there is nothing left to settle.
    pub fn is_closed(&self) -> bool {
        let state = self.state.lock();
        state.closed.is_some() || state.hold.is_none()
    }

    /// What a provider reports, as far as it can be.
    fn believed(&self, payee: &Payee, settled: Option<Settled>) -> Option<Settled> {
        let mut settled = settled?;
        let searched = &mut settled.usage[Unit::WebSearch];
        *searched = (*searched).max(self.about.searches);
        // Providers report containers, not their size.
        let containers = &mut settled.usage[Unit::CodeContainer];
        *containers = containers.saturating_mul(self.about.container_gb);
        let Some(model) = &payee.candidate.model else {
            return Some(settled);
        };
        let (window, longest) = (model.context_window, model.max_output_tokens);
        Some(settled.within(window, longest, (self.about.prompts, self.about.answers)))
    }

    fn terms<'a>(&self, candidate: &'a Candidate, fee: u64) -> Terms<'a> {
        terms(candidate, fee, self.about.at)
    }

    fn bill(&self, candidate: &Candidate, settled: &Settled, fee: u64) -> Option<cost::Bill> {
        let terms = self.terms(candidate, fee);
        terms.bill(&settled.usage, &settled.served).ok()
    }

    /// An attempt's event, not charged yet.
    fn event(&self, payee: &Payee, finish: &Finish<'_>, is_final: bool) -> UsageEvent {
        let (about, candidate) = (&self.about, &payee.candidate);
        let (provider, model) = (&candidate.provider, candidate.model.as_deref());
        let settled = finish.settled.as_ref();
        let (status, outcome) = match &payee.refused {
            Some((status, outcome)) if finish.outcome.is_none() => (Some(*status), Some(outcome)),
            _ => (finish.status, finish.outcome),
        };
        let since = |at: Instant| at.saturating_duration_since(payee.started);
        UsageEvent {
            id: about.ids.next(),
            event_time: Timestamp(clock::wall()),
            request_id: about.request_id.clone(),
            access_key_id: about.access_key.clone(),
            account: about.account.clone(),
            surface: about.surface,
            provider: provider.id.clone(),
            provider_display_name: provider.display_name.clone(),
            model: candidate.upstream_model.clone(),
            model_display_name: model
                .map_or(&candidate.upstream_model, |model| &model.display_name)
                .clone(),
            unlisted: model.is_none(),
            attempt_number: payee.number,
            is_final_attempt: is_final,
            status_code: status.unwrap_or_default(),
            outcome: outcome.map_or("ok", Outcome::label).into(),
            timed_out: outcome.is_some_and(Outcome::timed_out),
            is_error: outcome.is_some(),
            is_streaming: about.streams,
            stop_reason: finish.stop_reason.to_owned(),
            provider_request_id: payee.named.clone().unwrap_or_else(|| "".into()),
            tokens: settled.map(|settled| settled.usage).unwrap_or_default(),
            served: settled
                .map(|settled| settled.served.clone())
                .unwrap_or_default(),
            estimated: settled.is_some_and(|settled| settled.estimated),
            orphaned: false,
            total_cost: 0,
            sheet: None,
            assumed: false,
            held: false,
            key_source: candidate.key.kind,
            provider_key_id: candidate.key.id.clone(),
            provider_key_display_name: candidate.key.value.redacted().clone(),
            latency_to_commit: finish.committed.map(since),
            latency: since(finish.now),
        }
    }
}

/// What a charge says, put into its event.
fn charge(event: &mut UsageEvent, bill: cost::Bill) {
    if bill.assumed {
        log::warn!(
            "request {}: `{}:{}` served something that has no price ({}), charged at the dearest one known: \
             configure it",
            event.request_id,
            event.provider,
            event.model,
            bill.sheet.served
        );
    }
    if bill.beyond {
        log::error!(
            "request {}: what `{}:{}` reports comes to more than {}, the most that one charge may be: that is charged. \
             Look at its prices, and at what the provider reports",
            event.request_id,
            event.provider,
            event.model,
            bill.cost
        );
    }
    event.tokens = bill.usage;
    event.total_cost = bill.cost.0;
    event.assumed = bill.assumed;
    event.sheet = Some(Arc::new(bill.sheet));
}

/// What is paid for an answer of this candidate. A managed key whose model is in no catalog has no price.
fn terms(candidate: &Candidate, fee: u64, at: u64) -> Terms<'_> {
    let managed = candidate.key.kind == KeyKind::Managed;
    let model = candidate.model.as_ref().filter(|_| managed);
    Terms {
        prices: model.map(|model| &model.prices),
        at,
        fee,
    }
}

/// The most that a candidate would charge for this usage, served as usual or as asked; `None` if its price is not
/// known.
pub fn quote(
    candidate: &Candidate,
    usage: &Usage,
    asked: &Context,
    fee: u64,
    at: u64,
) -> Option<NanoUsd> {
    if candidate.key.kind == KeyKind::Managed && candidate.model.is_none() {
        return None;
    }
    terms(candidate, fee, at).most(usage, asked).ok()
}
