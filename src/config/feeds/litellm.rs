//! LiteLLM's price list: one object of models, US dollars per token or call, what a price depends on in its name's end.

use std::collections::BTreeMap;

use super::json::Json;
use super::number::{Per, set};
use super::{Found, Wanted, at};
use crate::catalog::Name;
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, Variant};
use tollgate_wire::report::{Context, Dimension, Unit};

/// What our providers are called there, where that is not their id.
const PROVIDERS: [(&str, &str); 3] = [
    ("google", "gemini"),
    ("moonshotai", "moonshot"),
    ("z-ai", "zai"),
];

const UNITS: [(&str, Unit, Per); 15] = [
    ("input_cost_per_token", Unit::Input, Per::Token),
    ("output_cost_per_token", Unit::Output, Per::Token),
    (
        "output_cost_per_reasoning_token",
        Unit::Reasoning,
        Per::Token,
    ),
    ("cache_read_input_token_cost", Unit::CachedRead, Per::Token),
    (
        "cache_creation_input_token_cost",
        Unit::CacheWrite,
        Per::Token,
    ),
    ("input_cost_per_audio_token", Unit::InputAudio, Per::Token),
    ("output_cost_per_audio_token", Unit::OutputAudio, Per::Token),
    (
        "cache_read_input_audio_token_cost",
        Unit::CachedAudio,
        Per::Token,
    ),
    ("input_cost_per_image_token", Unit::InputImage, Per::Token),
    ("output_cost_per_image_token", Unit::OutputImage, Per::Token),
    ("output_cost_per_video_token", Unit::OutputVideo, Per::Token),
    ("citation_cost_per_token", Unit::Citation, Per::Token),
    ("input_cost_per_request", Unit::Request, Per::One),
    (
        "file_search_cost_per_1k_calls",
        Unit::FileSearch,
        Per::Thousand,
    ),
    (
        "code_interpreter_cost_per_session",
        Unit::CodeContainer,
        Per::One,
    ),
];

/// Members that are no models.
const OTHERS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

pub(super) fn read(text: &str, wanted: &Wanted<'_>, found: &mut Found) -> Result<(), String> {
    let mut own: BTreeMap<Name, bool> = BTreeMap::new();
    Json::parse(text)?.members(|key, model| {
        if OTHERS.contains(&key) {
            return Ok(());
        }
        found.count()?;
        let named = model.member("litellm_provider").ok().flatten();
        let Some(provider) = named.and_then(|named| named.text().ok()) else {
            // Nobody's model changes nobody's price.
            return Ok(());
        };
        let Some(known) = wanted.called(&provider, &PROVIDERS) else {
            return Ok(());
        };
        let id = key
            .strip_prefix(&*provider)
            .and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = known.model(id.unwrap_or(key)) else {
            return Ok(());
        };
        // A model may be there with and without its provider in front: the former counts.
        if own.get(&name) == Some(&true) {
            return Ok(());
        }
        own.insert(name.clone(), id.is_some());
        found.read.models.remove(&name);
        found.read.faulty.remove(&name);
        match prices(model) {
            Ok(prices) if prices.standard.is_empty() && prices.variants.is_empty() => {}
            read => found.put(name, read),
        }
        Ok(())
    })
}

/// What a price depends on, as the end of its name says.
#[derive(Default)]
struct Ending {
    when: Context,
    above: Option<u64>,
    hour: bool,
}

/// A name without its ending; `None` if that is not understood.
fn ending(mut name: &str) -> Option<(&str, Ending)> {
    let mut found = Ending::default();
    let ways = [
        ("_priority", Dimension::ServiceTier, "priority"),
        ("_flex", Dimension::ServiceTier, "flex"),
        ("_batches", Dimension::Processing, "batch"),
    ];
    for (end, dimension, value) in ways {
        if let Some(rest) = name.strip_suffix(end) {
            found.when.set(dimension, value);
            name = rest;
        }
    }
    if let Some(rest) = name.strip_suffix("k_tokens") {
        let (rest, thousands) = rest.rsplit_once("_above_")?;
        found.above = Some(thousands.parse::<u64>().ok()?.checked_mul(1_000)?);
        name = rest;
    }
    if let Some(rest) = name.strip_suffix("_above_1hr") {
        found.hour = true;
        name = rest;
    }
    Some((name, found))
}

