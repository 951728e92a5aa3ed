//! What is in Redis: how many commands it takes, of which version it is, what happens when there is no room.

use std::collections::HashMap;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Exchange, Measure, Meter, MeterExchange, Per};
use tollgate_store::StoreError;
use tollgate_store::redis::Topology;

use super::topologies::{address, open, settings};
use crate::contract::{Teller, new_grant, tell};
use crate::process::Process;

/// How often each command was called.
pub fn calls(server: &Process) -> HashMap<String, u64> {
    let info: String = server.ask(&["INFO", "commandstats"]);
    let line = |line: &str| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
    };
    info.lines().filter_map(line).collect()
}

#[tokio::test]
async fn an_exchange_is_one_command_for_each_account() {
    const ACCOUNTS: u64 = 5;
    const ROUNDS: u64 = 20;
    let server = Process::start(&[]);
    let bank = open(&settings(Topology::Single(address(&server.url()))));
    let mut tellers: Vec<Teller> = (0..ACCOUNTS)
        .map(|n| Teller::new(&format!("a{n}"), 1))
        .collect();
    let mut round = async |bank: &dyn Bank| {
        let messages: Vec<_> = tellers.iter_mut().map(|teller| teller.spend(1)).collect();
        bank.exchange(&messages)
            .await
            .into_iter()
            .for_each(|answer| drop(answer.unwrap()));
    };
    round(&*bank).await;
    let before = calls(&server);
    for _ in 0..ROUNDS {
        round(&*bank).await;
    }
    let after = calls(&server);
    let more = |name: &str| {
        after.get(name).copied().unwrap_or_default() - before.get(name).copied().unwrap_or_default()
    };
    assert_eq!(more("evalsha"), ACCOUNTS * ROUNDS);
    for name in [
        "eval",
        "script|load",
        "sadd",
        "get",
        "ping",
        "auth",
        "hello",
        "select",
    ] {
        assert_eq!(more(name), 0, "{name}");
    }
    println!(
        "{} calls of evalsha for {ROUNDS} exchanges about {ACCOUNTS} accounts",
        more("evalsha")
    );
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let server = Process::start(&[]);
    let bank = open(&settings(Topology::Single(address(&server.url()))));
    let mut teller = Teller::new("a", 1);
    for number in 1..=3 {
        assert_eq!(tell(&*bank, &teller.spend(1)).await.last, number);
        server.ask::<()>(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(bank.books("a").await.unwrap().spent, NanoUsd(3));
}

#[tokio::test]
async fn books_of_a_newer_version_are_left_alone() {
    let server = Process::start(&[]);
    let one = settings(Topology::Single(address(&server.url())));
    let mut teller = Teller::new("a", 1);
    let message = teller.spend(1);
    tell(&*open(&one), &message).await;
    let state = format!("{}:1:{{a}}:state", one.prefix);
    server.ask::<()>(&["HSET", &state, "schema", "2"]);
    let corrupt = |error: &StoreError| {
        let StoreError::Corrupt(message) = error else {
            panic!("{error:?}");
        };
        assert!(message.contains("newer version"), "{message}");
    };
    let bank = open(&one);
    corrupt(
        &bank
            .exchange(&[teller.spend(1)])
            .await
            .remove(0)
            .unwrap_err(),
    );
    corrupt(&bank.grant("a", &new_grant("g", 1, None)).await.unwrap_err());
    corrupt(&bank.books("a").await.unwrap_err());
    assert_eq!(server.ask::<String>(&["HGET", &state, "spent"]), "1");
    assert_eq!(
        tell(&*bank, &Teller::new("b", 1).next()).await.last,
        1,
        "another account"
    );

    server.ask::<()>(&["SET", &format!("{{{}}}:schema", one.prefix), "2"]);
    let bank = open(&one);
    corrupt(
        &bank
            .exchange(&[Teller::new("c", 1).next()])
            .await
            .remove(0)
            .unwrap_err(),
    );
    corrupt(&bank.accounts().await.unwrap_err());
}

#[tokio::test]
async fn without_room_a_message_is_refused_as_a_whole() {
    let server = Process::start(&[]);
    let bank = open(&settings(Topology::Single(address(&server.url()))));
    bank.grant("a", &new_grant("g", 100, None)).await.unwrap();
    let mut teller = Teller::new("a", 1);
    tell(&*bank, &teller.spend(1)).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let message = teller.spend(10);
    let Err(StoreError::Away(error)) = bank
        .exchange(std::slice::from_ref(&message))
        .await
        .remove(0)
    else {
        panic!("there is no room");
    };
    assert!(error.contains("maxmemory"), "{error}");
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let books = bank.books("a").await.unwrap();
    assert_eq!((books.spent, books.faults()), (NanoUsd(1), vec![]));
    assert_eq!(tell(&*bank, &message).await.last, 2);
}

#[tokio::test]
async fn a_replica_is_not_written_to() {
    let primary = Process::start(&[]);
    let port = primary.port.to_string();
    let replica = Process::start(&["--replicaof", "127.0.0.1", &port]);
    let bank = open(&settings(Topology::Single(address(&replica.url()))));
    let Err(StoreError::Away(error)) = bank.grant("a", &new_grant("g", 1, None)).await else {
        panic!("a replica takes no grants");
    };
    assert!(error.contains("replica"), "{error}");
}

#[tokio::test]
async fn what_somebody_else_changed_is_found() {
    let server = Process::start(&[]);
    let one = settings(Topology::Single(address(&server.url())));
    let bank = open(&one);
    bank.grant("a", &new_grant("g", 100, None)).await.unwrap();
    tell(&*bank, &Teller::new("a", 1).spend(5)).await;
    let key = |name: &str| format!("{}:1:{{a}}:{name}", one.prefix);
    for (name, field, fault) in [
        ("state", "rolled_up", "spent = sum of daily totals"),
        ("costs", "1", "spent = sum of daily totals"),
        (
            "state",
            "free",
            "granted = spent + expired + free + allotments",
        ),
        ("grants", "0000000001:remaining", "free + allotments"),
    ] {
        server.ask::<()>(&["HINCRBY", &key(name), field, "1"]);
        let faults = bank.books("a").await.unwrap().faults();
        assert!(
            faults.iter().any(|found| found.contains(fault)),
            "{name} {field}: {faults:?}"
        );
        server.ask::<()>(&["HINCRBY", &key(name), field, "-1"]);
    }
    server.ask::<()>(&["HSET", &key("state"), "free", "many"]);
    assert!(matches!(bank.books("a").await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn nonsense_is_refused_and_leaves_nothing() {
    let server = Process::start(&[]);
    let bank = open(&settings(Topology::Single(address(&server.url()))));
    let mut teller = Teller::new("a", 1);
    let next = teller.next();
    let meter = MeterExchange {
        meter: Meter {
            subject: "key:app".into(),
            measure: Measure::budget(Per::Total),
        },
        window: 0,
        limit: 10,
        used: -1,
        returned: 0,
        need: 0,
        want: 0,
    };
    let bad = [
        Exchange {
            spent: NanoUsd(-1),
            ..next.clone()
        },
        Exchange {
            returned: NanoUsd(-1),
            ..next.clone()
        },
        Exchange {
            number: 1 << 60,
            ..next.clone()
        },
        Exchange {
            meters: vec![meter],
            ..next.clone()
        },
    ];
    for message in bad {
        let answer = bank
            .exchange(std::slice::from_ref(&message))
            .await
            .remove(0);
        assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
    }
    assert!(bank.accounts().await.unwrap().is_empty());
}

#[tokio::test]
async fn totals_end_before_they_overflow() {
    let server = Process::start(&[]);
    let bank = open(&settings(Topology::Single(address(&server.url()))));
    let mut refused = None;
    for number in 0..2_000 {
        let grant = new_grant(&number.to_string(), NanoUsd::MOST.0, None);
        if let Err(error) = bank.grant("a", &grant).await {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(refused, Some(StoreError::Refused(_))),
        "{refused:?}"
    );
    let mut teller = Teller::new("a", 1);
    let all = tell(&*bank, &teller.borrow(NanoUsd::TOTAL.0)).await;
    assert_eq!(all.allotments, all.allotment);
    assert_eq!(all.free, NanoUsd::ZERO);
    let books = bank.books("a").await.unwrap();
    assert_eq!((books.lent(), books.faults()), (books.granted, vec![]));
}
