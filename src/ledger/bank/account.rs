//! What a bank does to one account. Pure: the reference that every bank follows.
//!
//! Invariants, after every operation:
//!
//! ```text
//! granted       = spent + expired + free + Σ allotments
//! free + Σ allotments = Σ remaining of grants − debt
//! limit of a meter ≥ used + Σ lent, as far as the bank could help it
//! ```
//!
//! What is lent belongs to its holder until the lease ends, even if the grant behind it expires meanwhile: that
//! part expires when it comes back.
//!
//! Of a [`Moment`], what is lost for good goes by `sure`: grants, allotments, who is remembered. All else goes by `told`:
//! a grant that ends between the two is not lent, and leases are written, so that what lasts is there when it is sure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate_base::clock::millis;
use tollgate_store::{Moment, StoreError};

use super::{
    Allotment, Books, Exchange, Grant, Holder, MOST_USED, Mark, Meter, MeterExchange, MeterReply,
    NewGrant, Reply,
};
use crate::NanoUsd;

/// How long after an unmet need all holders are asked to return what they do not hold.
pub const RECALL: Duration = Duration::from_secs(2);

/// Each borrower gets at most this part of what is free, unless requests wait for more.
pub(crate) const SHARE: i64 = 4;

/// How long the last number of a holder whose lease has ended is remembered, so that a late journal is not
/// counted twice.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The longest lease. One that ends later was written by a clock that was ahead.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// One account. Times are Unix time in milliseconds, by the bank's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// All that was ever granted.
    pub granted: NanoUsd,
    /// All that was ever charged.
    pub spent: NanoUsd,
    /// All that expired unspent.
    pub expired: NanoUsd,
    /// What nobody has borrowed; negative if more was spent than was granted.
    pub free: NanoUsd,
    /// Spent beyond all grants.
    pub debt: NanoUsd,
    /// In the order of their creation.
    pub grants: Vec<Grant>,
    /// Who has borrowed, or did once.
    pub holders: BTreeMap<Holder, Borrower>,
    /// Until when holders are asked to return the money that they do not hold.
    pub recall_until: u64,
    /// Limits that are counted.
    pub(crate) meters: BTreeMap<Meter, MeterState>,
}

/// One holder, as its account knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Borrower {
    /// What it has borrowed, at least 0.
    pub allotment: NanoUsd,
    /// Its last message's number.
    pub last: u64,
    /// That message's mark.
    pub mark: Mark,
    /// All that was charged in its name.
    pub charged: NanoUsd,
    /// Until when it may keep the allotment.
    pub lease_until: u64,
}

/// One limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MeterState {
    /// The start of the window (Unix time, s).
    pub window: u64,
    /// Used in it.
    pub used: i64,
    /// What is lent to whom; no entry is 0.
    pub lent: BTreeMap<Holder, i64>,
    /// Until when holders are asked to return what they do not hold.
    pub recall_until: u64,
}

