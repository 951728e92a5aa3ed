//! What there is only so much of, shared between accounts so that none can take it all.
//!
//! An account gets no more while it has as much as is left for everybody: half of it if it is the only one that wants any,
//! a third if two do. So there is always something for one that comes late, and as what was taken comes back, accounts that
//! want more than there is come to have the same. Where there is one account only, it may have all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use tollgate_base::Pace;

/// Shares what is scarce between accounts.
#[derive(Default)]
pub struct Shares(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    /// By every account that ever took some.
    of: HashMap<Arc<str>, usize>,
}

/// Counts of tokens that an account may ask for at once: agents that begin together ask for two dozen each.
pub const COUNTS: u32 = 240;

/// How often it may ask for one more.
pub const COUNT_EVERY: Duration = Duration::from_millis(50);

/// What all accounts share.
pub struct Scarce {
    /// Requests under way (`max_in_flight`).
    pub in_flight: Arc<Shares>,
    /// Connections with a request of the account's under way (`max_connections`).
    pub connections: Arc<Shares>,
    /// Bytes of large bodies.
    pub bodies: Arc<Shares>,
    /// Requests that wait for quota.
    pub queued: Arc<Shares>,
    /// Counts of tokens.
    pub counts: Pace<Arc<str>>,
}

impl Default for Scarce {
    fn default() -> Self {
        Scarce {
            in_flight: Arc::default(),
            connections: Arc::default(),
            bodies: Arc::default(),
            queued: Arc::default(),
            counts: Pace::new(COUNTS, COUNT_EVERY),
        }
    }
}

/// A part that an account has, until it is dropped.
pub struct Share {
    shares: Arc<Shares>,
    account: Arc<str>,
    amount: usize,
}

/// How much there is, and for whom.
#[derive(Clone, Copy)]
pub struct Supply {
    /// In all.
    pub most: usize,
    /// Whether there are several accounts, as far as is known.
    pub several: bool,
}

impl Shares {
    /// Takes so much for the account; `None` if it may not have it now.
    pub fn take(
        self: &Arc<Shares>,
        account: &Arc<str>,
        amount: usize,
        supply: Supply,
    ) -> Option<Share> {
        let mut share = Share {
            shares: self.clone(),
            account: account.clone(),
            amount: 0,
        };
        share.grow(amount, supply).then_some(share)
    }
}

impl Taken {
    fn take(&mut self, account: &Arc<str>, amount: usize, supply: Supply) -> bool {
        let left = supply.most.saturating_sub(self.all);
        let accounts = self.of.len();
        let has = match self.of.get_mut(account) {
            Some(has) => has,
            None => self.of.entry(account.clone()).or_default(),
        };
        let is_alone = !supply.several && accounts <= 1;
        if amount > left || (!is_alone && *has >= left) {
            return false;
        }
        *has += amount;
        self.all += amount;
        true
    }
}

impl Share {
    /// Takes so much more; false if the account may not have it now.
    pub fn grow(&mut self, amount: usize, supply: Supply) -> bool {
        let mut taken = self.shares.0.lock();
        let grows = taken.take(&self.account, amount, supply);
        if grows {
            self.amount += amount;
        }
        grows
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.0.lock();
        taken.all -= self.amount;
        if let Some(has) = taken.of.get_mut(&self.account) {
            *has -= self.amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVERAL: Supply = Supply {
        most: 20,
        several: true,
    };

    /// As many shares of one as the account gets.
    fn all(shares: &Arc<Shares>, account: &str, supply: Supply) -> Vec<Share> {
        let account = account.into();
        std::iter::from_fn(|| shares.take(&account, 1, supply)).collect()
    }

    #[test]
    fn one_alone_may_have_all_and_one_of_several_half() {
        let supply = Supply {
            several: false,
            ..SEVERAL
        };
        let shares = Arc::default();
        assert_eq!(all(&shares, "a", supply).len(), 20);
        let shares = Arc::default();
        let first = all(&shares, "a", SEVERAL);
        assert_eq!(first.len(), 10);
        assert_eq!(all(&shares, "b", SEVERAL).len(), 5, "something is left");
        // Known by now, whatever the configuration says.
        drop(first);
        assert_eq!(all(&shares, "a", supply).len(), 10);
        for most in [1, 2, 3] {
            let few = Supply { most, ..SEVERAL };
            let shares = Arc::default();
            assert!(!all(&shares, "a", few).is_empty(), "of {most}");
        }
    }

    /// Whoever had more before, and however much each wants.
    #[test]
    fn in_the_end_all_that_want_more_have_the_same() {
        let shares = Arc::default();
        let names = ["greedy", "a", "b", "c"];
        let mut has: [Vec<Share>; 4] = [all(&shares, "greedy", SEVERAL), vec![], vec![], vec![]];
        // One of each ends in turn, and all of them ask again and again; `c` never wants more than 2.
        for _ in 0..40 {
            for index in 0..4 {
                has[index].pop();
                for (name, has) in names.iter().zip(&mut has) {
                    while *name != "c" || has.len() < 2 {
                        match shares.take(&(*name).into(), 1, SEVERAL) {
                            Some(share) => has.push(share),
                            None => break,
                        }
                    }
                }
            }
        }
        let has = has.map(|has| has.len());
        assert!(has[3] >= 1 && has[3] <= 2, "{has:?}");
        assert!(has[..3].iter().all(|has| (4..=6).contains(has)), "{has:?}");
    }

    #[test]
    fn what_grows_stays_within_and_comes_back_whole() {
        let shares = Arc::default();
        let supply = Supply {
            most: 100,
            several: true,
        };
        let mut share = Shares::take(&shares, &"a".into(), 30, supply).unwrap();
        assert!(share.grow(30, supply));
        assert!(!share.grow(1, supply), "60 of 100 are more than are left");
        assert!(Shares::take(&shares, &"b".into(), 41, supply).is_none());
        drop(share);
        assert!(Shares::take(&shares, &"b".into(), 100, supply).is_some());
    }
}
