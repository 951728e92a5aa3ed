//! Columns for people, and what stands in them.

use std::time::{Duration, UNIX_EPOCH};

use tollgate_base::Timestamp;
pub use tollgate_config::catalog::aligned as table;
use tollgate_ledger::NanoUsd;

/// `1 provider`, `2 providers`.
pub fn many(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// US dollars as decimal text, exact, for programs.
pub fn usd(amount: NanoUsd) -> String {
    amount.to_string().replacen('$', "", 1)
}

/// Text from elsewhere on one line of a terminal: without control characters.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Returns a Unix time (s), as text; `None` if it is out of any calendar's range.
pub fn timestamp(seconds: u64) -> Option<String> {
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    (seconds <= LAST).then(|| Timestamp(time).to_string())
}

/// `2026-11-23`.
pub fn date(seconds: u64) -> String {
    cut(seconds, 10)
}

/// `2026-11-23T05:06:07Z`.
pub fn time(seconds: u64) -> String {
    match timestamp(seconds) {
        Some(_) => cut(seconds, 19) + "Z",
        None => "never".to_owned(),
    }
}

fn cut(seconds: u64, length: usize) -> String {
    let text = timestamp(seconds).unwrap_or_else(|| "never".to_owned());
    text.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_amounts() {
        assert_eq!(date(1_767_225_599), "2025-12-31");
        assert_eq!(time(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(time(u64::MAX), "never");
        assert_eq!(usd(NanoUsd(-1_500_000_001)), "-1.500000001");
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a?[2Jb?");
    }
}
