//! Random histories of gateways that are copied, and of a bank that is restored, against a plain model: what was served.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// Histories in CI, of each kind.
const SEQUENCES: u32 = 1_500;

/// Gateways at most.
const MOST: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A request begins.
    Admit { which: usize },
    /// The oldest that is under way ends, or one without a hold is charged.
    Settle { which: usize, cost: i64 },
    /// A message goes out; it or its answer may be lost.
    Exchange {
        which: usize,
        arrives: bool,
        answered: bool,
    },
    /// A gateway dies and is started again.
    Crash { which: usize },
    /// Another gateway is started on a copy of a gateway's directory.
    Copy { which: usize },
    /// The bank's data is saved.
    Save,
    /// The bank has what was saved.
    Restore,
}

fn step(copies: bool) -> impl Strategy<Value = Step> {
    let which = 0..MOST;
    let special = if copies {
        let copy = which.clone().prop_map(|which| Step::Copy { which });
        copy.boxed()
    } else {
        prop_oneof![Just(Step::Save), Just(Step::Restore)].boxed()
    };
    prop_oneof![
        3 => which.clone().prop_map(|which| Step::Admit { which }),
        4 => (which.clone(), 1..300i64).prop_map(|(which, cost)| Step::Settle { which, cost }),
        6 => (which.clone(), prop::bool::weighted(0.9), prop::bool::weighted(0.9))
            .prop_map(|(which, arrives, answered)| Step::Exchange { which, arrives, answered }),
        1 => which.prop_map(|which| Step::Crash { which }),
        1 => special,
    ]
}

struct Gateway {
    dir: tempfile::TempDir,
    till: Arc<Till>,
    holds: Vec<Hold>,
}

impl Gateway {
    fn start(dir: tempfile::TempDir, bank: &mut Account, clock: Clock) -> (Gateway, NanoUsd) {
        // As when the bank may yet forget what was reported: nothing is deleted.
        let (journal, lives, lost) = recover_and_keep(dir.path(), bank, clock);
        drop(lives);
        let gateway = Gateway {
            till: till(journal, ENFORCED),
            holds: Vec::new(),
            dir,
        };
        (gateway, lost)
    }
}

struct World {
    gateways: Vec<Gateway>,
    bank: Account,
    saved: Account,
    clock: Clock,
    owed: NanoUsd,
    /// What was on record at two gateways when one was copied, and may be charged twice.
    shared: NanoUsd,
    lost: NanoUsd,
}

impl World {
    fn new(gateways: usize) -> World {
        let clock = Clock::new();
        let mut bank = Account::default();
        credit(&mut bank, "g", 1_000_000, clock);
        let start = |bank: &mut Account| Gateway::start(scratch(), bank, clock).0;
        World {
            gateways: (0..gateways).map(|_| start(&mut bank)).collect(),
            saved: bank.clone(),
            bank,
            clock,
            owed: NanoUsd::ZERO,
            shared: NanoUsd::ZERO,
            lost: NanoUsd::ZERO,
        }
    }

    fn apply(&mut self, step: &Step) {
        let count = self.gateways.len();
        match *step {
            Step::Admit { which } => {
                let gateway = &mut self.gateways[which % count];
                let hold = gateway
                    .till
                    .admit_now(&Request::new(Vec::new()).ask(10), self.clock);
                gateway.holds.extend(hold);
            }
            Step::Settle { which, cost } => {
                let gateway = &mut self.gateways[which % count];
                self.owed += NanoUsd(cost);
                match gateway.holds.pop() {
                    Some(hold) => {
                        hold.settle(&[charge(cost)]);
                    }
                    None => gateway.till.charge(&charge(cost)),
                }
            }
            Step::Exchange {
                which,
                arrives,
                answered,
            } => {
                let till = &self.gateways[which % count].till;
                let Some(message) = till.outgoing(Occasion::Flush, self.clock) else {
                    return;
                };
                let reply = arrives.then(|| self.bank.exchange(&message, self.clock.ms));
                let reply = reply.filter(|_| answered);
                let answer = reply.ok_or_else(|| StoreError::Away("lost".to_owned()));
                till.acknowledge(answer, self.clock.now());
            }
            Step::Crash { which } => {
                let gateway = self.gateways.swap_remove(which % count);
                self.restart(gateway);
            }
            Step::Copy { which } if count < MOST => {
                let gateway = &self.gateways[which % count];
                self.shared += gateway.till.cache("a").figures().untold;
                self.shared += NanoUsd(10 * gateway.holds.len() as i64);
                // To the copy, these were under way when it died.
                self.owed += NanoUsd::ZERO;
                let dir = copied(gateway.dir.path());
                let (copy, lost) = Gateway::start(dir, &mut self.bank, self.clock);
                self.lost += lost;
                self.gateways.push(copy);
            }
            Step::Copy { .. } => {}
            Step::Save => self.saved = self.bank.clone(),
            Step::Restore => {
                self.bank = self.saved.clone();
                self.clock.connection += 1;
            }
        }
        balanced(&self.bank, self.clock);
    }

    fn restart(&mut self, mut gateway: Gateway) {
        for hold in gateway.holds.drain(..) {
            self.owed += hold.estimate();
            hold.forget();
        }
        self.lost += gateway.till.lost();
        let Gateway { dir, till, .. } = gateway;
        drop(till);
        let (gateway, lost) = Gateway::start(dir, &mut self.bank, self.clock);
        self.lost += lost;
        self.gateways.push(gateway);
    }

    /// Everything is settled and reported, by lives that have ended, too.
    fn end(&mut self) {
        for gateway in std::mem::take(&mut self.gateways) {
            self.restart(gateway);
        }
        for gateway in &self.gateways {
            gateway.till.flush(&mut self.bank, self.clock);
            self.lost += gateway.till.lost();
        }
        balanced(&self.bank, self.clock);
    }
}

fn histories(copies: bool, gateways: usize, check: impl Fn(&World)) {
    let config = ProptestConfig {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    let histories = prop::collection::vec(step(copies), 0..50);
    TestRunner::new(config)
        .run(&histories, |history| {
            let mut world = World::new(gateways);
            for step in &history {
                world.apply(step);
            }
            world.end();
            check(&world);
            Ok(())
        })
        .unwrap();
}

#[test]
fn whatever_the_bank_forgets_is_charged_once() {
    histories(false, 2, |world| {
        assert_eq!(world.lost, NanoUsd::ZERO, "every journal is whole");
        assert_eq!(world.bank.spent, world.owed, "everything is charged, once");
    });
}

#[test]
fn whatever_is_copied_is_charged_and_twice_no_more_than_what_was_shared() {
    histories(true, 1, |world| {
        let (spent, owed) = (world.bank.spent, world.owed);
        assert!(spent >= owed, "{spent} of {owed}: everything is charged");
        let most = owed + world.shared;
        assert!(
            spent <= most,
            "{spent} of {owed}: twice at most {}",
            world.shared
        );
    });
}
