//! What operators are alerted to, and where: resolved and checked.

use std::sync::Arc;
use std::time::Duration;

use crate::yaml::types::{AlertEvent, SmtpSecurity};
use tollgate_base::Secret;
use tollgate_ledger::NanoUsd;

/// What operators are alerted to, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Where alerts are sent; at most 16, their ids are unique.
    pub channels: Vec<AlertChannel>,
    /// How often money and prices are looked at, 1 s to 1 h; `None` is never.
    pub every: Option<Duration>,
    /// Shares of budgets and of credits in percent, ascending, 1 to 100.
    pub thresholds: Vec<u8>,
    /// How soon something must be used up; `None` is not forecast.
    pub forecast: Option<Duration>,
    /// How many times the average day an access key's spend is unusual: 2 to 1,000.
    pub unusual_times: u32,
    /// What an access key must have spent today for that.
    pub unusual_least: NanoUsd,
    /// How long the bank must be away.
    pub bank_away: Duration,
    /// How old prices may be; `None` is any age.
    pub prices_older_than: Option<Duration>,
    /// How long it takes until something that goes on is told again; at least a minute.
    pub repeat: Duration,
}

impl Default for Alerts {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Alerts {
            channels: Vec::new(),
            every: Some(Duration::from_secs(60)),
            thresholds: vec![50, 80, 100],
            forecast: Some(DAY * 7),
            unusual_times: 5,
            unusual_least: NanoUsd::DOLLAR,
            bank_away: Duration::from_secs(30),
            prices_older_than: Some(DAY * 90),
            repeat: DAY,
        }
    }
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertChannel {
    /// As a provider's id is: lower-case letters, digits, `-`, `_` and `.`.
    pub id: Arc<str>,
    /// What is sent there; `None` is everything.
    pub events: Option<Vec<AlertEvent>>,
    /// How.
    pub way: AlertWay,
}

impl AlertChannel {
    /// Whether such an alert is sent there.
    pub fn takes(&self, event: AlertEvent) -> bool {
        let events = self.events.as_ref();
        events.is_none_or(|events| events.contains(&event))
    }
}

/// How alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertWay {
    /// A signed request.
    Webhook {
        /// A well-formed address: https, or http.
        url: Secret,
        /// `whsec_` and 24 to 64 bytes in base64.
        secret: Secret,
    },
    /// A message in Slack's form, to a well-formed address: https, or http.
    Slack(Secret),
    /// A mail.
    Email(AlertEmail),
}

/// A mail over SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEmail {
    /// The server's name or address; an IPv6 one without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Who logs in, and the password; `None` is no login.
    pub login: Option<(String, Secret)>,
    /// A valid address.
    pub from: String,
    /// Valid addresses, 1 to 32.
    pub to: Vec<String>,
}
