//! The ledger's settings.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Checker;
use crate::yaml::document::beside;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::types::{BankKind, Fsync, Unreachable};
use crate::yaml::units::{Span, Usd};
use crate::yaml::valid::{BankChoice, Ledger, WhenUnreachable};
use tollgate_base::Secret;
use tollgate_ledger::NanoUsd;
use tollgate_store::redis::{Address, RedisSettings, RedisUrl, Topology};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that an answer is read on for whose client has left: meanwhile it costs its provider's price, and a
/// place among those that are.
const LONGEST_GRACE: Duration = Duration::from_secs(5 * 60);

impl Checker<'_> {
    pub(super) fn ledger(&mut self, written: &types::Ledger) -> Ledger {
        let place = Place::top("ledger");
        let default = Ledger::default();
        let redis = written
            .redis
            .as_ref()
            .map(|redis| self.redis(&place.key("redis"), redis));
        let path = self.sqlite(&place.key("sqlite").key("path"), &written.sqlite);
        let journal = written.journal.clone().unwrap_or(default.journal);
        if journal.as_os_str().is_empty() {
            let hint = Some("leave it out for data/journal".to_owned());
            self.fault(&place.key("journal"), "the path is empty", hint);
        }
        let (bank, redis_ca) = match (written.bank, redis) {
            // What stands in for a bank that was a fault is never seen.
            (Some(BankKind::Redis), Some(None)) => (default.bank, None),
            (Some(BankKind::Redis), Some(Some((settings, ca)))) => {
                (BankChoice::Redis(settings), ca)
            }
            (Some(BankKind::Redis), None) => {
                let hint = Some("add `redis: { url: \"redis://127.0.0.1:6379\" }`".to_owned());
                let message = "`ledger.redis` does not say where it is";
                self.fault(&place.key("bank"), message, hint);
                (default.bank, None)
            }
            (Some(BankKind::Sqlite) | None, _) => {
                if path == journal {
                    let hint = Some("the journal is a directory of its own".to_owned());
                    self.fault(&place.key("journal"), "this is the database's path", hint);
                }
                (BankChoice::Sqlite { path }, None)
            }
        };
        let mut span = |key: &str, span, default, most| {
            self.bounded_span(&place.key(key), span, default, most)
        };
        let minute = Duration::from_secs(60);
        let flush = span("flush", written.flush, default.flush, minute);
        let timeout = span("timeout", written.timeout, default.timeout, minute / 2);
        let lease = span("lease", written.lease, default.lease, DAY);
        let retention = span(
            "retention",
            written.retention,
            default.retention,
            3650 * DAY,
        );
        if lease < 3 * flush.max(timeout) {
            let message = "a lease that ends before it could be prolonged makes other gateways lend the same money";
            let hint = Some("make it three times `flush` and `timeout`, at least".to_owned());
            self.fault(&place.key("lease"), message, hint);
        }
        let usage_grace = self.usage_grace(&place.key("usage_grace"), written.usage_grace);
        let minimum_purchase = match written.minimum_purchase {
            Some(usd) => self.dollars(&place.key("minimum_purchase"), usd),
            None => default.minimum_purchase,
        };
        Ledger {
            bank,
            redis_ca,
            journal,
            fsync: written.fsync == Some(Fsync::Always),
            credits: written.credits.unwrap_or_default(),
            processing_fee: written
                .processing_fee
                .map_or(default.processing_fee, Usd::pico_per_token),
            minimum_purchase,
            when_unreachable: self.when_unreachable(&place, written),
            flush,
            lease,
            timeout,
            retention,
            cut_off: written.cut_off.unwrap_or(default.cut_off),
            overdraft: match written.overdraft {
                None => default.overdraft,
                Some(usd) if usd.micros() == 0 => NanoUsd::ZERO,
                Some(usd) => self.dollars(&place.key("overdraft"), usd),
            },
            usage_grace,
        }
    }

    /// 0 is a choice, too.
    fn usage_grace(&mut self, place: &Place, span: Option<Span>) -> Duration {
        let Some(grace) = span.map(Span::duration) else {
            return Ledger::default().usage_grace;
        };
        if grace > LONGEST_GRACE {
            let message = format!("more than {}", Span(LONGEST_GRACE));
            let hint = "an answer whose usage comes later costs what was held for it, at least";
            self.fault(place, message, Some(hint.to_owned()));
        }
        grace
    }

    fn sqlite(&mut self, place: &Place, sqlite: &types::Sqlite) -> PathBuf {
        let Some(path) = &sqlite.path else {
            return "data/tollgate.db".into();
        };
        let text = path.to_string_lossy();
        if text.is_empty()
            || text.ends_with('/')
            || text.starts_with(':')
            || text.starts_with("file:")
        {
            let hint = Some("write it as in data/tollgate.db".to_owned());
            self.fault(place, "this is not a file's path", hint);
        }
        path.clone()
    }

    fn when_unreachable(&mut self, place: &Place, written: &types::Ledger) -> WhenUnreachable {
        let at = place.key("allow_up_to");
        match (written.when_unreachable, written.allow_up_to) {
            (Some(Unreachable::Allow), None) => WhenUnreachable::Allow {
                up_to: NanoUsd::DOLLAR,
            },
            (Some(Unreachable::Allow), Some(usd)) => WhenUnreachable::Allow {
                up_to: self.dollars(&at, usd),
            },
            (Some(Unreachable::Deny) | None, usd) => {
                if usd.is_some() {
                    let hint = Some("write `when_unreachable: allow`, or leave it out".to_owned());
                    self.warn(
                        &at,
                        "this is ignored while `when_unreachable` is `deny`",
                        hint,
                    );
                }
                WhenUnreachable::Deny
            }
        }
    }

    /// A positive amount of money.
    pub(super) fn dollars(&mut self, place: &Place, usd: Usd) -> NanoUsd {
        let amount = NanoUsd::from_micros(usd.micros());
        match amount {
            Some(NanoUsd(0)) => self.fault(place, "must be more than 0", None),
            Some(amount) if amount <= NanoUsd::MOST => {}
            _ => {
                let message = format!("more than {} in one amount", NanoUsd::MOST);
                self.fault(place, message, None);
            }
        }
        amount.unwrap_or(NanoUsd::MOST)
    }

    pub(super) fn bounded_span(
        &mut self,
        place: &Place,
        span: Option<Span>,
        default: Duration,
        most: Duration,
    ) -> Duration {
        let span = span.map_or(default, Span::duration);
        if span.is_zero() {
            self.fault(place, "must be more than 0", None);
        } else if span > most {
            self.fault(place, format!("more than {}", Span(most)), None);
        }
        span
    }

    /// Also the SHA-256 of its certificate authorities, if it has any of its own. `None` if it was a fault.
    fn redis(
        &mut self,
        place: &Place,
        redis: &types::Redis,
    ) -> Option<(RedisSettings, Option<[u8; 32]>)> {
        let before = self.faults.len();
        self.one_topology(place, redis);
        let one = redis
            .url
            .as_ref()
            .and_then(|url| self.redis_url(&place.key("url"), url.expose(), REDIS_PORT));
        let cluster = self.nodes(&place.key("cluster"), redis.cluster.as_deref(), REDIS_PORT);
        let sentinels = self.nodes(
            &place.key("sentinels"),
            redis.sentinels.as_deref(),
            SENTINEL_PORT,
        );
        let master = self.master(place, redis);
        let (username, password) = self.login(place, redis, one.as_ref());
        let mut ca_digest = None;
        let ca = redis.ca.as_ref().map(|ca| {
            let at = place.key("ca");
            let ca = beside(self.merged.file_of(&at), ca);
            let pem = self.pem(&at, &ca, "a certificate", super::tls::has_certificate);
            ca_digest = pem.map(|pem| Sha256::digest(pem).into());
            ca
        });
        let prefix = self.prefix(&place.key("prefix"), redis.prefix.as_deref());
        let (topology, tls) = match (&one, cluster, sentinels) {
            (Some(url), None, None) => (Topology::Single(url.address.clone()), url.tls),
            (None, Some((nodes, tls)), None) => (Topology::Cluster(nodes), tls),
            (None, None, Some((sentinels, tls))) => (Topology::Sentinel { sentinels, master }, tls),
            _ => return None,
        };
        if ca.is_some() && !tls {
            let hint = Some("write `rediss://`, or leave it out".to_owned());
            self.warn(&place.key("ca"), "this is ignored without TLS", hint);
        }
        (self.faults.len() == before).then(|| {
            let settings = RedisSettings {
                tls,
                database: one.and_then(|url| url.database).unwrap_or_default(),
                username,
                password,
                ca,
                prefix,
                ..RedisSettings::new(topology)
            };
            (settings, ca_digest)
        })
    }

    /// One of `url`, `cluster` and `sentinels` says where the server is.
    fn one_topology(&mut self, place: &Place, redis: &types::Redis) {
        let chosen = [
            ("url", redis.url.is_some()),
            ("cluster", redis.cluster.is_some()),
            ("sentinels", redis.sentinels.is_some()),
        ]
        .map(|(key, is)| is.then_some(key));
        let chosen: Vec<&str> = chosen.into_iter().flatten().collect();
        if chosen.is_empty() {
            let hint = Some("add `url`, or the URLs of `cluster` or `sentinels`".to_owned());
            self.fault(place, "it does not say where the server is", hint);
        } else if let [first, second, ..] = chosen[..] {
            let message = format!("there is `{first}` as well, and only one of them can hold");
            let hint = Some("keep the one that your servers are".to_owned());
            self.fault(&place.key(second), message, hint);
        }
    }

    /// What all keys in Redis begin with.
    fn prefix(&mut self, place: &Place, written: Option<&str>) -> String {
        let prefix = written.unwrap_or("tollgate");
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if prefix.is_empty() || prefix.len() > 63 || !prefix.bytes().all(fine) {
            let hint = Some("use letters, digits, `-`, `_`, `.` and `:`, at most 63".to_owned());
            self.fault(place, "this cannot be a prefix", hint);
        }
        prefix.to_owned()
    }

    fn redis_url(&mut self, place: &Place, text: &str, port: u16) -> Option<RedisUrl> {
        match RedisUrl::parse(text, port) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let example = if port == SENTINEL_PORT {
                    "redis://127.0.0.1:26379"
                } else {
                    "redis://127.0.0.1:6379"
                };
                let message = format!("this is not a Redis URL: {wrong}");
                self.fault(place, message, Some(format!("write it as in {example}")));
                None
            }
        }
    }

    /// The servers of a list, and whether they speak TLS; `None` if there is no list, or nothing good in it.
    fn nodes(
        &mut self,
        place: &Place,
        list: Option<&[String]>,
        port: u16,
    ) -> Option<(Vec<Address>, bool)> {
        let list = list?;
        if list.is_empty() {
            self.fault(place, "there is no server in the list", None);
        }
        let mut tls = None;
        let mut nodes = Vec::new();
        for (i, text) in list.iter().enumerate() {
            let at = place.index(i);
            let Some(url) = self.redis_url(&at, text, port) else {
                continue;
            };
            if url.says_more() {
                let hint =
                    Some("put them under `username` and `password`; the database is 0".to_owned());
                self.fault(
                    &at,
                    "a user, a password and a database do not belong in a list's URL",
                    hint,
                );
            }
            if *tls.get_or_insert(url.tls) != url.tls {
                self.fault(&at, "either all servers speak TLS or none does", None);
            }
            if nodes.contains(&url.address) {
                self.fault(&at, "this server is in the list already", None);
            }
            nodes.push(url.address);
        }
        Some((nodes, tls?))
    }

    fn master(&mut self, place: &Place, redis: &types::Redis) -> String {
        let master = redis.master.clone().unwrap_or_default();
        match (&redis.sentinels, &redis.master) {
            (Some(_), _) if master.is_empty() => {
                let hint = Some("add the primary's name, as in `master: mymaster`".to_owned());
                self.fault(place, "the Sentinels need to be told which primary", hint);
            }
            (None, Some(_)) => {
                self.warn(
                    &place.key("master"),
                    "only Sentinels know a name; this is ignored",
                    None,
                );
            }
            _ => {}
        }
        master
    }

    /// Who logs in: what is written beside the URL, or in it.
    fn login(
        &mut self,
        place: &Place,
        redis: &types::Redis,
        url: Option<&RedisUrl>,
    ) -> (Option<String>, Option<Secret>) {
        let own = redis
            .password
            .clone()
            .filter(|secret| !secret.expose().is_empty());
        let name = redis.username.clone().filter(|name| !name.is_empty());
        let (url_name, url_password) = url.map_or((None, None), |url| {
            (url.username.clone(), url.password.clone())
        });
        for (key, both) in [
            ("username", name.is_some() && url_name.is_some()),
            ("password", own.is_some() && url_password.is_some()),
        ] {
            if both {
                let hint = Some("keep one of them".to_owned());
                self.fault(&place.key(key), format!("`url` has a {key}, too"), hint);
            }
        }
        let (username, password) = (name.or(url_name), own.or(url_password));
        if username.is_some() && password.is_none() {
            let hint = Some("add `password`, or leave the user out".to_owned());
            self.fault(place, "a user without a password cannot log in", hint);
        }
        (username, password)
    }
}
