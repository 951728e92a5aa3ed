use super::*;
use proptest::prelude::*;

fn account(name: &str) -> Arc<str> {
    name.into()
}

/// A breaker that failures of one account, or of two in turn, have opened.
fn tripped(accounts: &[&str], now: Instant) -> Breaker {
    let mut breaker = Breaker::default();
    for failure in 0..THRESHOLD as usize {
        breaker.on_failure(&account(accounts[failure % accounts.len()]), now, 1);
    }
    assert_eq!(breaker.state(now), BreakerState::Open);
    breaker
}

#[test]
fn opens_at_the_threshold_and_no_sooner() {
    let now = tollgate_base::clock::now();
    let (a, mut breaker) = (account("a"), Breaker::default());
    for failure in 1..THRESHOLD {
        breaker.on_failure(&a, now, 1);
        let state = breaker.state(now);
        assert_eq!(state, BreakerState::Closed, "after {failure} failures");
    }
    breaker = Breaker::default();
    for _ in 1..THRESHOLD {
        breaker.on_failure(&a, now, 1);
    }
    let state = breaker.state(now);
    assert_eq!(
        state,
        BreakerState::Closed,
        "a success between makes them not consecutive"
    );
    assert_eq!(breaker.on_failure(&a, now, 1), Some(Shut::Account));
    assert_eq!(breaker.state(now), BreakerState::Open);
    let open = breaker.until("a", now).unwrap() - now;
    assert!(open >= FIRST && open <= FIRST * 5 / 4, "{open:?}");
}

/// Five resets in a row that one account's requests provoked put a provider to the end of everybody's plan.
#[test]
fn one_accounts_failures_keep_no_other_account_out() {
    let mut now = tollgate_base::clock::now();
    let (a, b) = (account("a"), account("b"));
    let mut breaker = tripped(&["a"], now);
    for _ in 0..50 {
        assert!(!breaker.begin("a", now));
        assert_eq!(breaker.until("b", now), None);
        assert!(breaker.begin("b", now));
        now = breaker.until("a", now).unwrap();
        assert!(breaker.begin("a", now), "its probe");
        assert_eq!(breaker.on_failure(&a, now, 1), None, "it is shut already");
    }
    assert_eq!(breaker.on_failure(&b, now, 1), Some(Shut::All));
    assert!(!breaker.begin("a", now) && !breaker.begin("b", now) && !breaker.begin("c", now));
    let open = breaker.until("c", now).unwrap() - now;
    assert!(
        open <= FIRST * 5 / 4,
        "how long one account was kept out counts for it alone, but is {open:?}"
    );
}

#[test]
fn failures_of_several_accounts_open_it_for_all() {
    let now = tollgate_base::clock::now();
    for accounts in [
        &["a", "b"][..],
        &["a", "a", "a", "a", "b"],
        &["a", "b", "c"],
    ] {
        let breaker = tripped(accounts, now);
        assert!(breaker.until("z", now).is_some(), "{accounts:?}");
    }
}

/// The probe of somebody whose requests always fail left the provider shut for all.
#[test]
fn a_failed_probe_is_one_accounts_word() {
    let now = tollgate_base::clock::now();
    let (a, b) = (account("a"), account("b"));
    let mut breaker = tripped(&["a", "b"], now);
    let later = breaker.until("a", now).unwrap();
    assert!(breaker.begin("a", later));
    assert!(!breaker.begin("b", later), "one probe at a time");
    breaker.on_failure(&a, later, 1);
    assert!(!breaker.begin("a", later), "it has had its turn");
    assert!(breaker.begin("b", later), "the next probe is another's");
    assert!(!breaker.begin("c", later), "and no more than one");
    breaker.on_failure(&b, later, 1);
    let open = breaker.until("c", later).unwrap() - later;
    assert!(open >= FIRST * 2, "two accounts have failed: {open:?}");
}

#[test]
fn half_open_lets_one_probe_through() {
    let now = tollgate_base::clock::now();
    for accounts in [&["a"][..], &["a", "b"]] {
        let mut breaker = tripped(accounts, now);
        let later = breaker.until("a", now).unwrap();
        assert!(!breaker.begin("a", now), "open");
        assert_eq!(
            (breaker.state(later), breaker.until("a", later)),
            (BreakerState::HalfOpen, None)
        );
        assert!(breaker.begin("a", later), "the first is the probe");
        assert!(!breaker.begin("a", later), "the second is not");
        assert_eq!(
            breaker.until("a", later),
            Some(later + LEASE),
            "to others it looks open"
        );
        assert!(
            breaker.begin("a", later + LEASE),
            "a probe that never ends does not lock the provider out"
        );
    }
}

