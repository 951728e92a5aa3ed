//! Money, as the API shows it: exact in dollars, rounded in cents.

use tollgate_ledger::NanoUsd;

/// A cent.
pub(super) const CENT: i64 = NanoUsd::DOLLAR.0 / 100;

/// Nano-dollars as one amount, which `None` is too many for.
///
/// # Errors
/// What it must be: more than 0, and at most [`NanoUsd::MOST`].
pub(super) fn amount(nanos: Option<u64>) -> Result<NanoUsd, String> {
    let amount = nanos.and_then(|nanos| i64::try_from(nanos).ok());
    let amount = amount.map(NanoUsd);
    let amount = amount.filter(|amount| (NanoUsd(1)..=NanoUsd::MOST).contains(amount));
    amount.ok_or_else(|| format!("must be more than 0, and at most {}", NanoUsd::MOST))
}

/// US dollars as an exact decimal.
pub(super) fn usd(amount: NanoUsd) -> String {
    amount.to_string().replacen('$', "", 1)
}

/// Whole cents, rounded down, also below zero.
pub(super) fn cents_down(amount: NanoUsd) -> i64 {
    amount.0.div_euclid(CENT)
}

/// Whole cents, rounded half up.
pub(super) fn cents(amount: NanoUsd) -> i64 {
    cents_down(amount + NanoUsd(CENT / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_never_shown_as_more_than_it_is() {
        for (nanos, down, half_up) in [
            (0, 0, 0),
            (9_999_999, 0, 1),
            (5_000_000, 0, 1),
            (4_999_999, 0, 0),
            (10_000_000, 1, 1),
            (-1, -1, 0),
            (-10_000_000, -1, -1),
            (-10_000_001, -2, -1),
        ] {
            assert_eq!(cents_down(NanoUsd(nanos)), down, "{nanos} nano-dollars");
            assert_eq!(cents(NanoUsd(nanos)), half_up, "{nanos} nano-dollars");
        }
    }
}
