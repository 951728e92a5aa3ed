//! A provider's own figures, in one form.

use serde::Serialize;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use crate::Unit;

/// Whose reports are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

impl Vendor {
    /// Returns its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Vendor::OpenAi => "OpenAI",
            Vendor::Anthropic => "Anthropic",
        }
    }
}

/// A figure of a report: of a day, as finely as the report splits things. `None` is what it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    /// The day, UTC.
    pub day: Day,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// The API key, by its id or its name.
    pub key: Option<String>,
    /// The project or workspace, by its id or its name.
    pub project: Option<String>,
    /// The served context; see [`variant()`](crate::variant()).
    pub variant: Option<String>,
    /// What was used.
    pub unit: Option<Unit>,
    /// The line item, in the provider's words.
    pub item: Option<String>,
    /// How much of it was used.
    pub quantity: Option<u64>,
    /// How many requests.
    pub requests: Option<u64>,
    /// What it cost; may be negative, as corrections are.
    pub cost: Option<NanoUsd>,
    /// By how much the cost may be off because the report rounds it.
    pub rounding: NanoUsd,
}

impl Billed {
    /// Nothing but a day.
    pub(crate) fn on(day: Day) -> Billed {
        Billed {
            day,
            model: None,
            key: None,
            project: None,
            variant: None,
            unit: None,
            item: None,
            quantity: None,
            requests: None,
            cost: None,
            rounding: NanoUsd::ZERO,
        }
    }
}
