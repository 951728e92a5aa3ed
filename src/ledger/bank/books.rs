//! An account's books: its grants, what was spent, expired and lent, and the laws that hold between them.

use std::time::Duration;

use super::Holder;
use crate::NanoUsd;
use tollgate_store::StoreError;

/// Credits to put into an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// Unique within the account; a grant is applied once.
    pub id: String,
    /// How much, above 0.
    pub amount: NanoUsd,
    /// How long it may be spent, from now on; `None` is for ever.
    pub expires_after: Option<Duration>,
    /// For people; empty if there is nothing to say.
    pub note: String,
}

impl NewGrant {
    /// A hundred years: what may be spent for longer is not to expire.
    pub const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);
    /// Most bytes of an id.
    pub const LONGEST_ID: usize = 128;

    /// Returns whether people may ask for it: besides what a bank takes, that its id is fit to be kept everywhere, and
    /// its time to be one.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if not.
    pub fn check_asked(&self) -> Result<(), StoreError> {
        self.check()?;
        let strange = |c: char| c.is_control() || matches!(c, '{' | '}');
        let no_time = |time: Duration| time.is_zero() || time > Self::LONGEST;
        let what = if self.id.is_empty()
            || self.id.len() > Self::LONGEST_ID
            || self.id.contains(strange)
        {
            "a grant's id has 1 to 128 bytes, without braces and control characters"
        } else if self.expires_after.is_some_and(no_time) {
            "a grant may be spent for more than 0s and at most 36500d, or else for ever: `never`"
        } else {
            return Ok(());
        };
        Err(StoreError::Refused(what.to_owned()))
    }

    /// Returns whether a bank may take it; every bank asks this first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the amount is not positive or over [`NanoUsd::MOST`].
    pub fn check(&self) -> Result<(), StoreError> {
        if self.amount > NanoUsd::ZERO && self.amount <= NanoUsd::MOST {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "a grant must be above {} and at most {}, not {}",
            NanoUsd::ZERO,
            NanoUsd::MOST,
            self.amount
        )))
    }
}

/// A grant as the bank has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Unique within the account.
    pub id: String,
    /// How much was granted.
    pub amount: NanoUsd,
    /// What is neither spent nor expired, at least 0; part of it may be lent.
    pub remaining: NanoUsd,
    /// What expired.
    pub expired: NanoUsd,
    /// When it was granted (Unix time, s).
    pub created: u64,
    /// When it expires (Unix time, s); `None` is never.
    pub expires: Option<u64>,
    /// For people.
    pub note: String,
}

/// An allotment as the bank has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// Who borrowed it.
    pub holder: Holder,
    /// How much, at least 0.
    pub amount: NanoUsd,
    /// The last message's number.
    pub last: u64,
    /// Until when (Unix time, ms).
    pub lease_until: u64,
}

/// An account's books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// All that was ever granted.
    pub granted: NanoUsd,
    /// All that was ever charged.
    pub spent: NanoUsd,
    /// All that expired before it was spent.
    pub expired: NanoUsd,
    /// What nobody has borrowed; negative if more was spent than was granted.
    pub free: NanoUsd,
    /// Spent beyond all grants; the next grant pays it first.
    pub debt: NanoUsd,
    /// Newest last.
    pub grants: Vec<Grant>,
    /// Those that are not empty, or that are still leased.
    pub allotments: Vec<Allotment>,
    /// The costs of all daily totals together.
    pub rolled_up: NanoUsd,
}

impl Books {
    /// Returns what was lent.
    pub fn lent(&self) -> NanoUsd {
        self.allotments
            .iter()
            .map(|allotment| allotment.amount)
            .sum()
    }

    /// Returns what must be equal, both sides.
    pub fn laws(&self) -> [Law; 5] {
        let [amounts, remaining, expired] = [
            |grant: &Grant| grant.amount,
            |grant: &Grant| grant.remaining,
            |grant: &Grant| grant.expired,
        ]
        .map(|part| self.grants.iter().map(|grant| wide(part(grant))).sum());
        let lent: i128 = self
            .allotments
            .iter()
            .map(|allotment| wide(allotment.amount))
            .sum();
        let (free, spent) = (wide(self.free), wide(self.spent));
        [
            (
                "granted = spent + expired + free + allotments",
                wide(self.granted),
                spent + wide(self.expired) + free + lent,
            ),
            ("granted = sum of grants", wide(self.granted), amounts),
            (
                "expired = sum of grants' expired",
                wide(self.expired),
                expired,
            ),
            (
                "free + allotments = grants' remaining - debt",
                free + lent,
                remaining - wide(self.debt),
            ),
            ("spent = sum of daily totals", spent, wide(self.rolled_up)),
        ]
        .map(|(name, left, right)| Law::of(name, left, right))
    }

    /// Returns what of it does not balance, in words; empty if all does.
    pub fn faults(&self) -> Vec<String> {
        self.laws()
            .iter()
            .filter(|law| !law.holds())
            .map(|law| format!("{}: {} is not {}", law.name, law.left, law.right))
            .collect()
    }
}

fn wide(amount: NanoUsd) -> i128 {
    i128::from(amount.0)
}

/// An equation that an account's books must fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Law {
    /// The equation, in words.
    pub name: &'static str,
    /// What its left side comes to.
    pub left: NanoUsd,
    /// What its right side comes to.
    pub right: NanoUsd,
    equal: bool,
}

impl Law {
    /// Both sides are added up in more than 64 bits, as what is stored may be anything. One that is no amount is shown
    /// as the last there is.
    fn of(name: &'static str, left: i128, right: i128) -> Law {
        let shown = |sum: i128| {
            let last = if sum < 0 { i64::MIN } else { i64::MAX };
            NanoUsd(i64::try_from(sum).unwrap_or(last))
        };
        Law {
            name,
            left: shown(left),
            right: shown(right),
            equal: left == right,
        }
    }

    /// Returns whether both sides are equal.
    pub fn holds(&self) -> bool {
        self.equal
    }
}
