//! A comparison, for people.

use tollgate_ledger::NanoUsd;
use tollgate_reconcile::compare::{Line, Total, show_percent};
use tollgate_reconcile::{Outcome, show_count, show_day};

use crate::cli::table::{plain, table};

/// What stands in a cell of which nothing is known.
const NOTHING: &str = "-";

/// The summary, then the lines that drift with their causes, or all of them.
pub(super) fn text(outcome: &Outcome, all: bool) -> String {
    let mut text = summary(outcome);
    let lines: Vec<&Line> = outcome
        .lines
        .iter()
        .filter(|line| all || !line.matched)
        .collect();
    if !lines.is_empty() {
        text += "\n\n";
        text += &rows(&lines);
    }
    if all && outcome.models.len() > 1 {
        text += "\n\n";
        text += &models(outcome);
    }
    for note in &outcome.notes {
        text += &format!("\n\nnote: {}", plain(note));
    }
    text
}

fn summary(outcome: &Outcome) -> String {
    let Total {
        matched,
        drifted,
        ledger,
        billed,
        drift,
        ppm,
    } = outcome.total;
    let floor = if outcome.tolerance.floor == NanoUsd::ZERO {
        String::new()
    } else {
        format!(" or {} a line", outcome.tolerance.floor)
    };
    let mut text = format!(
        "{}, {} to {}, within {} %{floor}\n\n",
        plain(&outcome.provider),
        show_day(outcome.period.from),
        show_day(outcome.period.to),
        show_percent(i64::from(outcome.tolerance.ppm))
    );
    let lines = matched + drifted;
    let of_lines = |number: usize| {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let all = u64::try_from(lines).unwrap_or(u64::MAX);
        format!("{} of {} lines", show_count(number), show_count(all))
    };
    if lines == 0 {
        return text + "nothing was charged or billed";
    }
    text += &format!("matched  {}\n", of_lines(matched));
    text += &format!("charged  {ledger}\n");
    match (billed, drift) {
        (Some(billed), Some(drift)) => {
            text += &format!("billed   {billed}\n");
            text += &format!("drift    {}, {}", signed(drift), percent(ppm));
        }
        _ => text += "billed   not said: without a cost report, quantities are compared",
    }
    for (cause, total) in &outcome.causes {
        let drift = total.drift.map(|drift| format!(", {}", signed(drift)));
        text += &format!(
            "\n         {cause}: {}{}",
            of_lines(total.drifted),
            drift.unwrap_or_default()
        );
    }
    text
}

fn rows(lines: &[&Line]) -> String {
    let head = [
        "DAY", "MODEL", "KEY", "CHARGED", "BILLED", "DRIFT", "%", "CAUSE",
    ];
    let cells: Vec<[String; 8]> = lines
        .iter()
        .map(|line| {
            let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
            let cause = match &line.finding {
                Some(finding) => finding.cause.words(),
                None => "matched",
            };
            [
                show_day(line.day),
                plain(&line.model),
                or_nothing(line.key.as_deref().map(plain)),
                line.ledger.to_string(),
                or_nothing(line.billed.map(|billed| billed.to_string())),
                or_nothing(line.drift.map(signed)),
                percent(line.ppm),
                cause.to_owned(),
            ]
        })
        .collect();
    let table = table(head, &cells, &[3, 4, 5, 6]);
    let mut shown = table.lines();
    let mut text = shown.next().unwrap_or_default().to_owned();
    let mut last = "";
    for (row, line) in shown.zip(lines) {
        text += &format!("\n{row}");
        // What holds of several lines is said once.
        if let Some(finding) = line.finding.as_ref().filter(|finding| finding.why != last) {
            text += &format!("\n            {}", plain(&finding.why));
            last = &finding.why;
        }
    }
    text
}

fn models(outcome: &Outcome) -> String {
    let head = [
        "MODEL", "MATCHED", "DRIFTED", "CHARGED", "BILLED", "DRIFT", "%",
    ];
    let cells: Vec<[String; 7]> = outcome
        .models
        .iter()
        .map(|(model, total)| {
            let amount = |amount: Option<NanoUsd>| {
                amount.map_or(NOTHING.to_owned(), |amount| amount.to_string())
            };
            [
                plain(model),
                total.matched.to_string(),
                total.drifted.to_string(),
                total.ledger.to_string(),
                amount(total.billed),
                total.drift.map_or(NOTHING.to_owned(), signed),
                percent(total.ppm),
            ]
        })
        .collect();
    table(head, &cells, &[1, 2, 3, 4, 5, 6])
}

/// With a sign if it is not zero.
fn signed(amount: NanoUsd) -> String {
    if amount > NanoUsd::ZERO {
        format!("+{amount}")
    } else {
        amount.to_string()
    }
}

/// Two decimals, and a sign.
fn percent(ppm: Option<i64>) -> String {
    let Some(ppm) = ppm else {
        return NOTHING.to_owned();
    };
    let hundredths = (ppm.unsigned_abs() + 50) / 100;
    let sign = match (hundredths, ppm) {
        (0, _) => "",
        (_, ..0) => "-",
        _ => "+",
    };
    format!("{sign}{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_have_two_decimals() {
        for (ppm, text) in [
            (Some(0), "0.00 %"),
            (Some(49), "0.00 %"),
            (Some(-50), "-0.01 %"),
            (Some(1_000_000), "+100.00 %"),
            (Some(-12_345), "-1.23 %"),
            (None, "-"),
        ] {
            assert_eq!(percent(ppm), text, "{ppm:?}");
        }
    }
}
