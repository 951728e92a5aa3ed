//! Ports that tests which run beside each other do not take from each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use tollgate_base::random::bits64;

/// How many ports a test that runs beside others has for itself.
const PORTS: u16 = 400;

/// A loopback port that no other test takes before it is listened on: below those that the system gives to outgoing
/// connections, and of this test's own where nextest tells tests apart.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok();
    let slot: u16 = slot.and_then(|slot| slot.parse().ok()).unwrap_or(0);
    let first = 10_000 + slot % 25 * PORTS;
    // Not the ones that the test before it had, whose connections may not have gone yet.
    let next =
        NEXT.get_or_init(|| AtomicU16::new((bits64() % u64::from(PORTS)).try_into().unwrap_or(0)));
    for _ in 0..PORTS {
        let port = first + next.fetch_add(1, Ordering::Relaxed) % PORTS;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {first} on");
}
