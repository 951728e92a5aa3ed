//! What is kept with the money: daily totals, usage events, the list of accounts.

use bytes::Bytes;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Books, Day, Events, Exchange, MOST_VALUES, Rollup};

use super::{Case, Store, Teller, rollup};

const ALL: (Day, Day) = (Day(0), Day(u32::MAX));

async fn rollups<S: Store>(case: &Case<S>, account: &str, (from, to): (Day, Day)) -> Vec<Rollup> {
    let mut rollups = case.bank().rollups(account, from, to).await.unwrap();
    rollups.sort_by(|a, b| key(a).cmp(&key(b)));
    rollups
}

fn key(one: &Rollup) -> (Day, &str, &str, &str) {
    (one.day, &one.access_key, &one.provider, &one.model)
}

fn carrying(message: Exchange, rollups: Vec<Rollup>) -> Exchange {
    Exchange {
        spent: rollups.iter().map(|rollup| rollup.cost).sum(),
        rollups,
        ..message
    }
}

pub async fn rollups_add_up<S: Store>(mut case: Case<S>) {
    let most = NanoUsd::MOST.0;
    let other = |change: fn(&mut Rollup)| {
        let mut other = rollup(20_001, "m", 7);
        change(&mut other);
        other
    };
    let odd: &str = "accounts/x:models/größe 1\n{}|";
    let set = vec![
        rollup(20_000, "m", most),
        rollup(20_001, "m", 5),
        rollup(20_001, odd, 0),
        other(|r| r.access_key = "other".into()),
        other(|r| r.provider = "other".into()),
        Rollup {
            failed: 1,
            orphaned: 1,
            input: 1 << 55,
            ..rollup(20_002, "m", 1)
        },
    ];
    let mut teller = Teller::new("a", 1);
    let mut second = Teller::new("a", 2);
    case.tell(&carrying(teller.next(), set.clone())).await;
    case.tell(&carrying(second.next(), set.clone())).await;
    case.tell(&carrying(teller.next(), set.clone())).await;
    let mut elsewhere = Teller::new("b", 1);
    case.tell(&carrying(elsewhere.next(), vec![rollup(20_001, "m", 9)]))
        .await;
    case.reopen().await;
    let mut expected: Vec<Rollup> = set
        .iter()
        .map(|one| Rollup {
            requests: 3 * one.requests,
            failed: 3 * one.failed,
            orphaned: 3 * one.orphaned,
            input: 3 * one.input,
            cached_read: 3 * one.cached_read,
            cache_write: 3 * one.cache_write,
            output: 3 * one.output,
            reasoning: 3 * one.reasoning,
            cost: NanoUsd(3 * one.cost.0),
            ..one.clone()
        })
        .collect();
    expected.sort_by(|a, b| key(a).cmp(&key(b)));
    assert_eq!(rollups(&case, "a", ALL).await, expected);
    expected.retain(|one| one.day == Day(20_001));
    let one_day = (Day(20_001), Day(20_001));
    assert_eq!(
        rollups(&case, "a", one_day).await,
        expected,
        "both included"
    );
    assert_eq!(rollups(&case, "a", (Day(20_003), Day(30_000))).await, []);
    assert_eq!(rollups(&case, "b", ALL).await.len(), 1);
    let books = case.books("a").await;
    assert_eq!(books.rolled_up, NanoUsd(3 * (most + 20)));
    assert_eq!(books.spent, books.rolled_up);
    case.balances().await;
}

/// A total by tag, of one request.
fn tagged(day: u32, tag: &str, nanos: i64) -> Rollup {
    Rollup {
        access_key: "".into(),
        provider: "".into(),
        model: "".into(),
        tag: tag.into(),
        ..rollup(day, "", nanos)
    }
}

pub async fn totals_by_tag_are_bounded<S: Store>(mut case: Case<S>) {
    let mut teller = Teller::new("a", 1);
    let mut told = async |case: &Case<S>, rollups: Vec<Rollup>, tags: Vec<Rollup>| {
        let message = Exchange {
            tags,
            ..carrying(teller.next(), rollups)
        };
        for _ in 0..2 {
            case.tell(&message).await;
        }
    };
    let many = (0..MOST_VALUES).map(|n| tagged(20_000, &format!("customer={n}"), 1));
    let others = ["team=x", "customer.id=1", "customers=1"].map(|tag| tagged(20_000, tag, 5));
    let first = many
        .chain(others)
        .chain([tagged(20_001, "customer=new", 7)]);
    told(&case, vec![rollup(20_000, "m", 9)], first.collect()).await;
    case.reopen().await;
    let late = ["customer=7", "customer=new", "customer=newer"].map(|tag| tagged(20_000, tag, 2));
    told(&case, Vec::new(), late.to_vec()).await;
    let totals = async |name: &str, from: u32, to: u32| {
        let rows = case.bank().tag_rollups("a", name, Day(from), Day(to)).await;
        let mut rows = rows.unwrap();
        rows.sort_by(|one, other| (one.day, &one.tag).cmp(&(other.day, &other.tag)));
        rows
    };
    let rows = totals("customer", 20_000, 20_000).await;
    assert_eq!(rows.len(), MOST_VALUES + 1);
    let of = |tag: &str| rows.iter().find(|row| &*row.tag == tag).unwrap();
    assert_eq!(of("customer=8"), &tagged(20_000, "customer=8", 1));
    let known = of("customer=7");
    assert_eq!((known.requests, known.cost), (2, NanoUsd(3)));
    let rest = of("customer=other");
    assert_eq!((rest.requests, rest.cost), (2, NanoUsd(4)), "of two values");
    assert_eq!(
        totals("team", 0, u32::MAX).await,
        [tagged(20_000, "team=x", 5)]
    );
    let next = totals("customer", 20_001, 20_002).await;
    assert_eq!(next, [tagged(20_001, "customer=new", 7)]);
    assert_eq!(totals("custom", 0, u32::MAX).await, []);
    assert_eq!(
        case.books("a").await.rolled_up,
        NanoUsd(9),
        "tags count apart"
    );
    case.balances().await;
}

