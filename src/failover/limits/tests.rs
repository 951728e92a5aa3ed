//! Headers of each kind, and of none.

use super::*;
use proptest::prelude::*;

/// 2026-11-23T05:00:00Z.
fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_410_000)
}

fn read(headers: &[(&str, &str)]) -> [Option<Limit>; UNITS] {
    let find = |name: &str| {
        let mut found = headers.iter().filter(|(known, _)| *known == name);
        found.next().map(|&(_, value)| value)
    };
    Limits::read(find, wall()).0
}

fn limit(most: u64, left: u64, reset: Duration, refill: Refill) -> Option<Limit> {
    Some(Limit {
        most: Some(most),
        left,
        reset: Some(reset),
        refill,
    })
}

#[test]
fn each_providers_headers_say_what_is_left() {
    let (s, ms) = (Duration::from_secs, Duration::from_millis);
    let steadily = Refill::Steadily;
    let openai = read(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ]);
    assert_eq!(openai[0], limit(60, 59, s(1), steadily));
    assert_eq!(openai[1], limit(150_000, 149_984, s(360), steadily));
    assert_eq!(openai[2..], [None, None]);

    let anthropic = read(&[
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-11-23T05:00:01Z"),
        ("anthropic-ratelimit-input-tokens-limit", "400000"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        (
            "anthropic-ratelimit-input-tokens-reset",
            "2026-11-23T05:01:00Z",
        ),
        ("anthropic-ratelimit-output-tokens-limit", "80000"),
        ("anthropic-ratelimit-output-tokens-remaining", "80000"),
        (
            "anthropic-ratelimit-output-tokens-reset",
            "2026-11-23T04:59:59Z",
        ),
        ("anthropic-ratelimit-tokens-remaining", "0"),
    ]);
    assert_eq!(anthropic[0], limit(4000, 3999, s(1), steadily));
    assert_eq!(anthropic[1], None, "it repeats the one of prompts");
    assert_eq!(anthropic[2], limit(400_000, 0, s(60), steadily));
    assert_eq!(anthropic[3], limit(80_000, 80_000, s(0), steadily));

    let window = read(&[
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "3"),
        ("x-ratelimit-reset", "1795410012500"),
    ]);
    assert_eq!(window[0], limit(20, 3, ms(12_500), Refill::AtOnce));
    let azure = read(&[("x-ratelimit-remaining-tokens", "12")]);
    assert_eq!(
        azure[1].map(|limit| (limit.most, limit.left, limit.reset)),
        Some((None, 12, None))
    );
    let samba_nova = read(&[
        ("x-ratelimit-limit-requests", "30"),
        ("x-ratelimit-remaining-requests", "29"),
        ("x-ratelimit-reset-requests", "1795410060"),
        ("x-ratelimit-limit-requests-day", "5000"),
        ("x-ratelimit-remaining-requests-day", "7"),
        ("x-ratelimit-reset-requests-day", "1795413600"),
    ]);
    assert_eq!(
        samba_nova[0],
        limit(5000, 7, s(3600), steadily),
        "the day's are scarcer"
    );
    let project = read(&[
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("x-ratelimit-limit-project-tokens", "60000"),
        ("x-ratelimit-remaining-project-tokens", "57000"),
        ("x-ratelimit-reset-project-tokens", "3s"),
    ]);
    assert_eq!(project[1], limit(60_000, 57_000, s(3), steadily));
    let mistral = read(&[
        ("x-ratelimit-limit-req-minute", "60"),
        ("x-ratelimit-remaining-req-minute", "59"),
        ("x-ratelimit-limit-tokens-minute", "50000"),
        ("x-ratelimit-remaining-tokens-minute", "47196"),
    ]);
    assert_eq!(
        mistral[..2]
            .iter()
            .flatten()
            .map(|one| one.left)
            .collect::<Vec<_>>(),
        [59, 47_196]
    );
    let fireworks = read(&[
        ("x-ratelimit-limit-tokens-prompt", "60000"),
        ("x-ratelimit-remaining-tokens-prompt", "59000"),
        ("x-ratelimit-limit-tokens-generated", "6000"),
        ("x-ratelimit-remaining-tokens-generated", "5900"),
    ]);
    assert_eq!(
        fireworks[2..]
            .iter()
            .flatten()
            .map(|one| one.left)
            .collect::<Vec<_>>(),
        [59_000, 5_900]
    );
    let together = read(&[
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "57"),
        ("x-tokenlimit-limit", "100000"),
        ("x-tokenlimit-remaining", "98500"),
        ("x-tokenlimit-reset", "1"),
    ]);
    assert_eq!(together[1], limit(100_000, 98_500, s(1), Refill::AtOnce));
    let unlimited = [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-limit-requests", "0"),
    ];
    assert_eq!(read(&unlimited)[0], None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_never_panics_and_stays_in_range(
        values in prop::collection::vec("\\PC{0,24}|[0-9]{1,30}|[0-9a-zTZ:.+µ-]{0,30}", 3 * BUCKETS.len()),
    ) {
        let names = BUCKETS.iter().flat_map(|bucket| [bucket.left, bucket.most, bucket.reset]);
        let headers: Vec<(&str, &str)> = names.zip(values.iter().map(String::as_str)).collect();
        for limit in read(&headers).into_iter().flatten() {
            prop_assert!(limit.left <= MOST && limit.most.is_none_or(|most| (1..=MOST).contains(&most)));
            prop_assert!(limit.reset.is_none_or(|reset| reset <= LATEST));
        }
    }
}

proptest! {
    #[test]
    fn what_one_replica_tells_another_hears(
        limits in prop::array::uniform4(prop::option::of((prop::option::of(1_u64..MOST), 0_u64..MOST, prop::option::of(0_u64..86_400_000), any::<bool>()))),
        noise in "\\PC{0,40}",
    ) {
        let limit = |(most, left, reset, steadily): (Option<u64>, u64, Option<u64>, bool)| Limit {
            most,
            left,
            reset: reset.map(Duration::from_millis),
            refill: if steadily { Refill::Steadily } else { Refill::AtOnce },
        };
        let limits = Limits(limits.map(|one| one.map(limit)));
        prop_assert_eq!(Limits::heard(&limits.told()), limits);
        Limits::heard(&noise);
    }
}

#[test]
fn whatever_is_read_is_looked_for() {
    for bucket in &BUCKETS {
        for name in [bucket.left, bucket.most, bucket.reset] {
            assert!(Limits::may_have(name), "{name}");
        }
    }
    assert!(!Limits::may_have("content-type"));
}
