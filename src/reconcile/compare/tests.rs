//! Each cause by name; and that what is billed exactly gives no drift, whatever the ledger has.

mod causes;
mod forms;
mod random;

use std::collections::BTreeMap;

use tollgate_ledger::NanoUsd;

use super::*;
use crate::billed::{Billed, Vendor};
use crate::charged::{Charged, Hour, Used};
use crate::unit::Unit;

/// 2026-11-01.
const START: u32 = 20_758;

/// Pico-dollars for a token of gpt-4o-mini: prompt, cached, answer.
const RATES: [(Unit, u128); 3] = [
    (Unit::Input, 150_000),
    (Unit::CachedRead, 75_000),
    (Unit::Output, 600_000),
];

fn period(days: u32) -> Period {
    Period {
        from: Day(START),
        to: Day(START + days - 1),
    }
}

/// A request that the gateway served.
#[derive(Clone, Debug)]
struct Served {
    /// Hours after the period began; may be before it.
    hour: i64,
    model: &'static str,
    key: &'static str,
    variant: &'static str,
    units: [u64; 3],
}

fn served(day: i64, hour: i64, units: [u64; 3]) -> Served {
    Served {
        hour: day * 24 + hour,
        model: "gpt-4o-mini",
        key: "house",
        variant: "standard",
        units,
    }
}

/// Traffic of a week: three requests a day, none two of the same size.
fn week() -> Vec<Served> {
    (0..7i64)
        .flat_map(|day| {
            [1, 9, 20].map(|hour| {
                let more = u64::try_from(day * 100 + hour).unwrap();
                served(
                    day,
                    hour,
                    [40_000 + more * 31, 3_000 + more * 7, 9_000 + more * 13],
                )
            })
        })
        .collect()
}

/// What a provider makes of them.
struct Bills {
    /// Times what it costs, in per cent, by variant and day.
    price: fn(&Served, Unit) -> u128,
    /// The units as it counts them.
    units: fn(&Served) -> [u64; 3],
    /// Hours that its time is ahead of UTC.
    ahead: i64,
    /// The tier it says; `None` if its report is not split by tier.
    tier: fn(&Served) -> Option<&'static str>,
    /// Whether it reports quantities, costs, keys, single units.
    usage: bool,
    costs: bool,
    keys: bool,
    by_unit: bool,
    requests: bool,
}

const HONEST: Bills = Bills {
    price: |_, _| 100,
    units: |served| served.units,
    ahead: 0,
    tier: |_| Some("standard"),
    usage: true,
    costs: true,
    keys: true,
    by_unit: true,
    requests: true,
};

impl Bills {
    fn rows(&self, traffic: &[Served]) -> Vec<Billed> {
        let mut rows = Vec::new();
        for one in traffic {
            let day = (i64::from(START) * 24 + one.hour + self.ahead).div_euclid(24);
            let base = Billed {
                model: Some(one.model.to_owned()),
                key: self.keys.then(|| format!("key_{}", one.key)),
                ..Billed::on(Day(u32::try_from(day).unwrap()))
            };
            if self.usage && self.requests {
                rows.push(Billed {
                    requests: Some(1),
                    ..base.clone()
                });
            }
            let mut all = NanoUsd::ZERO;
            for ((unit, rate), quantity) in RATES.into_iter().zip((self.units)(one)) {
                if self.usage {
                    rows.push(Billed {
                        unit: Some(unit),
                        quantity: Some(quantity),
                        variant: (self.tier)(one).map(str::to_owned),
                        ..base.clone()
                    });
                }
                let picos = u128::from(quantity) * rate * (self.price)(one, unit) / 100;
                let cost = NanoUsd(i64::try_from(picos / 1_000).unwrap());
                all += cost;
                if self.costs && self.by_unit {
                    rows.push(Billed {
                        unit: Some(unit),
                        cost: Some(cost),
                        ..base.clone()
                    });
                }
            }
            if self.costs && !self.by_unit {
                rows.push(Billed {
                    cost: Some(all),
                    ..base
                });
            }
        }
        rows
    }
}

/// How much the ledger says of each request.
#[derive(Clone, Copy)]
struct Says {
    rates: bool,
    context: bool,
    key: bool,
}

const ALL: Says = Says {
    rates: true,
    context: true,
    key: true,
};

/// What an event says that names no key, no rates and no tier.
const LITTLE: Says = Says {
    rates: false,
    context: false,
    key: false,
};

fn ledger(traffic: &[Served], says: Says) -> Ledger {
    let mut ledger = Ledger::default();
    for one in traffic {
        let hour = i64::from(START) * 24 + one.hour;
        let mut cost = 0;
        let units = RATES
            .into_iter()
            .zip(one.units)
            .map(|((unit, rate), quantity)| {
                let picos = u128::from(quantity) * rate;
                cost += picos;
                let picos = says.rates.then_some(picos);
                (unit, Used { quantity, picos })
            });
        let units: BTreeMap<_, _> = units.collect();
        let charged = Charged {
            hour: Hour(u32::try_from(hour).unwrap()),
            model: one.model.to_owned(),
            key: says.key.then(|| one.key.to_owned()),
            variant: says.context.then(|| one.variant.to_owned()),
            requests: 1,
            units,
            cost: NanoUsd(i64::try_from((cost + 500) / 1_000).unwrap()),
            assumed: NanoUsd::ZERO,
        };
        ledger.add(charged).unwrap();
    }
    ledger
}

fn reading(rows: Vec<Billed>, bills: &Bills) -> Reading {
    Reading {
        vendor: Vendor::OpenAi,
        rows,
        has_costs: bills.costs,
        has_usage: bills.usage,
        notes: Vec::new(),
    }
}

fn compared(ledger: &Ledger, reading: &Reading) -> Outcome {
    compared_within(ledger, reading, Tolerance::DEFAULT)
}

fn compared_within(ledger: &Ledger, reading: &Reading, tolerance: Tolerance) -> Outcome {
    compare(&Request {
        provider: "openai",
        ledger,
        reading,
        period: period(7),
        tolerance,
        keys: &[
            ("house".to_owned(), "key_house".to_owned()),
            ("lab".to_owned(), "key_lab".to_owned()),
        ],
    })
}

/// Traffic through the gateway, billed; `more` did not come through it.
fn outcome(says: Says, bills: &Bills, more: &[Served]) -> Outcome {
    let traffic = week();
    let ledger = ledger(&traffic, says);
    let all: Vec<Served> = traffic.into_iter().chain(more.iter().cloned()).collect();
    compared(&ledger, &reading(bills.rows(&all), bills))
}

/// All causes, each once.
fn causes(outcome: &Outcome) -> Vec<Cause> {
    outcome.causes.keys().copied().collect()
}

fn whys(outcome: &Outcome) -> String {
    let findings = outcome
        .lines
        .iter()
        .filter_map(|line| line.finding.as_ref());
    let all: Vec<String> = findings
        .map(|finding| format!("{}: {}", finding.cause, finding.why))
        .collect();
    all.join("\n")
}
