//! Anthropic's usage and cost reports.
//!
//! Sources: the Admin API reference of `GET /v1/organizations/usage_report/messages` and
//! `GET /v1/organizations/cost_report` (<https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages>,
//! <https://platform.claude.com/docs/en/api/admin/cost_report/retrieve>). An `amount` is decimal text in the lowest unit
//! of its currency: `"123.45"` in `USD` is 1.2345 dollars. Costs are split by model and kind of token if they were
//! grouped by `description`, by workspace if grouped by that, and never by API key. The Priority Tier is in the usage
//! report only: it is not billed by the token. Usage has no count of requests.

use tollgate_base::time;
use tollgate_ledger::bank::Day;

use super::fault::{Fault, shown};
use super::json::{Fields, Node};
use super::money;
use super::openai::rows;
use super::page::{Api, Entry, Kind};
use super::words::{kind_of_token, tool};
use crate::billed::{Billed, Vendor};
use crate::unit::Unit;
use crate::variant::variant;

/// Figures of a usage result that are understood.
const FIGURES: [&str; 3] = [
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
];

/// How it writes pages.
pub(super) const API: Api = Api {
    vendor: Vendor::Anthropic,
    span: ["starting_at", "ending_at"],
    results: &["results"],
    unix,
    entry: read,
};

/// Unix time (s) of an RFC 3339 text.
fn unix(node: &Node<'_>) -> Result<u64, Fault> {
    let text = node.text()?;
    let nanos = time::instant(&text);
    nanos
        .and_then(|nanos| u64::try_from(nanos / 1_000_000_000).ok())
        .ok_or_else(|| {
            node.fault(format!(
                "expected a time such as 2026-11-29T00:00:00Z, not {}",
                shown(&text)
            ))
        })
}

fn read(node: &Node<'_>, day: Day, notes: &mut Vec<String>) -> Result<(Kind, Entry), Fault> {
    let result = node.fields()?;
    let (kind, rows) = if result.has("amount") {
        (Kind::Costs, cost(&result, day)?)
    } else if result.has("uncached_input_tokens") {
        (
            Kind::Usage("messages".to_owned()),
            usage(&result, day, notes)?,
        )
    } else {
        return Err(node.fault(
            "expected a result of the cost report (with `amount`) or of the messages usage report (with \
             `uncached_input_tokens`)",
        ));
    };
    let identity = result.identity(&["amount", "list_amount"]);
    Ok((kind, Entry { identity, rows }))
}

fn cost(result: &Fields<'_>, day: Day) -> Result<Vec<Billed>, Fault> {
    let currency = result.required("currency")?;
    money::only_dollars(&currency.text()?).map_err(|what| currency.fault(what))?;
    let amount = result.required("amount")?;
    let text = amount.text()?;
    let cost = money::cents(&text).map_err(|what| amount.fault(what))?;
    let description = result.text("description")?;
    let kind = result.text("cost_type")?;
    let unit = match (result.text("token_type")?, &kind) {
        (Some(token), _) => kind_of_token(&token),
        (None, Some(kind)) => tool(kind),
        (None, None) => None,
    };
    let unit = unit.or_else(|| {
        let last = description.as_deref()?.rsplit(" - ").next()?;
        kind_of_token(last).or_else(|| tool(last))
    });
    let model = match result.text("model")? {
        // A tool is billed beside the model that used it.
        Some(_) if unit.is_some_and(Unit::is_tool) => None,
        Some(model) => Some(model),
        None => description
            .as_deref()
            .filter(|_| unit.is_some_and(Unit::is_tokens))
            .and_then(|text| text.split_once(" Usage"))
            .map(|(model, _)| model.to_owned())
            // What is about something else than a model or a known tool is named by its description.
            .or_else(|| {
                description
                    .clone()
                    .or(kind.clone())
                    .filter(|_| unit.is_none())
            }),
    };
    let tier = result.text("service_tier")?;
    let place = result.text("inference_geo")?;
    let said = tier.is_some() || place.is_some();
    Ok(vec![Billed {
        model,
        project: result.text("workspace_id")?,
        variant: said.then(|| variant(tier.as_deref(), None, place.as_deref())),
        unit,
        item: description.or(kind),
        cost: Some(cost),
        ..Billed::on(day)
    }])
}

fn usage(result: &Fields<'_>, day: Day, notes: &mut Vec<String>) -> Result<Vec<Billed>, Fault> {
    let mut strange = |fields: &Fields<'_>, known: &[&str]| {
        for stranger in fields.strangers(known) {
            notes.push(format!(
                "{}: the field {} is not known, and is not compared",
                fields.node.source.name,
                shown(stranger)
            ));
        }
    };
    strange(result, &FIGURES);
    let count = |name: &str| result.count(name).map(Option::unwrap_or_default);
    let mut units = vec![
        (Unit::Input, count("uncached_input_tokens")?),
        (Unit::CachedRead, count("cache_read_input_tokens")?),
        (Unit::Output, count("output_tokens")?),
    ];
    if let Some(node) = result.get("cache_creation") {
        let written = node.fields()?;
        strange(
            &written,
            &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"],
        );
        for (name, unit) in [
            ("ephemeral_5m_input_tokens", Unit::CacheWrite),
            ("ephemeral_1h_input_tokens", Unit::CacheWrite1h),
        ] {
            units.push((unit, written.count(name)?.unwrap_or_default()));
        }
    }
    let mut searches = 0;
    if let Some(node) = result.get("server_tool_use") {
        let tools = node.fields()?;
        // Fetching a page costs its tokens only.
        strange(&tools, &["web_search_requests", "web_fetch_requests"]);
        searches = tools.count("web_search_requests")?.unwrap_or_default();
    }
    let tier = result.text("service_tier")?;
    let speed = result.text("speed")?;
    let place = result.text("inference_geo")?;
    let said = tier.is_some() || speed.is_some() || place.is_some();
    let base = Billed {
        model: result.text("model")?,
        key: result.text("api_key_id")?,
        project: result.text("workspace_id")?,
        variant: said.then(|| variant(tier.as_deref(), speed.as_deref(), place.as_deref())),
        ..Billed::on(day)
    };
    let mut all = rows(&base, None, &units);
    let beside = Billed {
        model: None,
        variant: None,
        ..base
    };
    all.extend(rows(&beside, None, &[(Unit::WebSearch, searches)]));
    Ok(all)
}
