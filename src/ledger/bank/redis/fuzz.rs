//! What must hold for whatever servers answer.

use std::time::Duration;

use redis::Value;

use super::{days, wire};
use crate::NanoUsd;
use crate::bank::{Exchange, Holder, Mark, Measure, Meter, MeterExchange, Per};
use crate::fuzz::events;

/// An answer is refused, or has amounts that can be counted and added up.
pub fn answer(value: &Value) {
    for meters in 0..=2 {
        if let Ok(reply) = wire::reply(&message(meters), value.clone()) {
            assert_eq!(reply.meters.len(), meters);
            let money = [reply.charged, reply.allotment, reply.free, reply.allotments];
            let units = reply.meters.iter();
            let units =
                units.flat_map(|meter| [meter.allotment, meter.used, meter.lent].map(NanoUsd));
            money.into_iter().chain(units).for_each(counted);
            reply.verdict((1, Mark::NONE), 1);
        }
    }
    if let Ok(books) = wire::read_books(value.clone()) {
        counted(books.lent());
        drop(books.faults());
    }
    if let Ok(rows) = days::read_rollups(value.clone()) {
        rows.iter().for_each(|row| counted(row.cost));
    }
    if let Ok(batches) = wire::read_batches(value.clone()) {
        batches
            .found
            .iter()
            .for_each(|(_, batch)| events(&batch.bytes));
    }
}

fn counted(amount: NanoUsd) {
    let most = NanoUsd::TOTAL;
    assert!((-most..=most).contains(&amount), "{amount}");
}

/// A message about an account with so many meters.
fn message(meters: usize) -> Exchange {
    let meter = MeterExchange {
        meter: Meter {
            subject: "key:k".into(),
            measure: Measure::budget(Per::Day),
        },
        window: 0,
        limit: 1,
        used: 0,
        returned: 0,
        need: 0,
        want: 0,
    };
    Exchange {
        meters: vec![meter; meters],
        ..Exchange::empty(
            "a".into(),
            Holder {
                replica: 1,
                epoch: 1,
            },
            1,
            Duration::from_secs(60),
        )
    }
}
