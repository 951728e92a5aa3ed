//! Random histories of three replicas, their journals and the bank, against a plain model: what was settled, and
//! what was in flight when its replica died. Messages are lost, answers are lost, old messages come again,
//! replicas die (while they recover, too), clocks jump.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// Histories in CI. Few and long: what a step costs is little beside what three replicas do that start and end.
const SEQUENCES: u32 = 3_000;

/// Their longest.
const STEPS: usize = 200;

const REPLICAS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Grant {
        id: u8,
        amount: i64,
        days: Option<u8>,
    },
    Admit {
        replica: usize,
        estimate: i64,
    },
    Settle {
        replica: usize,
        which: usize,
        cost: i64,
    },
    /// A message goes out, and this happens to it.
    Exchange {
        replica: usize,
        fate: Fate,
    },
    /// A message that was sent before arrives again.
    Echo {
        which: usize,
    },
    /// The replica dies; its next life dies while it recovers, after this many messages.
    Crash {
        replica: usize,
        told: Option<usize>,
    },
    /// Time passes, for everybody.
    Wait {
        ms: u64,
    },
    /// A replica's wall clock jumps; its monotonic one does not.
    Jump {
        ms: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    AnswerLost,
}

fn step() -> impl Strategy<Value = Step> {
    let replica = 0..REPLICAS;
    let fate = prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        1 => Just(Fate::AnswerLost),
    ];
    prop_oneof![
        1 => (any::<u8>(), 1..2_000i64, prop::option::of(0..3u8))
            .prop_map(|(id, amount, days)| Step::Grant { id, amount, days }),
        6 => (replica.clone(), 0..200i64).prop_map(|(replica, estimate)| Step::Admit { replica, estimate }),
        6 => (replica.clone(), 0..4usize, 0..300i64)
            .prop_map(|(replica, which, cost)| Step::Settle { replica, which, cost }),
        6 => (replica.clone(), fate).prop_map(|(replica, fate)| Step::Exchange { replica, fate }),
        1 => (0..20usize).prop_map(|which| Step::Echo { which }),
        1 => (replica, prop::option::of(0..3usize)).prop_map(|(replica, told)| Step::Crash { replica, told }),
        1 => (0..100_000u64).prop_map(|ms| Step::Wait { ms }),
        1 => (0..200_000_000u64).prop_map(|ms| Step::Jump { ms }),
    ]
}

struct Replica {
    dir: tempfile::TempDir,
    /// None while it is dead.
    till: Option<Arc<Till>>,
    holds: Vec<Hold>,
    skew: u64,
}

struct World {
    bank: Account,
    replicas: Vec<Replica>,
    request: Request,
    clock: Clock,
    sent: VecDeque<Exchange>,
    /// What must be charged in the end.
    owed: NanoUsd,
}

impl World {
    fn new() -> World {
        let replica = || {
            let dir = scratch();
            let till = till(open(dir.path()).0, ENFORCED);
            Replica {
                dir,
                till: Some(till),
                holds: Vec::new(),
                skew: 0,
            }
        };
        World {
            bank: Account::default(),
            replicas: (0..REPLICAS).map(|_| replica()).collect(),
            request: Request::new(Vec::new()),
            clock: Clock::new(),
            sent: VecDeque::new(),
            owed: NanoUsd::ZERO,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Grant { id, amount, days } => {
                let grant = NewGrant {
                    id: id.to_string(),
                    amount: NanoUsd(amount),
                    expires_after: days.map(|days| Duration::from_secs(u64::from(days) * 30)),
                    note: String::new(),
                };
                self.bank.grant(&grant, self.clock.ms);
                self.check();
            }
            Step::Admit { replica, estimate } => self.admit(replica, estimate),
            Step::Settle {
                replica,
                which,
                cost,
            } => {
                let replica = &mut self.replicas[replica];
                if which < replica.holds.len() {
                    replica.holds.swap_remove(which).settle(&[charge(cost)]);
                    self.owed += NanoUsd(cost);
                }
            }
            Step::Exchange { replica, fate } => self.exchange(replica, Occasion::Flush, fate),
            Step::Echo { which } => {
                if let Some(message) = self.sent.get(which) {
                    let mut waited = self.bank.clone();
                    waited.tick(self.clock.ms);
                    self.bank.exchange(message, self.clock.ms);
                    assert_eq!(self.bank, waited, "an old message changes nothing");
                }
            }
            Step::Crash { replica, told } => self.crash(replica, told),
            Step::Wait { ms } => self.clock.ms += ms,
            Step::Jump { ms } => self.replicas[0].skew = ms,
        }
    }

