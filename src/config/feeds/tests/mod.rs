//! Feeds of every format, good, faulty and hostile, and what becomes of them.

mod formats;
mod refused;
mod taken;

use serde_json::{Value, json};

use super::*;
use crate::yaml::types;

const NOW: u64 = 1_795_953_600;

fn catalog() -> Catalog {
    let yaml = "[{id: house, base_url: 'http://127.0.0.1:1', models: [{id: m, aliases: [alias]}, {id: n, prices: {input: 2, output: 4}}]}]";
    let declared: Vec<types::Provider> = crate::from_yaml(yaml).unwrap();
    Catalog::built_in()
        .with(&declared, |_| Err(String::new()))
        .unwrap()
}

fn try_read(format: PriceFormat, feed: &str) -> Result<Read, String> {
    read(format, feed.as_bytes(), &catalog(), None)
}

/// A model's rows, as they are kept.
fn rows(read: &Read, provider: &str, model: &str) -> Vec<String> {
    let name = Name {
        provider: provider.into(),
        model: model.into(),
    };
    let prices = read.models.get(&name);
    let prices = prices.unwrap_or_else(|| panic!("{name} in {read:?}"));
    let standard = prices.standard.iter();
    let standard = standard.map(|it| format!("standard {}: {}", it.holds, it.rates));
    let variants = prices.variants.iter();
    let variants = variants.map(|it| format!("{} {}: {}", it.when, it.holds, it.rates));
    standard.chain(variants).collect()
}

/// A feed of each format with one price of the model `house:m`, and of `house:n` a sound one.
fn feeds(price: &str) -> [(PriceFormat, String); 3] {
    let genai = format!(
        r#"[{{"id": "house", "models": [{{"match": {{"equals": "m"}}, "prices": {{"input_mtok": {price}}}}},
            {{"match": {{"equals": "n"}}, "prices": {{"input_mtok": 2}}}}]}}]"#
    );
    let litellm = format!(
        r#"{{"house/m": {{"litellm_provider": "house", "input_cost_per_token": {price}}},
            "house/n": {{"litellm_provider": "house", "input_cost_per_token": 2e-6}}}}"#
    );
    let models_dev = format!(
        r#"{{"house": {{"models": {{"m": {{"cost": {{"input": {price}}}}}, "n": {{"cost": {{"input": 2}}}}}}}}}}"#
    );
    [
        (PriceFormat::GenaiPrices, genai),
        (PriceFormat::Litellm, litellm),
        (PriceFormat::ModelsDev, models_dev),
    ]
}
