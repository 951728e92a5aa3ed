//! What pages read instead of looking through all there is: days that are over as one value, sums by model, requests by their ids.
//! It is what was added, whoever adds late, and while others read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Day, Events, Exchange, Rollup};
use tollgate_ledger::events::paging::{Wanted, page};
use tollgate_ledger::events::{Attempt, EventId, OwnedEvent, Request, stored};

use super::{Case, Store, Teller, rollup, tell};

/// Days that are long over.
const FIRST: u32 = 20_000;
const DAYS: u32 = 3;
const ALL: (Day, Day) = (Day(0), Day(u32::MAX));

type Place = (Day, [Arc<str>; 4]);

fn sums(rows: &[Rollup], by: impl Fn(&Rollup) -> [Arc<str>; 4]) -> BTreeMap<Place, Rollup> {
    let mut sums: BTreeMap<Place, Rollup> = BTreeMap::new();
    for row in rows {
        let names = by(row);
        let [access_key, provider, model, tag] = names.clone();
        let none = Rollup {
            day: row.day,
            access_key,
            provider,
            model,
            tag,
            ..Rollup::default()
        };
        let sum = sums.entry((row.day, names)).or_insert(none);
        sum.add_all(row);
    }
    sums
}

fn each(row: &Rollup) -> [Arc<str>; 4] {
    [&row.access_key, &row.provider, &row.model, &row.tag].map(Arc::clone)
}

fn by_model(row: &Rollup) -> [Arc<str>; 4] {
    [
        "".into(),
        row.provider.clone(),
        row.model.clone(),
        "".into(),
    ]
}

/// Some totals of some days, other ones for each number.
fn some(number: u32) -> Vec<Rollup> {
    let row = |at: u32| Rollup {
        access_key: format!("key-{}", (number + at) % 3).into(),
        model: format!("m{}", number % 2).into(),
        ..rollup(FIRST + (number * 7 + at) % DAYS, "", i64::from(number + at))
    };
    (0..=number % 3).map(row).collect()
}

/// The same, charged and counted by a tag.
fn message(teller: &mut Teller, number: u32) -> Exchange {
    let rollups = some(number);
    let tag = |row: &Rollup| Rollup {
        access_key: "".into(),
        provider: "".into(),
        model: "".into(),
        tag: format!("team={}", row.access_key).into(),
        ..row.clone()
    };
    Exchange {
        spent: rollups.iter().map(|row| row.cost).sum(),
        tags: rollups.iter().map(tag).collect(),
        rollups,
        ..teller.next()
    }
}

async fn agrees(bank: &dyn Bank, told: &[Exchange], (from, to): (Day, Day)) {
    let of = |rows: fn(&Exchange) -> &Vec<Rollup>| -> Vec<Rollup> {
        let all = told.iter().flat_map(rows);
        all.filter(|row| (from..=to).contains(&row.day))
            .cloned()
            .collect()
    };
    let (rows, tags) = (of(|one| &one.rollups), of(|one| &one.tags));
    let read = bank.rollups("a", from, to).await.unwrap();
    assert_eq!(sums(&read, each), sums(&rows, each));
    assert_eq!(read.len(), sums(&rows, each).len(), "each once");
    let read = bank.rollups_by_model("a", from, to).await.unwrap();
    assert_eq!(sums(&read, each), sums(&rows, by_model));
    assert_eq!(read.len(), sums(&rows, by_model).len(), "each once");
    let read = bank.tag_rollups("a", "team", from, to).await.unwrap();
    assert_eq!(sums(&read, each), sums(&tags, each));
    let books = bank.books("a").await.unwrap();
    let charged: NanoUsd = told.iter().map(|one| one.spent).sum();
    assert_eq!((books.spent, books.rolled_up), (charged, charged));
    assert_eq!(bank.recounted("a").await.unwrap(), charged);
}

pub async fn a_day_that_was_read_may_be_added_to<S: Store>(mut case: Case<S>) {
    let mut tellers = [Teller::new("a", 1), Teller::new("a", 2)];
    let mut told = Vec::new();
    for number in 0..12 {
        let message = message(&mut tellers[usize::from(number % 5 == 0)], number);
        // The repeat of a message adds nothing, and breaks no seal that is right.
        for _ in 0..1 + number % 2 {
            case.tell(&message).await;
        }
        told.push(message);
        let day = Day(FIRST + number % DAYS);
        agrees(&**case.bank(), &told, (day, day)).await;
        agrees(&**case.bank(), &told, ALL).await;
        if number == 6 {
            case.reopen().await;
            agrees(&**case.bank(), &told, ALL).await;
        }
    }
    case.balances().await;
}

