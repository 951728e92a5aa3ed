//! What a model id means: providers, models, limits, prices. Pure; no I/O.
//!
//! A [`Catalog`] is immutable: [`Catalog::built_in`] reads the facts that are compiled in, [`Catalog::with`]
//! lays what the YAML declares over them, and [`Catalog::resolve`] answers what a client's `model` names.
//!
//! The invariants: within a provider every name (id or alias, without regard to ASCII case) names one model;
//! an unknown price is unknown, never zero; a base URL is always well-formed.

mod address;
mod base_url;
mod built_in;
mod columns;
mod error_rule;
mod feeds;
mod json;
mod model;
mod nearest;
#[cfg(test)]
mod oracle;
mod periods;
mod priced;
mod provider;
mod resolve;
mod show;
mod table;
mod timeouts;

pub use address::{forbidden_address, is_public, plain_http_allowed};
pub use base_url::BaseUrl;
pub use built_in::built_in_date;
pub use columns::aligned;
pub use error_rule::{ErrorCause, ErrorRule};
pub(crate) use feeds::sound;
pub use feeds::{Entry, Kept, Layer, Models, Name};
pub use model::{Model, ModelRef};
pub(crate) use periods::{begin, order};
pub use provider::{Auth, Provider};
pub use resolve::{Catalog, Resolved, Unknown};
pub use show::show;
pub use table::{Kind, table};
pub use timeouts::TimeoutOverrides;
pub use tollgate_wire::capabilities::{Capabilities, Modalities};
pub use tollgate_wire::modality::Modality;
pub use tollgate_wire::reasoning::{Budget, Effort, Efforts, Thoughts};
pub use tollgate_wire::vendor::Vendor;
