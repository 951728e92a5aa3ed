//! The tables that both consoles export.
//!
//! No reference describes them; their headings are those of exports that people published and of programs that read
//! them. A heading is known in any case, with spaces or underscores, and in any order. OpenAI's usage page exports costs
//! (`start_time`, `amount_value`, `amount_currency`, `line_item`, …) and the activity of completions
//! (`num_model_requests`, `input_tokens`, …), with a row also for days without use. Anthropic's exports usage
//! (`usage_date_utc`, `model_version`, `usage_input_tokens_no_cache`, …) and costs (`usage_date_utc`, `model` by the name
//! for people, `token_type`, `cost_usd` rounded to cents), without such rows. A column with figures that is not known is
//! refused: it may be a part of the bill.

mod table;

use std::collections::BTreeMap;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use super::csv::{Row, rows as read_rows};
use super::fault::Fault;
use super::money;
use super::openai;
use super::page::{Bucket, Entry, Kind, Page};
use super::words::{kind_of_token, tool};
use crate::billed::{Billed, Vendor};
use crate::day::day_of;
use crate::unit::Unit;
use crate::variant::variant;
use table::Table;

/// Half a cent: what an amount that is rounded to cents may be off.
const HALF_A_CENT: NanoUsd = NanoUsd(5_000_000);

/// Reads an export.
pub(super) fn page(name: &str, text: &str) -> Result<Page, Fault> {
    let mut rows = read_rows(name, text)?.into_iter();
    let Some(head) = rows.next() else {
        return Err(Fault::of(name, "it is empty"));
    };
    let table = Table::new(name, &head)?;
    let form = table.form(head.line)?;
    let rows: Vec<Row> = rows.collect();
    table.refuse_strangers(form, &rows)?;
    // A whole file of amounts without a third decimal was rounded to cents.
    let rounded = form.vendor == Vendor::Anthropic && form.costs && table.is_in_cents(&rows);
    let mut buckets: BTreeMap<(u64, u64), Vec<Entry>> = BTreeMap::new();
    for row in &rows {
        let (start, end) = table.interval(row)?;
        let day = day_of(start);
        let entries = buckets.entry((start, end)).or_default();
        let mut billed = match (form.vendor, form.costs) {
            (Vendor::OpenAi, true) => table.openai_cost(row, day)?,
            (Vendor::OpenAi, false) => table.openai_usage(row, day)?,
            (Vendor::Anthropic, true) => table.anthropic_cost(row, day)?,
            (Vendor::Anthropic, false) => table.anthropic_usage(row, day)?,
        };
        if rounded {
            for one in &mut billed {
                one.rounding = HALF_A_CENT;
            }
        }
        if !billed.is_empty() {
            entries.push(Entry {
                identity: table.identity(row),
                rows: billed,
            });
        }
    }
    let buckets = buckets.into_iter().map(|((start, end), entries)| Bucket {
        start,
        end,
        entries,
    });
    Ok(Page {
        file: name.to_owned(),
        line: head.line,
        vendor: form.vendor,
        kind: Some(match (form.costs, form.vendor) {
            (true, _) => Kind::Costs,
            (false, Vendor::OpenAi) => Kind::Usage("completions".to_owned()),
            (false, Vendor::Anthropic) => Kind::Usage("messages".to_owned()),
        }),
        buckets: buckets.collect(),
        more: None,
        lists_empty: form.lists_empty,
    })
}

