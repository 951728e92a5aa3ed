//! The estimate against a provider that really counts, and as laws.

use proptest::prelude::*;

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::{ARRIVES, UNLEARNED};
use super::*;
use crate::limits::{Limit, Refill};
use tollgate_base::clock;

const SECOND: Duration = Duration::from_secs(1);

/// One of a thousand that come back within a minute.
const EACH: Duration = Duration::from_millis(60);

/// A request whose prompt has so many tokens before any was counted.
fn need(prompt: u64, answer: u64) -> Need {
    Need {
        requests: 1,
        bytes: prompt * 1024 / UNLEARNED,
        answer,
    }
}

fn says(unit: Unit, most: u64, left: u64, reset: Duration, refill: Refill) -> Limits {
    let mut limits = Limits::default();
    limits.0[unit as usize] = Some(Limit {
        most: Some(most),
        left,
        reset: Some(reset),
        refill,
    });
    limits
}

struct Key {
    headroom: Headroom,
    key: Arc<str>,
    model: Arc<str>,
}

impl Key {
    fn new() -> Key {
        Key {
            headroom: Headroom::default(),
            key: "key".into(),
            model: "model".into(),
        }
    }

    fn until(&self, need: Need, now: Instant) -> Option<Instant> {
        let needs = || (need, Need::default());
        self.headroom.until(&self.key, &self.model, needs, now)
    }

    fn begin(&self, need: Need, now: Instant) -> Begun {
        self.headroom.begin(&self.key, &self.model, || need, now)
    }

    fn learn(&self, begun: &Begun, limits: &Limits, now: Instant) {
        self.headroom
            .learn(&self.key, &self.model, begun, limits, now);
    }

    /// A request that begins and is answered at once.
    fn hear(&self, limits: &Limits, now: Instant) {
        let begun = self.begin(Need::default(), now);
        self.learn(&begun, limits, now);
    }

    fn left(&self, unit: Unit, now: Instant) -> u64 {
        let all = self.headroom.list(now);
        let found = all.iter().find(|left| left.unit == unit);
        found.map(|left| left.left).unwrap()
    }
}

#[test]
fn what_is_used_comes_back_evenly_or_at_once() {
    let now = clock::now();
    let key = Key::new();
    assert_eq!(key.until(need(1, 1), now), None, "nothing is known");

    let half = says(Unit::Tokens, 1000, 500, 499 * EACH, Refill::Steadily);
    key.hear(&half, now);
    assert_eq!(key.until(need(400, 100), now), None);
    let until = key.until(need(500, 100), now).unwrap();
    assert_eq!(until - now, 6 * SECOND, "100 more, at 1000 a minute");
    assert_eq!(key.left(Unit::Tokens, now + 15 * SECOND), 750);
    let all = key.until(need(100_000, 0), now).unwrap();
    assert_eq!(all - now, 30 * SECOND, "nobody has more than all of it");
    let behind = || (need(100, 0), need(1000, 0));
    let until = key.headroom.until("key", "model", behind, now).unwrap();
    assert_eq!(until - now, 36 * SECOND, "as much as 500 and 600 more");

    // Others that begin are taken off at once, and an answer to an earlier one does not bring them back.
    let first = key.begin(need(100, 0), now);
    let second = key.begin(need(200, 0), now);
    assert_eq!(key.left(Unit::Tokens, now), 200);
    let after_first = says(Unit::Tokens, 1000, 400, 599 * EACH, Refill::Steadily);
    key.learn(&first, &after_first, now);
    assert_eq!(key.left(Unit::Tokens, now), 200);
    let after_second = says(Unit::Tokens, 1000, 150, 849 * EACH, Refill::Steadily);
    key.learn(&second, &after_second, now + 2 * SECOND);
    let left = key.left(Unit::Tokens, now + 2 * SECOND);
    assert_eq!(
        left, 166,
        "a second's more: it may have been counted a second late"
    );

    // One that began just before another, and is not answered, may have been overtaken by it.
    let later = now + 3 * SECOND;
    let slow = key.begin(need(50, 0), later);
    let quick = key.begin(need(10, 0), later + EACH / 6);
    let after_quick = says(Unit::Tokens, 1000, 150, 849 * EACH, Refill::Steadily);
    key.learn(&quick, &after_quick, later + EACH);
    assert_eq!(key.left(Unit::Tokens, later + EACH), 100);
    key.learn(&slow, &after_quick, later + EACH);
    assert_eq!(key.left(Unit::Tokens, later + EACH), 100, "an older answer");

    let key = Key::new();
    let window = says(Unit::Requests, 20, 1, 10 * SECOND, Refill::AtOnce);
    key.hear(&window, now);
    key.begin(need(0, 0), now);
    let until = key.until(need(0, 0), now + 9 * SECOND).unwrap();
    assert_eq!(until - now, 10 * SECOND);
    assert_eq!(key.until(need(0, 0), until), None);
}

