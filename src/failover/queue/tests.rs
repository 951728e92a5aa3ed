//! Turns, as examples and as laws.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn line() -> Line {
    ("key".into(), "model".into())
}

const ONE: Need = Need {
    requests: 1,
    bytes: 0,
    answer: 0,
};

/// An account by its number, its weight and its priority.
type Who = (usize, u32, Priority);

const fn of(account: usize) -> Who {
    (account, 1, Priority::Interactive)
}

struct Crowd {
    queue: Arc<Queue>,
    places: Vec<(Who, Place)>,
}

impl Crowd {
    fn new(all: impl IntoIterator<Item = Who>) -> Crowd {
        let queue = Arc::default();
        let mut line = Crowd {
            queue,
            places: Vec::new(),
        };
        all.into_iter().for_each(|who| line.join(who));
        line
    }

    fn join(&mut self, who: Who) {
        let (account, weight, priority) = who;
        let account = account.to_string().into();
        let flow = Flow {
            account: &account,
            weight,
            priority,
        };
        self.places.push((who, self.queue.join(line(), flow, ONE)));
    }

    fn ahead(&self, (account, weight, priority): Who) -> u64 {
        let account = account.to_string().into();
        let flow = || Flow {
            account: &account,
            weight,
            priority,
        };
        self.queue.ahead(line, flow).requests
    }

    /// Serves whoever has nobody before it.
    fn serve(&mut self) -> Who {
        let mut places = self.places.iter();
        let first = places.position(|(_, place)| place.ahead() == Need::default());
        let (who, place) = self.places.remove(first.expect("somebody is the first"));
        place.go();
        who
    }

    fn served(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.serve().0).collect()
    }
}

#[test]
fn accounts_take_turns_whoever_has_more_requests() {
    let mut line = Crowd::new([0, 0, 0, 0, 1, 1, 2].map(of));
    assert_eq!(line.ahead(of(0)), 7);
    assert_eq!(line.ahead(of(2)), 5);
    assert_eq!(line.ahead(of(3)), 3, "a first one is of the first round");
    assert_eq!(line.served(4), [0, 1, 2, 0]);
    line.join(of(2));
    line.places.retain(|((account, ..), _)| *account != 1);
    assert_eq!(line.served(3), [0, 2, 0]);
    assert!(line.queue.lines.lock().is_empty() && line.ahead(of(0)) == 0);
}

#[test]
fn turns_go_by_weight_and_batch_waits_for_who_is_interactive() {
    let heavy = (1, 3, Priority::Interactive);
    let mut line = Crowd::new([vec![of(0); 4], vec![heavy; 8]].concat());
    assert_eq!(line.served(8), [1, 1, 1, 0, 1, 1, 1, 0]);

    let batch = (1, 1, Priority::Batch);
    let mut line = Crowd::new([vec![batch; 3], vec![of(1); 2], vec![of(0); 12]].concat());
    let served: Vec<Who> = (0..17).map(|_| line.serve()).collect();
    let first = served.iter().position(|who| *who == batch);
    assert_eq!(served[..2], [of(1), of(0)], "nobody waits for batch");
    assert_eq!(
        first,
        Some(9),
        "batch waits for eight rounds, not for all: {served:?}"
    );
}

/// An account that always has one request in the line, and joins anew as soon as that has gone, was always before another's
/// second one: only tags that go on while it is served let the other catch up.
#[test]
fn one_that_always_has_another_request_passes_nobody_over() {
    let mut line = Crowd::new([0, 0, 0, 0, 0, 1].map(of));
    let mut served = Vec::new();
    for _ in 0..9 {
        let who = line.serve();
        served.push(who.0);
        if who == of(1) {
            line.join(who);
        }
    }
    assert_eq!(served, [0, 1, 0, 1, 0, 1, 0, 1, 0]);
}

proptest! {
    /// Whatever comes and leaves meanwhile, the first request of a flow is passed over by another flow no more often than the
    /// other's rounds fit into its own, and once more.
    #[test]
    fn none_is_passed_over(
        weights in prop::array::uniform4(1_u32..=1000),
        steps in prop::collection::vec((0_usize..8, 0_usize..3, any::<prop::sample::Index>()), 8..120),
    ) {
        let who = |flow: usize| {
            let priority = if flow < 4 { Priority::Interactive } else { Priority::Batch };
            (flow % 4, weights[flow % 4], priority)
        };
        let cost = |(_, weight, priority): Who| {
            let account = Arc::default();
            Flow { account: &account, weight, priority }.cost()
        };
        let mut line = Crowd::new([]);
        // By flow: how often each other was served since it waits with the same first request.
        let mut passed: HashMap<(Who, Who), u64> = HashMap::new();
        for (flow, step, index) in steps {
            match step {
                0 if !line.places.is_empty() => {
                    let served = line.serve();
                    passed.retain(|(waits, _), _| *waits != served);
                    let waiting: HashSet<Who> = line.places.iter().map(|(who, _)| *who).collect();
                    for waits in waiting.into_iter().filter(|waits| *waits != served) {
                        *passed.entry((waits, served)).or_default() += 1;
                    }
                }
                1 if !line.places.is_empty() => {
                    let left = line.places.remove(index.index(line.places.len())).0;
                    let waits = line.places.iter().any(|(who, _)| *who == left);
                    passed.retain(|(who, _), _| *who != left || waits);
                }
                _ => line.join(who(flow)),
            }
            for ((waits, served), times) in &passed {
                prop_assert!(*times <= cost(*waits) / cost(*served) + 1, "{waits:?} by {served:?}: {times}");
            }
        }
        line.places.clear();
        prop_assert_eq!(line.queue.waiting.load(Ordering::Relaxed), 0);
        prop_assert!(line.queue.lines.lock().is_empty());
    }
}
