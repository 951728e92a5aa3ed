//! A charge that explains itself: unit × quantity × rate, the fee, rounding, and the sum, which is the charge.

use std::borrow::Borrow;
use std::fmt;

use serde::Serialize;

use super::event::Attempt;
use super::flags::Flag;
use crate::NanoUsd;
use crate::cost::Sheet;
use crate::tariff::{Holds, show_rate};

/// Pico-dollars in a nano-dollar.
const PICOS: i128 = 1_000;

/// What an attempt was charged, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The units that were used, each at its rate; the processing fee last.
    pub lines: Vec<Line>,
    /// The sum of the lines before rounding, US dollars to the pico-dollar.
    pub sum: String,
    /// What rounding to the nano-dollar added, or took away, US dollars.
    pub rounding: String,
    /// What was charged, US dollars to the nano-dollar.
    pub total: String,
    /// What it was priced as: `standard`, or as in `service_tier=priority`.
    pub priced_as: String,
    /// The day from which the prices hold; empty if always.
    pub since: String,
    /// Where the prices come from; empty if the model's price is not paid by credits.
    pub source: String,
    /// In words, where the sum is not all: a price that was assumed, a charge of what was held.
    pub notes: Vec<&'static str>,
}

/// A line of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What was used; `fee` is the processing fee.
    pub unit: &'static str,
    /// How much of it.
    pub quantity: u64,
    /// The rate, as price lists have it: US dollars per million tokens, or per thousand of what is no token.
    pub rate: String,
    /// Per how many.
    pub per: u64,
    /// Quantity × rate, US dollars to the pico-dollar.
    pub cost: String,
}

/// US dollars of pico-dollars, exactly.
fn dollars(picos: i128) -> String {
    const DOLLAR: i128 = 1_000_000_000_000;
    let sign = if picos < 0 { "-" } else { "" };
    let (whole, fraction) = (picos.abs() / DOLLAR, picos.abs() % DOLLAR);
    let fraction = format!("{fraction:012}");
    let kept = fraction.trim_end_matches('0').len().max(2);
    format!("{sign}{whole}.{}", &fraction[..kept])
}

impl Explanation {
    /// Explains an attempt's charge.
    pub fn of<S, R: Borrow<Sheet>>(attempt: &Attempt<S, R>) -> Explanation {
        let sheet: Option<&Sheet> = attempt.sheet.as_ref().map(Borrow::borrow);
        let mut lines = Vec::new();
        let mut sum = 0i128;
        let mut notes = Vec::new();
        let mut line = |unit: &'static str, quantity: u64, rate: String, per: u64, pico: u64| {
            let cost = i128::from(quantity) * i128::from(pico);
            sum = sum.saturating_add(cost);
            lines.push(Line {
                unit,
                quantity,
                rate,
                per,
                cost: dollars(cost),
            });
        };
        if let Some(sheet) = sheet {
            for (unit, pico) in &sheet.rates {
                let per = if unit.is_tokens() { 1_000_000 } else { 1_000 };
                line(
                    unit.name(),
                    attempt.usage[*unit],
                    show_rate(*unit, *pico),
                    per,
                    *pico,
                );
            }
            if sheet.fee > 0 {
                let rate = show_rate(tollgate_wire::report::Unit::Input, sheet.fee);
                line("fee", attempt.usage.total(), rate, 1_000_000, sheet.fee);
            }
        }
        let total = i128::from(attempt.cost.0) * PICOS;
        if attempt.is(Flag::Orphaned) {
            notes.push("the gateway died before it was settled: what was held is charged");
        } else if attempt.is(Flag::Held) {
            notes.push(
                "what was held is charged: it is more than what is known of the answer, whose client had left",
            );
        } else if sheet.is_none() && attempt.cost > NanoUsd::ZERO {
            notes.push("an older version charged it, and kept no rates");
        }
        if attempt.is(Flag::Assumed) {
            notes.push("some of it has no configured price: the dearest one known is charged");
        }
        if attempt.is(Flag::Estimated) && !attempt.is(Flag::Orphaned) {
            notes.push("the provider did not report all of it: the gateway counted");
        }
        let explained = sheet.is_some();
        Explanation {
            lines,
            sum: dollars(if explained { sum } else { total }),
            rounding: dollars(if explained { total - sum } else { 0 }),
            total: dollars(total),
            priced_as: sheet
                .map_or(&attempt.served, |sheet| &sheet.served)
                .to_string(),
            since: sheet
                .filter(|sheet| sheet.since > 0)
                .map(|sheet| Holds::From(sheet.since).to_string())
                .unwrap_or_default(),
            source: sheet
                .map(|sheet| sheet.source.to_string())
                .unwrap_or_default(),
            notes,
        }
    }
}

