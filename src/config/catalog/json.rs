//! The catalog as JSON.

use serde_json::{Value, json};

use super::model::Model;
use super::provider::Provider;
use tollgate_base::clock;
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, show_rate};
use tollgate_wire::Surface;
use tollgate_wire::capabilities::{Capabilities, Modalities};
use tollgate_wire::modality::Modality;
use tollgate_wire::reasoning::{Effort, Thoughts};
use tollgate_wire::report::Unit;

/// The units that have a column of their own.
pub(super) const MAIN: [Unit; 4] = [
    Unit::Input,
    Unit::CachedRead,
    Unit::CacheWrite,
    Unit::Output,
];

pub(super) fn offered<'a>(provider: &'a Provider, model: &'a Model) -> &'a [Surface] {
    model.surfaces.as_deref().unwrap_or(&provider.surfaces)
}

/// What it costs now, if that does not depend on how it is served.
pub(super) fn standard(prices: &Prices) -> Option<&Rates> {
    let dated = |period: &&Period| !matches!(period.holds, Holds::Daily(..));
    let now = clock::unix_ms(clock::wall()) / 1_000;
    let holding = prices
        .standard
        .iter()
        .rev()
        .filter(dated)
        .find(|period| period.holds.at(now));
    holding
        .or(prices.standard.first())
        .map(|period| &period.rates)
}

pub(super) fn provider_json(provider: &Provider) -> Value {
    json!({
        "id": &*provider.id,
        "display_name": &*provider.display_name,
        "base_url": provider.base_url.to_string(),
        "surfaces": surface_names(&provider.surfaces),
        "models": provider.models.len(),
        "passthrough": provider.passthrough,
        "needs_key": provider.needs_key(),
        "built_in": provider.built_in,
    })
}

pub(super) fn model_json((provider, model): (&Provider, &Model)) -> Value {
    let prices = prices_json(&model.prices);
    json!({
        "provider": &*provider.id,
        "id": &*model.id,
        "display_name": &*model.display_name,
        "aliases": model.aliases,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "modalities": names(&model.modalities),
        "capabilities": capabilities_json(&model.capabilities),
        "bare": model.bare,
        "usd_per_million_tokens": prices,
        "surfaces": surface_names(offered(provider, model)),
        "unsupported_parameters": model.unsupported_parameters,
        "needs_key": provider.needs_key(),
    })
}

/// What holds now as before there was anything else; then what holds at other times, or is served otherwise.
fn prices_json(prices: &Prices) -> Value {
    let none = Rates::default();
    let mut json = rates_json(standard(prices).unwrap_or(&none));
    if let Some(members) = json.as_object_mut() {
        for unit in MAIN {
            members.entry(unit.name()).or_insert(Value::Null);
        }
    }
    json["source"] = json!(&*prices.source.0);
    let with = |holds: Holds, rates: &Rates| {
        let mut json = rates_json(rates);
        json["holds"] = json!(holds.to_string());
        json
    };
    let periods = prices.standard.iter().filter(|_| prices.standard.len() > 1);
    json["periods"] = periods
        .map(|period| with(period.holds, &period.rates))
        .collect();
    let variants = prices.variants.iter().map(|variant| {
        let mut json = with(variant.holds, &variant.rates);
        json["when"] = json!(variant.when.to_string());
        json
    });
    json["variants"] = variants.collect();
    json
}

/// Each unit's price, and those of long prompts by their threshold: a tier has all units, whether they rise or not.
fn rates_json(rates: &Rates) -> Value {
    let at = |prompt: u64| -> serde_json::Map<String, Value> {
        let priced = rates.iter().filter_map(|(unit, rate)| {
            let pico = rate.at(prompt)?;
            Some((unit.name().to_owned(), json!(show_rate(unit, pico))))
        });
        priced.collect()
    };
    let mut json = Value::Object(at(0));
    let tier = |above: &u64| {
        let mut tier = at(above.saturating_add(1));
        tier.insert("above".to_owned(), json!(above));
        Value::Object(tier)
    };
    json["tiers"] = rates.thresholds().iter().map(tier).collect();
    json
}

fn surface_names(surfaces: &[Surface]) -> Vec<&'static str> {
    surfaces.iter().map(|surface| surface.name()).collect()
}

pub(super) fn names(modalities: &[Modality]) -> Vec<&'static str> {
    modalities.iter().map(|modality| modality.name()).collect()
}

/// What is not known is null.
fn capabilities_json(known: &Capabilities) -> Value {
    let modalities = |known: Option<Modalities>| {
        known.map(|known| known.iter().map(Modality::name).collect::<Vec<_>>())
    };
    let efforts = known
        .efforts
        .map(|efforts| efforts.iter().map(Effort::name).collect::<Vec<_>>());
    let budget = known
        .budget
        .map(|budget| json!({ "least": budget.least, "most": budget.most }));
    json!({
        "reads": modalities(known.reads),
        "makes": modalities(known.makes),
        "reasoning": known.reasoning,
        "toggle": known.toggle,
        "efforts": efforts,
        "budget": budget,
        "temperature": known.temperature,
        "tools": known.tools,
        "structured_output": known.structured_output,
        "thoughts": known.thoughts.map(Thoughts::name),
    })
}