#[test]
fn prompts_count_as_they_did_before() {
    let now = clock::now();
    let key = Key::new();
    let limits = says(Unit::Input, 10_000, 1_000, 54 * SECOND, Refill::Steadily);
    key.hear(&limits, now);
    let request = need(2_000, 0);
    assert!(key.until(request, now).is_some());
    // Nearly all of each was kept from before, which does not count.
    for _ in 0..40 {
        let counts = (2_000, 1_900);
        key.headroom
            .count(&key.key, &key.model, request.bytes, counts);
    }
    assert_eq!(key.until(request, now), None);
}

#[test]
fn what_another_replica_says_counts_where_nothing_as_recent_is_known() {
    let now = clock::now();
    let key = Key::new();
    let limits = |left| says(Unit::Requests, 60, left, 30 * SECOND, Refill::Steadily);
    let hear = |left, at| key.headroom.heard("key", "model", at, &limits(left), at);
    hear(30, now);
    assert_eq!(key.left(Unit::Requests, now), 30);
    key.hear(&limits(20), now + SECOND);
    hear(50, now + SECOND);
    assert_eq!(
        key.left(Unit::Requests, now + SECOND),
        20,
        "its own word is as recent"
    );
    hear(10, now + 2 * SECOND);
    assert_eq!(key.left(Unit::Requests, now + 2 * SECOND), 10);
}

#[test]
fn what_is_known_has_a_bound() {
    let now = clock::now();
    let headroom = Headroom::default();
    let limits = says(Unit::Requests, 9, 9, SECOND, Refill::Steadily);
    let hear = |key: usize, model: usize| {
        let (key, model) = (key.to_string().into(), model.to_string().into());
        let at = now + Duration::from_millis(u64::try_from(headroom.list(now).len()).unwrap());
        let begun = headroom.begin("", "", Need::default, at);
        headroom.learn(&key, &model, &begun, &limits, at);
    };
    for model in 0..MODELS + 3 {
        hear(0, model);
    }
    assert_eq!(headroom.list(now).len(), MODELS);
    let mut keys = headroom.keys.lock();
    for key in 1..MOST {
        keys.insert(key.to_string().into(), vec![Entry::new("m".into(), now)]);
    }
    drop(keys);
    hear(MOST, 0);
    let keys = headroom.keys.lock();
    assert_eq!(keys.len(), MOST);
    assert!(keys.contains_key("0"), "it was used");
}

/// A provider's token bucket.
struct Bucket {
    most: u64,
    each: Duration,
    full: Instant,
}

impl Bucket {
    fn left(&self, now: Instant) -> u64 {
        let used = self.full.saturating_duration_since(now).as_nanos();
        let used = u64::try_from(used.div_ceil(self.each.as_nanos())).unwrap();
        self.most - used.min(self.most)
    }

    /// Takes so much, or refuses; then what it says.
    fn ask(&mut self, need: u64, now: Instant) -> (bool, Limits) {
        let taken = self.left(now) >= need;
        if taken {
            let cost = self.each * u32::try_from(need).unwrap();
            self.full = self.full.max(now) + cost;
        }
        let left = self.left(now);
        let reset = self.full.saturating_duration_since(now);
        (
            taken,
            says(Unit::Tokens, self.most, left, reset, Refill::Steadily),
        )
    }
}

