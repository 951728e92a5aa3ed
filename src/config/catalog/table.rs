//! The catalog as `tollgate catalog` prints it.

use serde_json::{Value, json};

use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;
use crate::catalog::Modality;
use tollgate_base::clock;
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, show_rate};
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
    aligned(head, rows, &[4], "no provider matches\n")
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
                modalities(&model.modalities).join(",")
            },
            price(&model.prices, Unit::Input),
            price(&model.prices, Unit::CachedRead),
            price(&model.prices, Unit::CacheWrite),
            price(&model.prices, Unit::Output),
            surfaces(offered(provider, model)),
            needs_key(provider).to_owned(),
        ]
    });
    let mut text = aligned(head, rows, &[1, 2, 3, 5, 6, 7, 8], "no model matches\n");
    if models
        .iter()
        .any(|(_, model)| MAIN.into_iter().any(|unit| differs(&model.prices, unit)))
    {
        text.push_str("\nPrices are US dollars per million tokens: ? is unknown, * is not always the same (see `tollgate catalog show`).\n");
    }
    text
}

fn offered<'a>(provider: &'a Provider, model: &'a Model) -> &'a [Surface] {
    model.surfaces.as_deref().unwrap_or(&provider.surfaces)
}

fn needs_key(provider: &Provider) -> &'static str {
    if provider.needs_key() {
        "needed"
    } else {
        "none"
    }
}

fn tokens(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

/// The units that have a column of their own.
const MAIN: [Unit; 4] = [
    Unit::Input,
    Unit::CachedRead,
    Unit::CacheWrite,
    Unit::Output,
];

fn price(prices: &Prices, unit: Unit) -> String {
    let rate = standard(prices).and_then(|rates| rates.get(unit)?.base);
    let shown = rate.map_or_else(|| "?".to_owned(), |pico| show_rate(unit, pico));
    if differs(prices, unit) {
        shown + "*"
    } else {
        shown
    }
}

/// What it costs now, if that does not depend on how it is served.
fn standard(prices: &Prices) -> Option<&Rates> {
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

/// Whether a unit's price depends on the prompt's length, the time, or how it is served.
fn differs(prices: &Prices, unit: Unit) -> bool {
    let base = standard(prices).and_then(|rates| rates.get(unit));
    let tiers =
        base.is_some_and(|rate| rate.tiers.iter().any(|(_, pico)| Some(*pico) != rate.base));
    tiers
        || prices
            .standard
            .iter()
            .any(|period| period.rates.get(unit) != base)
}

/// The last word of each surface's name, which is enough to tell them apart.
fn surfaces(surfaces: &[Surface]) -> String {
    let short = |surface: &Surface| surface.name().rsplit('/').next().unwrap_or_default();
    surfaces.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn modalities(modalities: &[Modality]) -> Vec<&'static str> {
    let name = |modality: &Modality| match modality {
        Modality::Text => "text",
        Modality::Image => "image",
        Modality::Audio => "audio",
        Modality::Video => "video",
        Modality::File => "file",
        Modality::Embedding => "embedding",
    };
    modalities.iter().map(name).collect()
}

/// Columns two spaces apart, those in `right` flush right.
fn aligned<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    right: &[usize],
    none: &str,
) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows);
    if lines.len() == 1 {
        return none.to_owned();
    }
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let cell = if right.contains(&column) {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
            row.push_str(&cell);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn to_json(items: impl Iterator<Item = Value>) -> String {
    format!("{:#}\n", Value::Array(items.collect()))
}

fn provider_json(provider: &Provider) -> Value {
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

fn model_json((provider, model): (&Provider, &Model)) -> Value {
    let prices = prices_json(&model.prices);
    json!({
        "provider": &*provider.id,
        "id": &*model.id,
        "display_name": &*model.display_name,
        "aliases": model.aliases,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "modalities": modalities(&model.modalities),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_says_what_is_unknown() {
        let text = table(&Catalog::built_in(), Kind::Models, Some("GROQ:"), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8, "{text}");
        let surfaces = lines[0].find("SURFACES").expect("a column");
        assert!(
            lines
                .iter()
                .skip(1)
                .all(|line| line[surfaces..].starts_with("chat-completions responses")),
            "{text}"
        );
        let guessed = lines
            .iter()
            .find(|line| line.contains("llama-3.1-8b-instant"))
            .expect("listed");
        assert_eq!(
            guessed
                .split_whitespace()
                .filter(|cell| *cell == "?")
                .count(),
            4,
            "unknown, not zero: {guessed}"
        );
        assert!(text.contains("0.0375"), "{text}");
    }

    #[test]
    fn tiers_are_marked() {
        let text = table(
            &Catalog::built_in(),
            Kind::Models,
            Some("gpt-5.5-pro"),
            false,
        );
        assert!(text.contains(" 30* ") && text.contains(" 180* "), "{text}");
        assert!(text.contains("* is not always the same"), "{text}");
    }

    #[test]
    fn filters_match_ids_providers_and_aliases() {
        let catalog = Catalog::built_in();
        let count = |kind, filter| {
            let json: Vec<Value> =
                serde_json::from_str(&table(&catalog, kind, filter, true)).expect("JSON");
            json.len()
        };
        assert_eq!(count(Kind::Providers, None), 11);
        assert_eq!(count(Kind::Providers, Some("anthro")), 1);
        assert_eq!(count(Kind::Models, None), 90);
        assert_eq!(count(Kind::Models, Some("anthropic:")), 11);
        assert_eq!(count(Kind::Models, Some("2024-08-06")), 1, "by an alias");
        assert_eq!(count(Kind::Models, Some("no such")), 0);
        assert_eq!(
            table(&catalog, Kind::Models, Some("no such"), false),
            "no model matches\n"
        );
    }

    #[test]
    fn json_keeps_prices_exact() {
        let text = table(
            &Catalog::built_in(),
            Kind::Models,
            Some("groq:openai/gpt-oss-20b"),
            true,
        );
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let prices = &json[0]["usd_per_million_tokens"];
        assert_eq!(
            (&prices["cached_read"], &prices["cache_write"]),
            (&json!("0.0375"), &Value::Null)
        );
        assert_eq!(
            json[0]["surfaces"],
            json!(["openai/chat-completions", "openai/responses"])
        );
    }
}
