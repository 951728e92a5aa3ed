//! How long answers are expected to be, learned from those before. Pure but for its lock.
//!
//! A hold of the most that a request may answer would starve an account: agents ask for 32,000 tokens and get 500.
//! So [`Estimates`] learns, for each access key and model of a provider, how the lengths of answers are distributed, and expects
//! the 95th percentile.
//!
//! What an answer may cost beyond that is borrowed out of its account's overdraft (see [`crate::till`]), so that
//! nobody can teach short answers and then ask for long ones.
//!
//! Invariant: at most [`MOST`] pairs are remembered. They are known by a keyed 64-bit hash alone; should two share
//! one (in about one of 10¹² gateways that remember as many as they can), they share an estimate, and no money is wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use foldhash::quality::RandomState;
use parking_lot::Mutex;

/// How many pairs of access key and model are remembered; the least recently used are forgotten.
pub const MOST: usize = 4096;

/// What is expected before enough answers were seen, in tokens, unless the request asks for less.
pub const UNLEARNED: u64 = 1024;

/// How many answers are enough.
const ENOUGH: u32 = 20;

/// Which part of answers is no longer than expected, in percent.
const PERCENT: u32 = 95;

/// What one answer weighs, so that the halves of its weight are felt for a while.
const WEIGHT: u16 = 64;

/// As much as 128 answers weigh; then all are halved. So a change for longer answers shows after half a dozen of
/// them, and one for shorter after some hundreds.
const FULL: u32 = 128 * 64;

/// In how long (s) half of what is expected beyond `UNLEARNED` is forgotten while nothing is learned: who was refused
/// for what earlier answers were teaches nothing else.
const HALVES: u64 = 5 * 60;

const SHARDS: usize = 16;

/// Eight buckets for each doubling: every one is at most an eighth of its values wide.
const BUCKETS: usize = 152;

/// Whose answers are alike: those of one model of one provider to one access key.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Answers<'a> {
    /// Who owns the key.
    pub account: &'a str,
    /// The access key's id.
    pub access_key: &'a str,
    /// The provider's id: another one's short answers teach nothing about this one's.
    pub provider: &'a str,
    /// The model, as the provider knows it.
    pub model: &'a str,
}

/// Lengths of answers by whose they are; shared by all requests.
#[derive(Debug)]
pub struct Estimates {
    seed: RandomState,
    /// A short lock each; requests of different keys rarely meet.
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    pairs: HashMap<u64, Lengths, BuildHasherDefault<Hashed>>,
    /// Counts uses.
    clock: u64,
}

/// How long the answers of one pair were.
#[derive(Debug)]
struct Lengths {
    /// When it was last used, by its shard's clock.
    used: u64,
    /// How many answers it knows of, up to [`ENOUGH`].
    seen: u32,
    /// The sum of `buckets`; below [`FULL`].
    total: u32,
    /// The percentile, as of the last answer.
    expected: u64,
    /// When that was (Unix time, s).
    learned: u64,
    buckets: [u16; BUCKETS],
}

