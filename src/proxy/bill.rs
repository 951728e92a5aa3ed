//! What one request owes: its hold, and what each of its attempts used.
//!
//! Who pays for what: the caller pays the answer it gets, once. What an attempt cost that failed before any of its
//! answer left is the operator's, and so is what one cost that was begun beside another and came second: on a managed
//! key it is charged to the account [`HOUSE`].
//!
//! Invariant: the hold is settled once, before the last byte of the answer leaves; if the answer never comes to
//! its end, when the request does. Every attempt's usage event goes with the settlement, so that events, daily totals
//! and money say the same.

mod event;
mod price;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use pingora_http::ResponseHeader;

pub use price::quote;

use super::names;
use price::terms;
use tollgate_base::clock;
use tollgate_failover::{Candidate, Outcome};
use tollgate_ledger::cost::{self, Terms};
use tollgate_ledger::events::{EventIds, Flag, OwnedEvent};
use tollgate_ledger::till::{Extension, Hold, Till};
use tollgate_ledger::{HOUSE, KeyKind, NanoUsd};
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Unit, Usage};
use tollgate_wire::tokens::Settled;

/// Gathers what a request owes.
pub struct Bill {
    about: About,
    /// What the house pays with; `None` where nothing is charged.
    house: Option<House>,
    state: Mutex<OpenBill>,
}

struct House {
    till: Arc<Till>,
    /// What an attempt costs whose price is not known.
    estimate: NanoUsd,
}

/// What is the same for all attempts of a request.
pub struct About {
    /// The request's id.
    pub request_id: Arc<str>,
    /// Whose access key it came with.
    pub access_key: Arc<str>,
    /// Who pays.
    pub account: Arc<str>,
    /// What the client says that it is for.
    pub tags: Option<Arc<str>>,
    /// Whether its configuration lists the tags that there may be.
    pub tags_listed: bool,
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
    /// `None` where nothing is charged, and once it is settled.
    hold: Option<Hold>,
    /// Where its events go without a hold; `None` without a ledger.
    till: Option<Arc<Till>>,
    /// Answer tokens that the hold pays for.
    covered: u64,
    /// Who serves the attempt under way.
    payee: Option<Payee>,
    /// How many attempts there were.
    attempts: u32,
    /// Of attempts that have failed.
    events: Vec<OwnedEvent>,
    /// See [`Bill::costs_its_hold`].
    blind: bool,
    closed: Option<Closed>,
}

/// Who serves an attempt.
pub struct Payee {
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
    /// The least that is left of its budgets; `None` if it has none.
    pub left: Option<NanoUsd>,
}

impl Closed {
    /// Says in the head of an answer what it costs, and what is left of its budgets.
    ///
    /// # Errors
    /// When a header has no room.
    pub fn tell(&self, head: &mut ResponseHeader) -> pingora_error::Result<()> {
        let left = self
            .left
            .map(|left| (&names::X_TOLLGATE_BUDGET_REMAINING, left));
        for (name, amount) in [(&names::X_TOLLGATE_COST, self.cost)]
            .into_iter()
            .chain(left)
        {
            let mut room = [0; NanoUsd::LONGEST];
            head.insert_header(name, amount.decimal(&mut room))?;
        }
        Ok(())
    }
}

/// Answer tokens that a hold is extended by, at least.
const MORE: u64 = 64;

impl Bill {
    /// Returns a request whose credits are held for an answer of `covered` tokens.
    pub fn new(about: About, hold: Hold, covered: u64) -> Bill {
        let house = House {
            till: hold.till().clone(),
            estimate: hold.estimate(),
        };
        let state = OpenBill {
            hold: Some(hold),
            covered,
            ..OpenBill::default()
        };
        Bill {
            about,
            house: Some(house),
            state: Mutex::new(state),
        }
    }

    /// Returns a request that costs nothing; its events go to the till, if there is a ledger.
    pub fn free(about: About, till: Option<Arc<Till>>) -> Bill {
        let state = OpenBill {
            till,
            ..OpenBill::default()
        };
        Bill {
            about,
            house: None,
            state: Mutex::new(state),
        }
    }

    /// The next attempt begins.
    pub fn attempt(&self, candidate: &Candidate, now: Instant) {
        self.adopt(self.beside(candidate, now));
    }

    /// An attempt begins beside the one under way.
    pub fn beside(&self, candidate: &Candidate, now: Instant) -> Payee {
        let mut state = self.state.lock();
        state.attempts += 1;
        Payee {
            candidate: candidate.clone(),
            number: state.attempts,
            started: now,
            refused: None,
            named: None,
        }
    }

