//! Each provider of the configuration, called once with each of its keys: `GET /models`, which costs nothing.

use std::time::{Duration, UNIX_EPOCH};

use tollgate_base::clock;
use tollgate_config::Config;
use tollgate_config::catalog::{Auth, Provider};
use tollgate_wire::Surface;

use super::Findings;
use crate::boot::fetch::{self, Call};
use crate::boot::trial;

/// Longest wait for a provider.
const PATIENCE: Duration = Duration::from_secs(10);

/// A provider's clock that differs by more is taken for this machine's being wrong.
const APART: Duration = Duration::from_secs(120);

/// Calls them one after the other. Keys that the admin API stored are not in the configuration, and are not tried.
pub fn look(config: &Config, findings: &mut Findings) {
    let mut tried = 0;
    for written in &config.providers {
        let Some(provider) = config.catalog.provider(&written.id) else {
            continue;
        };
        let surface = provider
            .surfaces
            .first()
            .copied()
            .unwrap_or(Surface::ChatCompletions);
        let auth = provider.auth_on(surface);
        if auth == Auth::None {
            tried += 1;
            call(provider, surface, None, findings);
            continue;
        }
        for key in written.keys.iter().chain(&written.managed_keys) {
            tried += 1;
            call(
                provider,
                surface,
                Some((&key.id, key.value.expose())),
                findings,
            );
        }
    }
    if tried == 0 {
        findings.warning(
            "providers",
            "no provider of the configuration has a key",
            "add one under `keys`, or set its variable",
        );
    }
}

fn call(provider: &Provider, surface: Surface, key: Option<(&str, &str)>, findings: &mut Findings) {
    let url = trial::url(provider, "/models");
    let headers = trial::headers(provider, surface, key.map(|(_, value)| value));
    let name = &provider.id;
    let whose = key.map_or(String::new(), |(id, _)| format!(" with the key {id}"));
    let answer = fetch::call(&Call {
        url: &url,
        headers: &headers,
        body: None,
        ca: provider.ca.as_deref(),
        public_only: provider.public_only,
        patience: PATIENCE,
        most: 0,
    });
    let (status, date) = match answer {
        Ok(answer) => (answer.status, answer.date),
        Err(error) => {
            let advice = "look at `base_url`, `ca` and the network; requests go on to the next candidate meanwhile";
            return findings.error(
                "providers",
                format!("{name} cannot be reached: {error}"),
                advice,
            );
        }
    };
    let what = format!("{name} answers {status} to GET /models{whose}");
    match status {
        200..=299 => findings.ok("providers", what),
        401 | 403 => findings.error(
            "providers",
            what,
            "the key is not accepted: put a valid one in its place",
        ),
        402 | 429 => findings.warning(
            "providers",
            what,
            "the key has no credit, or is at its limit",
        ),
        300..=399 => findings.error(
            "providers",
            what,
            "redirects are not followed: correct `base_url`",
        ),
        500.. => findings.warning(
            "providers",
            what,
            "the provider has trouble: look at its status page",
        ),
        // Not every server lists its models.
        _ => findings.ok(
            "providers",
            format!("{what}: it is there; whether it takes the key is not known"),
        ),
    }
    let said = date.and_then(|date| httpdate::parse_http_date(&date).ok());
    if let Some(said) = said.and_then(|said| said.duration_since(UNIX_EPOCH).ok())
        && said.abs_diff(clock::unix()) > APART
    {
        let what = format!(
            "{name}'s clock and this machine's are {} s apart",
            said.abs_diff(clock::unix()).as_secs()
        );
        findings.error("clock", what, "set this machine's clock right (NTP)");
    }
}