impl Default for Estimates {
    fn default() -> Self {
        Estimates {
            seed: RandomState::default(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Estimates {
    /// Returns how many tokens the answer is expected to have: the 95th percentile (rounded up by at most an eighth) of
    /// what this access key was answered by this model, or `UNLEARNED` before there were 20 answers; never more
    /// than the request allows. What is long is expected less and less while no answer comes. `at` is Unix time, s.
    pub fn expected_output(&self, answers: &Answers<'_>, asked_max: Option<u64>, at: u64) -> u64 {
        let (hash, shard) = self.find(answers);
        let mut shard = shard.lock();
        let now = shard.tick();
        let learned = shard.pairs.get_mut(&hash).and_then(|lengths| {
            lengths.used = now;
            (lengths.seen >= ENOUGH).then(|| lengths.expected_at(at))
        });
        drop(shard);
        learned
            .unwrap_or(UNLEARNED)
            .min(asked_max.unwrap_or(u64::MAX))
    }

    /// Learns that an answer had so many tokens, at a time (Unix time, s). One that was cut short by its client or its
    /// provider would teach the wrong thing.
    pub fn learn(&self, answers: &impl Hash, output: u64, at: u64) {
        let (hash, shard) = self.find(answers);
        let mut shard = shard.lock();
        let now = shard.tick();
        if shard.pairs.len() >= MOST / SHARDS && !shard.pairs.contains_key(&hash) {
            shard.forget_one();
        }
        let lengths = match shard.pairs.entry(hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Lengths::new()),
        };
        lengths.used = now;
        lengths.add(output);
        lengths.learned = at;
    }

    /// Returns the 95th percentile (rounded up by at most an eighth) of what was learned of something, whatever it counts;
    /// `None` before it was learned 20 times.
    pub fn percentile(&self, of: &impl Hash) -> Option<u64> {
        let (hash, shard) = self.find(of);
        let mut shard = shard.lock();
        let now = shard.tick();
        let known = shard.pairs.get_mut(&hash)?;
        known.used = now;
        (known.seen >= ENOUGH).then_some(known.expected)
    }

    fn find(&self, answers: &impl Hash) -> (u64, &Mutex<Shard>) {
        let hash = self.seed.hash_one(answers);
        // Not the bits that a map of hashes looks at first.
        let shard = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        (hash, &self.shards[shard])
    }
}

impl Shard {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Forgets the pair that was not used for the longest.
    fn forget_one(&mut self) {
        let oldest = self.pairs.iter().min_by_key(|(_, lengths)| lengths.used);
        if let Some((&hash, _)) = oldest {
            self.pairs.remove(&hash);
        }
    }
}

impl Lengths {
    fn new() -> Lengths {
        Lengths {
            used: 0,
            seen: 0,
            total: 0,
            expected: 0,
            learned: 0,
            buckets: [0; BUCKETS],
        }
    }

    fn expected_at(&self, at: u64) -> u64 {
        let beyond = self.expected.saturating_sub(UNLEARNED);
        let halved = u32::try_from(at.saturating_sub(self.learned) / HALVES).unwrap_or(u32::MAX);
        self.expected - beyond + beyond.checked_shr(halved).unwrap_or(0)
    }

    fn add(&mut self, output: u64) {
        self.buckets[bucket(output)] += WEIGHT;
        self.total += u32::from(WEIGHT);
        self.seen = (self.seen + 1).min(ENOUGH);
        if self.total >= FULL {
            self.total = 0;
            for weight in &mut self.buckets {
                *weight /= 2;
                self.total += u32::from(*weight);
            }
        }
        self.expected = self.percentile();
    }

    /// The longest answer of the first bucket by which so many answers are no longer.
    fn percentile(&self) -> u64 {
        let needed = (self.total * PERCENT).div_ceil(100);
        let mut so_far = 0;
        let reached = self.buckets.iter().position(|weight| {
            so_far += u32::from(*weight);
            so_far >= needed
        });
        longest(reached.unwrap_or(BUCKETS - 1))
    }
}

/// Which bucket a length belongs to: one each below 8, then eight for each doubling, up to 2 million tokens.
fn bucket(length: u64) -> usize {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let shift = length.max(8).ilog2() - 3;
    let within = length >> shift;
    let bucket = usize::try_from(shift).unwrap_or(usize::MAX) * 8 + within;
    bucket.min(BUCKETS - 1)
}

/// The longest length of a bucket.
fn longest(bucket: usize) -> u64 {
    let (shift, within) = match bucket / 8 {
        0 => (0, bucket),
        doublings => (doublings - 1, 8 + bucket % 8),
    };
    let longest = ((within + 1) << shift) - 1;
    u64::try_from(longest).unwrap_or(u64::MAX)
}

/// Takes what is a hash already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Unix time, s.
    const NOW: u64 = 1_790_000_000;

    fn of<'a>(access_key: &'a str, model: &'a str) -> Answers<'a> {
        Answers {
            account: "a",
            access_key,
            provider: "openai",
            model,
        }
    }

    fn learned(outputs: impl IntoIterator<Item = u64>) -> Estimates {
        let estimates = Estimates::default();
        for output in outputs {
            estimates.learn(&of("app", "openai/gpt-4o"), output, NOW);
        }
        estimates
    }

    fn expected(estimates: &Estimates, asked: Option<u64>) -> u64 {
        estimates.expected_output(&of("app", "openai/gpt-4o"), asked, NOW)
    }

    #[test]
    fn buckets_follow_each_other_without_gaps_and_are_narrow() {
        let mut next = 0;
        for number in 0..BUCKETS {
            assert_eq!(bucket(next), number, "{next} tokens");
            let last = longest(number);
            assert_eq!(bucket(last), number, "{last} tokens");
            assert!(last - next <= next / 8, "{next} to {last}");
            next = last + 1;
        }
        assert_eq!(next, 1 << 21, "nobody answers in 2 million tokens");
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn until_enough_answers_were_seen_a_thousand_tokens_are_expected() {
        let few = learned(vec![7; 19]);
        for (asked, want) in [
            (None, 1024),
            (Some(32_000), 1024),
            (Some(5), 5),
            (Some(0), 0),
        ] {
            assert_eq!(expected(&few, asked), want, "asked for {asked:?}");
        }
        assert_eq!(few.percentile(&of("app", "openai/gpt-4o")), None);
        few.learn(&of("app", "openai/gpt-4o"), 7, NOW);
        assert_eq!(expected(&few, None), 7);
        assert_eq!(few.percentile(&of("app", "openai/gpt-4o")), Some(7));
        assert_eq!(expected(&few, Some(3)), 3, "never more than asked for");
        for (key, model) in [
            ("app", "openai/o3"),
            ("web", "openai/gpt-4o"),
            ("appo", "penai/gpt-4o"),
        ] {
            assert_eq!(
                few.expected_output(&of(key, model), None, NOW),
                1024,
                "{key} {model}"
            );
        }
    }

    #[test]
    fn one_long_answer_in_twenty_does_not_decide_and_two_do() {
        let outputs = |long: usize| learned((0..40).map(|i| if i < long { 30_000 } else { 100 }));
        assert_eq!(expected(&outputs(2), None), longest(bucket(100)));
        assert_eq!(expected(&outputs(3), None), longest(bucket(30_000)));
    }

    #[test]
    fn what_changes_is_followed() {
        let estimates = learned(vec![100; 10_000]);
        let mut answers = 0;
        while expected(&estimates, None) < 8_000 {
            estimates.learn(&of("app", "openai/gpt-4o"), 8_000, NOW);
            answers += 1;
        }
        assert!(answers <= 7, "longer ones after {answers}");
        for _ in 0..10_000 {
            estimates.learn(&of("app", "openai/gpt-4o"), 8_000, NOW);
        }
        answers = 0;
        while expected(&estimates, None) > 200 {
            estimates.learn(&of("app", "openai/gpt-4o"), 100, NOW);
            answers += 1;
        }
        assert!(answers <= 400, "shorter ones after {answers}");
    }

    /// Who was refused for two long answers was refused for ever, as nothing else was learned.
    #[test]
    fn what_is_long_is_expected_less_and_less_while_no_answer_comes() {
        let estimates = learned(vec![40_000; 20]);
        let after =
            |seconds| estimates.expected_output(&of("app", "openai/gpt-4o"), None, NOW + seconds);
        let first = after(0);
        assert!(first >= 40_000 && after(HALVES - 1) == first);
        let mut last = first;
        for halves in 1..=20 {
            let now = after(halves * HALVES);
            assert!(now <= last && now >= UNLEARNED, "{now} after {halves}");
            last = now;
        }
        assert_eq!(last, UNLEARNED, "after some hours");
        assert_eq!(after(u64::MAX / 2), UNLEARNED);
        assert_eq!(
            estimates.expected_output(&of("app", "openai/gpt-4o"), None, 0),
            first,
            "the clock may go back"
        );
        let short = learned(vec![7; 20]);
        let later = short.expected_output(&of("app", "openai/gpt-4o"), None, NOW * 2);
        assert_eq!(later, 7, "and what is short, as before");
        estimates.learn(&of("app", "openai/gpt-4o"), 40_000, NOW + 100 * HALVES);
        assert_eq!(after(100 * HALVES), first, "what is seen again counts");
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let estimates = learned(vec![7; 20]);
        for i in 0..MOST * 3 {
            estimates.learn(&of("app", &format!("model-{i}")), 9, NOW);
            assert_eq!(expected(&estimates, None), 7, "after {i} others");
        }
        let kept: usize = estimates
            .shards
            .iter()
            .map(|shard| shard.lock().pairs.len())
            .sum();
        assert!(kept <= MOST, "{kept} pairs");
        assert!(kept > MOST / 2, "{kept} pairs");
    }

    #[test]
    fn many_may_learn_at_once() {
        let estimates = Estimates::default();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let estimates = &estimates;
                scope.spawn(move || {
                    for output in 0..2_000 {
                        estimates.learn(&of("app", "m"), output % 10, NOW);
                        estimates.expected_output(&of("app", "m"), Some(thread), NOW);
                    }
                });
            }
        });
        assert_eq!(estimates.expected_output(&of("app", "m"), None, NOW), 9);
    }

    proptest! {
        /// Below 128 answers nothing is forgotten, so the percentile is that of all of them.
        #[test]
        fn the_percentile_is_within_a_bucket_of_the_true_one(mut outputs in proptest::collection::vec(0u64..200_000, 20..128)) {
            let estimate = expected(&learned(outputs.iter().copied()), None);
            outputs.sort_unstable();
            let rank = (outputs.len() * 95).div_ceil(100);
            let truth = outputs[rank - 1];
            prop_assert!((truth..=truth + truth / 8).contains(&estimate), "{estimate} for {truth}");
        }

        #[test]
        fn any_length_can_be_learned(outputs in proptest::collection::vec(any::<u64>(), 0..600), asked: Option<u64>) {
            let estimates = learned(outputs.iter().copied());
            let expected = expected(&estimates, asked);
            prop_assert!(expected <= asked.unwrap_or(u64::MAX));
            let longest_seen = outputs.iter().max().copied().unwrap_or_default();
            prop_assert!(expected <= UNLEARNED.max(longest(bucket(longest_seen))));
        }
    }
}
