//! Amounts and currencies of reports.

use tollgate_ledger::NanoUsd;

use super::fault::shown;
use crate::decimal;

/// Refuses what is not US dollars.
pub(super) fn only_dollars(currency: &str) -> Result<(), String> {
    if currency.trim().eq_ignore_ascii_case("usd") {
        return Ok(());
    }
    Err(format!(
        "the currency is {}: the ledger is kept in US dollars, so that only a report in usd can be compared",
        shown(currency)
    ))
}

/// US dollars as decimal text.
pub(super) fn dollars(text: &str) -> Result<NanoUsd, String> {
    decimal::dollars(text).map_err(|wrong| wrong.said(text))
}

/// Cents as decimal text.
pub(super) fn cents(text: &str) -> Result<NanoUsd, String> {
    decimal::cents(text).map_err(|wrong| wrong.said(text))
}
