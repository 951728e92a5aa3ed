//! The API shapes of a custom provider, as clients write them: `{"format": "openai", "surface": "chat-completions"}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::api::faults::Faults;
use crate::resource::{Open, Rest, SupportedSurface};
use tollgate_wire::Surface;

const FIELD: &str = "supportedApiSurfaces";

/// An API shape that a provider offers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupportedAPISurface {
    /// The API format this surface conforms to: `openai` or `anthropic`.
    format: String,
    /// The specific API surface within the format: `chat-completions`, `completions`, `responses` or `embeddings` of
    /// `openai`, `messages` of `anthropic`. Without it, all surfaces of the format.
    #[serde(skip_serializing_if = "Option::is_none")]
    surface: Option<String>,
    /// Top-level request body parameters supported by this surface; others are not sent to it. Without it, all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_params: Option<Vec<SupportedAPISurfaceParam>>,
}

/// A parameter that a surface supports.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SupportedAPISurfaceParam {
    /// Name of a supported top-level request body parameter.
    name: String,
}

/// Format and surface, as in `("openai", "chat-completions")`.
fn parts(surface: &str) -> (&str, &str) {
    surface.split_once('/').unwrap_or((surface, ""))
}

/// The name of a surface, known here or not.
fn name(surface: &Open<Surface>) -> Option<&str> {
    match surface {
        Open::Known(surface) => Some(surface.name()),
        Open::Newer(other) => other.as_str(),
    }
}

/// What clients wrote, as it is stored in the place of the `old` ones; what is not shown of those stays.
pub(super) fn read(
    written: &[SupportedAPISurface],
    old: &[SupportedSurface],
    faults: &mut Faults,
) -> Vec<SupportedSurface> {
    let mut all: Vec<SupportedSurface> = Vec::new();
    for (place, entry) in written.iter().enumerate() {
        let at = |name: &str| format!("{FIELD}.{place}.{name}");
        let of_format: Vec<Surface> = Surface::ALL
            .into_iter()
            .filter(|surface| parts(surface.name()).0 == entry.format)
            .collect();
        if of_format.is_empty() {
            faults.at(at("format"), "must be one of openai, anthropic");
            continue;
        }
        let wanted: Vec<Surface> = match &entry.surface {
            None => of_format.clone(),
            Some(name) => of_format
                .iter()
                .copied()
                .filter(|surface| parts(surface.name()).1 == *name)
                .collect(),
        };
        if wanted.is_empty() {
            let known: Vec<&str> = of_format.iter().map(|one| parts(one.name()).1).collect();
            faults.at(
                at("surface"),
                format!("must be one of {}", known.join(", ")),
            );
        }
        let parameters = entry.supported_params.as_ref().map(|params| {
            let names = params.iter().map(|param| param.name.clone());
            names.collect::<Vec<String>>()
        });
        for surface in wanted.into_iter().map(Open::Known) {
            let old = old.iter().find(|old| old.surface == surface);
            if all.iter().any(|known| known.surface == surface) {
                faults.at(
                    format!("{FIELD}.{place}"),
                    "has a surface that another entry has too",
                );
                break;
            }
            all.push(SupportedSurface {
                surface,
                whole_format: entry.surface.is_none(),
                parameters: parameters.clone(),
                rest: old.map_or_else(Rest::default, |old| old.rest.clone()),
            });
        }
    }
    // A format as a whole stands for surfaces that only a newer gateway knows, too.
    let whole = |format: &str| {
        let mut written = written.iter();
        written.any(|entry| entry.surface.is_none() && entry.format == format)
    };
    let stays = |old: &&SupportedSurface| match name(&old.surface) {
        Some(name) => old.whole_format && whole(parts(name).0),
        None => true,
    };
    let newer = old.iter().filter(|old| old.surface.known().is_none());
    all.extend(newer.filter(stays).cloned());
    all
}

/// What is stored, as clients wrote it.
pub(super) fn shown(stored: &[SupportedSurface]) -> Vec<SupportedAPISurface> {
    let mut all: Vec<SupportedAPISurface> = Vec::new();
    for one in stored {
        let Some((format, surface)) = name(&one.surface).map(parts) else {
            continue;
        };
        let whole = |entry: &SupportedAPISurface| entry.surface.is_none() && entry.format == format;
        if one.whole_format && all.iter().any(whole) {
            continue;
        }
        let params = one.parameters.as_ref().map(|names| {
            let names = names.iter().cloned();
            names
                .map(|name| SupportedAPISurfaceParam { name })
                .collect()
        });
        all.push(SupportedAPISurface {
            format: format.to_owned(),
            surface: (!one.whole_format).then(|| surface.to_owned()),
            supported_params: params,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_back(written: Value) -> Result<Value, Vec<String>> {
        let written: Vec<SupportedAPISurface> = serde_json::from_value(written).unwrap();
        let mut faults = Faults::default();
        let stored = read(&written, &[], &mut faults);
        match faults.none() {
            Ok(()) => Ok(serde_json::to_value(shown(&stored)).unwrap()),
            Err(error) => Err(error.into_details().into_keys().collect()),
        }
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for written in [
            json!([]),
            json!([{"format": "openai"}]),
            json!([{"format": "anthropic"}, {"format": "openai", "surface": "responses"}]),
            json!([{"format": "openai", "supportedParams": [{"name": "tools"}]}, {"format": "anthropic", "surface": "messages", "supportedParams": []}]),
        ] {
            assert_eq!(read_back(written.clone()), Ok(written));
        }
        let mut faults = Faults::default();
        let all: Vec<SupportedAPISurface> =
            serde_json::from_value(json!([{"format": "openai"}])).unwrap();
        assert_eq!(read(&all, &[], &mut faults).len(), 4);
    }

    #[test]
    fn what_is_unknown_or_there_twice_is_a_fault_of_its_place() {
        let faults = read_back(json!([
            {"format": "gemini"}, {"format": "openai", "surface": "messages"}, {"format": "anthropic"},
            {"format": "anthropic", "surface": "messages"},
        ]));
        assert_eq!(
            faults,
            Err(vec![
                "supportedApiSurfaces.0.format".to_owned(),
                "supportedApiSurfaces.1.surface".to_owned(),
                "supportedApiSurfaces.3".to_owned(),
            ])
        );
    }
}