/// A bucket that is full does not fill while what was sent is on its way: that it was taken off at once would make room that is
/// not there. On a busy machine the first requests after a pause, which connect anew, met 429s.
#[test]
fn a_full_bucket_does_not_fill_before_it_is_used() {
    let now = clock::now();
    let key = Key::new();
    let ms = Duration::from_millis;
    let full = says(Unit::Requests, 2, 2, Duration::ZERO, Refill::Steadily);
    key.hear(&says(Unit::Requests, 2, 0, ms(100), Refill::Steadily), now);
    key.hear(&full, now + SECOND);
    let now = now + 2 * SECOND;
    let (first, second) = (key.begin(need(0, 0), now), key.begin(need(0, 0), now));
    let until = |at: Instant| key.until(need(0, 0), at).map(|until| until - at);
    assert_eq!(until(now), Some(ms(100)), "if they are counted now");
    assert_eq!(until(now + ms(300)), Some(ms(100)), "or not before");
    let left = |left: u32| {
        says(
            Unit::Requests,
            2,
            u64::from(left),
            ms(100) * (1 - left),
            Refill::Steadily,
        )
    };
    key.learn(&first, &left(1), now + ms(310));
    assert_eq!(until(now + ms(310)), Some(ms(100)));
    key.learn(&second, &left(0), now + ms(320));
    assert_eq!(until(now + ms(320)), Some(ms(100)));
    assert_eq!(until(now + ms(420)), None);
    let lost = key.begin(need(0, 0), now + SECOND);
    let _second = key.begin(need(0, 0), now + SECOND);
    assert_eq!(lost.at + ARRIVES, now + 2 * SECOND);
    assert!(until(now + 2 * SECOND).is_some());
    assert_eq!(
        until(now + 2 * SECOND + ms(100)),
        None,
        "nobody waits for ever"
    );
}

proptest! {
    /// Whoever goes by the estimate is never refused by a bucket that nobody else uses, however late requests and answers
    /// come, and is let in once all have come.
    #[test]
    fn who_goes_by_the_estimate_is_not_refused(
        most in 20_u64..2_000,
        period in 1_u64..60_000,
        steps in prop::collection::vec((0_u64..400, 0_u64..900, 0_usize..6, 1_u64..30), 1..120),
    ) {
        let key = Key::new();
        let mut now = clock::now();
        let each = Duration::from_millis(period) / u32::try_from(most).unwrap();
        let mut bucket = Bucket { most, each: each.max(Duration::from_nanos(1)), full: now };
        let (_, first) = bucket.ask(0, now);
        key.hear(&first, now);
        // On their way, by when they arrive; and counted, in the order in which they were.
        let mut sent: Vec<(Instant, Begun, u64)> = Vec::new();
        let mut counted = VecDeque::new();
        for (pause, late, answered, wanted) in steps {
            let need = need(0, wanted.min(most));
            let mut until = Some(now + Duration::from_millis(pause));
            let mut tries = 0;
            while let Some(next) = until {
                prop_assert!(tries < 10_000, "nobody waits for ever");
                (now, tries) = (next, tries + 1);
                sent.sort_by_key(|(at, ..)| *at);
                let arrived = sent.iter().take_while(|(at, ..)| *at <= now).count();
                for (at, begun, needed) in sent.drain(..arrived) {
                    let (taken, limits) = bucket.ask(needed, at);
                    prop_assert!(taken, "refused with {} left", bucket.left(at));
                    counted.push_back((begun, limits));
                }
                until = key.until(need, now);
                if let Some(until) = until.filter(|_| sent.is_empty() && counted.is_empty()) {
                    prop_assert!(key.until(need, until - Duration::from_nanos(1)).is_some());
                }
            }
            let begun = key.begin(need, now);
            sent.push((now + Duration::from_millis(late), begun, need.answer));
            for (begun, limits) in counted.drain(..answered.min(counted.len())) {
                key.learn(&begun, &limits, now);
            }
        }
    }

    /// Whatever headers say, nothing panics, and who needs more waits no less.
    #[test]
    fn more_is_never_there_sooner(
        said in prop::collection::vec((0_usize..UNITS, 1_u64..1 << 40, 0_u64..1 << 40, 0_u64..86_400_000, any::<bool>()), 1..20),
        needs in (0_u64..1 << 40, 0_u64..1 << 40),
    ) {
        let key = Key::new();
        let now = clock::now();
        for (unit, most, left, reset, steadily) in said {
            let refill = if steadily { Refill::Steadily } else { Refill::AtOnce };
            let limits = says(Unit::ALL[unit], most, left, Duration::from_millis(reset), refill);
            let begun = key.begin(need(needs.0, 1), now);
            key.learn(&begun, &limits, now);
        }
        let less = needs.0.min(needs.1);
        let more = needs.0.max(needs.1);
        prop_assert!(key.until(need(0, less), now) <= key.until(need(0, more), now));
        key.headroom.list(now);
    }
}