pub async fn days_are_read_while_they_are_added_to<S: Store>(case: Case<S>) {
    let done = Arc::new(AtomicBool::new(false));
    let readers = [ALL, (Day(FIRST), Day(FIRST))].map(|(from, to)| {
        let (bank, done) = (case.bank().clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                bank.rollups("a", from, to).await.unwrap();
                bank.rollups_by_model("a", from, to).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let writers = [1, 2].map(|replica| {
        let bank = case.bank().clone();
        tokio::spawn(async move {
            let (mut teller, mut told) = (Teller::new("a", replica), Vec::new());
            for number in 0..40 {
                let message = message(&mut teller, number);
                tell(&*bank, &message).await;
                told.push(message);
            }
            told
        })
    });
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    for _ in 0..2 {
        agrees(&**case.bank(), &told, ALL).await;
    }
    case.balances().await;
}

/// A message about a request with two attempts, the last of which ended then.
fn attempts(teller: &mut Teller, request: &str, ended_ms: u64) -> Exchange {
    let next = teller.next();
    let attempt = |number: u64| OwnedEvent {
        at_ms: ended_ms - 1_000 * number,
        request: Request {
            account: next.account.clone(),
            access_key: "app".into(),
            id: request.into(),
            surface: "".into(),
        },
        provider_request_id: "".into(),
        attempt: Attempt {
            id: EventId::made_up(next.holder.replica, next.number * 2 + number),
            ..Attempt::default()
        },
    };
    let events = [1, 0].map(attempt);
    Exchange {
        events: stored::encode(&events),
        ..next
    }
}

pub async fn requests_are_found_by_their_ids<S: Store>(mut case: Case<S>) {
    const DAY: u64 = 86_400_000;
    let mut tellers = [Teller::new("a", 1), Teller::new("a", 2)];
    for number in 0..20 {
        let teller = &mut tellers[usize::from(number % 3 == 0)];
        let message = attempts(teller, &format!("r{number}"), number * DAY / 4 + 5_000);
        for _ in 0..2 {
            case.tell(&message).await;
        }
    }
    // Chosen by a client, twice.
    for at_ms in [7 * DAY, 9 * DAY] {
        case.tell(&attempts(&mut tellers[0], "again", at_ms)).await;
    }
    let span = async |case: &Case<S>, id: &str| case.bank().request_span("a", id).await.unwrap();
    let found = async |case: &Case<S>, id: &str| {
        let wanted = Wanted {
            account: "a",
            to_ms: u64::MAX,
            request: Some(id),
            retries: true,
            limit: 100,
            ..Wanted::default()
        };
        let page = page(&**case.bank(), wanted, |event| event.at_ms)
            .await
            .unwrap();
        assert_eq!(page.next, None);
        page.events
    };
    assert_eq!(span(&case, "r0").await, Some((4_000, 5_000)));
    assert_eq!(span(&case, "again").await, Some((7 * DAY - 1_000, 9 * DAY)));
    assert_eq!(span(&case, "r").await, None);
    assert!(found(&case, "r").await.is_empty());
    case.reopen().await;
    let ended = 19 * DAY / 4 + 5_000;
    assert_eq!(found(&case, "r19").await, [ended, ended - 1_000]);
    assert_eq!(found(&case, "again").await.len(), 4);
    assert_eq!(case.bank().request_span("b", "r0").await.unwrap(), None);

    case.bank().forget_events("a", 2 * DAY).await.unwrap();
    assert_eq!(span(&case, "r0").await, None, "forgotten with its events");
    assert!(found(&case, "r7").await.is_empty());
    assert_eq!(
        found(&case, "r8").await.len(),
        2,
        "of the day on which that time is"
    );

    // What says nothing of its requests may be about any of that time.
    let mut older = attempts(&mut tellers[1], "older", 3 * DAY);
    older.events.as_mut().unwrap().ids.clear();
    case.tell(&older).await;
    let some = span(&case, "older").await;
    assert!(some.is_some_and(|(from, to)| from <= 3 * DAY - 1_000 && 3 * DAY <= to));
    assert_eq!(
        span(&case, "r8").await,
        Some((2 * DAY + 4_000, 2 * DAY + 5_000))
    );
    case.balances().await;
}

pub async fn a_time_has_all_its_batches<S: Store>(mut case: Case<S>) {
    const HOUR: u64 = 3_600_000;
    let mut teller = Teller::new("a", 1);
    let mut told = Vec::new();
    // Short and long ones, in the order in which they ended, and one that was told late. The first say nothing of requests,
    // as older versions'.
    for (number, (from, to)) in [
        (0, 1),
        (1, 9),
        (5, 10),
        (9, 40),
        (40, 41),
        (41, 42),
        (20, 30),
        (10, 60),
        (60, 61),
        (61, 70),
    ]
    .into_iter()
    .enumerate()
    {
        let batch = Events {
            count: 1,
            from_ms: from * HOUR,
            to_ms: to * HOUR,
            bytes: vec![u8::try_from(number).unwrap()].into(),
            ids: vec![7; if number < 3 { 0 } else { 10 }].into(),
        };
        told.push(batch.clone());
        case.tell(&Exchange {
            events: Some(batch),
            ..teller.next()
        })
        .await;
        for (from_ms, to_ms) in [
            (0, 0),
            (0, 5),
            (0, 25),
            (8, 25),
            (21, 25),
            (35, 41),
            (41, 41),
            (0, 60),
            (65, 70),
            (71, 99),
        ] {
            let (from_ms, to_ms) = (from_ms * HOUR, to_ms * HOUR);
            let found = case.bank().events("a", from_ms, to_ms, 100).await.unwrap();
            let mut found: Vec<u8> = found.iter().map(|batch| batch.bytes[0]).collect();
            found.sort_unstable();
            let within = |batch: &&Events| batch.from_ms <= to_ms && batch.to_ms >= from_ms;
            let want: Vec<u8> = told
                .iter()
                .filter(within)
                .map(|batch| batch.bytes[0])
                .collect();
            assert_eq!(found, want, "{from_ms}..={to_ms} after {number}");
        }
    }
    case.reopen().await;
    case.balances().await;
}
