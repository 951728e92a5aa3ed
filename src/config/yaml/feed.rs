//! A price feed that is written as the configuration is.

use serde_json::Value;

use super::document::Document;
use super::fault::Fault;
use super::overlay::tariff;
use super::place::Place;
use super::types;
use tollgate_ledger::tariff::Prices;

/// The most faults that are reported.
const TOLD: usize = 3;

/// What may stand in a feed, level by level: what else a configuration says is nothing that a feed may change.
const MAY: [&[&str]; 3] = [&["providers"], &["id", "models"], &["id", "prices"]];

/// The prices of a feed, by the ids of provider and model, in its order.
///
/// # Errors
/// What is wrong with it, each with its line and place: such a feed is written by hand, and is good as a whole or not
/// at all.
pub(crate) fn read(text: &str) -> Result<Vec<(String, String, Prices)>, String> {
    let mut document = Document::of_stranger(text);
    let value = document.value.take();
    refuse_more(&mut document, &value, &Place::default(), &MAY);
    let file: types::File = match serde_path_to_error::deserialize(&value) {
        Ok(file) => file,
        Err(error) => {
            let (path, message) = (error.path().to_string(), error.inner().to_string());
            document.fault(&Place::parse(&path), message, None);
            types::File::default()
        }
    };
    let mut all = Vec::new();
    for (i, provider) in file.providers.into_iter().enumerate() {
        for (j, model) in provider.models.into_iter().enumerate() {
            let path = format!("providers[{i}].models[{j}].prices");
            match tariff(&model.prices.unwrap_or_default(), &path) {
                Ok(prices) => all.push((provider.id.clone(), model.id, prices)),
                Err(faults) => {
                    for fault in faults {
                        document.fault(&Place::parse(&fault.path), fault.message, None);
                    }
                }
            }
        }
    }
    match document.faults.len() {
        0 => Ok(all),
        count => {
            let told: Vec<String> = document.faults.iter().take(TOLD).map(told).collect();
            let more = match count.saturating_sub(TOLD) {
                0 => String::new(),
                more => format!(" (and {more} more faults)"),
            };
            Err(told.join(" | ") + &more)
        }
    }
}

fn told(fault: &Fault) -> String {
    let line = fault.line.map(|line| format!("line {line}: "));
    let path = Some(&fault.path).filter(|path| !path.is_empty());
    let path = path.map(|path| format!("{path}: "));
    let (line, path) = (line.unwrap_or_default(), path.unwrap_or_default());
    format!("{line}{path}{}", fault.message)
}

fn refuse_more(document: &mut Document, value: &Value, place: &Place, may: &[&[&str]]) {
    let Some((level, below)) = may.split_first() else {
        return;
    };
    for (key, value) in value.as_object().into_iter().flatten() {
        let place = place.key(key);
        if !level.contains(&key.as_str()) {
            let message = "a feed has prices of models, and nothing else".to_owned();
            document.fault(&place, message, None);
        }
        for (i, element) in value.as_array().into_iter().flatten().enumerate() {
            refuse_more(document, element, &place.index(i), below);
        }
    }
}
