//! Columns for people.

use std::time::{Duration, UNIX_EPOCH};

use tollgate_base::Timestamp;
use tollgate_ledger::NanoUsd;

/// Aligned columns under their headings; what `right` names by its index is aligned to the right.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], right: &[usize]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![line(&head.map(str::to_owned), widths, right)];
    lines.extend(rows.iter().map(|row| line(row, widths, right)));
    lines.join("\n")
}

fn line<const N: usize>(row: &[String; N], widths: [usize; N], right: &[usize]) -> String {
    let cells = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(index, (cell, width))| {
            if right.contains(&index) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
    let line = cells.collect::<Vec<_>>().join("  ");
    line.trim_end().to_owned()
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

/// A Unix time (s), as text; `None` if it is out of any calendar's range.
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
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["größe".to_owned(), "$1.50".to_owned()],
            ["a".to_owned(), "$10.00".to_owned()],
        ];
        let text = table(["ACCOUNT", "FREE"], &rows, &[1]);
        assert_eq!(text, "ACCOUNT    FREE\ngröße     $1.50\na        $10.00");
    }

    #[test]
    fn times_and_amounts() {
        assert_eq!(date(1_767_225_599), "2025-12-31");
        assert_eq!(time(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(time(u64::MAX), "never");
        assert_eq!(usd(NanoUsd(-1_500_000_001)), "-1.500000001");
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a?[2Jb?");
    }
}
