//! The shape of the YAML, exactly as an operator writes it, a section a file. The JSON Schema is generated from
//! here, so the doc comments are what an editor shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod admin;
mod alerts;
mod bounds;
mod callers;
mod feeds;
mod ledger;
mod limits;
mod listeners;
mod oidc;
mod prices;
mod providers;
mod secrets;
mod telemetry;

pub(crate) use admin::Admin;
pub use admin::{ApiKey, Quotas};
pub(crate) use alerts::{AlertChannel, AlertEmail, AlertWebhook, Alerts};
pub use alerts::{AlertEvent, SmtpSecurity};
pub use bounds::{KeptAnswers, Retry, Timeouts};
pub use callers::{
    Access, AccessKey, Account, AllowList, Commit, Configuration, Grant, Hedge, Idempotency,
    KeySelection, Priority, Router, Rule, SharedBudget, Step, StepKeys, StopOn,
};
pub use feeds::{PriceFeed, PriceFeeds, PriceFormat};
pub(crate) use ledger::BankKind;
pub use ledger::{Credits, Fsync, Ledger, Redis, Sqlite, Unreachable};
pub(crate) use limits::TokenLimits;
pub use limits::{Budget, Budgets, Limits, Per, RateLimits, Weekday, Zone};
pub(crate) use listeners::Demo;
pub use listeners::{AdminTls, ClientAuth, Cors, Log, Proxy, Tls, WebSocket};
pub use oidc::{Oidc, OidcRole};
pub use prices::{PricePeriod, PriceTier, PriceVariant, Prices, UnitPrices};
pub use providers::{Capabilities, Model, Provider, ProviderKey};
pub use secrets::Secrets;
pub use telemetry::OtlpProtocol;
pub(crate) use telemetry::Telemetry;

/// Tollgate's configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// More files, as paths or glob patterns relative to this file; their lists are appended to this file's.
    pub include: Vec<String>,
    /// The listener that applications call.
    pub proxy: Proxy,
    /// The listener for operators: metrics, health, and the admin API.
    pub admin: Admin,
    /// The master keys that credentials are sealed with where they are stored.
    pub secrets: Secrets,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Token limits for every request. Limits over time belong to access keys, configurations and budgets.
    pub limits: TokenLimits,
    /// Whether a failed candidate is followed by the next one. Default true.
    pub failover: Option<bool>,
    /// Which of several keys is tried first without a routing rule, and in steps that neither say so nor name their `keys`.
    /// Default `ordered`.
    pub key_selection: Option<KeySelection>,
    /// Whether providers are told what to keep of a translated prompt, where the client does not say: Anthropic by
    /// `cache_control`, OpenAI by `prompt_cache_key`. Default true.
    pub cache_hints: Option<bool>,
    /// Whether a candidate is tried again.
    pub retry: Retry,
    /// How much is kept of the answers that configurations' `idempotency.store` allows to be kept.
    pub kept_answers: KeptAnswers,
    /// What is written about each request.
    pub log: Log,
    /// What is exported to tracing backends of each request.
    pub telemetry: Telemetry,
    /// What operators are alerted to, and where alerts are sent.
    pub alerts: Alerts,
    /// Where money is kept, and what requests are charged.
    pub ledger: Ledger,
    /// Where prices come from besides the built-in catalog.
    pub catalog: PriceFeeds,
    /// Who owns keys and credits.
    pub accounts: Vec<Account>,
    /// Budgets that access keys share.
    pub budgets: Vec<SharedBudget>,
    /// Providers: credentials for built-in ones, whole definitions of custom ones.
    pub providers: Vec<Provider>,
    /// What access keys may call, and which credentials serve them.
    pub configurations: Vec<Configuration>,
    /// What applications send.
    pub access_keys: Vec<AccessKey>,
    /// The built-in provider that answers offline and misbehaves on request.
    pub demo: Demo,
}