/// For people: aligned lines, then what they add up to.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |of: &dyn Fn(&Line) -> usize| self.lines.iter().map(of).max().unwrap_or(0);
        let unit = widest(&|line| line.unit.len()).max("rounding".len());
        let quantity = widest(&|line| line.quantity.to_string().len());
        let rate = widest(&|line| line.rate.len());
        let cost = widest(&|line| line.cost.len())
            .max(self.total.len())
            .max(self.sum.len());
        for line in &self.lines {
            let per = if line.per == 1_000 {
                "thousand"
            } else {
                "million"
            };
            writeln!(
                f,
                "  {:<unit$}  {:>quantity$} x ${:>rate$} per {per:<8} = ${:>cost$}",
                line.unit, line.quantity, line.rate, line.cost
            )?;
        }
        let between = if self.lines.is_empty() {
            0
        } else {
            quantity + rate + 22
        };
        for (name, amount) in [("rounding", &self.rounding), ("charged", &self.total)] {
            let shown = name == "charged" || !amount.trim_matches(['0', '.', '-']).is_empty();
            if shown {
                writeln!(f, "  {name:<unit$}  {:between$}${amount:>cost$}", "")?;
            }
        }
        if !self.source.is_empty() {
            let since = if self.since.is_empty() {
                String::new()
            } else {
                format!(", in force since {}", self.since)
            };
            writeln!(
                f,
                "  priced as {} by {}{since}",
                self.priced_as, self.source
            )?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Terms;
    use crate::events::Flags;
    use crate::tariff::Prices;
    use tollgate_wire::report::{Context, Unit, Usage};

    fn charged(usage: Usage, rates: &str, fee: u64) -> Attempt<&'static str, Sheet> {
        let prices = Prices::flat(rates.parse().unwrap());
        let terms = Terms {
            prices: Some(&prices),
            at: 0,
            fee,
        };
        let bill = terms.bill(&usage, &Context::STANDARD).unwrap();
        Attempt {
            usage: bill.usage,
            cost: bill.cost,
            flags: Flags::default().with(Flag::Assumed, bill.assumed),
            sheet: Some(bill.sheet),
            ..Attempt::default()
        }
    }

    #[test]
    fn the_lines_add_up_to_the_charge() {
        let mut usage = Usage::of(1_000, 200, 0, 51, 1);
        usage[Unit::WebSearch] = 5;
        let attempt = charged(
            usage,
            "input=3 cached_read=0.3 output=15.0003 web_search=10",
            50_000,
        );
        let explained = Explanation::of(&attempt);
        let sum: f64 = explained
            .lines
            .iter()
            .map(|line| line.cost.parse::<f64>().unwrap())
            .sum();
        assert!((sum - explained.sum.parse::<f64>().unwrap()).abs() < 1e-12);
        let shown = explained.to_string();
        for part in [
            "input",
            "cached_read",
            "web_search",
            "fee",
            "per thousand",
            "priced as standard by catalog",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(
            (&*explained.sum, &*explained.total),
            ("0.0532775653", "0.053277565")
        );
    }

    #[test]
    fn what_has_no_rates_says_why() {
        let attempt = Attempt::<&str, Sheet> {
            cost: NanoUsd(30),
            flags: Flags::default()
                .with(Flag::Held, true)
                .with(Flag::Estimated, true),
            ..Attempt::default()
        };
        let explained = Explanation::of(&attempt);
        assert_eq!(
            (&*explained.total, &*explained.rounding),
            ("0.00000003", "0.00")
        );
        assert!(
            explained.notes[0].starts_with("what was held"),
            "{explained}"
        );
    }
}
