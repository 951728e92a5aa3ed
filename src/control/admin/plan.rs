//! How a request would be served now: what the process around the API is asked, and what it says.

use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;

use tollgate_config::access::{AccessKey, ProviderKey, Snapshot};
use tollgate_wire::{GatewayError, Surface};

/// A request that is only planned.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What holds for it.
    pub snapshot: Arc<Snapshot>,
    /// Who would send it.
    pub key: Arc<AccessKey>,
    /// The API shape it would call.
    pub surface: Surface,
    /// Its model, then those that it falls back to.
    pub models: Vec<String>,
}

/// How it would be served.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// What would be tried, in this order.
    pub candidates: Vec<Candidate>,
    /// What would not.
    pub passed_over: Vec<PassedOver>,
    /// Why nothing would be tried.
    pub refusal: Option<GatewayError>,
}

/// A model at a provider, with a key if that is of interest.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which of [`Asked::models`] this is.
    pub index: usize,
    /// The provider's id.
    pub provider: Arc<str>,
    /// The model as the provider knows it.
    pub model: Arc<str>,
    /// The credential.
    pub key: Option<Arc<ProviderKey>>,
}

/// What would be tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where.
    pub place: Place,
    /// The API shape it would be called on.
    pub surface: Surface,
    /// Why it comes late, and until when; `None`: it comes in its turn.
    pub cooling: Option<(Cooling, Instant)>,
}

/// Why a candidate comes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "PlanCooling")]
pub enum Cooling {
    /// The provider key cools down.
    Key,
    /// The provider could not be reached.
    Provider,
    /// The provider's limits leave the key nothing for a request.
    Quota,
}

/// What would not be tried.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// Where.
    pub place: Place,
    /// Why.
    pub why: Why,
}

/// Why something would not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "PlanReason")]
pub enum Why {
    /// The provider is not on the configuration's allow list.
    ProviderNotAllowed,
    /// The model is not on the configuration's allow list.
    ModelNotAllowed,
    /// It is not offered on this API shape, nor on one that it can be translated to.
    NotOffered,
    /// There is no provider key for it.
    NoKey,
    /// The configuration's routing rule does not name the provider key.
    NotInRule,
    /// The model has no price, so that credits cannot pay for it.
    NoPrice,
    /// Failover is off, and another candidate comes first.
    FailoverOff,
    /// The plan is as long as one can be.
    TooMany,
}