    /// What was begun beside another attempt is the one under way now.
    pub fn adopt(&self, payee: Payee) {
        self.state.lock().payee = Some(payee);
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

    /// Returns whether credits can be had for an answer of this many tokens. What is missing is asked for, and the
    /// answer goes on meanwhile; false once it is known that there is no more.
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
        let payee = self.state.lock().payee.take();
        if let Some(payee) = payee {
            finish.settled = self.believed(&payee, finish.settled);
            self.note(&payee, &finish);
            self.charge(&payee, &finish);
        }
    }

    /// The attempt under way gave way to one that was begun beside it. Returns whom the house owes what it used, once that
    /// is counted.
    pub fn gave_way(&self, finish: Finish<'_>) -> Option<Payee> {
        let payee = self.state.lock().payee.take()?;
        self.lost(&payee, finish);
        Some(payee)
    }

    /// An attempt that was begun beside another came second.
    pub fn lost(&self, payee: &Payee, mut finish: Finish<'_>) {
        finish.settled = self.believed(payee, finish.settled);
        self.note(payee, &finish);
    }

    /// What an attempt used that came second is counted, and charged to the house.
    pub fn charge_house(&self, payee: &Payee, mut finish: Finish<'_>) {
        finish.settled = self.believed(payee, finish.settled);
        self.charge(payee, &finish);
    }

    fn note(&self, payee: &Payee, finish: &Finish<'_>) {
        let event = event::made(&self.about, payee, finish, false);
        self.state.lock().events.push(event.owned());
    }

    fn charge(&self, payee: &Payee, finish: &Finish<'_>) {
        let managed = payee.candidate.key.kind == KeyKind::Managed;
        let (Some(settled), Some(house), true) = (&finish.settled, &self.house, managed) else {
            return;
        };
        let bill = self.bill(&payee.candidate, settled, 0);
        // It is all that the house has of it.
        let mut charged = event::made(&self.about, payee, finish, true);
        charged.request.account = HOUSE;
        match &bill {
            Some(bill) => event::charge(&mut charged, bill),
            None => charged.attempt.cost = house.estimate,
        }
        house.till.charge(&charged);
    }

    /// Nobody knows what the answer used, as where it may go on unseen: it costs what was held for it, at least.
    pub fn costs_its_hold(&self) {
        self.state.lock().blind = true;
    }

    /// Returns whether it does.
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
        let mut earlier = std::mem::take(&mut state.events);
        let (hold, payee) = (state.hold.take(), state.payee.take());
        let (bill, several);
        let mut last = None;
        if let Some(payee) = &payee {
            finish.settled = self.believed(payee, finish.settled);
            let mut event = event::made(&self.about, payee, &finish, true);
            if let (Some(settled), Some(hold)) = (&finish.settled, &hold) {
                match self.bill(&payee.candidate, settled, self.about.fee) {
                    Some(made) => {
                        bill = made;
                        event::charge(&mut event, &bill);
                    }
                    // Admission made sure that there is a price. If there is none all the same, it is not free.
                    None => event::charge_hold(&mut event, hold),
                }
            }
            if let (true, Some(hold)) = (state.blind, &hold) {
                event.attempt.mark(Flag::Estimated, true);
                if event.attempt.cost < hold.estimate() {
                    event::charge_hold(&mut event, hold);
                    event.attempt.sheet = None;
                }
            }
            last = Some(event);
        } else if let Some(last) = earlier.last_mut() {
            last.attempt.mark(Flag::Final, true);
        }
        let events = if earlier.is_empty() {
            last.as_slice()
        } else {
            let earlier = earlier.iter().map(OwnedEvent::borrowed);
            several = earlier.chain(last).collect::<Vec<_>>();
            &several
        };
        let ended = events.last().map(|event| &event.attempt);
        let mut closed = Closed {
            settled: finish.settled,
            cost: ended.map_or(NanoUsd::ZERO, |attempt| attempt.cost),
            assumed: ended.is_some_and(|attempt| attempt.is(Flag::Assumed)),
            left: None,
        };
        match (hold, &state.till) {
            (Some(hold), _) => closed.left = hold.settle(events),
            (None, Some(till)) => events.iter().for_each(|event| till.note(event)),
            (None, None) => {}
        }
        state.closed = Some(closed.clone());
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

    /// Returns how many answers it asks for, at least 1.
    pub fn answers(&self) -> u64 {
        self.about.answers
    }

    /// Returns where its credits are held, until it is closed.
    pub fn till(&self) -> Option<Arc<Till>> {
        let state = self.state.lock();
        state.hold.as_ref().map(|hold| hold.till().clone())
    }

    /// Returns how it was settled, if it was.
    pub fn closed(&self) -> Option<Closed> {
        self.state.lock().closed.clone()
    }

    /// Returns who serves the attempt under way.
    pub fn candidate(&self) -> Option<Candidate> {
        let state = self.state.lock();
        state.payee.as_ref().map(|payee| payee.candidate.clone())
    }

    /// Returns whether there is nothing left to settle.
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
}
