//! How the bank, its store and the cool-downs talk to servers: scripts and commands, with a deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::keys::Keys;
use super::link::{Link, Target};
use super::scripts::{Call, MEET};
use super::server::Server;
use super::servers::{Cluster, Servers};
use super::settings::{RedisSettings, Topology};
use super::trouble::Remedy;
use super::{tls, wire};
use crate::ledger::bank::{BankError, Exchange, Reply};
use tollgate_base::clock;

/// How many accounts are introduced with one command.
const INTRODUCED: usize = 1000;

/// The servers, and how to talk to them.
pub(super) struct Redis {
    pub servers: Servers,
    pub keys: Keys,
    timeout: Duration,
}

impl Redis {
    pub fn open(settings: &RedisSettings) -> Result<Redis, BankError> {
        let keys = Keys::new(&settings.prefix)?;
        if settings.timeout.is_zero() {
            let message = "the timeout of the ledger's Redis must be above 0";
            return Err(BankError::Refused(message.to_owned()));
        }
        let trust = || tls::client(settings.ca.as_deref());
        let read = |urls: &[String]| {
            let numbered = urls.iter().zip(1..);
            let servers = numbered.map(|(url, number)| Server::read(url, number, trust));
            let mut servers = servers.collect::<Result<Vec<_>, _>>()?.into_iter();
            let none = || BankError::Refused("the ledger's Redis has no URL".to_owned());
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
                    return Err(BankError::Refused(message.to_owned()));
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

    /// When a call that begins now has to have ended.
    pub fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// Calls a script; also says on which connection.
    pub async fn call(&self, call: &Call, deadline: Instant) -> Result<(Value, u64), BankError> {
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
    ) -> Result<Value, BankError> {
        let answer = self.send_on(key, command, deadline).await;
        answer.map(|(value, _)| value)
    }

    /// Sends a command about one key; also says on which connection.
    pub async fn send_on(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<(Value, u64), BankError> {
        let answer = self.servers.send(key, command, deadline).await;
        answer.map_err(|trouble| trouble.error)
    }

    /// Sees that no newer version was here, and lists accounts; says on which connection.
    pub async fn introduce(
        &self,
        accounts: &[Arc<str>],
        deadline: Instant,
    ) -> Result<u64, BankError> {
        let keys = [self.keys.schema(), self.keys.shared("accounts")];
        let mut rest = accounts;
        loop {
            // Without accounts one call all the same, for the schema.
            let (some, others) = rest.split_at(rest.len().min(INTRODUCED));
            let mut call = Call::new(&MEET, keys.to_vec());
            some.iter().for_each(|account| call.push(&**account));
            let (_, connection) = self.call(&call, deadline).await?;
            if others.is_empty() {
                return Ok(connection);
            }
            rest = others;
        }
    }

    pub async fn exchange(
        &self,
        message: &Exchange,
        call: &Call,
        deadline: Instant,
    ) -> Result<Reply, BankError> {
        let (answer, _) = self.call(call, deadline).await?;
        wire::reply(message, answer)
    }
}
