//! A table under its headings: what a cell says, and where it stands.

use std::collections::BTreeMap;

use tollgate_ledger::NanoUsd;

use super::super::csv::Row;
use super::super::fault::{Fault, shown};
use super::super::money;
use super::super::{openai, page};
use crate::billed::Vendor;
use crate::day::{DAY, parse_day};
use crate::decimal;
use tollgate_base::time;

/// A form of export: whose, what distinguishes it from others, and all headings that are understood.
pub(super) struct Form {
    pub(super) vendor: Vendor,
    pub(super) costs: bool,
    needs: &'static [&'static str],
    knows: &'static [&'static str],
    pub(super) lists_empty: bool,
}

const FORMS: [Form; 4] = [
    Form {
        vendor: Vendor::OpenAi,
        costs: true,
        needs: &["start_time", "amount_value", "amount_currency"],
        knows: &["quantity", "quantity_unit"],
        lists_empty: true,
    },
    Form {
        vendor: Vendor::OpenAi,
        costs: false,
        needs: &["start_time", "num_model_requests", "input_tokens"],
        knows: &openai::FIGURES,
        lists_empty: false,
    },
    Form {
        vendor: Vendor::Anthropic,
        costs: true,
        needs: &["usage_date_utc", "cost_usd"],
        knows: &["list_price_usd", "token_type", "cost_type"],
        lists_empty: false,
    },
    Form {
        vendor: Vendor::Anthropic,
        costs: false,
        needs: &["usage_date_utc", "usage_output_tokens"],
        knows: &[
            "usage_input_tokens_no_cache",
            "usage_input_tokens_cache_write",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
            "usage_input_tokens_cache_read",
            "web_search_count",
        ],
        lists_empty: false,
    },
];

/// Words in headings of columns with figures.
const FIGURES: [&str; 7] = [
    "token", "cost", "amount", "price", "count", "quantity", "usd",
];

/// A table under its headings.
pub(super) struct Table<'a> {
    name: &'a str,
    headings: Vec<String>,
    columns: BTreeMap<String, usize>,
}

