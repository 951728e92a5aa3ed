//! Attempts that are begun beside the open one.

use std::time::Instant;

use super::{Machine, State};

impl Machine {
    /// Returns the candidate that would follow if the open attempt failed now: the one to begin beside it. `None` without an
    /// open attempt, when none is left, and when the total deadline has passed.
    pub fn following(&self, now: Instant) -> Option<usize> {
        let is_open = matches!(self.state, State::Attempting(_)) && now < self.deadline;
        let next = self.queue.get(self.cursor).filter(|_| is_open);
        next.map(|slot| slot.candidate)
    }

    /// Opens the attempt of a candidate that was begun beside the one before, so in time, whatever the time is. False
    /// if it is not to be attempted any more: an answer has committed, or a failure spoke against it, too.
    pub fn adopt(&mut self, candidate: usize) -> bool {
        let left = &mut self.queue[self.cursor..];
        let place = left.iter().position(|slot| slot.candidate == candidate);
        let (State::Waiting, Some(at)) = (self.state, place) else {
            return false;
        };
        left[..=at].rotate_right(1);
        self.state = State::Attempting(self.queue[self.cursor]);
        self.cursor += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::Step;
    use super::*;
    use crate::classify::Outcome;
    use crate::testing::candidate;

    const TOTAL: Duration = Duration::from_secs(60);

    fn status(status: u16) -> Outcome {
        Outcome::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn the_one_beside_goes_on_alone() {
        let plan = [candidate(0, "a"), candidate(0, "b"), candidate(1, "c")];
        let now = tollgate_base::clock::now();
        for why in [Outcome::Cancelled, Outcome::Reset, status(500)] {
            let mut machine = Machine::new(&plan, now, TOTAL);
            assert_eq!(machine.following(now), None, "nothing is open");
            assert_eq!(machine.next(now), Some(0));
            assert_eq!(machine.following(now), Some(1));
            assert!(!machine.adopt(1), "one attempt at a time");
            assert_eq!(machine.failed(why, now), Step::Next);
            assert!(machine.adopt(1));
            assert_eq!(machine.current(), Some(1));
            assert_eq!(machine.following(now), Some(2));
            assert_eq!(machine.failed(Outcome::Reset, now), Step::Next);
            assert_eq!(machine.next(now), Some(2), "each once");
        }
    }

    #[test]
    fn a_failure_that_speaks_against_it_ends_it() {
        let plan = [candidate(0, "a"), candidate(0, "b"), candidate(1, "c")];
        let now = tollgate_base::clock::now();
        let mut machine = Machine::new(&plan, now, TOTAL);
        assert_eq!(machine.next(now), Some(0));
        assert_eq!(machine.following(now), Some(1));
        assert_eq!(machine.failed(status(400), now), Step::Next);
        assert!(!machine.adopt(1), "its model was skipped");
        assert_eq!(machine.next(now), Some(2));
        machine.commit();
        assert_eq!(machine.following(now), None);
        assert!(!machine.adopt(1), "after commit, never another attempt");
    }

    #[test]
    fn what_was_begun_in_time_may_be_late() {
        let plan = [candidate(0, "a"), candidate(1, "b")];
        let now = tollgate_base::clock::now();
        let mut machine = Machine::new(&plan, now, TOTAL);
        assert_eq!(machine.next(now), Some(0));
        let late = now + TOTAL;
        assert_eq!(machine.following(late), None, "nothing new is begun");
        assert_eq!(machine.failed(Outcome::Cancelled, late), Step::Next);
        assert!(machine.adopt(1));
    }

    /// What a gateway does with its machine.
    #[derive(Clone, Debug)]
    enum Act {
        /// Begins another one beside the open attempt, if there is none.
        Begin,
        /// The open attempt fails; the one beside it goes on, if it may, or is dropped.
        Fail(Outcome),
        /// The one beside has content: the open one gives way to it.
        Overtake,
        /// The open one has content.
        Commit,
    }

    fn act() -> impl Strategy<Value = Act> {
        let outcomes = vec![
            status(429),
            status(500),
            status(404),
            Outcome::Silent,
            Outcome::Reset,
        ];
        prop_oneof![
            5 => Just(Act::Begin),
            4 => prop::sample::select(outcomes).prop_map(Act::Fail),
            3 => Just(Act::Overtake),
            1 => Just(Act::Commit),
        ]
    }

    proptest! {
        /// At most one commit, after it nothing; no candidate is sent the request twice, from ahead or in its turn; and of
        /// two that are under way one is the machine's, which alone can commit.
        #[test]
        fn attempts_beside_each_other_keep_the_law(
            pairs in prop::collection::vec((0usize..3, 0usize..4), 1..8),
            acts in prop::collection::vec(act(), 1..60),
        ) {
            let plan: Vec<_> = pairs.iter().map(|&(model, key)| candidate(model, &key.to_string())).collect();
            let now = tollgate_base::clock::now();
            let mut machine = Machine::new(&plan, now, TOTAL);
            let (mut sent, mut beside, mut commits) = (Vec::new(), None, 0);
            for act in acts {
                if machine.current().is_none() {
                    let adopted = beside.take().filter(|at| machine.adopt(*at));
                    if adopted.is_none() {
                        match machine.next(now) {
                            Some(at) => sent.push(at),
                            None => break,
                        }
                    }
                }
                match act {
                    Act::Begin if beside.is_none() => {
                        beside = machine.following(now);
                        sent.extend(beside);
                    }
                    Act::Begin => {}
                    Act::Fail(outcome) => drop(machine.failed(outcome, now)),
                    Act::Overtake if beside.is_some() => {
                        prop_assert_eq!(machine.failed(Outcome::Cancelled, now), Step::Next);
                        prop_assert!(beside.is_some_and(|at| machine.adopt(at)), "nothing spoke against it");
                        beside = None;
                    }
                    Act::Overtake => {}
                    Act::Commit => {
                        machine.commit();
                        commits += 1;
                        prop_assert!(machine.committed());
                    }
                }
                for (at, one) in sent.iter().enumerate() {
                    prop_assert!(
                        sent[..at].iter().all(|other| pairs[*other] != pairs[*one]),
                        "never the same (model, key) twice: {:?}", sent
                    );
                }
            }
            prop_assert!(commits <= 1, "at most one commit");
            if machine.committed() {
                prop_assert_eq!((machine.next(now), machine.following(now)), (None, None));
                prop_assert!((0..plan.len()).all(|at| !machine.adopt(at)), "after commit, never another attempt");
            }
        }
    }
}
