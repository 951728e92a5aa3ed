//! A bank that goes away for some seconds, under steady traffic at two replicas that share an account.

use super::*;
use crate::bank::{Measure, Meter, Per};

const ESTIMATE: i64 = 1_000;
const COST: i64 = 400;

/// How long there is traffic before the bank goes: to the end of a minute, less a second.
const STEADY: u64 = 39_000;

/// How long it is away, in ms.
const AWAY: u64 = 3_000;

struct Replica {
    till: Arc<Till>,
    /// When they end, and what was set aside.
    holds: Vec<(u64, Hold)>,
    _dir: tempfile::TempDir,
}

struct World {
    bank: Account,
    away: bool,
    replicas: Vec<Replica>,
    clock: Clock,
    dice: u64,
    spent: i64,
}

impl World {
    fn new(policy: Policy) -> World {
        let replica = || {
            let dir = scratch();
            Replica {
                till: till(open(dir.path()).0, policy),
                holds: Vec::new(),
                _dir: dir,
            }
        };
        let mut world = World {
            bank: Account::default(),
            away: false,
            replicas: vec![replica(), replica()],
            clock: Clock::new(),
            dice: 1,
            spent: 0,
        };
        credit(&mut world.bank, "g", 1_000_000_000, world.clock);
        world
    }

    /// A number below this one; the same in each run.
    fn dice(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % below
    }

    /// Tells the bank what there is to say, and what its answers ask for.
    fn tell(&mut self, index: usize, occasion: Occasion) {
        let till = &self.replicas[index].till;
        let mut occasion = occasion;
        while let Some(message) = till.outgoing(occasion, self.clock) {
            let answer = if self.away {
                Err(StoreError::Away("gone".to_owned()))
            } else {
                Ok(self.bank.exchange(&message, self.clock.ms))
            };
            if till.acknowledge(answer, self.clock.now()) != Next::Write {
                return;
            }
            occasion = Occasion::Urgent;
        }
    }

    /// Asks as [`Till::admit`] does; whether it is admitted.
    fn ask(&mut self, index: usize, request: &Request, worst: i64) -> bool {
        let ask = Ask {
            worst: NanoUsd(worst),
            ..request.ask(ESTIMATE)
        };
        let till = self.replicas[index].till.clone();
        let cache = till.cache(ask.account);
        let mut admitted = till.admit_now(&ask, self.clock);
        for round in 0..ROUNDS {
            if admitted.is_ok() || cache.is_away() {
                break;
            }
            let waiting = cache.wait(&ask, *till.policy.read(), round);
            self.tell(index, Occasion::Urgent);
            drop(waiting);
            admitted = till.admit_now(&ask, self.clock);
        }
        let Ok(hold) = admitted else { return false };
        let end = self.clock.ms + 200 + self.dice(1_000);
        self.replicas[index].holds.push((end, hold));
        true
    }

    fn settle(&mut self, index: usize, until: u64) {
        let holds = &mut self.replicas[index].holds;
        for (_, hold) in holds.extract_if(.., |(end, _)| *end <= until) {
            hold.settle(&[charge(COST)]);
            self.spent += COST;
        }
    }

    /// Twenty requests a second at each replica, and as many of a key that has two places, and is always at its limit.
    /// How many were asked, and served, while the bank was away.
    fn run(&mut self, request: &Request, worst: i64) -> (usize, usize) {
        let crowded = Request::new(vec![limit("crowded", Measure::ConcurrentRequests, 2)]);
        let start = self.clock.ms;
        let (mut asked, mut served) = (0, 0);
        while self.clock.ms < start + STEADY + AWAY + 2_000 {
            self.clock.ms += 10;
            let passed = self.clock.ms - start;
            self.away = (STEADY..STEADY + AWAY).contains(&passed);
            for index in 0..self.replicas.len() {
                self.settle(index, self.clock.ms);
                if self.dice(5) == 0 {
                    self.ask(index, &crowded, ESTIMATE);
                }
                if self.dice(5) == 0 {
                    let admitted = self.ask(index, request, worst);
                    assert!(admitted || self.away, "{passed} ms");
                    asked += usize::from(self.away);
                    served += usize::from(self.away && admitted);
                }
                if passed % 500 == index as u64 * 250 {
                    self.tell(index, Occasion::Flush);
                }
            }
        }
        for index in 0..self.replicas.len() {
            self.settle(index, u64::MAX);
            self.tell(index, Occasion::Flush);
            self.tell(index, Occasion::Close);
        }
        balanced(&self.bank, self.clock);
        assert_eq!(self.bank.spent, NanoUsd(self.spent), "each once");
        (asked, served)
    }
}

fn limit(subject: &str, measure: Measure, most: i64) -> Limit {
    let subject = format!("key:{subject}").into();
    Limit::new(Meter { subject, measure }, most)
}

/// A till kept eight messages' worth of what it promised, and messages that somebody waits for follow each other within
/// milliseconds: next to nothing. One key at its limit recalled all that an account had at all replicas, and so did the
/// overdraft. At the end of a minute nothing was lent of the next one.
#[test]
fn who_is_served_steadily_does_not_notice_that_the_bank_is_away() {
    let ample = vec![
        limit("app", Measure::RequestsPerMinute, 100_000),
        limit("app", Measure::TokensPerMinute, 10_000_000),
        limit("app", Measure::ConcurrentRequests, 1_000),
        limit("app", Measure::budget(Per::Day), 100_000_000),
        limit("app", Measure::budget(Per::Total), 100_000_000),
    ];
    // Of what may cost 300 times as much as is expected, three fit into the overdraft.
    let overdraft = Policy {
        overdraft: NanoUsd(1_000_000),
        ..ENFORCED
    };
    for (case, limits, policy, worst) in [
        ("credits", Vec::new(), ENFORCED, ESTIMATE),
        ("limits", ample.clone(), ENFORCED, ESTIMATE),
        ("overdraft", Vec::new(), overdraft, 300_000),
        ("overdraft and limits", ample, overdraft, 300_000),
    ] {
        let (asked, served) = World::new(policy).run(&Request::new(limits), worst);
        println!("{case}: {served} of {asked} served while the bank was away");
        assert!(asked > 80 && served == asked, "{case}: {served} of {asked}");
    }
}
