//! What operators are alerted to, and where.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use email_address::EmailAddress;

use super::{Checker, is_private_name};
use crate::catalog::{forbidden_address, plain_http_allowed};
use crate::yaml::overlay::is_provider_id;
use crate::yaml::place::Place;
use crate::yaml::types::{self, SmtpSecurity};
use crate::yaml::units::Span;
use crate::yaml::valid::{AlertChannel, AlertEmail, AlertWay, Alerts};
use tollgate_base::Secret;
use tollgate_ledger::NanoUsd;

/// The most channels, and the most who get one mail.
const MOST: usize = 16;
const MOST_TO: usize = 32;

/// The bounds of how often is looked, and the least of how often something is told again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);
const LEAST_REPEAT: Duration = Duration::from_secs(60);

/// What a webhook's secret begins with, and how many bytes follow in base64.
const SECRET: &str = "whsec_";
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

impl Checker<'_> {
    pub(super) fn alerts(&mut self, written: &types::Alerts) -> Alerts {
        let place = Place::top("alerts");
        let usual = Alerts::default();
        let some = |span: Option<Span>, usual: Option<Duration>| match span.map(Span::duration) {
            Some(Duration::ZERO) => None,
            Some(other) => Some(other),
            None => usual,
        };
        let every = some(written.every, usual.every);
        if every.is_some_and(|every| !(SHORTEST..=LONGEST).contains(&every)) {
            let message = format!("is not between {} and {}", Span(SHORTEST), Span(LONGEST));
            self.fault(
                &place.key("every"),
                message,
                Some("or 0, for never".to_owned()),
            );
        }
        let repeat = written.repeat.map_or(usual.repeat, Span::duration);
        if repeat < LEAST_REPEAT {
            let message = format!("must be at least {}", Span(LEAST_REPEAT));
            self.fault(&place.key("repeat"), message, None);
        }
        let unusual = &written.unusual_spend;
        let unusual_times = unusual.times.unwrap_or(usual.unusual_times);
        if !(2..=1_000).contains(&unusual_times) {
            let at = place.key("unusual_spend").key("times");
            self.fault(&at, "is not between 2 and 1000", None);
        }
        let at_least = unusual
            .at_least
            .map(|usd| NanoUsd::from_micros(usd.micros()));
        Alerts {
            channels: self.alert_channels(&place.key("channels"), &written.channels),
            every,
            thresholds: self.thresholds(&place.key("thresholds"), written, usual.thresholds),
            forecast: some(written.forecast, usual.forecast),
            unusual_times,
            unusual_least: at_least.map_or(usual.unusual_least, |usd| usd.unwrap_or(NanoUsd::MOST)),
            bank_away: written.bank_away.map_or(usual.bank_away, Span::duration),
            prices_older_than: some(written.prices_older_than, usual.prices_older_than),
            repeat,
        }
    }

    fn thresholds(&mut self, place: &Place, written: &types::Alerts, usual: Vec<u8>) -> Vec<u8> {
        let Some(own) = &written.thresholds else {
            return usual;
        };
        for (i, percent) in own.iter().enumerate() {
            if !(1..=100).contains(percent) {
                self.fault(&place.index(i), "is not between 1 and 100 percent", None);
            }
        }
        let mut sorted = own.clone();
        sorted.sort_unstable();
        sorted.dedup();
        sorted
    }

    fn alert_channels(
        &mut self,
        place: &Place,
        written: &[types::AlertChannel],
    ) -> Vec<AlertChannel> {
        if written.len() > MOST {
            self.fault(place, format!("more than {MOST} channels"), None);
        }
        let ids = written.iter().enumerate();
        self.unique(
            "channel",
            ids.map(|(i, one)| (place.index(i).key("id"), &*one.id)),
        );
        let all = written.iter().enumerate().take(MOST);
        let all: Vec<_> = all
            .map(|(i, one)| self.alert_channel(&place.index(i), one))
            .collect();
        all.into_iter().flatten().collect()
    }

    fn alert_channel(
        &mut self,
        place: &Place,
        written: &types::AlertChannel,
    ) -> Option<AlertChannel> {
        let id = &*written.id;
        if !id.is_empty() && !is_provider_id(id) {
            let hint = Some("use lowercase letters, digits, `-`, `_` and `.`".to_owned());
            let message = format!("`{id}` cannot be a channel's id");
            self.fault(&place.key("id"), message, hint);
        }
        if written.events.as_ref().is_some_and(Vec::is_empty) {
            let hint = Some("leave it out for all".to_owned());
            self.fault(&place.key("events"), "nothing would be sent", hint);
        }
        let way = match (&written.webhook, &written.slack, &written.email) {
            (Some(webhook), None, None) => self.webhook(&place.key("webhook"), webhook)?,
            (None, Some(slack), None) => {
                let at = place.key("slack");
                AlertWay::Slack(self.alert_url(&at, slack.url.as_ref())?)
            }
            (None, None, Some(email)) => AlertWay::Email(self.email(&place.key("email"), email)?),
            _ => {
                let hint = Some("write one of `webhook`, `slack` and `email`".to_owned());
                self.fault(place, "it does not say how alerts are sent there", hint);
                return None;
            }
        };
        Some(AlertChannel {
            id: Arc::from(id),
            events: written.events.clone(),
            way,
        })
    }

    fn alert_url(&mut self, place: &Place, url: Option<&Secret>) -> Option<Secret> {
        let Some(url) = url else {
            self.fault(place, "`url` is missing", None);
            return None;
        };
        self.called(&place.key("url"), url)?;
        Some(url.clone())
    }

    fn webhook(&mut self, place: &Place, written: &types::AlertWebhook) -> Option<AlertWay> {
        let url = self.alert_url(place, written.url.as_ref());
        let hint = || {
            let command = "printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"";
            Some(format!(
                "make one with `{command}`, and give it to the receiver"
            ))
        };
        let Some(secret) = &written.secret else {
            self.fault(place, "`secret` is missing", hint());
            return None;
        };
        let bytes = secret.expose().strip_prefix(SECRET);
        let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
        if !bytes.is_some_and(|bytes| SECRET_BYTES.contains(&bytes.len())) {
            let message = "a secret is `whsec_` and 24 to 64 bytes in base64";
            self.fault(&place.key("secret"), message, hint());
            return None;
        }
        Some(AlertWay::Webhook {
            url: url?,
            secret: secret.clone(),
        })
    }

    fn email(&mut self, place: &Place, written: &types::AlertEmail) -> Option<AlertEmail> {
        let before = self.faults.len();
        let security = written.security.unwrap_or_default();
        self.mail_server(&place.key("host"), &written.host, security);
        let login = match (&written.username, &written.password) {
            (Some(username), Some(password)) => Some((username.clone(), password.clone())),
            (None, None) => None,
            _ => {
                self.fault(place, "`username` and `password` belong together", None);
                None
            }
        };
        if login.is_some() && security == SmtpSecurity::None && !is_loopback(&written.host) {
            let message = "the password would be sent in clear text";
            let hint = Some("write `security: starttls`, or `tls`".to_owned());
            self.fault(&place.key("password"), message, hint);
        }
        self.mail_address(&place.key("from"), &written.from);
        let to = place.key("to");
        if written.to.is_empty() || written.to.len() > MOST_TO {
            self.fault(
                &to,
                format!("a mail goes to 1 to {MOST_TO} addresses"),
                None,
            );
        }
        for (i, address) in written.to.iter().enumerate() {
            self.mail_address(&to.index(i), address);
        }
        let port = written.port.unwrap_or(match security {
            SmtpSecurity::Tls => 465,
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::None => 25,
        });
        if port == 0 {
            self.fault(&place.key("port"), "must be more than 0", None);
        }
        (self.faults.len() == before).then(|| AlertEmail {
            host: bare(&written.host).to_owned(),
            port,
            security,
            login,
            from: written.from.clone(),
            to: written.to.clone(),
        })
    }

    fn mail_server(&mut self, place: &Place, host: &str, security: SmtpSecurity) {
        let plain = security == SmtpSecurity::None;
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if let Ok(address) = bare(host).parse::<IpAddr>() {
            if let Some(reason) = forbidden_address(address) {
                let message = format!("{address} must not be called: {reason}");
                self.fault(place, message, None);
            } else if plain && !plain_http_allowed(address) {
                let message = format!("{address} is neither loopback nor private, so it needs TLS");
                self.fault(place, message, None);
            }
        } else if host.is_empty() || host.len() > 253 || !host.chars().all(letters) {
            let hint = Some("as in smtp.example.com; `port` has a setting of its own".to_owned());
            self.fault(place, "this is not a server's name", hint);
        } else if plain && !is_private_name(host) {
            self.warn(
                place,
                "without TLS mail is only sent if this name stands for a loopback or private address",
                Some("write `security: tls` if it does not".to_owned()),
            );
        }
    }

    fn mail_address(&mut self, place: &Place, address: &str) {
        if !EmailAddress::is_valid(address) {
            let hint = Some("as in alerts@example.com".to_owned());
            self.fault(place, "this is not a mail address", hint);
        }
    }
}

/// Without brackets.
fn bare(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
