//! Periods of a tariff, in their order, and what each begins with.

use tollgate_ledger::tariff::{Days, Holds, Period, Prices, Rates};

/// The place of a period among others: always, then by rising day, the hours of all days, and those of some days last.
pub(crate) fn order(holds: &Holds) -> (u8, u64) {
    match holds {
        Holds::Always => (0, 0),
        Holds::From(start) => (1, *start),
        Holds::Daily(from, _, Days::ALL) => (2, u64::from(*from)),
        Holds::Daily(from, ..) => (3, u64::from(*from)),
    }
}

/// The prices that a new period begins with: those before it.
pub(crate) fn begin(prices: &Prices, holds: Holds) -> Rates {
    let now = match holds {
        Holds::From(start) => start,
        Holds::Always | Holds::Daily(..) => u64::MAX,
    };
    dated(prices, now).cloned().unwrap_or_default()
}

/// What holds at a moment (Unix time, s) at any hour.
pub(crate) fn dated(prices: &Prices, now: u64) -> Option<&Rates> {
    let dated = |period: &&Period| match period.holds {
        Holds::Daily(..) => false,
        always_or_from => always_or_from.at(now),
    };
    let before = prices.standard.iter().rev().find(dated);
    before
        .or(prices.standard.first())
        .map(|period| &period.rates)
}
