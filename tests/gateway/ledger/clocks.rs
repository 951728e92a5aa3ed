//! Clocks that jump, with the real binary: whatever a clock says for a while, nothing is lost by it for good.
//!
//! Needs libfaketime; without it, these tests say so and pass.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::faketime::Clock;
use crate::common::gateway::Builder;
use crate::common::process::Process;
use crate::common::requests::from;
use crate::common::{PATIENCE, eventually};

/// Of clocks that are ahead for a moment.
const AHEAD: [&str; 4] = ["+2h", "+1d", "+400d", "+3650d"];

/// A grant that ends within the shortest of these jumps, events that are kept for less, and a key with limits.
fn settings(fake: &Fake) -> Builder {
    let limits =
        json!({"limits": {"requests_per_minute": 100_000, "budget": {"usd": 1000, "per": "day"}}});
    Gateway::builder()
        .fake("f", fake)
        .config(money(1_000_000_000))
        .config(json!({
            "ledger": {"retention": "1h"},
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1, "expires_after": "1h"}]}],
            "access_keys": [
                {"id": "test", "sha256": crate::common::gateway::sha256(crate::common::TOKEN)},
                crate::common::gateway::access_key("limited", &limits),
            ],
        }))
}

fn limited() -> Request {
    from("limited", Request::chat(&["m"], false))
}

/// Asks for this long; all must be served, at most after the short wait that a fleet asks for when it moves units from
/// one gateway to another. How many there were.
async fn served(gateways: &[&Gateway], time: Duration) -> i64 {
    let end = tollgate_base::clock::now() + time;
    let mut count = 0;
    while count == 0 || tollgate_base::clock::now() < end {
        for gateway in gateways {
            let patience = tollgate_base::clock::now() + Duration::from_secs(10);
            let mut answer = ask(gateway, &limited()).await;
            while answer.status() == 429 && tollgate_base::clock::now() < patience {
                tokio::time::sleep(Duration::from_millis(100)).await;
                answer = ask(gateway, &limited()).await;
            }
            assert_eq!(answer.status(), 200, "{}", answer.text());
            count += 1;
        }
        // Other tests need the machine, too.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    count
}

/// What must be so whatever the clock has done: all is reported, nothing has expired, nobody's allotment is gone, every
/// event is there, and the windows of limits are of now.
async fn unharmed(gateway: &Gateway, requests: i64) {
    let books = books(gateway, NanoUsd(requests * COST.0)).await;
    assert_eq!(books.expired, NanoUsd::ZERO, "{books:#?}");
    let bank = bank(gateway);
    let batches = bank
        .events("default", 0, u64::MAX, usize::MAX)
        .await
        .unwrap();
    let events: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
    assert_eq!(events, requests.cast_unsigned(), "events are forgotten");
    let now = tollgate_base::clock::wall_ms();
    assert!(
        batches.iter().all(|batch| batch.to_ms < now + 60_000),
        "events of days to come"
    );
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let days = bank
        .rollups("default", Day(0), Day(u32::MAX))
        .await
        .unwrap();
    let today = now / 86_400_000;
    assert!(
        days.iter()
            .all(|row| u64::from(row.day.0).abs_diff(today) <= 1),
        "{days:?}"
    );
}

fn jumps(gateway: &Gateway) -> u64 {
    let metrics = gateway.admin_get("/metrics");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tollgate_clock_jumps_total "));
    line.and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

/// Four hundred days for two seconds expired all grants for good, and time stood still for four hundred days.
#[tokio::test]
async fn a_machine_whose_clock_jumps_and_comes_back_loses_nothing() {
    let Some(clock) = Clock::new() else { return };
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = settings(&fake).clock(&clock).start().await;
    let mut requests = served(&[&gateway], Duration::ZERO).await;
    for (number, ahead) in (1..).zip(AHEAD.into_iter().chain(["-400d"])) {
        clock.set(ahead);
        requests += served(&[&gateway], Duration::from_secs(1)).await;
        assert!(
            eventually(PATIENCE, || jumps(&gateway) == number).await,
            "{ahead}"
        );
        // Commands go by the same clock.
        for command in [["ledger", "verify"], ["credits", "balance"]] {
            let shown = gateway.command(&command);
            assert!(shown.status.success(), "{shown:?}");
        }
        clock.set("+0");
        requests += served(&[&gateway], Duration::from_millis(300)).await;
        unharmed(&gateway, requests).await;
    }
    let said = gateway.output();
    let errors = said.matches("the machine's clock jumped").count();
    assert_eq!(errors, AHEAD.len() + 1, "each once: {said}");
}

/// Nobody has seen the jump: the process began with it.
#[tokio::test]
async fn a_start_at_a_wrong_time_loses_nothing() {
    let Some(clock) = Clock::new() else { return };
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = settings(&fake).clock(&clock).start().await;
    let mut requests = served(&[&gateway], Duration::ZERO).await;
    for ahead in AHEAD {
        gateway.stop().await;
        clock.set(ahead);
        gateway.restart().await;
        let answer = ask(&gateway, &limited()).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (403, "ERR_TOLLGATE_4026"),
            "what has ended by the clock is not lent: {}",
            answer.text()
        );
        let shown = gateway.command(&["ledger", "verify"]);
        assert!(shown.status.success(), "{shown:?}");
        clock.set("+0");
        // At once, without another start.
        requests += served(&[&gateway], Duration::from_millis(300)).await;
        unharmed(&gateway, requests).await;
    }
    let said = gateway.output();
    assert!(
        said.contains("nobody has watched the clock since"),
        "{said}"
    );
}

/// The fleet's clock is the server's: a failover to a machine with a wrong one expired what all gateways lived on.
#[tokio::test]
async fn a_redis_or_a_gateway_whose_clock_jumps_takes_nothing_from_the_fleet() {
    let (Some(servers), Some(own)) = (Clock::new(), Clock::new()) else {
        return;
    };
    let redis = Process::start_in(&[], &servers.env());
    let fake = Fake::good(Wire::H1, "hello").await;
    let on = json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}});
    let mut one = settings(&fake).config(on.clone()).clock(&own).start().await;
    let two = settings(&fake).config(on).start().await;
    let mut requests = served(&[&one, &two], Duration::ZERO).await;
    for ahead in AHEAD.into_iter().chain(["-400d"]) {
        for clock in [&servers, &own] {
            clock.set(ahead);
            requests += served(&[&one, &two], Duration::from_secs(1)).await;
            clock.set("+0");
            requests += served(&[&one, &two], Duration::from_millis(200)).await;
            unharmed(&two, requests).await;
        }
    }
    // Both are wrong, and the gateway was not there when they jumped.
    one.stop().await;
    servers.set("+400d");
    own.set("+400d");
    one.restart().await;
    ask(&one, &limited()).await;
    requests += served(&[&two], Duration::from_secs(1)).await;
    let said = || {
        two.output()
            .contains("the clock of the ledger's Redis says")
    };
    assert!(eventually(PATIENCE, said).await, "{}", two.output());
    servers.set("+0");
    own.set("+0");
    requests += served(&[&one, &two], Duration::from_millis(200)).await;
    unharmed(&two, requests).await;
}
