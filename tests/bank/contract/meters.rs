//! Limits: their units are borrowed, used and returned as money is.

use std::sync::Arc;
use std::time::Duration;

use tollgate_ledger::bank::{
    Exchange, Measure, Meter, MeterExchange, MeterReply, Per, Period, Reply, Weekday,
};

use super::{Case, Store, Teller, tell};

const MINUTE: u64 = 1_700_000_040;

fn per_minute() -> Meter {
    Meter {
        subject: "key:app".into(),
        measure: Measure::RequestsPerMinute,
    }
}

/// Needs this many units of a limit of 10.
fn need(units: i64) -> MeterExchange {
    MeterExchange {
        meter: per_minute(),
        window: MINUTE,
        limit: 10,
        used: 0,
        returned: 0,
        need: units,
        want: units,
    }
}

fn with(message: Exchange, part: MeterExchange) -> Exchange {
    Exchange {
        meters: vec![part],
        ..message
    }
}

/// What is borrowed by the asker, used and lent in all.
fn figures(reply: &Reply) -> (i64, i64, i64) {
    let [
        MeterReply {
            allotment,
            used,
            lent,
            ..
        },
    ] = reply.meters[..]
    else {
        panic!("one meter: {reply:?}");
    };
    (allotment, used, lent)
}

pub async fn lend_up_to_the_limit<S: Store>(mut case: Case<S>) {
    let (mut one, mut other) = (Teller::new("a", 1), Teller::new("a", 2));
    let wanting = MeterExchange {
        want: 100,
        limit: 40,
        ..need(0)
    };
    let reply = case.tell(&with(one.next(), wanting)).await;
    assert_eq!(figures(&reply), (10, 0, 10), "a share: a quarter of 40");
    let limit = |part| MeterExchange { limit: 40, ..part };
    let message = with(other.next(), limit(need(25)));
    assert_eq!(figures(&case.tell(&message).await), (25, 0, 35));
    assert_eq!(figures(&case.tell(&message).await), (25, 0, 35), "a repeat");
    let use_some = MeterExchange {
        used: 12,
        returned: 3,
        ..limit(need(0))
    };
    let message = with(other.next(), use_some);
    assert_eq!(figures(&case.tell(&message).await), (10, 12, 20));
    case.reopen().await;
    assert_eq!(figures(&case.tell(&message).await), (10, 12, 20));
    let over = MeterExchange {
        used: 60,
        ..limit(need(7))
    };
    let reply = case.tell(&with(other.next(), over)).await;
    assert_eq!(
        figures(&reply),
        (0, 72, 10),
        "used beyond the limit counts, and nothing more is lent"
    );
    let higher = MeterExchange {
        limit: 100,
        ..need(30)
    };
    let reply = case.tell(&with(other.next(), higher)).await;
    assert_eq!(figures(&reply), (18, 72, 28), "the limit was raised");
    let never = Meter {
        subject: "key:never".into(),
        measure: Measure::budget(Per::Total),
    };
    let used = case.bank().used("a", &[never, per_minute()]).await;
    assert_eq!(used.unwrap(), [(0, 0), (MINUTE, 72)]);
    let no_meter = case.tell(&other.next()).await;
    assert!(no_meter.meters.is_empty(), "{no_meter:?}");
    case.balances().await;
}

pub async fn begin_anew_with_their_window<S: Store>(case: Case<S>) {
    let (mut one, mut other) = (Teller::new("a", 1), Teller::new("a", 2));
    case.tell(&with(one.next(), need(6))).await;
    case.tell(&with(other.next(), need(2))).await;
    let next = MeterExchange {
        window: MINUTE + 60,
        used: 1,
        ..need(4)
    };
    let reply = case.tell(&with(one.next(), next)).await;
    assert_eq!(
        figures(&reply),
        (4, 1, 4),
        "nothing used, nothing lent before"
    );
    assert_eq!(reply.meters[0].window, MINUTE + 60);
    let behind = MeterExchange { used: 3, ..need(5) };
    let reply = case.tell(&with(other.next(), behind)).await;
    assert_eq!(
        figures(&reply),
        (0, 1, 4),
        "figures for the past are dropped"
    );
    assert_eq!(reply.meters[0].window, MINUTE + 60, "it is told the time");
    // By an hour, a minute and a second: whoever's clock was ahead began the window of all others.
    let now = tollgate_base::clock::wall_ms() / 1000;
    for ahead in [400 * 24 * 60 * 60, 60 * 60, 60, 5] {
        let early = MeterExchange {
            window: now + ahead,
            used: 3,
            ..need(5)
        };
        let reply = case.tell(&with(other.next(), early)).await;
        assert_eq!(figures(&reply), (0, 1, 4), "{ahead} s ahead");
        assert_eq!(reply.meters[0].window, MINUTE + 60, "{ahead} s ahead");
    }
    let reply = case
        .tell(&with(
            one.next(),
            MeterExchange {
                window: now,
                ..need(2)
            },
        ))
        .await;
    assert_eq!(reply.meters[0].window, now, "it is time");
    assert_eq!(figures(&reply), (2, 0, 2));
    case.balances().await;
}

