//! The file in which a feed's last good prices are kept: a table as the built-in prices are, with a row for each way and
//! time of serving, its rates written as price lists have them. [`Kept::parse`] trusts the file as little as a feed.

use std::fmt;

use super::{Entry, Kept, Name, sound};
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, Variant};
use tollgate_wire::report::Context;

/// The most models that are kept of a feed.
const MODELS: usize = 100_000;

/// The most bytes of a row.
const ROW: usize = 16 << 10;

/// The first line of what is kept.
pub(super) const HEAD: &str = "# Prices of a feed, form 1. Written by Tollgate: do not edit.";

/// The names of the columns.
pub(super) const COLUMNS: &str = "provider\tmodel\tstate\tsince\twhen\tholds\trates";

impl Kept {
    /// Reads what [`Kept`] writes.
    ///
    /// # Errors
    /// Names the line at fault, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Kept, String> {
        let mut lines = (1..).zip(text.lines());
        let head = [HEAD, COLUMNS]
            .into_iter()
            .all(|line| lines.next().is_some_and(|it| it.1 == line));
        if !head {
            return Err("line 1: it is not what this version keeps of a feed".to_owned());
        }
        let mut kept = Kept::default();
        for (number, line) in lines {
            kept.row(line)
                .map_err(|fault| format!("line {number}: {fault}"))?;
            if kept.taken.len() + kept.held.len() > MODELS {
                return Err(format!("line {number}: more than {MODELS} models"));
            }
        }
        let all = kept.taken.iter_mut().chain(&mut kept.held);
        for (name, entry) in all {
            sound(&mut entry.prices).map_err(|fault| format!("{name}: {fault}"))?;
        }
        Ok(kept)
    }

    fn row(&mut self, line: &str) -> Result<(), String> {
        if line.len() > ROW {
            return Err("it is too long".to_owned());
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [provider, model, state, since, when, holds, rates] = columns[..] else {
            return Err(format!("{} columns, not 7", columns.len()));
        };
        let models = match state {
            "taken" => &mut self.taken,
            "held" => &mut self.held,
            _ => return Err("its state is neither `taken` nor `held`".to_owned()),
        };
        let name = Name {
            provider: provider.into(),
            model: model.into(),
        };
        let since = since.parse().ok().filter(|since| *since < LAST);
        let since = since.ok_or("its time is no Unix time")?;
        let when: Context = when.parse()?;
        let holds: Holds = holds.parse()?;
        let rates: Rates = rates.parse()?;
        let entry = models.entry(name).or_insert_with(|| Entry {
            since,
            prices: Prices::default(),
        });
        if when.is_standard() {
            entry.prices.standard.push(Period { holds, rates });
        } else {
            entry.prices.variants.push(Variant { when, holds, rates });
        }
        Ok(())
    }
}

/// The first second of the year 10000.
const LAST: u64 = 253_402_300_800;

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{COLUMNS}")?;
        for (state, models) in [("taken", &self.taken), ("held", &self.held)] {
            for (Name { provider, model }, Entry { since, prices }) in models {
                let mut row = |when: &dyn fmt::Display, holds: Holds, rates: &Rates| {
                    writeln!(
                        f,
                        "{provider}\t{model}\t{state}\t{since}\t{when}\t{holds}\t{rates}"
                    )
                };
                for Period { holds, rates } in &prices.standard {
                    row(&"", *holds, rates)?;
                }
                for Variant { when, holds, rates } in &prices.variants {
                    row(when, *holds, rates)?;
                }
            }
        }
        Ok(())
    }
}
