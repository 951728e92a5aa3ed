//! A model that a provider serves.

use std::sync::Arc;

use super::timeouts::TimeoutOverrides;
use tollgate_ledger::tariff::Prices;
use tollgate_wire::Surface;
use tollgate_wire::capabilities::Capabilities;
use tollgate_wire::modality::Modality;

/// A model that a provider serves.
#[derive(Clone, Debug)]
pub struct Model {
    /// The id that the provider knows.
    pub id: Arc<str>,
    /// Other ids that clients may use.
    pub aliases: Vec<String>,
    /// For people.
    pub display_name: Arc<str>,
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of the longest answer.
    pub max_output_tokens: Option<u64>,
    /// What it reads or makes.
    pub modalities: Vec<Modality>,
    /// What it can do and takes.
    pub capabilities: Capabilities,
    /// Whether its id and aliases name it without its provider in front. Not those of providers whose ids are other
    /// vendors' names, as OpenRouter's `openai/gpt-5`.
    pub bare: bool,
    /// What it costs.
    pub prices: Prices,
    /// The API shapes it is offered on, if fewer than the provider's.
    pub surfaces: Option<Vec<Surface>>,
    /// Top-level request fields to remove, besides the provider's.
    pub unsupported_parameters: Vec<String>,
    /// Overrides of the provider's timeouts.
    pub timeouts: TimeoutOverrides,
}

impl Model {
    /// Returns a model about which nothing is known but its id.
    pub fn new(id: &str) -> Model {
        Model {
            id: Arc::from(id),
            aliases: Vec::new(),
            display_name: id.into(),
            context_window: None,
            max_output_tokens: None,
            modalities: Vec::new(),
            capabilities: Capabilities::default(),
            bare: true,
            prices: Prices::default(),
            surfaces: None,
            unsupported_parameters: Vec::new(),
            timeouts: TimeoutOverrides::default(),
        }
    }

    /// Returns whether one of the aliases is `name`, without regard to ASCII case.
    pub fn has_alias(&self, name: &str) -> bool {
        self.aliases
            .iter()
            .any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// One model of one provider, by ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// Exact.
    pub provider: Arc<str>,
    /// Compared without regard to case.
    pub model: Arc<str>,
}
