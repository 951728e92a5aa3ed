//! How often one client address may present an unknown API key.
//!
//! A token bucket an address: [`BURST`] failures at once, then one per [`PERIOD`]. While an address is over its
//! allowance its wrong keys are refused without a line in the log. A right one is served all the same: whoever shares an
//! address with others (behind a load balancer all do) must not be locked out by them, and keys cannot be guessed at
//! any rate. Invariant: the memory is bounded whatever arrives.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures that are free.
const BURST: u32 = 10;
/// How long one failure counts.
const PERIOD: Duration = Duration::from_secs(6);
/// Most addresses that are remembered.
const ADDRESSES: usize = 4_096;

/// Failed logins by client address.
#[derive(Default)]
pub(super) struct Throttle {
    /// When all of an address's failures will be forgotten.
    until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Throttle {
    /// How long this address must wait before its next wrong key; `None`: not at all.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let until = *self.until.lock().get(&client(address))?;
        // Room for one more failure must be left.
        let spent = until.saturating_duration_since(now) + PERIOD;
        spent
            .checked_sub(PERIOD * BURST)
            .filter(|wait| !wait.is_zero())
    }

    /// Remembers that an unknown key came from this address.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) {
        let mut until = self.until.lock();
        let address = client(address);
        if until.len() >= ADDRESSES && !until.contains_key(&address) {
            until.retain(|_, until| *until > now);
            // Everybody is guessing: the one who has waited longest is forgotten.
            if until.len() >= ADDRESSES
                && let Some(first) = until.iter().min_by_key(|(_, until)| **until)
            {
                let first = *first.0;
                until.remove(&first);
            }
        }
        let until = until.entry(address).or_insert(now);
        *until = (*until).max(now) + PERIOD;
    }
}

/// One client: an IPv4 address, or the /64 that one IPv6 host can choose its addresses from.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::clock;

    #[test]
    fn ten_failures_are_free_and_then_one_each_six_seconds() {
        let throttle = Throttle::default();
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let start = clock::now();
        for failure in 0..BURST {
            assert_eq!(throttle.wait(one, start), None, "failure {failure}");
            throttle.failed(one, start);
        }
        assert_eq!(throttle.wait(one, start), Some(PERIOD));
        assert_eq!(throttle.wait(other, start), None, "another address");
        let later = start + PERIOD;
        assert_eq!(throttle.wait(one, later), None, "one more after a period");
        throttle.failed(one, later);
        assert_eq!(throttle.wait(one, later), Some(PERIOD), "and only one");
        assert_eq!(throttle.wait(one, later + PERIOD * BURST), None);
    }

    #[test]
    fn addresses_of_one_host_count_together_and_memory_is_bounded() {
        let throttle = Throttle::default();
        let now = clock::now();
        for host in 0..u16::try_from(BURST).unwrap() {
            throttle.failed(
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into(),
                now,
            );
        }
        let next = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9);
        assert!(throttle.wait(next.into(), now).is_some(), "the same /64");
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(client(mapped), IpAddr::from([10, 0, 0, 1]));
        for n in 0..10_000_u32 {
            throttle.failed(std::net::Ipv4Addr::from_bits(n).into(), now);
        }
        assert_eq!(throttle.until.lock().len(), ADDRESSES);
    }
}
