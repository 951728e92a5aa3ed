//! How one talks to the servers: scripts and commands, with a deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::keys::Keys;
use super::link::{Link, Target};
use super::scripts::Call;
use super::server::Server;
use super::servers::{Cluster, Servers};
use super::settings::{RedisSettings, Topology};
use super::tls;
use super::trouble::Remedy;
use crate::StoreError;
use tollgate_base::clock;

/// The servers, and how to talk to them.
pub struct Redis {
    pub(super) servers: Servers,
    /// The names of keys.
    pub keys: Keys,
    timeout: Duration,
}

impl Redis {
    /// Reads the settings. Connects only when it is needed, and again whenever it is.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if settings cannot be used; the message says which and why.
    pub fn open(settings: &RedisSettings) -> Result<Redis, StoreError> {
        let keys = Keys::new(&settings.prefix)?;
        if settings.timeout.is_zero() {
            let message = "the timeout of the ledger's Redis must be above 0";
            return Err(StoreError::Refused(message.to_owned()));
        }
        let trust = || tls::client(settings.ca.as_deref());
        let read = |urls: &[String]| {
            let numbered = urls.iter().zip(1..);
            let servers = numbered.map(|(url, number)| Server::read(url, number, trust));
            let mut servers = servers.collect::<Result<Vec<_>, _>>()?.into_iter();
            let none = || StoreError::Refused("the ledger's Redis has no URL".to_owned());
            Ok((servers.next().ok_or_else(none)?, servers))
        };
        let servers = match &settings.topology {
            Topology::Single(url) => {
                let server = Server::read(url, 1, trust)?.with_login(settings);
                Servers::One(Link::new(Target::Server(server), settings.timeout))
            }
            Topology::Sentinel { urls, master } => {
                let (first, others) = read(urls)?;
                let primary = first.without_login().with_login(settings);
                let sentinels = std::iter::once(first).chain(others).collect();
                let master = master.clone();
                let target = Target::Primary {
                    sentinels,
                    master,
                    primary,
                };
                Servers::One(Link::new(target, settings.timeout))
            }
            Topology::Cluster(urls) => {
                let (first, others) = read(urls)?;
                let first = first.with_login(settings);
                let others: Vec<Server> = others.map(|seed| seed.with_login(settings)).collect();
                if first.database() != 0 || others.iter().any(|seed| seed.database() != 0) {
                    let message = "a Redis Cluster has no database but 0";
                    return Err(StoreError::Refused(message.to_owned()));
                }
                Servers::Cluster(Arc::new(Cluster::new(first, others, settings.timeout)))
            }
        };
        Ok(Redis {
            servers,
            keys,
            timeout: settings.timeout,
        })
    }

    /// Which connection leads to a key's server now, if one does; another number is another connection.
    pub fn connection(&self, key: &str) -> Option<u64> {
        self.servers.connection(key)
    }

    /// When a call that begins now has to have ended.
    pub fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// Calls a script; also says on which connection.
    pub async fn call(&self, call: &Call, deadline: Instant) -> Result<(Value, u64), StoreError> {
        let (key, servers) = (call.key(), &self.servers);
        let answer = match servers.send(key, &call.by_hash(), deadline).await {
            Err(trouble) if trouble.remedy == Remedy::Text => {
                servers.send(key, &call.by_text(), deadline).await
            }
            answer => answer,
        };
        answer.map_err(|trouble| trouble.error)
    }

    /// Sends a command about one key.
    pub async fn send(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, StoreError> {
        let answer = self.send_on(key, command, deadline).await;
        answer.map(|(value, _)| value)
    }

    /// Sends a command about one key; also says on which connection.
    pub async fn send_on(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<(Value, u64), StoreError> {
        let answer = self.servers.send(key, command, deadline).await;
        answer.map_err(|trouble| trouble.error)
    }
}