impl<'a> Table<'a> {
    pub(super) fn new(name: &'a str, head: &Row) -> Result<Table<'a>, Fault> {
        let plain = |cell: &String| {
            let words = cell.trim().to_lowercase();
            words.replace([' ', '-'], "_").replace(['(', ')'], "")
        };
        let headings: Vec<String> = head.cells.iter().map(plain).collect();
        let mut columns = BTreeMap::new();
        for (place, heading) in headings.iter().enumerate() {
            let double = columns.insert(heading.clone(), place).is_some();
            if double && !heading.is_empty() {
                return Err(Fault {
                    line: Some(head.line),
                    field: Some(heading.clone()),
                    ..Fault::of(name, "the column is there twice")
                });
            }
        }
        Ok(Table {
            name,
            headings,
            columns,
        })
    }

    fn has(&self, heading: &str) -> bool {
        // OpenAI's time is there as a number and as text.
        let other = match heading {
            "start_time" => "start_time_iso",
            other => other,
        };
        self.columns.contains_key(heading) || self.columns.contains_key(other)
    }

    pub(super) fn form(&self, line: usize) -> Result<&'static Form, Fault> {
        let missing = |form: &Form| -> Vec<&'static str> {
            let needs = form.needs.iter().filter(|heading| !self.has(heading));
            needs.copied().collect()
        };
        if let Some(form) = FORMS.iter().find(|form| missing(form).is_empty()) {
            return Ok(form);
        }
        let nearest = FORMS
            .iter()
            .filter(|form| missing(form).len() < form.needs.len());
        let nearest = nearest.min_by_key(|form| missing(form).len());
        let what = match nearest {
            Some(form) => format!(
                "it looks like {}'s export of {}, but has no column {}",
                form.vendor.name(),
                if form.costs { "costs" } else { "usage" },
                listed(&missing(form), " and no column "),
            ),
            None => {
                let all = FORMS.iter().map(|form| {
                    format!(
                        "{}'s {} have {}",
                        form.vendor.name(),
                        if form.costs { "costs" } else { "usage rows" },
                        listed(form.needs, ", ")
                    )
                });
                format!(
                    "no export of a console has these columns: {}. {}",
                    self.headings
                        .iter()
                        .map(|one| shown(one))
                        .collect::<Vec<_>>()
                        .join(", "),
                    all.collect::<Vec<_>>().join("; ")
                )
            }
        };
        Err(Fault {
            line: Some(line),
            ..Fault::of(self.name, what)
        })
    }

    /// Refuses columns with figures of which nobody knows what they are.
    pub(super) fn refuse_strangers(&self, form: &Form, rows: &[Row]) -> Result<(), Fault> {
        for (heading, place) in &self.columns {
            let figures = has_figures(heading);
            let known =
                form.needs.contains(&heading.as_str()) || form.knows.contains(&heading.as_str());
            if !figures || known {
                continue;
            }
            let used = rows.iter().find(|row| {
                let cell = row.cells.get(*place).map_or("", |cell| cell.trim());
                cell.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
            });
            if let Some(row) = used {
                return Err(Fault {
                    line: Some(row.line),
                    field: Some(heading.clone()),
                    ..Fault::of(
                        self.name,
                        format!(
                            "this column is not understood, and has figures; known are {}",
                            listed(&[form.needs, form.knows].concat(), ", ")
                        ),
                    )
                });
            }
        }
        Ok(())
    }

    pub(super) fn is_in_cents(&self, rows: &[Row]) -> bool {
        let costs = rows.iter().filter_map(|row| self.cell(row, "cost_usd"));
        costs
            .into_iter()
            .all(|cost| decimal::decimals(cost).is_some_and(|decimals| decimals <= 2))
    }

    /// A cell that is not blank.
    pub(super) fn cell<'r>(&self, row: &'r Row, heading: &str) -> Option<&'r str> {
        let cell = row.cells.get(*self.columns.get(heading)?)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    pub(super) fn owned(&self, row: &Row, heading: &str) -> Option<String> {
        self.cell(row, heading).map(str::to_owned)
    }

    pub(super) fn fault(&self, row: &Row, heading: &str, what: impl Into<String>) -> Fault {
        Fault {
            line: Some(row.line),
            field: Some(heading.to_owned()),
            ..Fault::of(self.name, what)
        }
    }

    pub(super) fn count(&self, row: &Row, heading: &str) -> Result<Option<u64>, Fault> {
        let Some(cell) = self.cell(row, heading) else {
            return Ok(None);
        };
        let count = decimal::whole(cell).map_err(|wrong| wrong.said(cell));
        count
            .map(Some)
            .map_err(|what| self.fault(row, heading, what))
    }

    pub(super) fn amount(&self, row: &Row, heading: &str) -> Result<Option<NanoUsd>, Fault> {
        let Some(cell) = self.cell(row, heading) else {
            return Ok(None);
        };
        let amount = money::dollars(cell);
        amount
            .map(Some)
            .map_err(|what| self.fault(row, heading, what))
    }

    /// What a row is about, apart from its figures.
    pub(super) fn identity(&self, row: &Row) -> String {
        let words = self
            .columns
            .iter()
            .filter(|(heading, _)| !has_figures(heading) || *heading == "token_type");
        let words = words.filter_map(|(heading, place)| {
            let cell = row.cells.get(*place)?;
            Some(format!("{heading}={cell};"))
        });
        words.collect()
    }

    /// When it begins and ends (Unix time, s).
    pub(super) fn interval(&self, row: &Row) -> Result<(u64, u64), Fault> {
        if let Some(start) = self.count(row, "start_time")? {
            let end = self.count(row, "end_time")?;
            let end = end.unwrap_or_else(|| start.saturating_add(DAY));
            page::day(start, end).map_err(|what| self.fault(row, "start_time", what))?;
            return Ok((start, end));
        }
        for heading in ["start_time_iso", "usage_date_utc"] {
            if let Some(cell) = self.cell(row, heading) {
                let start = moment(cell).ok_or_else(|| {
                    let what = format!("expected a day such as 2026-11-29, not {}", shown(cell));
                    self.fault(row, heading, what)
                })?;
                return Ok((start, start.saturating_add(DAY)));
            }
        }
        let heading = ["start_time", "usage_date_utc"]
            .into_iter()
            .find(|heading| self.has(heading))
            .unwrap_or("usage_date_utc");
        Err(self.fault(row, heading, "the day is missing"))
    }
}

/// Whether a column of this heading has figures.
fn has_figures(heading: &str) -> bool {
    let mut words = heading.split('_').map(|word| word.trim_end_matches('s'));
    words.any(|word| FIGURES.contains(&word))
}

/// Unix time (s) of a day (`2026-11-29`), or of a time in it in UTC.
fn moment(text: &str) -> Option<u64> {
    if text.len() == 10 {
        return parse_day(text).ok().map(|day| u64::from(day.0) * DAY);
    }
    let text = text.replacen(' ', "T", 1);
    // `2026-11-29T13:00` or `2026-11-29T13:00:00`, with or without an offset.
    let padded = match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text,
    };
    let nanos = time::instant(&padded)?;
    u64::try_from(nanos / 1_000_000_000).ok()
}

/// Headings, quoted, one after the other.
fn listed(headings: &[&str], with: &str) -> String {
    let quoted: Vec<String> = headings.iter().map(|one| format!("`{one}`")).collect();
    quoted.join(with)
}