impl Account {
    /// Whether the totals have room for a grant.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub(crate) fn admits_grant(&self, amount: NanoUsd) -> Result<(), StoreError> {
        room(self.granted, amount, "grants")
    }

    /// Returns whether the totals have room for what a message charges.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn admits(&self, message: &Exchange) -> Result<(), StoreError> {
        room(self.spent, message.spent, "charges")
    }

    /// Puts credits in; false if the account has this grant already. The amount must be above 0.
    pub fn grant(&mut self, new: &NewGrant, now: impl Into<Moment>) -> bool {
        let now = now.into();
        self.tick(now);
        if self.grants.iter().any(|grant| grant.id == new.id) {
            return false;
        }
        let pays = self.debt.min(new.amount);
        self.debt -= pays;
        self.granted += new.amount;
        self.free += new.amount;
        self.grants.push(Grant {
            id: new.id.clone(),
            amount: new.amount,
            remaining: new.amount - pays,
            expired: NanoUsd::ZERO,
            created: now.told / 1000,
            expires: new
                .expires_after
                .map(|after| (now.told / 1000).saturating_add(after.as_secs())),
            note: new.note.clone(),
        });
        true
    }

    /// Applies a message, unless its number was applied before, one before it is missing, or its holder's history is
    /// another one.
    pub fn exchange(&mut self, message: &Exchange, now: impl Into<Moment>) -> Reply {
        let now = now.into();
        self.tick(now);
        let holder = message.holder;
        let mut borrower = self.holders.get(&holder).copied().unwrap_or_default();
        let next = borrower.last + 1;
        let repeat = message.number < next;
        let gap = message.number > next && message.oldest <= next;
        let foreign = message.number == next && !borrower.mark.fits(message.before);
        if !repeat && !gap && !foreign {
            borrower.last = message.number;
            if message.mark != Mark::NONE {
                borrower.mark = message.mark;
            }
            borrower.charged += message.spent;
            borrower.lease_until = now.told.saturating_add(millis(message.lease));
            self.charge(&mut borrower, message.spent);
            let returned = message.returned.min(borrower.allotment);
            borrower.allotment -= returned;
            self.free += returned;
            self.expire(now.sure);
            if message.close {
                self.free += std::mem::take(&mut borrower.allotment);
                borrower.lease_until = now.sure;
                self.expire(now.sure);
            } else {
                self.lend(holder, &mut borrower, message, now);
            }
            self.holders.insert(holder, borrower);
            for part in &message.meters {
                self.meter(holder, part, message.close, now);
            }
            if message.close {
                self.meters.values_mut().for_each(|meter| {
                    meter.lent.remove(&holder);
                });
            }
        }
        let meters = message.meters.iter();
        Reply {
            last: borrower.last,
            mark: borrower.mark,
            charged: borrower.charged,
            newest: self.newest(holder),
            now: now.told,
            allotment: borrower.allotment,
            free: self.free - self.doubtful(now),
            allotments: self.allotments(),
            recall: recalls(self.recall_until, now),
            meters: meters
                .map(|part| self.meter_reply(holder, part, now))
                .collect(),
        }
    }

    /// Takes back what was lent for longer than its lease, and expires what is due.
    pub fn tick(&mut self, now: impl Into<Moment>) {
        let now = now.into();
        let longest = now.told.saturating_add(millis(LONGEST));
        let free = &mut self.free;
        let meters = &mut self.meters;
        self.holders.retain(|holder, borrower| {
            borrower.lease_until = borrower.lease_until.min(longest);
            if borrower.lease_until <= now.sure {
                *free += std::mem::take(&mut borrower.allotment);
                for meter in meters.values_mut() {
                    meter.lent.remove(holder);
                }
            }
            borrower.lease_until.saturating_add(millis(REMEMBERED)) > now.sure
        });
        self.expire(now.sure);
    }

    /// Returns the books; `rolled_up` is the sum of the daily totals' costs.
    pub fn books(&self, rolled_up: NanoUsd, now: impl Into<Moment>) -> Books {
        let now = now.into().sure;
        let allotments = self.holders.iter().map(|(holder, borrower)| Allotment {
            holder: *holder,
            amount: borrower.allotment,
            last: borrower.last,
            lease_until: borrower.lease_until,
        });
        Books {
            granted: self.granted,
            spent: self.spent,
            expired: self.expired,
            free: self.free,
            debt: self.debt,
            grants: self.grants.clone(),
            allotments: allotments
                .filter(|allotment| {
                    allotment.amount != NanoUsd::ZERO || allotment.lease_until > now
                })
                .collect(),
            rolled_up,
        }
    }

    /// The newest life of a holder's replica, from this one on; 0 if there is none.
    fn newest(&self, this: Holder) -> u64 {
        let last = Holder {
            epoch: u64::MAX,
            ..this
        };
        let lives = self.holders.range(this..=last);
        lives.last().map_or(0, |(newest, _)| newest.epoch)
    }

    fn allotments(&self) -> NanoUsd {
        self.holders.values().map(|b| b.allotment).sum()
    }

    /// Takes a charge from the allotment, what is over it from what is free, and both from the grants that expire
    /// first.
    fn charge(&mut self, borrower: &mut Borrower, spent: NanoUsd) {
        let from_allotment = spent.min(borrower.allotment);
        borrower.allotment -= from_allotment;
        self.free -= spent - from_allotment;
        self.spent += spent;
        let mut rest = spent;
        let mut order: Vec<usize> = (0..self.grants.len()).collect();
        order.sort_by_key(|index| self.grants[*index].expires.unwrap_or(u64::MAX));
        for index in order {
            let grant = &mut self.grants[index];
            let part = rest.min(grant.remaining);
            grant.remaining -= part;
            rest -= part;
        }
        self.debt += rest;
    }

    fn expire(&mut self, now: u64) {
        for grant in &mut self.grants {
            if grant.expires.is_some_and(|at| at <= now / 1000) {
                let part = grant.remaining.min(self.free.or_zero());
                grant.remaining -= part;
                grant.expired += part;
                self.expired += part;
                self.free -= part;
            }
        }
    }

    /// What is free of grants that have ended by what is told, and not by what is sure.
    fn doubtful(&self, now: Moment) -> NanoUsd {
        if now.told == now.sure {
            return NanoUsd::ZERO;
        }
        let ended = |grant: &&Grant| grant.expires.is_some_and(|at| at <= now.told / 1000);
        let remaining: NanoUsd = (self.grants.iter().filter(ended))
            .map(|grant| grant.remaining)
            .sum();
        remaining.min(self.free.or_zero())
    }

    /// Lends at least what is needed, if there is as much; beyond it, a fair share of what is free.
    fn lend(&mut self, holder: Holder, borrower: &mut Borrower, message: &Exchange, now: Moment) {
        let free = self.free.or_zero() - self.doubtful(now);
        let share = NanoUsd(free.0 / SHARE).min(message.want);
        let asked = if recalls(self.recall_until, now) {
            message.need
        } else {
            message.need.max(share)
        };
        let lent = asked.min(free);
        borrower.allotment += lent;
        self.free -= lent;
        let others = self
            .holders
            .iter()
            .any(|(other, b)| *other != holder && b.allotment > NanoUsd::ZERO);
        if others && (message.need > lent || self.free < NanoUsd::ZERO) {
            self.recall_until = now.told + millis(RECALL);
        }
    }

    fn meter(&mut self, holder: Holder, part: &MeterExchange, close: bool, now: Moment) {
        let state = self.meters.entry(part.meter.clone()).or_default();
        // A window begins when it is time, whatever the clock of who names it says.
        let latest = now.told / 1000;
        if state.window > latest {
            *state = MeterState::default();
        }
        if part.window < state.window || part.window > latest {
            return;
        }
        if part.window > state.window {
            *state = MeterState {
                window: part.window,
                ..MeterState::default()
            };
        }
        let mut mine = state.lent.remove(&holder).unwrap_or_default();
        // A limit that is used up stays so, however often it is used.
        state.used = state.used.saturating_add(part.used);
        mine -= part.used.min(mine);
        mine -= part.returned.min(mine);
        let others: i64 = state.lent.values().sum();
        let taken = state.used.saturating_add(others).saturating_add(mine);
        let free = part.limit.saturating_sub(taken).max(0);
        if !close {
            let share = (free / SHARE).min(part.want);
            let asked = if recalls(state.recall_until, now) {
                part.need
            } else {
                part.need.max(share)
            };
            let lent = asked.min(free);
            mine += lent;
            if part.need > lent && others > 0 {
                state.recall_until = now.told + millis(RECALL);
            }
        }
        if mine > 0 {
            state.lent.insert(holder, mine);
        }
    }

    /// The window that each of these limits was last used in, and what was used in it.
    pub fn used(&self, meters: &[Meter]) -> Vec<(u64, i64)> {
        let each = meters.iter().map(|meter| self.meters.get(meter));
        each.map(|state| state.map_or((0, 0), |state| (state.window, state.used)))
            .collect()
    }

    /// The values of a tag of which at least so much was used in a window, those that used most first.
    pub fn most_used(&self, budget: &Meter, window: u64, least: i64) -> Vec<(Arc<str>, i64)> {
        let of = |meter: &Meter| {
            meter.measure == budget.measure && meter.subject.starts_with(&*budget.subject)
        };
        let used = self
            .meters
            .iter()
            .filter(|(meter, state)| of(meter) && state.window == window && state.used >= least);
        let mut used: Vec<_> = used
            .map(|(meter, state)| (meter.subject.clone(), state.used))
            .collect();
        used.sort_by_key(|(_, used)| Reverse(*used));
        used.truncate(MOST_USED);
        used
    }

    /// Forgets the meters of tags' values whose windows are long over.
    pub fn forget_meters(&mut self, now: u64) {
        self.meters
            .retain(|meter, state| !meter.is_over(state.window, now));
    }

    fn meter_reply(&self, holder: Holder, part: &MeterExchange, now: Moment) -> MeterReply {
        let nothing = MeterState::default();
        let state = self.meters.get(&part.meter).unwrap_or(&nothing);
        MeterReply {
            window: state.window,
            allotment: state.lent.get(&holder).copied().unwrap_or_default(),
            used: state.used,
            lent: state.lent.values().sum(),
            recall: recalls(state.recall_until, now),
        }
    }
}

/// Whether what is not held is asked back. An end that is further away was written by a clock that was ahead.
fn recalls(until: u64, now: Moment) -> bool {
    (1..=millis(RECALL)).contains(&until.saturating_sub(now.told))
}

fn room(sum: NanoUsd, more: NanoUsd, what: &str) -> Result<(), StoreError> {
    if i128::from(sum.0) + i128::from(more.0) <= i128::from(NanoUsd::TOTAL.0) {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the {what} of this account are more than can be counted"
    )))
}

#[cfg(test)]
mod tests;