pub async fn an_unmet_need_recalls<S: Store>(case: Case<S>) {
    let (mut one, mut other) = (Teller::new("a", 1), Teller::new("a", 2));
    let recalls = |reply: &Reply| (reply.meters[0].recall, reply.recall);
    let reply = case.tell(&with(one.next(), need(9))).await;
    assert_eq!(recalls(&reply), (false, false));
    let reply = case.tell(&with(other.next(), need(2))).await;
    assert_eq!(figures(&reply), (1, 0, 10));
    assert_eq!(recalls(&reply), (true, false), "it, and nothing else");
    let back = MeterExchange {
        returned: 5,
        want: 9,
        ..need(0)
    };
    let reply = case.tell(&with(one.next(), back)).await;
    assert_eq!(
        (figures(&reply), recalls(&reply)),
        ((4, 0, 5), (true, false)),
        "while it lasts, only what is needed is lent"
    );
    let reply = case.tell(&with(other.next(), need(1))).await;
    assert_eq!(figures(&reply), (2, 0, 6));
    case.balances().await;
}

pub async fn close_and_lease_end_return<S: Store>(case: Case<S>) {
    let (mut one, mut other) = (Teller::new("a", 1), Teller::new("a", 2));
    let total = |part| MeterExchange {
        meter: Meter {
            measure: Measure::ConcurrentRequests,
            ..per_minute()
        },
        window: 0,
        ..part
    };
    let both = |message: Exchange, units| Exchange {
        meters: vec![need(units), total(need(units))],
        ..message
    };
    one.lease = Duration::from_millis(400);
    case.tell(&both(one.next(), 3)).await;
    case.tell(&both(other.next(), 4)).await;
    let lent = |reply: &Reply| reply.meters.iter().map(|m| m.lent).collect::<Vec<_>>();
    assert_eq!(lent(&case.tell(&both(other.next(), 0)).await), [7, 7]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    for _ in 0..2 {
        assert_eq!(
            lent(&case.tell(&both(other.next(), 0)).await),
            [4, 4],
            "a lease is over, for good"
        );
    }
    let reply = case.tell(&both(one.next(), 5)).await;
    assert_eq!(lent(&reply), [9, 9]);
    let close_with_one = with(other.close(), need(0));
    case.tell(&close_with_one).await;
    assert_eq!(
        lent(&case.tell(&both(one.next(), 0)).await),
        [5, 5],
        "meters that the last message does not name return, too"
    );
    case.balances().await;
}

pub async fn are_told_apart<S: Store>(mut case: Case<S>) {
    let berlin = "Europe/Berlin".parse().unwrap();
    let measures = [
        Measure::RequestsPerMinute,
        Measure::TokensPerMinute,
        Measure::ConcurrentRequests,
        Measure::budget(Per::Day),
        Measure::Budget(Period::new(Per::Day, berlin, Weekday::Monday)),
        Measure::budget(Per::Week),
        Measure::Budget(Period::new(Per::Week, berlin, Weekday::Sunday)),
        Measure::budget(Per::Month),
        Measure::budget(Per::Quarter),
        Measure::budget(Per::Total),
    ];
    let subjects = [
        "key:app",
        "configuration:app",
        "key:",
        "key:a/requests_per_minute",
        "key:größe 日本",
        "key:{x}:y|z",
        "key:*\n",
    ];
    let mut parts: Vec<MeterExchange> = Vec::new();
    for subject in subjects {
        for measure in measures {
            let subject: Arc<str> = subject.into();
            parts.push(MeterExchange {
                meter: Meter { subject, measure },
                window: 0,
                limit: i64::MAX / 4,
                used: i64::try_from(parts.len()).unwrap(),
                ..need(1 + i64::try_from(parts.len()).unwrap())
            });
        }
    }
    // Budgets are nano-dollars: beyond 2^53 they must be exact, too.
    parts[3].used = (1 << 60) + 1;
    for account in ["a", "b"] {
        let mut teller = Teller::new(account, 1);
        let message = Exchange {
            meters: parts.clone(),
            ..teller.next()
        };
        let first = case.tell(&message).await;
        case.reopen().await;
        let reply = case.tell(&message).await;
        assert_eq!(reply, first, "in {account}, after reopening");
        for (part, reply) in parts.iter().zip(reply.meters) {
            assert_eq!(
                (reply.used, reply.allotment, reply.lent),
                (part.used, part.need, part.need),
                "{} in {account}",
                part.meter
            );
        }
    }
    case.balances().await;
}

pub async fn of_tags_are_ranked_and_forgotten<S: Store>(mut case: Case<S>) {
    const DAY: u64 = 86_400;
    let began = MINUTE / DAY * DAY;
    let berlin = Period::new(Per::Day, "Europe/Berlin".parse().unwrap(), Weekday::Monday);
    let (daily, for_good) = (Measure::budget(Per::Day), Measure::budget(Per::Total));
    let part = |subject: &str, measure, window, used| MeterExchange {
        meter: Meter {
            subject: subject.into(),
            measure,
        },
        window,
        used,
        ..need(0)
    };
    let mut teller = Teller::new("a", 1);
    let message = Exchange {
        close: true,
        meters: vec![
            part("tag:web:customer=1", daily, began, 5),
            part("tag:web:customer=2/x", daily, began, 9),
            part("tag:web:customer=3", daily, began, 4),
            part("tag:web:customer=4", daily, began - DAY, 9),
            part("tag:web:customer=5", Measure::Budget(berlin), began, 9),
            part("tag:web:customers=6", daily, began, 9),
            part("tag:*:customer=7", daily, began, 9),
            part("tag:web:customer=8", for_good, 0, 9),
            part("budget:team", daily, began, 9),
        ],
        ..teller.next()
    };
    case.tell(&message).await;
    let budget = |subject: &str| Meter {
        subject: subject.into(),
        measure: daily,
    };
    let most = async |case: &Case<S>, subject: &str, window: u64| {
        let used = case
            .bank()
            .most_used("a", &budget(subject), window, 5)
            .await;
        let used = used.unwrap();
        let told = used
            .iter()
            .map(|(subject, used)| (subject.to_string(), *used));
        told.collect::<Vec<_>>()
    };
    let own = |subject: &str, used| (subject.to_owned(), used);
    let ranked = [own("tag:web:customer=2/x", 9), own("tag:web:customer=1", 5)];
    assert_eq!(most(&case, "tag:web:customer=", began).await, ranked);
    assert_eq!(most(&case, "tag:*:customer=", began).await.len(), 1);
    case.bank()
        .forget_meters("a", began + 2 * DAY)
        .await
        .unwrap();
    assert_eq!(
        most(&case, "tag:web:customer=", began).await,
        ranked,
        "it may be told late"
    );
    case.bank()
        .forget_meters("a", began + 3 * DAY + 1)
        .await
        .unwrap();
    case.reopen().await;
    assert_eq!(most(&case, "tag:web:customer=", began).await, []);
    let kept = ["tag:web:customer=8", "budget:team"].map(|subject| Meter {
        measure: if subject == "budget:team" {
            daily
        } else {
            for_good
        },
        ..budget(subject)
    });
    let kept = case.bank().used("a", &kept).await.unwrap();
    assert_eq!(
        kept,
        [(0, 9), (began, 9)],
        "what does not end, and what is no tag's"
    );
    case.balances().await;
}

pub async fn concurrent_borrowers_stay_within_the_limit<S: Store>(case: Case<S>) {
    const LIMIT: i64 = 100;
    const TASKS: u64 = 8;
    let tasks = (1..=TASKS).map(|replica| {
        let bank = case.bank().clone();
        tokio::spawn(async move {
            let mut teller = Teller::new("a", replica);
            let (mut held, mut used) = (0, 0);
            for round in 0..25 {
                let using = held.min(1 + round % 3);
                let part = MeterExchange {
                    limit: LIMIT,
                    used: using,
                    returned: round % 2,
                    ..need(1 + round % 4)
                };
                let reply = tell(&*bank, &with(teller.next(), part)).await.meters[0];
                used += using;
                held = reply.allotment;
                assert!(
                    reply.used + reply.lent <= LIMIT,
                    "never promised more than the limit: {reply:?}"
                );
            }
            tell(&*bank, &teller.close()).await;
            used
        })
    });
    let used: i64 = futures::future::try_join_all(tasks)
        .await
        .unwrap()
        .iter()
        .sum();
    let mut teller = Teller::new("a", 99);
    let part = MeterExchange {
        limit: LIMIT,
        ..need(LIMIT)
    };
    let reply = case.tell(&with(teller.next(), part)).await;
    assert_eq!(
        figures(&reply),
        (LIMIT - used, used, LIMIT - used),
        "what was not used came back, and nothing is lost"
    );
    case.balances().await;
}
