//! A server behind a proxy that cuts, stalls and loses answers; a server that stops and crashes.

use std::time::Duration;

use futures::future::join_all;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Exchange};
use tollgate_store::StoreError;
use tollgate_store::redis::{RedisSettings, Topology};

use super::proxy::{Mode, Proxy};
use super::topologies::{address, open, settings};
use crate::contract::{Teller, new_grant, spending, tell};
use crate::process::Process;

const TIMEOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(1_500);

fn hasty(url: String) -> RedisSettings {
    RedisSettings {
        timeout: TIMEOUT,
        ..settings(Topology::Single(address(&url)))
    }
}

/// Makes one call, which must not take longer than it may.
async fn once(bank: &dyn Bank, message: &Exchange) -> Result<u64, StoreError> {
    let began = clock::now();
    let answer = bank.exchange(std::slice::from_ref(message)).await.remove(0);
    let took = clock::now() - began;
    assert!(took < TIMEOUT + SLACK, "{took:?} for {answer:?}");
    answer.map(|reply| reply.last)
}

/// Repeats a message until it is answered, as a till does; within a few seconds.
async fn until_answered(bank: &dyn Bank, message: &Exchange) {
    let end = clock::now() + Duration::from_secs(20);
    loop {
        match once(bank, message).await {
            Ok(last) => {
                assert_eq!(last, message.number);
                return;
            }
            Err(StoreError::Away(_)) => assert!(clock::now() < end, "it does not come back"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_and_counts_once() {
    let server = Process::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let bank = open(&hasty(proxy.url()));
    let mut teller = Teller::new("a", 1);
    until_answered(&*bank, &teller.next()).await;
    let mut spent = 0;
    for round in 0..6 {
        let message = teller.spend(7 + round);
        spent += 7 + round;
        proxy.set(Mode::LoseAnswers);
        let lost = once(&*bank, &message).await;
        assert!(matches!(lost, Err(StoreError::Away(_))), "{lost:?}");
        let grant = new_grant(&format!("g{round}"), 100, None);
        assert!(
            bank.grant("a", &grant).await.is_err(),
            "its answer is lost, too"
        );
        proxy.set(Mode::Pass);
        until_answered(&*bank, &message).await;
        until_answered(&*bank, &message).await;
        let again = bank.grant("a", &grant).await;
        assert!(again.is_ok(), "{again:?}");
    }
    let books = bank.books("a").await.unwrap();
    assert_eq!((books.spent, books.granted), (NanoUsd(spent), NanoUsd(600)));
    assert_eq!(books.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn no_call_outlives_its_deadline_and_the_bank_comes_back() {
    let server = Process::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let bank = open(&hasty(proxy.url()));
    let mut teller = Teller::new("a", 1);
    until_answered(&*bank, &teller.next()).await;
    for mode in [Mode::Cut, Mode::Stall, Mode::LoseAnswers] {
        proxy.set(mode);
        let connections = proxy.accepted();
        let end = clock::now() + Duration::from_secs(3);
        let message = teller.spend(1);
        while clock::now() < end {
            let calls = (0..20).map(|_| once(&*bank, &message));
            let answers = join_all(calls).await;
            assert!(answers.iter().all(Result::is_err), "{mode:?}: {answers:?}");
            let books = bank.books("a").await;
            assert!(books.is_err(), "{mode:?}: {books:?}");
        }
        let tries = proxy.accepted() - connections;
        assert!(
            tries <= 12,
            "{mode:?}: {tries} connections in three seconds"
        );
        proxy.set(Mode::Pass);
        until_answered(&*bank, &message).await;
    }
    assert_eq!(bank.books("a").await.unwrap().spent, NanoUsd(3));
}

#[tokio::test]
async fn a_server_that_stops_and_goes_on() {
    let server = Process::start(&[]);
    let bank = open(&hasty(server.url()));
    let mut teller = Teller::new("a", 1);
    until_answered(&*bank, &teller.next()).await;
    server.signal("STOP");
    let message = teller.spend(5);
    for _ in 0..4 {
        let Err(StoreError::Away(error)) = once(&*bank, &message).await else {
            panic!("a stopped server does not answer");
        };
        assert!(error.contains("in time"), "{error}");
    }
    server.signal("CONT");
    until_answered(&*bank, &message).await;
    assert_eq!(bank.books("a").await.unwrap().spent, NanoUsd(5));
}

#[tokio::test]
async fn a_crashed_server_comes_back_with_what_it_answered() {
    let mut server = Process::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let bank = open(&hasty(server.url()));
    assert!(bank.grant("a", &new_grant("g", 1_000, None)).await.unwrap());
    let mut teller = Teller::new("a", 1);
    for round in 1..=3 {
        let message = Exchange {
            need: NanoUsd(10),
            want: NanoUsd(10),
            ..teller.spend(5)
        };
        until_answered(&*bank, &message).await;
        server.kill();
        let Err(StoreError::Away(error)) = once(&*bank, &teller.clone().next()).await else {
            panic!("a dead server does not answer");
        };
        assert!(
            error.contains(&format!("127.0.0.1:{}", server.port)),
            "{error}"
        );
        server.restart();
        until_answered(&*bank, &message).await;
        let books = bank.books("a").await.unwrap();
        assert_eq!(books.spent, NanoUsd(5 * round));
        assert_eq!(books.faults(), Vec::<String>::new());
    }
    assert_eq!(bank.accounts().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_server_that_is_started_later_is_found() {
    let mut server = Process::start(&[]);
    server.kill();
    let bank = open(&hasty(server.url()));
    let mut teller = Teller::new("a", 1);
    let message = teller.spend(5);
    for _ in 0..3 {
        assert!(once(&*bank, &message).await.is_err());
    }
    server.restart();
    until_answered(&*bank, &message).await;
}

#[tokio::test]
async fn accounts_that_a_server_forgot_are_listed_again() {
    let mut server = Process::start(&[]);
    let bank = open(&hasty(server.url()));
    let mut teller = Teller::new("a", 1);
    until_answered(&*bank, &teller.next()).await;
    server.kill();
    server.restart();
    let end = clock::now() + Duration::from_secs(20);
    while bank.accounts().await != Ok(vec!["a".to_owned()]) {
        assert!(clock::now() < end, "it is not listed again");
        until_answered(
            &*bank,
            &Exchange {
                oldest: 9,
                number: 9,
                ..teller.next()
            },
        )
        .await;
        teller.number = 8;
    }
}

#[tokio::test]
async fn random_faults_under_load_lose_nothing_and_count_nothing_twice() {
    let server = Process::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let bank = open(&hasty(proxy.url()));
    for account in ["a", "b", "c"] {
        let grant = bank.grant(account, &new_grant("g", 100_000, None)).await;
        assert!(grant.unwrap());
    }
    let customers = (1..=4u64).map(|replica| {
        let bank = bank.clone();
        async move {
            for round in 1..=15i64 {
                for account in ["a", "b", "c"] {
                    let mut teller = Teller::new(account, replica);
                    teller.number = u64::try_from(round).unwrap() - 1;
                    let message = Exchange {
                        want: NanoUsd(50),
                        ..spending(teller.next(), round)
                    };
                    until_answered(&*bank, &message).await;
                }
            }
        }
    });
    let faults = async {
        let modes = [
            Mode::Cut,
            Mode::LoseAnswers,
            Mode::Stall,
            Mode::LoseAnswers,
            Mode::Cut,
        ];
        for (round, mode) in modes.into_iter().cycle().enumerate() {
            let pause = 37 * (u64::try_from(round).unwrap() % 7);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            proxy.set(mode);
            tokio::time::sleep(Duration::from_millis(pause / 2 + 5)).await;
            proxy.set(Mode::Pass);
        }
    };
    tokio::select! {
        _all = join_all(customers) => {}
        () = faults => {}
    }
    proxy.set(Mode::Pass);
    for account in ["a", "b", "c"] {
        let books = bank.books(account).await.unwrap();
        assert_eq!(books.spent, NanoUsd(4 * 120), "{account}");
        assert_eq!(books.faults(), Vec::<String>::new());
    }
    // The bank is whole: one more message is answered at once.
    let mut teller = Teller::new("a", 9);
    assert_eq!(tell(&*bank, &teller.next()).await.last, 1);
}
