//! OpenAI's organization costs and usage.
//!
//! Sources: the API reference of `GET /v1/organization/costs` and `GET /v1/organization/usage/…`
//! (<https://developers.openai.com/api/docs/api-reference/usage>), and the cookbook's "How to use the Usage API and Cost
//! API". Costs are US dollars as a number (`amount.value`), by `line_item` (`gpt-4o-2024-08-06, cached input`, or
//! `…, input_tokens`), project and API key if asked to be grouped so. Usage counts tokens: `input_tokens` has those read
//! from the cache and written to it in it; `input_uncached_tokens` is the rest. Of sound, the reference says that
//! `input_tokens` is of text and `input_audio_tokens` beside it; newer answers have a part for every kind
//! (`input_text_tokens`, `input_cached_text_tokens`, …), which are taken if they add up.

use std::collections::BTreeMap;

use tollgate_ledger::bank::Day;

use super::fault::{Fault, shown};
use super::json::{Fields, Node};
use super::money;
use super::page::{Api, Entry, Kind};
use super::words::{item, tool};
use crate::billed::{Billed, Vendor};
use crate::unit::Unit;
use crate::variant::variant;

/// Figures of a usage result that are understood.
pub(super) const FIGURES: [&str; 22] = [
    "input_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_cache_write_tokens",
    "input_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_tokens",
    "output_text_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "num_model_requests",
    "num_sessions",
    "num_requests",
    "num_calls",
    "images",
    "characters",
    "seconds",
    "usage_bytes",
];

/// How it writes pages.
pub(super) const API: Api = Api {
    vendor: Vendor::OpenAi,
    span: ["start_time", "end_time"],
    // Older client libraries spell it in the singular.
    results: &["results", "result"],
    unix: |node| node.count(),
    entry: read,
};

fn read(node: &Node<'_>, day: Day, notes: &mut Vec<String>) -> Result<(Kind, Entry), Fault> {
    let result = node.fields()?;
    let object = result.text("object")?.unwrap_or_default();
    let named = object
        .strip_prefix("organization.usage.")
        .and_then(|rest| rest.strip_suffix(".result"));
    let (kind, rows) = if object == "organization.costs.result" || result.has("amount") {
        (Kind::Costs, cost(&result, day)?)
    } else if let Some(named) = named {
        (
            Kind::Usage(named.to_owned()),
            usage(&result, day, named, notes)?,
        )
    } else if result.has("num_model_requests") || result.has("input_tokens") {
        let named = "completions";
        (
            Kind::Usage(named.to_owned()),
            usage(&result, day, named, notes)?,
        )
    } else {
        return Err(node.fault(format!(
            "expected a result of the organization's costs or usage, not {}",
            shown(&object)
        )));
    };
    let identity = result.identity(&[]);
    Ok((kind, Entry { identity, rows }))
}

fn cost(result: &Fields<'_>, day: Day) -> Result<Vec<Billed>, Fault> {
    let amount = result.required("amount")?.fields()?;
    let currency = amount.required("currency")?;
    money::only_dollars(&currency.text()?).map_err(|what| currency.fault(what))?;
    let value = amount.required("value")?;
    let text = value.text()?;
    let cost = money::dollars(&text).map_err(|what| value.fault(what))?;
    let mut billed = Billed {
        key: result.text("api_key_id")?,
        project: result.text("project_id")?,
        quantity: result.count("quantity").unwrap_or_default(),
        cost: Some(cost),
        ..Billed::on(day)
    };
    if let Some(text) = result.text("line_item")? {
        name(&mut billed, &text);
    }
    Ok(vec![billed])
}

/// What a line item is about.
pub(super) fn name(billed: &mut Billed, text: &str) {
    let item = item(text);
    billed.model = item.model;
    billed.unit = item.unit;
    billed.variant = item.variant;
    billed.item = Some(text.to_owned());
    if billed.unit.is_none() {
        billed.quantity = None;
    }
}