impl Table<'_> {
    fn openai_cost(&self, row: &Row, day: Day) -> Result<Vec<Billed>, Fault> {
        let Some(cost) = self.amount(row, "amount_value")? else {
            // A day on which nothing was used.
            return Ok(Vec::new());
        };
        let currency = self.cell(row, "amount_currency").unwrap_or_default();
        money::only_dollars(currency).map_err(|what| self.fault(row, "amount_currency", what))?;
        let mut billed = Billed {
            key: self.owned(row, "api_key_id"),
            project: self
                .owned(row, "project_id")
                .or_else(|| self.owned(row, "project_name")),
            quantity: self.count(row, "quantity").unwrap_or_default(),
            cost: Some(cost),
            ..Billed::on(day)
        };
        if let Some(text) = self.cell(row, "line_item") {
            openai::name(&mut billed, text);
        }
        Ok(vec![billed])
    }

    fn openai_usage(&self, row: &Row, day: Day) -> Result<Vec<Billed>, Fault> {
        let mut figures = BTreeMap::new();
        for name in openai::FIGURES {
            if let Some(count) = self.count(row, name)? {
                figures.insert(name, count);
            }
        }
        let figure = |name: &str| figures.get(name).copied();
        let units = openai::units("completions", &figure)
            .map_err(|what| self.fault(row, "input_tokens", what))?;
        let batch = self.cell(row, "batch").map(str::to_lowercase);
        let tier = match batch.as_deref() {
            Some("true" | "1") => Some("batch"),
            _ => self.cell(row, "service_tier"),
        };
        let base = Billed {
            model: self.owned(row, "model"),
            key: self.owned(row, "api_key_id"),
            project: self.owned(row, "project_id"),
            variant: tier.map(|tier| variant(Some(tier), None, None)),
            ..Billed::on(day)
        };
        Ok(openai::rows(&base, figure("num_model_requests"), &units))
    }

    fn anthropic_cost(&self, row: &Row, day: Day) -> Result<Vec<Billed>, Fault> {
        let cost = self
            .amount(row, "cost_usd")?
            .ok_or_else(|| self.fault(row, "cost_usd", "the amount is missing"))?;
        let token = self.cell(row, "token_type");
        let kind = self.cell(row, "cost_type");
        let unit = token
            .and_then(|token| kind_of_token(token).or_else(|| tool(token)))
            .or_else(|| kind.and_then(tool));
        let model = self.owned(row, "model");
        Ok(vec![Billed {
            model: model.filter(|_| !unit.is_some_and(Unit::is_tool)),
            unit,
            item: token.or(kind).map(str::to_owned),
            cost: Some(cost),
            ..self.anthropic(row, day)
        }])
    }

    fn anthropic_usage(&self, row: &Row, day: Day) -> Result<Vec<Billed>, Fault> {
        let mut units = Vec::new();
        for (heading, unit) in [
            ("usage_input_tokens_no_cache", Unit::Input),
            ("usage_input_tokens_cache_write", Unit::CacheWriteAny),
            ("usage_input_tokens_cache_write_5m", Unit::CacheWrite),
            ("usage_input_tokens_cache_write_1h", Unit::CacheWrite1h),
            ("usage_input_tokens_cache_read", Unit::CachedRead),
            ("usage_output_tokens", Unit::Output),
        ] {
            units.push((unit, self.count(row, heading)?.unwrap_or_default()));
        }
        let searches = self.count(row, "web_search_count")?.unwrap_or_default();
        let beside = self.anthropic(row, day);
        let base = Billed {
            model: self
                .owned(row, "model_version")
                .or_else(|| self.owned(row, "model")),
            ..beside.clone()
        };
        let beside = Billed {
            variant: None,
            ..beside
        };
        let mut all = openai::rows(&base, None, &units);
        all.extend(openai::rows(&beside, None, &[(Unit::WebSearch, searches)]));
        Ok(all)
    }

    /// What both of Anthropic's exports say of a row.
    fn anthropic(&self, row: &Row, day: Day) -> Billed {
        let words = ["usage_type", "speed", "inference_geo"].map(|name| self.cell(row, name));
        let said = words.iter().any(Option::is_some);
        Billed {
            key: self
                .owned(row, "api_key")
                .or_else(|| self.owned(row, "api_key_id")),
            project: self.owned(row, "workspace"),
            variant: said.then(|| variant(words[0], words[1], words[2])),
            ..Billed::on(day)
        }
    }
}
