//! What one request owes: its hold, and what each of its attempts used.
//!
//! Invariant: the hold is settled once, before the last byte of the answer leaves; if the answer never comes to
//! its end, when the request does.

use std::sync::Arc;

use parking_lot::Mutex;

use tollgate_config::catalog::Model;
use tollgate_failover::Candidate;
use tollgate_ledger::KeyKind;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::cost::Terms;
use tollgate_ledger::till::{Charge, Extension, Hold, Receipt};
use tollgate_wire::report::{Context, Usage};
use tollgate_wire::tokens::Settled;

/// See the module.
pub struct Tab {
    /// Pico-dollars per token, for every request that is served.
    fee: u64,
    /// When it was admitted (Unix time, s).
    at: u64,
    state: Mutex<State>,
}

struct State {
    /// `None` without a ledger, and once it is settled.
    hold: Option<Hold>,
    /// Answer tokens that the hold pays for.
    covered: u64,
    payee: Option<Payee>,
    charges: Vec<Charge>,
    closed: Option<Closed>,
    receipt: Option<Receipt>,
}

/// Who serves the attempt under way.
#[derive(Clone)]
struct Payee {
    provider: Arc<str>,
    model: Arc<str>,
    managed: bool,
    priced: Option<Arc<Model>>,
}

/// How the request was settled.
#[derive(Clone)]
pub struct Closed {
    /// What it used; `None` if that is nothing.
    pub settled: Option<Settled>,
    /// What the last attempt cost.
    pub cost: NanoUsd,
}

impl Tab {
    /// A request whose credits are held for an answer of `covered` tokens; `None` without a ledger.
    pub fn new(hold: Option<Hold>, covered: u64, fee: u64, at: u64) -> Tab {
        Tab {
            fee,
            at,
            state: Mutex::new(State {
                hold,
                covered,
                payee: None,
                charges: Vec::new(),
                closed: None,
                receipt: None,
            }),
        }
    }

    /// The next attempt.
    pub fn attempt(&self, candidate: &Candidate) {
        self.state.lock().payee = Some(Payee {
            provider: candidate.provider.id.clone(),
            model: candidate.upstream_model.clone(),
            managed: candidate.key.kind == KeyKind::Managed,
            priced: candidate.model.clone(),
        });
    }

    /// Whether credits can be had for an answer of this many tokens. What is missing is asked for, and the answer
    /// goes on meanwhile; false once it is known that there is no more.
    pub fn affords(&self, output: u64) -> bool {
        let mut state = self.state.lock();
        if output <= state.covered {
            return true;
        }
        let more = (output - state.covered).max(MORE);
        let usage = Usage::tokens(0, more);
        let price = state
            .payee
            .as_ref()
            .and_then(|payee| payee.cost(&usage, &Context::STANDARD, self.fee, self.at));
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

    /// The attempt failed before any of its answer left. It costs nothing, unless its provider reported usage;
    /// then credits pay what it charges them, and no fee.
    pub fn failed(&self, reported: Option<Settled>, status: Option<u16>) -> NanoUsd {
        let mut state = self.state.lock();
        let (Some(settled), Some(payee), Some(hold)) = (reported, &state.payee, &state.hold) else {
            return NanoUsd::ZERO;
        };
        let price = payee.cost(&settled.usage, &settled.served, 0, self.at);
        let mut charge = payee.charge(Some(&settled), status, true, false);
        charge.cost = price.unwrap_or_else(|| hold.estimate());
        let cost = charge.cost;
        state.charges.push(charge);
        cost
    }

    /// Settles the hold with what the last attempt used. Without effect the second time.
    pub fn close(&self, settled: Option<Settled>, status: Option<u16>, failed: bool) -> Closed {
        let mut state = self.state.lock();
        if let Some(closed) = &state.closed {
            return closed.clone();
        }
        // Without a ledger nothing is charged.
        let charge = state
            .payee
            .as_ref()
            .zip(state.hold.as_ref())
            .map(|(payee, hold)| {
                let mut charge = payee.charge(settled.as_ref(), status, failed, true);
                if let Some(settled) = &settled {
                    // Admission made sure that there is a price. If a part of it is missing all the same, it is not free.
                    let price = payee.cost(&settled.usage, &settled.served, self.fee, self.at);
                    charge.cost = price.unwrap_or_else(|| hold.estimate());
                }
                charge
            });
        let closed = Closed {
            settled,
            cost: charge.as_ref().map_or(NanoUsd::ZERO, |charge| charge.cost),
        };
        state.closed = Some(closed.clone());
        let mut charges = std::mem::take(&mut state.charges);
        let charged = charge.is_some();
        charges.extend(charge);
        if let Some(hold) = state.hold.take() {
            state.receipt = Some(hold.settle(charges)).filter(|_| charged);
        }
        closed
    }

    /// For the event of its last charge; `None` if nothing was charged.
    pub fn receipt(&self) -> Option<Receipt> {
        self.state.lock().receipt.clone()
    }

    /// How it was settled, if it was.
    pub fn closed(&self) -> Option<Closed> {
        self.state.lock().closed.clone()
    }

    /// The model of the attempt under way, as its provider knows it.
    pub fn model(&self) -> Arc<str> {
        let state = self.state.lock();
        state
            .payee
            .as_ref()
            .map_or_else(|| "".into(), |payee| payee.model.clone())
    }

    /// Whether there is nothing left to settle.
    pub fn is_closed(&self) -> bool {
        let state = self.state.lock();
        state.closed.is_some() || state.hold.is_none()
    }
}

/// Answer tokens that a hold is extended by, at least.
const MORE: u64 = 64;

impl Payee {
    /// What credits pay for this usage; `None` if its price is not known.
    fn cost(&self, usage: &Usage, served: &Context, fee: u64, at: u64) -> Option<NanoUsd> {
        let model = self.priced.as_ref().filter(|_| self.managed);
        let prices = model.map(|model| &model.prices);
        Terms { prices, at, fee }.cost(usage, served).ok()
    }

    /// An attempt, not priced yet.
    fn charge(
        &self,
        settled: Option<&Settled>,
        status: Option<u16>,
        failed: bool,
        last: bool,
    ) -> Charge {
        Charge {
            provider: self.provider.clone(),
            model: self.model.clone(),
            managed: self.managed,
            status: status.unwrap_or_default(),
            estimated: settled.is_some_and(|settled| settled.estimated),
            failed,
            last,
            orphaned: false,
            usage: settled.map(|settled| settled.usage).unwrap_or_default(),
            cost: NanoUsd::ZERO,
        }
    }
}

/// What a candidate would charge for this usage; `None` if its price is not known.
pub fn quote(candidate: &Candidate, usage: &Usage, fee: u64, at: u64) -> Option<NanoUsd> {
    let managed = candidate.key.kind == KeyKind::Managed;
    let prices = match (&candidate.model, managed) {
        (Some(model), true) => Some(&model.prices),
        (None, true) => return None,
        (_, false) => None,
    };
    Terms { prices, at, fee }
        .cost(usage, &Context::STANDARD)
        .ok()
}