fn usage(
    result: &Fields<'_>,
    day: Day,
    of: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Billed>, Fault> {
    for stranger in result.strangers(&FIGURES) {
        notes.push(format!(
            "{}: the field {} is not known, and is not compared",
            result.node.source.name,
            shown(stranger)
        ));
    }
    let tier = match result.flag("batch")? {
        Some(true) => Some("batch".to_owned()),
        _ => result.text("service_tier")?,
    };
    let base = Billed {
        model: result.text("model")?,
        key: result.text("api_key_id")?,
        project: result.text("project_id")?,
        variant: tier.map(|tier| variant(Some(&tier), None, None)),
        ..Billed::on(day)
    };
    let mut figures = BTreeMap::new();
    for name in FIGURES {
        if let Some(count) = result.count(name)? {
            figures.insert(name, count);
        }
    }
    let figure = |name: &str| figures.get(name).copied();
    let units = units(of, &figure).map_err(|what| result.node.fault(what))?;
    Ok(rows(&base, figure("num_model_requests"), &units))
}

/// A row for each unit, and one for the requests.
pub(super) fn rows(base: &Billed, requests: Option<u64>, units: &[(Unit, u64)]) -> Vec<Billed> {
    let counted = requests.map(|_| Billed {
        requests,
        ..base.clone()
    });
    let used = units.iter().filter(|(_, quantity)| *quantity > 0);
    let used = used.map(|(unit, quantity)| Billed {
        unit: Some(*unit),
        quantity: Some(*quantity),
        ..base.clone()
    });
    counted.into_iter().chain(used).collect()
}

/// The units of a usage result; `of` is what kind of request it is about.
pub(super) fn units(
    of: &str,
    figure: &dyn Fn(&str) -> Option<u64>,
) -> Result<Vec<(Unit, u64)>, String> {
    let count = |name: &str| figure(name).unwrap_or(0);
    if let Some(unit) = tool(of) {
        let names = ["num_sessions", "num_requests", "num_calls"];
        return Ok(vec![(unit, names.iter().map(|name| count(name)).sum())]);
    }
    let mut units = vec![
        (Unit::Image, count("images")),
        (Unit::Character, count("characters")),
        (Unit::Second, count("seconds")),
        (Unit::Byte, count("usage_bytes")),
    ];
    units.extend(prompt(figure)?);
    units.extend(answer(figure));
    Ok(units)
}

fn prompt(figure: &dyn Fn(&str) -> Option<u64>) -> Result<Vec<(Unit, u64)>, String> {
    let count = |name: &str| figure(name).unwrap_or(0);
    let whole = count("input_tokens");
    let cached = count("input_cached_tokens");
    let written = count("input_cache_write_tokens");
    let text = match figure("input_uncached_tokens") {
        Some(uncached) => uncached,
        None => cached
            .checked_add(written)
            .and_then(|parts| whole.checked_sub(parts))
            .ok_or("input_cached_tokens is more than input_tokens, which it is a part of")?,
    };
    let fresh = [
        "input_text_tokens",
        "input_audio_tokens",
        "input_image_tokens",
    ]
    .map(count);
    let read = [
        "input_cached_text_tokens",
        "input_cached_audio_tokens",
        "input_cached_image_tokens",
    ]
    .map(count);
    let adds_up = |parts: [u64; 3], whole: u64| {
        parts.into_iter().try_fold(0u64, u64::checked_add) == Some(whole)
    };
    let parts = figure("input_text_tokens").is_some() && adds_up(fresh, text);
    let mut units = if parts {
        vec![
            (Unit::Input, fresh[0]),
            (Unit::InputAudio, fresh[1]),
            (Unit::InputImage, fresh[2]),
        ]
    } else {
        // Beside the text, and with what came from the cache in it.
        vec![
            (Unit::Input, text),
            (Unit::InputAudio, fresh[1].saturating_sub(read[1])),
            (Unit::InputImage, fresh[2].saturating_sub(read[2])),
        ]
    };
    if !parts || adds_up(read, cached) {
        let of_text = if parts { read[0] } else { cached };
        units.extend([
            (Unit::CachedRead, of_text),
            (Unit::CachedAudio, read[1]),
            (Unit::CachedImage, read[2]),
        ]);
    } else {
        units.push((Unit::CachedRead, cached));
    }
    units.push((Unit::CacheWriteAny, written));
    Ok(units)
}

fn answer(figure: &dyn Fn(&str) -> Option<u64>) -> Vec<(Unit, u64)> {
    let count = |name: &str| figure(name).unwrap_or(0);
    let whole = count("output_tokens");
    let (audio, image) = (count("output_audio_tokens"), count("output_image_tokens"));
    let text = figure("output_text_tokens").filter(|text| {
        text.checked_add(audio)
            .and_then(|sum| sum.checked_add(image))
            == Some(whole)
    });
    vec![
        (Unit::Output, text.unwrap_or(whole)),
        (Unit::OutputAudio, audio),
        (Unit::OutputImage, image),
    ]
}
