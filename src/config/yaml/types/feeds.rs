//! Where prices come from besides the built-in catalog.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::Span;
use tollgate_base::Secret;

/// Where prices come from besides the built-in catalog.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceFeeds {
    /// Lists of prices that others publish. They change what models cost that the catalog or this configuration
    /// knows, and nothing else; a later feed wins over an earlier one, and `prices` of this configuration over all.
    /// At most 16.
    pub feeds: Vec<PriceFeed>,
    /// Directory in which the last good prices of each feed are kept; relative to the working directory, on a disk
    /// that survives the process. Default `data/feeds`.
    pub directory: Option<PathBuf>,
}

/// A list of prices that somebody publishes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceFeed {
    /// What it is called in logs, metrics and explanations of charges. Default: its format.
    pub id: Option<String>,
    /// A file with it; relative to this file. A change is noticed.
    pub file: Option<PathBuf>,
    /// Where it is fetched: https, or http at loopback and private addresses. Redirects are not followed.
    pub url: Option<Secret>,
    /// How it is written.
    pub format: Option<PriceFormat>,
    /// How often it is read, 1m to 30d. Default 24h.
    pub refresh: Option<Span>,
    /// The providers whose prices are taken from it. Default: all that are known.
    pub providers: Option<Vec<String>>,
}

/// How a list of prices is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PriceFormat {
    /// The data of genai-prices: `prices/data.json` of <https://github.com/pydantic/genai-prices>.
    #[serde(rename = "genai-prices")]
    GenaiPrices,
    /// LiteLLM's `model_prices_and_context_window.json`.
    #[serde(rename = "litellm")]
    Litellm,
    /// <https://models.dev/api.json>
    #[serde(rename = "models.dev")]
    ModelsDev,
    /// As here: `providers: [{ id: openai, models: [{ id: gpt-5, prices: { input: 1.25 } }] }]`.
    #[serde(rename = "tollgate")]
    Tollgate,
}

impl PriceFormat {
    /// All of them.
    pub const ALL: [PriceFormat; 4] = [
        PriceFormat::GenaiPrices,
        PriceFormat::Litellm,
        PriceFormat::ModelsDev,
        PriceFormat::Tollgate,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            PriceFormat::GenaiPrices => "genai-prices",
            PriceFormat::Litellm => "litellm",
            PriceFormat::ModelsDev => "models.dev",
            PriceFormat::Tollgate => "tollgate",
        }
    }
}
