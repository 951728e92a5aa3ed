//! What operators are alerted to, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::yaml::units::{Span, Usd};
use tollgate_base::Secret;

/// What operators are alerted to, and where alerts are sent. Each is sent once by all gateways of a fleet together.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Where alerts are sent; at most 16. Without any they are only listed, by `tollgate alerts list` and in the console.
    pub channels: Vec<AlertChannel>,
    /// How often money and prices are looked at, 1s to 1h; `0` is never. Default 1m.
    pub every: Option<Span>,
    /// Shares of budgets and of credits, in percent, 1 to 100 (which is reached at 99.5, as a rest is too small for a
    /// request). Default `[50, 80, 100]`.
    pub thresholds: Option<Vec<u8>>,
    /// Alert when a budget or an account's credits will be used up within this time, at the pace of the last days. `0` is
    /// never. Default 7d.
    pub forecast: Option<Span>,
    /// When an access key's spend is out of the ordinary.
    pub unusual_spend: UnusualSpend,
    /// How long the bank must be away. Default 30s.
    pub bank_away: Option<Span>,
    /// How old prices may be: the time since each feed was read, or since the built-in prices were made if there is no
    /// feed. `0` is any age. Default 90d.
    pub prices_older_than: Option<Span>,
    /// How long it takes until something that goes on is told again: an open breaker, a bank that is away, books that do not
    /// balance, old prices. At least 1m. Default 24h.
    pub repeat: Option<Span>,
}

/// When an access key's spend is out of the ordinary: today's (UTC) beside its average day of the last two weeks, of which
/// it must have spent something on three.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnusualSpend {
    /// How many times the average day, 2 to 1000. Default 5.
    pub times: Option<u32>,
    /// What it must have spent today, in US dollars. Default 1.
    pub at_least: Option<Usd>,
}

/// Where alerts are sent: one of `webhook`, `slack` and `email`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertChannel {
    /// What it is called in lists, metrics and `tollgate alerts test`: lowercase letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// What is sent there. Default: everything.
    pub events: Option<Vec<AlertEvent>>,
    /// A signed request, as Standard Webhooks has it.
    pub webhook: Option<AlertWebhook>,
    /// A message in Slack's form, which others take as well.
    pub slack: Option<AlertSlack>,
    /// A mail over SMTP.
    pub email: Option<AlertEmail>,
}

/// A signed request, as Standard Webhooks has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertWebhook {
    /// The receiver: https, or http at loopback and private addresses. Redirects are not followed.
    pub url: Option<Secret>,
    /// What requests are signed with: `whsec_` and 24 to 64 bytes in base64. `${ENVIRONMENT_VARIABLE}` or `file:/path`
    /// (relative to this file).
    pub secret: Option<Secret>,
}

/// A message in Slack's form.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSlack {
    /// The address of an incoming webhook, which is a credential: `${ENVIRONMENT_VARIABLE}` or `file:/path` (relative to
    /// this file).
    pub url: Option<Secret>,
}

/// A mail over SMTP.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertEmail {
    /// The server's name or address.
    pub host: String,
    /// Its port. Default 465 with `tls`, 587 with `starttls`, 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is protected. Default `tls`; `none` is for loopback and private addresses.
    pub security: Option<SmtpSecurity>,
    /// Who logs in; absent is no login.
    pub username: Option<String>,
    /// The password: `${ENVIRONMENT_VARIABLE}` or `file:/path` (relative to this file).
    pub password: Option<Secret>,
    /// Who it is from, as in `tollgate@example.com`.
    pub from: String,
    /// Whom it is to, 1 to 32 of them.
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after a word in clear text; without it nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

/// What an alert is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertEvent {
    /// A budget has reached a threshold, or will be used up.
    Budget,
    /// An account's credits have, or will be.
    Credits,
    /// An access key spends far more than usual.
    Spend,
    /// A provider's breaker is open.
    Breaker,
    /// The bank is away.
    Bank,
    /// The books of an account do not balance.
    Books,
    /// Prices are old.
    Prices,
}

impl AlertEvent {
    /// All of them.
    pub const ALL: [AlertEvent; 7] = [
        AlertEvent::Budget,
        AlertEvent::Credits,
        AlertEvent::Spend,
        AlertEvent::Breaker,
        AlertEvent::Bank,
        AlertEvent::Books,
        AlertEvent::Prices,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            AlertEvent::Budget => "budget",
            AlertEvent::Credits => "credits",
            AlertEvent::Spend => "spend",
            AlertEvent::Breaker => "breaker",
            AlertEvent::Bank => "bank",
            AlertEvent::Books => "books",
            AlertEvent::Prices => "prices",
        }
    }
}
