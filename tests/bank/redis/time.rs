//! Random histories in which time passes: leases end, grants expire, holders are forgotten, as in the reference.
//!
//! A server's clock cannot be set, so what is stored is moved into the past instead. Everything lasts a multiple of
//! 100 s, and the waits between are not: what takes the test a moment more decides nothing.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::account::Account;
use tollgate_ledger::bank::{Bank, Exchange, Mark, Measure, Meter, MeterExchange, Reply};
use tollgate_store::Moment;
use tollgate_store::redis::Topology;

use super::topologies::{address, open, settings};
use crate::contract::{Teller, new_grant, spending, tell, timeless};
use crate::process::Process;

const HISTORIES: u32 = 250;
/// A wait that is longer than the reference remembers holders.
const AGES: u64 = 401 * 24 * 60 * 60;

/// Moves an account's times ARGV[1] seconds into the past.
const AGE: &str = r"
local seconds = tonumber(ARGV[1])
for _, key in ipairs({ KEYS[1], KEYS[6] }) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field:match('recall_until$') then redis.call('HINCRBY', key, field, -seconds * 1000) end
  end
end
local grants = redis.call('HGETALL', KEYS[2])
for i = 1, #grants, 2 do
  local timed = grants[i]:match(':expires$') or grants[i]:match(':created$')
  if timed and grants[i + 1] ~= '' then redis.call('HINCRBY', KEYS[2], grants[i], -seconds) end
end
for key, unit in pairs({ [KEYS[3]] = 1, [KEYS[4]] = 1000, [KEYS[5]] = 1000 }) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if redis.call('ZSCORE', key, member) ~= 'inf' then
      redis.call('ZINCRBY', key, string.format('%.0f', -seconds * unit), member)
    end
  end
end";

#[derive(Clone, Debug)]
enum Happening {
    Grant(u8, i64, Option<u64>),
    Wait(u64),
    Exchange {
        replica: u64,
        repeat: bool,
        figures: [i64; 4],
        lease: u64,
        close: bool,
        used: Option<[i64; 3]>,
    },
}

/// `longest`: of waits and grants, in hundreds of seconds.
fn happening(longest: u64) -> impl Strategy<Value = Happening> {
    let wait = prop_oneof![12 => (0..longest).prop_map(|n| n * 100), 1 => Just(AGES)];
    // Many are longer than grants last, so that these end while they are lent.
    let lease = prop_oneof![1 => Just(0), 3 => (1..5u64).prop_map(|n| n * 100), 6 => Just(9_000)];
    prop_oneof![
        2 => (0..12u8, 1..500i64, prop::option::of((0..longest + 2).prop_map(|n| n * 100)))
            .prop_map(|(id, amount, after)| Happening::Grant(id, amount, after)),
        2 => wait.prop_map(|seconds| Happening::Wait(seconds + 7)),
        7 => (
            0..3u64,
            prop::bool::weighted(0.15),
            [0..100i64, 0..200, 0..300, 0..400],
            lease,
            prop::bool::weighted(0.1),
            prop::option::of([0..5i64, 0..5, 0..15]),
        )
            .prop_map(|(replica, repeat, figures, lease, close, used)| Happening::Exchange {
                replica, repeat, figures, lease, close, used,
            }),
    ]
}

fn meter([used, returned, need]: [i64; 3]) -> MeterExchange {
    MeterExchange {
        meter: Meter {
            subject: "key:app".into(),
            measure: Measure::ConcurrentRequests,
        },
        window: 0,
        limit: 20,
        used,
        returned,
        need,
        want: need + 3,
    }
}

async fn play(
    (server, bank, prefix): (&Process, &dyn Bank, &str),
    account: &str,
    history: &[Happening],
    behind: u64,
) -> Result<(), TestCaseError> {
    let at = |told: u64| Moment {
        told,
        sure: told - behind,
    };
    let began = clock::now();
    let start = u64::try_from(clock::unix().as_millis()).unwrap();
    let mut now = start;
    let mut reference = Account::default();
    let mut rolled_up = NanoUsd::ZERO;
    let mut waits = 0;
    for happening in history {
        match happening {
            Happening::Grant(id, amount, after) => {
                let new = new_grant(&format!("g{id}"), *amount, *after);
                let expected = reference.grant(&new, at(now));
                prop_assert_eq!(bank.grant(account, &new).await, Ok(expected));
            }
            // More of them might add up to a multiple of 100 s.
            Happening::Wait(seconds) if waits < 12 => {
                waits += 1;
                now += seconds * 1000;
                let keys = ["state", "grants", "open", "leases", "ended", "meters"];
                let keys = keys.map(|name| format!("{prefix}:1:{{{account}}}:{name}"));
                let mut words = vec!["EVAL", AGE, "6"];
                words.extend(keys.iter().map(String::as_str));
                let seconds = seconds.to_string();
                words.push(&seconds);
                server.ask::<()>(&words);
            }
            Happening::Wait(_) => {}
            Happening::Exchange {
                replica,
                repeat,
                figures,
                lease,
                close,
                used,
            } => {
                let mut teller = Teller::new(account, *replica);
                let holder = reference.holders.get(&teller.holder);
                teller.number = holder.map_or(0, |holder| holder.last);
                if *repeat {
                    teller.number = teller.number.saturating_sub(1);
                }
                teller.lease = Duration::from_secs(*lease);
                let [spent, returned, need, more] = *figures;
                let next = teller.next();
                let message = Exchange {
                    mark: Mark::first(next.number),
                    returned: NanoUsd(returned),
                    need: NanoUsd(need),
                    want: NanoUsd(need + more),
                    close: *close,
                    meters: used.map(meter).into_iter().collect(),
                    ..spending(next, spent)
                };
                let before = reference.spent;
                let expected = reference.exchange(&message, at(now));
                if reference.spent != before {
                    rolled_up += message.spent;
                }
                let reply = tell(bank, &message).await;
                if clock::now() > began + Duration::from_millis(1_500) {
                    return Ok(());
                }
                prop_assert_eq!(reply, Reply { now: 0, ..expected }, "{:?}", message);
            }
        }
    }
    reference.tick(at(now));
    let books = bank.books(account).await.unwrap();
    prop_assert_eq!(books.faults(), Vec::<String>::new());
    let expected = reference.books(rolled_up, at(now));
    prop_assert_eq!(timeless(books), timeless(expected));
    Ok(())
}

#[tokio::test]
async fn passes_as_in_the_reference() {
    histories(4, 0).await;
}

/// This process has come to a time that nobody has watched.
#[tokio::test]
async fn is_doubted_as_in_the_reference() {
    // What the process has seen is so for all of its tests.
    if std::env::var_os("NEXTEST").is_none() {
        eprintln!("SKIPPED: needs a process of its own, as `cargo nextest` gives it");
        return;
    }
    const BEHIND: u64 = 2 * 60 * 60 * 1000;
    clock::recall(clock::wall_ms() - BEHIND);
    histories(60, BEHIND).await;
}

async fn histories(longest: u64, behind: u64) {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let bank = open(&settings);
    let mut runner = TestRunner::new(Config::default());
    let strategy = prop::collection::vec(happening(longest), 0..80);
    for number in 0..HISTORIES {
        let history = strategy.new_tree(&mut runner).unwrap().current();
        let place = (&server, &*bank, &*settings.prefix);
        if let Err(error) = play(place, &format!("h{number}"), &history, behind).await {
            panic!("{error}\nin history {number}: {history:#?}");
        }
    }
}
