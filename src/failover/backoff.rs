//! Exponential backoff with jitter, exact for a given salt.

use std::time::Duration;

/// How long to wait after the `failures`-th failure in a row (1 is the first): `base`, doubled for each
/// further one, plus up to a quarter of itself as jitter. Never less than `base`, never more than `max`
/// (which should be at least 1.25 × `base`). The same arguments give the same wait.
pub(crate) fn backoff(failures: u32, base: Duration, max: Duration, salt: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let ceiling = max / 5 * 4;
    let wait = base.saturating_mul(1 << doublings).min(ceiling).max(base);
    let jitter = wait / 4 * part_of_1024(salt ^ u64::from(failures)) / 1024;
    wait.saturating_add(jitter).min(max)
}

/// A salt that differs by name; FNV-1a.
pub(crate) fn salt(seed: u64, name: &str) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    name.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Evenly spread over 0..=1023; the finalizer of SplitMix64.
fn part_of_1024(salt: u64) -> u32 {
    let mut x = salt.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((x ^ (x >> 31)) >> 54).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_up_to_the_ceiling() {
        let (base, max) = (Duration::from_secs(5), Duration::from_secs(60));
        for (failures, least) in [
            (0, 5),
            (1, 5),
            (2, 10),
            (3, 20),
            (4, 40),
            (5, 48),
            (40, 48),
            (u32::MAX, 48),
        ] {
            let wait = backoff(failures, base, max, 99);
            let least = Duration::from_secs(least);
            assert!(
                wait >= least && wait <= least * 5 / 4,
                "failure {failures}: {wait:?}"
            );
        }
    }

    #[test]
    fn jitter_spreads_names_and_seeds() {
        let wait = |seed, name: &str| {
            backoff(
                1,
                Duration::from_secs(1),
                Duration::from_secs(60),
                salt(seed, name),
            )
        };
        assert_eq!(
            wait(1, "a"),
            wait(1, "a"),
            "the same arguments give the same wait"
        );
        let mut waits: Vec<_> = (0..100).map(|i| wait(1, &format!("key-{i}"))).collect();
        waits.extend((0..100).map(|seed| wait(seed, "key")));
        waits.sort();
        waits.dedup();
        assert!(
            waits.len() > 150,
            "only {} different waits of 200",
            waits.len()
        );
    }

    proptest! {
        #[test]
        fn stays_between_base_and_max(failures: u32, salt: u64, base_ms in 0u64..10_000) {
            let (base, max) = (Duration::from_millis(base_ms), Duration::from_secs(60));
            let wait = backoff(failures, base, max, salt);
            prop_assert!(wait >= base && wait <= max, "{wait:?}");
        }
    }
}