#[test]
fn a_failed_probe_doubles_the_time_and_a_good_one_closes() {
    for accounts in [&["a"][..], &["a", "b"]] {
        let mut now = tollgate_base::clock::now();
        let mut breaker = tripped(accounts, now);
        for expected in [5, 10, 20, 40, 48, 48] {
            let expected = Duration::from_secs(expected);
            let open = breaker.until("a", now).unwrap() - now;
            assert!(
                open >= expected && open <= expected * 5 / 4,
                "{open:?} is not {expected:?}"
            );
            now += open;
            for who in accounts {
                assert!(breaker.begin(who, now), "{who}");
                breaker.on_failure(&account(who), now, 1);
            }
        }
        now = breaker.until("a", now).unwrap();
        assert!(breaker.begin("a", now));
        let again = tripped(accounts, now).until("a", now).unwrap() - now;
        assert!(
            again <= FIRST * 5 / 4,
            "the next trip starts over, but is {again:?}"
        );
    }
}

#[test]
fn a_probe_whose_client_hangs_up_makes_room_for_the_next() {
    let now = tollgate_base::clock::now();
    for accounts in [&["a"][..], &["a", "b"]] {
        let mut breaker = tripped(accounts, now);
        let later = breaker.until("a", now).unwrap();
        assert!(breaker.begin("a", later));
        breaker.on_neither("a", later);
        assert!(breaker.begin("a", later), "the next request probes");
    }
}

#[test]
fn stragglers_do_not_keep_it_open() {
    let now = tollgate_base::clock::now();
    for accounts in [&["a"][..], &["a", "b"]] {
        let mut breaker = tripped(accounts, now);
        let until = breaker.until("a", now);
        for _ in 0..50 {
            breaker.on_failure(&account("a"), now, 1);
        }
        assert_eq!(breaker.until("a", now), until);
    }
}

#[test]
fn providers_do_not_share_a_breaker() {
    let now = tollgate_base::clock::now();
    let (breakers, a) = (Breakers::new(3), account("a"));
    let (bad, good): (Arc<str>, Arc<str>) = ("bad".into(), "good".into());
    for _ in 0..THRESHOLD {
        breakers.on_failure(&bad, &a, now);
    }
    breakers.on_failure(&good, &a, now);
    assert!(breakers.until(&bad, "a", now).is_some() && !breakers.begin(&bad, "a", now));
    assert!(breakers.until(&good, "a", now).is_none() && breakers.begin(&good, "a", now));
    assert_eq!(breakers.state(&bad, now), BreakerState::Open);
    assert_eq!(breakers.state(&good, now), BreakerState::Closed);
    assert!(breakers.on_success(&bad), "whoever asked");
    assert!(!breakers.on_success(&good));
    assert!(breakers.all_closed(), "a look is one atomic load again");
}

proptest! {
    /// Between two failures at most one probe is admitted per lease, whatever happens otherwise; and never anyone while
    /// it is open. One account is as it was before there were several.
    #[test]
    fn at_most_one_probe_per_lease(events in proptest::collection::vec((0u8..8, 0u64..8_000), 1..200)) {
        let (mut now, a) = (tollgate_base::clock::now(), account("a"));
        let mut breaker = Breaker::default();
        let mut probe: Option<Instant> = None;
        for (event, later) in events {
            now += Duration::from_millis(later);
            match event {
                0 => { breaker = Breaker::default(); probe = None; }
                1 => { breaker.on_neither("a", now); probe = None; }
                2..=5 => { breaker.on_failure(&a, now, 5); probe = None; }
                _ => {
                    let before = breaker.state(now);
                    let admitted = breaker.begin("a", now);
                    match before {
                        BreakerState::Closed => prop_assert!(admitted),
                        BreakerState::Open => prop_assert!(!admitted),
                        BreakerState::HalfOpen => {
                            let busy = probe.is_some_and(|since| now < since + LEASE);
                            prop_assert_eq!(admitted, !busy);
                            if admitted { probe = Some(now); }
                        }
                    }
                }
            }
        }
    }

    /// Whatever one account's requests meet, in whatever order, nobody else is kept out.
    #[test]
    fn nobody_is_kept_out_by_one_other(events in proptest::collection::vec((0u8..4, 0u64..20_000), 1..200)) {
        let (mut now, a) = (tollgate_base::clock::now(), account("a"));
        let mut breaker = Breaker::default();
        for (event, later) in events {
            now += Duration::from_millis(later);
            match event {
                0 => breaker.on_neither("a", now),
                1 => drop(breaker.begin("a", now)),
                _ => drop(breaker.on_failure(&a, now, 5)),
            }
            prop_assert_eq!(breaker.until("b", now), None);
        }
    }
}