pub async fn a_repeat_stores_nothing_twice<S: Store>(case: Case<S>) {
    let mut teller = Teller::new("a", 1);
    let message = Exchange {
        events: Some(batch(1_000, 2_000, 3)),
        ..carrying(teller.next(), vec![rollup(20_000, "m", 5)])
    };
    let gap = Exchange {
        number: 3,
        oldest: 2,
        ..message.clone()
    };
    for message in [&message, &message, &gap] {
        assert_eq!(case.tell(message).await.last, 1);
    }
    assert_eq!(rollups(&case, "a", ALL).await, [rollup(20_000, "m", 5)]);
    assert_eq!(events(&case, 0, u64::MAX, 100).await.len(), 1);
    case.balances().await;
}

fn batch(from_ms: u64, to_ms: u64, count: u32) -> Events {
    Events {
        count,
        from_ms,
        to_ms,
        bytes: Bytes::from(vec![
            0,
            255,
            b'\r',
            b'\n',
            b'}',
            0xC0,
            u8::try_from(count).unwrap(),
        ]),
        ids: Bytes::new(),
    }
}

async fn events<S: Store>(case: &Case<S>, from: u64, to: u64, at_least: usize) -> Vec<Events> {
    case.bank().events("a", from, to, at_least).await.unwrap()
}

/// Stores the batches 1000..=1999 (3 events), 2000..=2999 (2) and 3000..=3999 (4), not in that order.
async fn three_batches<S: Store>(case: &Case<S>) -> [Events; 3] {
    let batches = [
        batch(1_000, 1_999, 3),
        batch(2_000, 2_999, 2),
        batch(3_000, 3_999, 4),
    ];
    let mut teller = Teller::new("a", 1);
    for index in [1, 0, 2] {
        let events = Some(batches[index].clone());
        case.tell(&Exchange {
            events,
            ..teller.next()
        })
        .await;
    }
    batches
}

pub async fn events_come_back_newest_first<S: Store>(mut case: Case<S>) {
    let [a, b, c] = three_batches(&case).await;
    case.reopen().await;
    for (from, to, at_least, expected, why) in [
        (0, u64::MAX, 100, vec![&c, &b, &a], "all"),
        (0, u64::MAX, 1, vec![&c], "the newest is enough"),
        (0, u64::MAX, 4, vec![&c], "exactly enough"),
        (0, u64::MAX, 5, vec![&c, &b], "one more is needed"),
        (1_500, 2_500, 100, vec![&b, &a], "partly within"),
        (2_999, 3_000, 100, vec![&c, &b], "both ends are included"),
        (2_400, 2_600, 100, vec![&b], "within one batch"),
        (2_400, 2_400, 1, vec![&b], "one moment"),
        (4_000, u64::MAX, 100, vec![], "after all"),
        (0, 999, 100, vec![], "before all"),
    ] {
        let found = events(&case, from, to, at_least).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{why}");
    }
    let others = case.bank().events("b", 0, u64::MAX, 10).await.unwrap();
    assert_eq!(others, [], "another account");
    case.balances().await;
}

pub async fn events_are_forgotten_by_time<S: Store>(mut case: Case<S>) {
    let [a, b, c] = three_batches(&case).await;
    let mut teller = Teller::new("a", 2);
    let message = carrying(teller.next(), vec![rollup(0, "m", 5)]);
    case.tell(&message).await;
    for (before, expected, why) in [
        (1_999, vec![&c, &b, &a], "one event is not older"),
        (2_000, vec![&c, &b], "all of one batch are older"),
        (2_500, vec![&c, &b], "some are older"),
        (u64::MAX, vec![], "everything"),
    ] {
        case.bank().forget_events("a", before).await.unwrap();
        case.reopen().await;
        let found = events(&case, 0, u64::MAX, 100).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{why}");
    }
    assert_eq!(rollups(&case, "a", ALL).await.len(), 1, "totals stay");
    case.bank().forget_events("nobody", 5).await.unwrap();
    assert_eq!(case.bank().accounts().await.unwrap(), ["a"]);
    case.balances().await;
}

pub async fn accounts_are_listed<S: Store>(mut case: Case<S>) {
    assert!(case.bank().accounts().await.unwrap().is_empty());
    for account in ["b", "B", "a", "é", "aa"] {
        case.grant(account, "g", 1).await;
    }
    case.tell(&Teller::new("c", 1).next()).await;
    case.reopen().await;
    let accounts = case.bank().accounts().await.unwrap();
    assert_eq!(accounts, ["B", "a", "aa", "b", "c", "é"]);
    case.balances().await;
}

pub async fn an_unknown_account_is_empty<S: Store>(case: Case<S>) {
    assert_eq!(case.books("nobody").await, Books::default());
    assert_eq!(rollups(&case, "nobody", ALL).await, []);
    let events = case.bank().events("nobody", 0, u64::MAX, 10).await.unwrap();
    assert_eq!(events, []);
    assert!(
        case.bank().accounts().await.unwrap().is_empty(),
        "asking does not make an account"
    );
}
