//! The catalog as `tollgate catalog` prints it.

use serde_json::Value;

use super::columns::aligned;
use super::json::{MAIN, model_json, names, offered, provider_json, standard};
use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;
use tollgate_ledger::tariff::{Prices, show_rate};
use tollgate_wire::Surface;
use tollgate_wire::report::Unit;

/// What a table lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One provider a line.
    Providers,
    /// One model of one provider a line.
    Models,
}

/// Providers or models whose id, provider or alias contains `filter` (without regard to ASCII case), as an
/// aligned table for people or as a JSON array for programs. Prices are US dollars per million tokens; in
/// the table `?` is unknown and `*` marks a price that differs for long prompts, in JSON they are `null` and
/// `tiers`, and decimal text so that they stay exact.
pub fn table(catalog: &Catalog, kind: Kind, filter: Option<&str>, json: bool) -> String {
    let filter = filter.unwrap_or_default().to_ascii_lowercase();
    let providers = catalog.providers().iter().map(AsRef::as_ref);
    match kind {
        Kind::Providers => {
            let listed: Vec<&Provider> = providers
                .filter(|provider| provider_matches(provider, &filter))
                .collect();
            if json {
                to_json(listed.into_iter().map(provider_json))
            } else {
                providers_table(&listed)
            }
        }
        Kind::Models => {
            let all = providers.flat_map(|provider| {
                provider
                    .models
                    .iter()
                    .map(move |model| (provider, model.as_ref()))
            });
            let listed: Vec<(&Provider, &Model)> = all
                .filter(|(provider, model)| model_matches(provider, model, &filter))
                .collect();
            if json {
                to_json(listed.into_iter().map(model_json))
            } else {
                models_table(&listed)
            }
        }
    }
}

fn contains(text: &str, filter: &str) -> bool {
    text.to_ascii_lowercase().contains(filter)
}

fn provider_matches(provider: &Provider, filter: &str) -> bool {
    contains(&provider.id, filter) || contains(&provider.display_name, filter)
}

fn model_matches(provider: &Provider, model: &Model, filter: &str) -> bool {
    contains(&format!("{}:{}", provider.id, model.id), filter)
        || contains(&format!("{}/{}", provider.id, model.id), filter)
        || model.aliases.iter().any(|alias| contains(alias, filter))
}

fn providers_table(providers: &[&Provider]) -> String {
    let head = [
        "PROVIDER", "NAME", "BASE URL", "SURFACES", "MODELS", "OTHERS", "KEY", "FROM",
    ];
    let rows = providers.iter().map(|provider| {
        [
            provider.id.to_string(),
            provider.display_name.to_string(),
            provider.base_url.to_string(),
            surfaces(&provider.surfaces),
            provider.models.len().to_string(),
            if provider.passthrough {
                "pass"
            } else {
                "refused"
            }
            .to_owned(),
            needs_key(provider).to_owned(),
            if provider.built_in {
                "built in"
            } else {
                "yaml"
            }
            .to_owned(),
        ]
    });
    match rows.len() {
        0 => "no provider matches\n".to_owned(),
        _ => aligned(head, &rows.collect::<Vec<_>>(), &[4]) + "\n",
    }
}

fn models_table(models: &[(&Provider, &Model)]) -> String {
    let head = [
        "MODEL",
        "ALIASES",
        "CONTEXT",
        "OUTPUT",
        "MODALITIES",
        "$IN",
        "$READ",
        "$WRITE",
        "$OUT",
        "SURFACES",
        "KEY",
    ];
    let rows = models.iter().map(|(provider, model)| {
        [
            format!("{}:{}", provider.id, model.id),
            model.aliases.len().to_string(),
            tokens(model.context_window),
            tokens(model.max_output_tokens),
            if model.modalities.is_empty() {
                "?".to_owned()
            } else {
                names(&model.modalities).join(",")
            },
            price(&model.prices, Unit::Input),
            price(&model.prices, Unit::CachedRead),
            price(&model.prices, Unit::CacheWrite),
            price(&model.prices, Unit::Output),
            surfaces(offered(provider, model)),
            needs_key(provider).to_owned(),
        ]
    });
    if models.is_empty() {
        return "no model matches\n".to_owned();
    }
    let mut text = aligned(head, &rows.collect::<Vec<_>>(), &[1, 2, 3, 5, 6, 7, 8]) + "\n";
    if models
        .iter()
        .any(|(_, model)| MAIN.into_iter().any(|unit| differs(&model.prices, unit)))
    {
        text.push_str("\nPrices are US dollars per million tokens: ? is unknown, * is not always the same (see `tollgate catalog show`).\n");
    }
    text
}

pub(super) fn needs_key(provider: &Provider) -> &'static str {
    if provider.needs_key() {
        "needed"
    } else {
        "none"
    }
}

fn tokens(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

fn price(prices: &Prices, unit: Unit) -> String {
    let rate = standard(prices).and_then(|rates| rates.get(unit)?.base);
    let shown = rate.map_or_else(|| "?".to_owned(), |pico| show_rate(unit, pico));
    if differs(prices, unit) {
        shown + "*"
    } else {
        shown
    }
}

/// Whether a unit's price depends on the prompt's length or the hour, or will be another one.
fn differs(prices: &Prices, unit: Unit) -> bool {
    let now = standard(prices);
    let base = now.and_then(|rates| rates.get(unit));
    let tiers =
        base.is_some_and(|rate| rate.tiers.iter().any(|(_, pico)| Some(*pico) != rate.base));
    // What held before is over.
    let mut from_now = prices
        .standard
        .iter()
        .skip_while(|period| now.is_some_and(|now| !std::ptr::eq(now, &period.rates)));
    tiers || from_now.any(|period| period.rates.get(unit) != base)
}

/// The last word of each surface's name, which is enough to distinguish them.
fn surfaces(surfaces: &[Surface]) -> String {
    let short = |surface: &Surface| surface.name().rsplit('/').next().unwrap_or_default();
    surfaces.iter().map(short).collect::<Vec<_>>().join(" ")
}

pub(super) fn to_json(items: impl Iterator<Item = Value>) -> String {
    format!("{:#}\n", Value::Array(items.collect()))
}

#[cfg(test)]
mod tests;