fn prices(model: Json<'_>) -> Result<Prices, String> {
    let mode = model.member("mode")?.map(Json::text).transpose()?;
    let answers = mode.as_deref() != Some("embedding");
    let per_prompt = |unit: Json<'_>| unit.text().map(|unit| unit == "per_prompt");
    let by_prompt = model
        .member("web_search_billing_unit")?
        .map_or(Ok(false), per_prompt)?;
    let mut all: Vec<(Context, Rates)> = vec![(Context::STANDARD, Rates::default())];
    // Prices of long prompts last: they need one of short ones.
    for long in [false, true] {
        model.members(|name, price| {
            if price.is_null() {
                return Ok(());
            }
            match name {
                "search_context_cost_per_query" if !long && !by_prompt => {
                    return searches(price, &mut all[0].1);
                }
                "tiered_pricing" if long => return tiered(price, &mut all[0].1),
                _ => {}
            }
            let Some((name, ending)) = ending(name).filter(|it| it.1.above.is_some() == long)
            else {
                return Ok(());
            };
            let Some((_, unit, per)) = UNITS.iter().find(|(known, ..)| *known == name) else {
                return Ok(());
            };
            let unit = match (*unit, ending.hour) {
                (unit, false) => unit,
                (Unit::CacheWrite, true) => Unit::CacheWrite1h,
                _ => return Ok(()),
            };
            // What embeds makes no tokens, and says that they cost nothing.
            if unit == Unit::Output && !answers {
                return Ok(());
            }
            let place = all.iter().position(|(when, _)| *when == ending.when);
            let place = place.unwrap_or_else(|| {
                all.push((ending.when, Rates::default()));
                all.len() - 1
            });
            set(&mut all[place].1, unit, ending.above, price, *per)
        })?;
    }
    let mut prices = Prices::default();
    for (when, rates) in all.into_iter().filter(|(_, rates)| !rates.is_empty()) {
        let holds = Holds::Always;
        match when.is_standard() {
            true => prices.standard.push(Period { holds, rates }),
            false => prices.variants.push(Variant { when, holds, rates }),
        }
    }
    Ok(prices)
}

/// The price of a search, if it is the same however much of its results is read.
fn searches(sizes: Json<'_>, rates: &mut Rates) -> Result<(), String> {
    let mut found: Vec<Rates> = Vec::new();
    sizes.members(|_, price| {
        let mut rates = Rates::default();
        set(&mut rates, Unit::WebSearch, None, price, Per::One)?;
        found.push(rates);
        Ok(())
    })?;
    if let Some(first) = found.first()
        && found.iter().all(|one| one == first)
        && let Some(rate) = first.get(Unit::WebSearch)
    {
        *rates.entry(Unit::WebSearch) = rate.clone();
    }
    Ok(())
}

/// Prices by the prompt's length, each from a length on.
fn tiered(tiers: Json<'_>, rates: &mut Rates) -> Result<(), String> {
    tiers.elements(|tier| {
        let Some(range) = tier.member("range")? else {
            return Ok(());
        };
        let mut from = None;
        at(
            "range",
            range.elements(|bound| {
                if from.is_none() {
                    from = Some(bound.whole()?);
                }
                Ok(())
            }),
        )?;
        let above = from.filter(|from| *from > 0);
        tier.members(|name, price| {
            let known = UNITS.iter().find(|(known, ..)| *known == name);
            match known {
                Some((_, unit, per)) => set(rates, *unit, above, price, *per),
                None => Ok(()),
            }
        })
    })
}
