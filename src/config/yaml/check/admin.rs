//! The admin listener, and who may call its API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Checker;
use super::callers::TOKEN_ID;
use super::listeners::ADMIN_DEFAULT;
use crate::catalog::BaseUrl;
use crate::secrets::{Role, token};
use crate::yaml::place::Place;
use crate::yaml::types::{self, ClientAuth};
use crate::yaml::valid::{Admin, ApiKey};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ENVIRONMENT_KEY: &str = "TOLLGATE_ADMIN_KEY";
/// Fewest characters of the environment's key, which people may make up.
const SHORTEST_KEY: usize = 16;

impl Checker<'_> {
    pub(super) fn admin(&mut self, admin: &types::Admin, accounts: &[&str]) -> Admin {
        let top = Place::top("admin");
        let place = top.key("listen");
        let listen = self.admin_address(admin);
        let tls = admin.tls.as_ref();
        let metrics_need_key = admin.metrics_need_key.unwrap_or_default();
        let asks = tls.is_some_and(|tls| {
            tls.client_ca.is_some() && tls.client_auth != Some(ClientAuth::Optional)
        });
        let open = match (tls.is_some(), metrics_need_key || asks) {
            (false, true) => {
                Some("the admin listener speaks plain HTTP and can be reached from other machines")
            }
            (false, false) => Some(
                "the admin listener speaks plain HTTP and can be reached from other machines, which may read its metrics",
            ),
            (true, false) => Some(
                "the admin listener can be reached from other machines, which may read its metrics",
            ),
            (true, true) => None,
        };
        if let Some(open) = open.filter(|_| !listen.ip().is_loopback()) {
            let hint = match tls {
                None => {
                    "keep it on 127.0.0.1, give it `admin.tls`, or have a firewall in front of it"
                }
                Some(_) => "set `admin.metrics_need_key`, or have a firewall in front of it",
            };
            self.warn(&place, open, Some(hint.to_owned()));
        }
        let url = admin.public_url.as_deref();
        let oidc = admin.oidc.as_ref();
        Admin {
            listen,
            tls: tls.and_then(|tls| self.admin_tls(&top.key("tls"), tls)),
            api_keys: self.api_keys(&top.key("api_keys"), &admin.api_keys, accounts),
            oidc: oidc.and_then(|oidc| self.oidc(&top.key("oidc"), oidc, accounts)),
            public_url: url.and_then(|text| self.public_url(&top.key("public_url"), text)),
            metrics_need_key,
            quotas: admin.quotas.clone(),
            audit_retention: self.bounded_span(
                &top.key("audit_retention"),
                admin.audit_retention,
                400 * DAY,
                3650 * DAY,
            ),
        }
    }

    /// Where it listens.
    pub(in crate::yaml) fn admin_address(&mut self, admin: &types::Admin) -> SocketAddr {
        let place = Place::top("admin").key("listen");
        let text = admin.listen.as_deref();
        text.and_then(|text| self.address(&place, text))
            .unwrap_or(ADMIN_DEFAULT)
    }

    fn public_url(&mut self, place: &Place, text: &str) -> Option<String> {
        let message = match BaseUrl::parse(text) {
            Ok(url) if url.query.is_none() && !text.ends_with('?') => {
                return Some(text.trim_end_matches('/').to_owned());
            }
            Ok(_) => "paths are appended to it, so it has no query: remove `?` and what follows",
            Err(_) => "this is not a URL that paths can be appended to",
        };
        let hint = Some("as in https://tollgate.example.com".to_owned());
        self.fault(place, message, hint);
        None
    }

    fn api_keys(&mut self, top: &Place, keys: &[types::ApiKey], accounts: &[&str]) -> Vec<ApiKey> {
        let named = |i: usize, key: &types::ApiKey| {
            let place = top.index(i);
            match (&key.id, &key.name) {
                (None, Some(name)) => (place.key("name"), name.clone()),
                (id, _) => (place.key("id"), id.clone().unwrap_or_default()),
            }
        };
        let ids: Vec<(Place, String)> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| named(i, key))
            .collect();
        self.unique(
            "API key",
            ids.iter().map(|(place, id)| (place.clone(), id.as_str())),
        );
        let mut environment = self.environment_key(top);
        let mut digests: BTreeMap<[u8; 32], String> = BTreeMap::new();
        digests.extend(
            environment
                .iter()
                .map(|key| (key.digest, format!("`{ENVIRONMENT_KEY}`"))),
        );
        let mut all = Vec::new();
        for (i, (key, (at, id))) in keys.iter().zip(ids).enumerate() {
            let place = top.index(i);
            self.api_key_id(&at, &id);
            self.known_account(&place, key.account.as_deref(), accounts);
            let Some(digest) = self.digest(&place, &key.sha256) else {
                continue;
            };
            // The same key twice, as in a shell that is to call this very gateway.
            let may_everything =
                key.role.is_none_or(|role| role == Role::Full) && key.account.is_none();
            if environment.as_ref().is_some_and(|own| own.digest == digest) && may_everything {
                environment = None;
                digests.remove(&digest);
            }
            let here = format!("the key at {}", self.merged.locate(&place));
            if let Some(first) = digests.insert(digest, here) {
                let hint = Some("every key needs a token of its own".to_owned());
                self.fault(
                    &place.key("sha256"),
                    format!("{first} has the same digest"),
                    hint,
                );
            }
            all.push(ApiKey {
                id,
                spec: key.clone(),
                digest,
            });
        }
        all.extend(environment);
        all
    }

    fn api_key_id(&mut self, place: &Place, id: &str) {
        if id == ApiKey::ENVIRONMENT {
            self.fault(
                place,
                format!("`{id}` is the key in {ENVIRONMENT_KEY}"),
                Some("choose another id".to_owned()),
            );
        } else if !id.is_empty() && !token::is_id(id) {
            self.fault(
                place,
                "this cannot be an API key's id",
                Some(TOKEN_ID.to_owned()),
            );
        }
    }

    /// The key in the environment. Only its digest is kept.
    fn environment_key(&mut self, place: &Place) -> Option<ApiKey> {
        let key = self.variable(ENVIRONMENT_KEY)?;
        let hint = Some("make one with `tollgate key new --admin`".to_owned());
        if key.chars().count() < SHORTEST_KEY {
            let message = format!(
                "the environment variable {ENVIRONMENT_KEY} has fewer than {SHORTEST_KEY} characters"
            );
            self.fault(place, message, hint);
            return None;
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!(
                "the environment variable {ENVIRONMENT_KEY} holds what a header cannot carry: spaces, control characters, or letters beyond ASCII"
            );
            self.fault(place, message, hint);
            return None;
        }
        Some(ApiKey {
            id: ApiKey::ENVIRONMENT.to_owned(),
            spec: types::ApiKey {
                role: Some(Role::Full),
                ..types::ApiKey::default()
            },
            digest: token::digest(&key),
        })
    }
}
