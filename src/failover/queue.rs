//! Whose turn it is where requests wait for quota: accounts take turns.
//!
//! Requests for one key and model stand in one line. Each belongs to a round: the one after that of its account's last
//! request in the line, and none that is over. Earlier rounds go first, and of a round whoever came first. So an account
//! with a thousand requests has one in each round, as has an account with one.
//!
//! Invariant: who leaves, or is dropped, is in no line any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::headroom::Need;

/// All lines.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait; changed only under the lock of the lines, read without it.
    waiting: AtomicUsize,
    lines: Mutex<HashMap<Line, Waiting>>,
}

/// A key, and a model as its provider knows it.
type Line = (Arc<str>, Arc<str>);

/// A round, and when a request came into it.
type Turn = (u64, u64);

#[derive(Debug, Default)]
struct Waiting {
    /// The last that somebody's turn was in.
    round: u64,
    /// How many have come.
    came: u64,
    turns: BTreeMap<Turn, (Arc<str>, Need)>,
}

/// A place in a line, given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
    line: Line,
    turn: Turn,
}

impl Queue {
    /// Puts a request of the account into a line.
    pub fn join(self: &Arc<Queue>, line: Line, account: &Arc<str>, need: Need) -> Place {
        let mut lines = self.lines.lock();
        let waiting = lines.entry(line.clone()).or_default();
        let turn = waiting.next(account);
        waiting.came += 1;
        waiting.turns.insert(turn, (account.clone(), need));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Place {
            queue: self.clone(),
            line,
            turn,
        }
    }

    /// Returns what those need, all together, who would stand before a request of the account.
    pub fn ahead(&self, line: impl FnOnce() -> Line, account: &str) -> Need {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return Need::default();
        }
        let lines = self.lines.lock();
        let waiting = lines.get(&line());
        waiting.map_or_else(Need::default, |waiting| {
            waiting.before(waiting.next(account))
        })
    }
}

impl Waiting {
    /// The turn that the account's next request has.
    fn next(&self, account: &str) -> Turn {
        let mut turns = self.turns.iter().rev();
        let last = turns.find(|(_, (owner, _))| **owner == *account);
        let round = last.map_or(self.round, |((round, _), _)| round + 1);
        (round.max(self.round), self.came)
    }

    fn before(&self, turn: Turn) -> Need {
        let before = self.turns.range(..turn);
        before.fold(Need::default(), |sum, (_, (_, need))| sum.and(*need))
    }
}

impl Place {
    /// Returns what those need, all together, who stand before it.
    pub fn ahead(&self) -> Need {
        let lines = self.queue.lines.lock();
        let waiting = lines.get(&self.line);
        waiting.map_or_else(Need::default, |waiting| waiting.before(self.turn))
    }

    /// It is its turn.
    pub fn go(self) {
        if let Some(waiting) = self.queue.lines.lock().get_mut(&self.line) {
            waiting.round = waiting.round.max(self.turn.0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.queue.lines.lock();
        let Some(waiting) = lines.get_mut(&self.line) else {
            return;
        };
        if waiting.turns.remove(&self.turn).is_some() {
            self.queue.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        if waiting.turns.is_empty() {
            lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> Line {
        ("key".into(), "model".into())
    }

    const ONE: Need = Need {
        requests: 1,
        bytes: 0,
        answer: 0,
    };

    /// Serves whoever has nobody before it.
    fn serve(places: &mut Vec<(usize, Place)>) -> usize {
        let first = places
            .iter()
            .position(|(_, place)| place.ahead() == Need::default());
        let (account, place) = places.remove(first.expect("somebody is the first"));
        place.go();
        account
    }

    #[test]
    fn accounts_take_turns_whoever_has_more_requests() {
        let queue = Arc::new(Queue::default());
        let join = |account: usize| {
            (
                account,
                queue.join(line(), &account.to_string().into(), ONE),
            )
        };
        let mut places: Vec<_> = [0, 0, 0, 0, 1, 1, 2].map(join).into();
        assert_eq!(queue.ahead(line, "0").requests, 7);
        assert_eq!(queue.ahead(line, "2").requests, 5);
        assert_eq!(
            queue.ahead(line, "3").requests,
            3,
            "a first one is of the first round"
        );
        let served: Vec<usize> = (0..4).map(|_| serve(&mut places)).collect();
        assert_eq!(served, [0, 1, 2, 0]);
        places.push(join(2));
        places.retain(|(account, _)| *account != 1);
        let served: Vec<usize> = (0..3).map(|_| serve(&mut places)).collect();
        assert_eq!(served, [2, 0, 0]);
        assert!(queue.lines.lock().is_empty() && queue.ahead(line, "0") == Need::default());
    }

    proptest! {
        /// While accounts wait, none is served twice more than another that has waited all the while.
        #[test]
        fn none_is_passed_over(joins in prop::collection::vec(0_usize..4, 8..60)) {
            let queue = Arc::new(Queue::default());
            let join = |account: usize| (account, queue.join(line(), &account.to_string().into(), ONE));
            let mut places: Vec<_> = joins.iter().map(|account| join(*account)).collect();
            let mut served = [0_usize; 4];
            while !places.is_empty() {
                served[serve(&mut places)] += 1;
                let waits = |account: usize| places.iter().any(|(owner, _)| *owner == account);
                for (one, count) in served.iter().enumerate() {
                    let more = served.iter().max().unwrap_or(&0);
                    prop_assert!(!waits(one) || *more <= count + 1, "{served:?}");
                }
            }
            prop_assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
        }
    }
}