    fn admit(&mut self, index: usize, estimate: i64) {
        let request = Request::new(Vec::new());
        let ask = request.ask(estimate);
        let till = self.till(index).clone();
        let cache = till.cache(&request.account);
        if cache.is_away() {
            return;
        }
        let mut admitted = till.admit_now(&ask, self.skewed(index));
        if admitted.is_err() {
            let waiting = cache.wait(&ask, ENFORCED, 0);
            self.exchange(index, Occasion::Urgent, Fate::Arrives);
            drop(waiting);
            admitted = till.admit_now(&ask, self.skewed(index));
        }
        if let Ok(hold) = admitted {
            self.replicas[index].holds.push(hold);
        }
    }

    fn till(&self, index: usize) -> &Arc<Till> {
        self.replicas[index].till.as_ref().unwrap()
    }

    fn skewed(&self, index: usize) -> Clock {
        let mut clock = self.clock;
        clock.skew = self.replicas[index].skew;
        clock
    }

    fn exchange(&mut self, index: usize, occasion: Occasion, fate: Fate) {
        let till = self.till(index).clone();
        let Some(message) = till.outgoing(occasion, self.clock) else {
            return;
        };
        let lost = || StoreError::Away("lost".to_owned());
        let answer = match fate {
            Fate::Arrives => Ok(self.bank.exchange(&message, self.clock.ms)),
            Fate::Lost => Err(lost()),
            Fate::AnswerLost => {
                self.bank.exchange(&message, self.clock.ms);
                Err(lost())
            }
        };
        let arrived = answer.is_ok();
        till.acknowledge(answer, self.clock.now());
        self.check();
        if arrived {
            // Until then it is not old: its sender may still repeat it, with effect.
            self.sent.push_front(message);
            self.sent.truncate(20);
            self.check_allotment(index);
        }
    }

    /// After an answer both sides agree on the allotment, to the nano-dollar.
    fn check_allotment(&self, index: usize) {
        let till = self.till(index);
        let figures = till.cache(&self.request.account).figures();
        let lent = self.bank.holders.get(&till.holder()).map(|b| b.allotment);
        assert_eq!(
            lent,
            Some(figures.held + figures.unspent + figures.untold),
            "an allotment is held + unspent + untold"
        );
    }

    fn crash(&mut self, index: usize, told: Option<usize>) {
        let replica = &mut self.replicas[index];
        for hold in replica.holds.drain(..) {
            self.owed += hold.estimate();
            hold.forget();
        }
        let path = replica.dir.path().to_owned();
        // Closes its journal.
        replica.till = None;
        if let Some(told) = told {
            let (_journal, lives) = open(&path);
            for life in &lives {
                let messages = replay(life, RHYTHM.lease).unwrap();
                for message in messages.into_iter().flatten().take(told) {
                    self.bank.exchange(&message, self.clock.ms);
                }
            }
        }
        let (journal, _) = recover(&path, &mut self.bank, self.clock);
        self.replicas[index].till = Some(till(journal, ENFORCED));
        self.check();
    }

    /// Whenever the bank has done something.
    fn check(&self) {
        let books = self.bank.books(self.bank.spent, self.clock.ms);
        assert_eq!(books.faults(), Vec::<String>::new());
        assert!(self.bank.spent <= self.owed, "nothing is charged twice");
    }

    /// Everything is settled and reported: then what is charged is what is owed.
    fn end(&mut self) {
        for index in 0..REPLICAS {
            for hold in std::mem::take(&mut self.replicas[index].holds) {
                self.owed += NanoUsd(1);
                hold.settle(&[charge(1)]);
            }
            for _ in 0..3 {
                self.exchange(index, Occasion::Flush, Fate::Arrives);
            }
            self.exchange(index, Occasion::Close, Fate::Arrives);
        }
        self.check();
        assert_eq!(self.bank.spent, self.owed, "everything is charged, once");
        let lent: NanoUsd = self.bank.holders.values().map(|b| b.allotment).sum();
        assert_eq!(lent, NanoUsd::ZERO, "every allotment is back");
    }
}

#[test]
fn the_books_balance_in_every_history() {
    let config = ProptestConfig {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    let histories = prop::collection::vec(step(), 0..STEPS);
    TestRunner::new(config)
        .run(&histories, |history| {
            let mut world = World::new();
            for step in &history {
                world.apply(step);
            }
            world.end();
            Ok(())
        })
        .unwrap();
}
