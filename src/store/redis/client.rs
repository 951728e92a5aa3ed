//! Sends scripts and commands to the servers, each with a deadline, and keeps their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::keys::Keys;
use super::link::{Link, Target};
use super::scripts::Call;
use super::server::Server;
use super::servers::{Cluster, Servers};
use super::settings::{Address, RedisSettings, Topology};
use super::tls;
use super::trouble::Remedy;
use super::{read, strange};
use crate::{Moment, Now, StoreError};
use tollgate_base::clock::{self, Watched};

/// The servers, and how to talk to them.
pub struct Redis {
    pub(super) servers: Servers,
    /// Makes the names of keys.
    pub keys: Keys,
    /// How long one call may take.
    timeout: Duration,
    /// Whether the server was asked for the time that an earlier process noted there.
    recalled: AtomicBool,
    /// The server's clock, as this process has watched it.
    clock: Watched,
}

impl Redis {
    /// Makes a client of the settings. It connects only when a command needs it, and again whenever one does.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if settings cannot be used; the message says which and why.
    pub fn open(settings: &RedisSettings) -> Result<Redis, StoreError> {
        let keys = Keys::new(&settings.prefix)?;
        if settings.timeout.is_zero() {
            let message = "the timeout of the ledger's Redis must be above 0";
            return Err(StoreError::Refused(message.to_owned()));
        }
        let tls = match settings.tls {
            true => Some(tls::client(settings.ca.as_deref())?),
            false => None,
        };
        let server = |address: &Address| Server::new(address.clone(), tls.clone());
        let none = || StoreError::Refused("the ledger's Redis has no server".to_owned());
        let servers = match &settings.topology {
            Topology::Single(address) => {
                let server = server(address).with_login(settings);
                Servers::One(Link::new(Target::Server(server), settings.timeout))
            }
            Topology::Sentinel { sentinels, master } => {
                let sentinels: Vec<Server> = sentinels.iter().map(server).collect();
                // The address of the first stands in until the Sentinels say the primary's; the login is the primary's.
                let primary = sentinels.first().ok_or_else(none)?.clone();
                let target = Target::Primary {
                    primary: primary.with_login(settings),
                    sentinels,
                    master: master.clone(),
                };
                Servers::One(Link::new(target, settings.timeout))
            }
            Topology::Cluster(_) if settings.database != 0 => {
                let message = "a Redis Cluster has no database but 0";
                return Err(StoreError::Refused(message.to_owned()));
            }
            Topology::Cluster(nodes) => {
                let mut seeds = nodes.iter().map(|node| server(node).with_login(settings));
                let first = seeds.next().ok_or_else(none)?;
                let cluster = Cluster::new(first, seeds.collect(), settings.timeout);
                Servers::Cluster(Arc::new(cluster))
            }
        };
        Ok(Redis {
            servers,
            keys,
            timeout: settings.timeout,
            recalled: AtomicBool::new(false),
            clock: Watched::default(),
        })
    }

    /// Returns the number of the connection to a key's server, if there is one now; each connection has its own.
    pub fn connection(&self, key: &str) -> Option<u64> {
        self.servers.connection(key)
    }

    /// Returns when a call that begins now must have ended.
    pub fn deadline(&self) -> Instant {
        clock::now() + self.timeout
    }

    /// Asks the server for its time, and returns what to go by. Notes that at the server, for the next process.
    ///
    /// # Errors
    /// [`StoreError::Away`] if the server does not answer; [`StoreError::Corrupt`] if it answers something else.
    pub async fn now(&self) -> Result<Now, StoreError> {
        self.recall(self.deadline()).await?;
        let key = self.keys.shared("clock");
        let server = self.time(&key, None, self.deadline()).await?;
        let moment = self.moment().agreed(server);
        let note = redis::cmd("SET").arg(&key).arg(moment.sure).clone();
        self.send(&key, &note, self.deadline()).await?;
        Ok(Now {
            moment,
            server: Some(server),
        })
    }

    /// Returns the server's time, as this process has watched it: it is right even if this machine's clock is wrong,
    /// and does not follow at once if the server's clock jumps. [`Moment::sure`], by which things are lost for good,
    /// waits for this machine's clock as well. Before [`Redis::recall`] it is this machine's time.
    pub fn moment(&self) -> Moment {
        let here = Moment::here();
        match self.clock.read().map(Moment::from) {
            None => here,
            Some(server) => Moment {
                told: server.told,
                sure: server.sure.min(here.sure),
            },
        }
    }

    /// Asks the server for its time (Unix time, ms). `noted` is the time that an earlier process noted.
    async fn time(
        &self,
        key: &str,
        noted: Option<u64>,
        deadline: Instant,
    ) -> Result<u64, StoreError> {
        let answer = self.send(key, &redis::cmd("TIME"), deadline).await?;
        let (seconds, micros): (u64, u64) = read(answer)?;
        let server = seconds
            .checked_mul(1_000)
            .ok_or_else(|| strange("the server's time"))?
            .saturating_add(micros / 1_000);
        let noted = noted.map(Duration::from_millis);
        self.clock.hear(Duration::from_millis(server), noted);
        Ok(server)
    }

    /// Takes in the time that an earlier process noted at the server; once that is done, it does nothing.
    ///
    /// # Errors
    /// [`StoreError::Away`] if the server does not answer; [`StoreError::Corrupt`] if it answers something else.
    pub async fn recall(&self, deadline: Instant) -> Result<(), StoreError> {
        if self.recalled.load(Ordering::Acquire) {
            return Ok(());
        }
        let key = self.keys.shared("clock");
        let question = redis::cmd("GET").arg(&key).clone();
        let answer = self.send(&key, &question, deadline).await?;
        let noted = read::<Option<u64>>(answer)?;
        self.time(&key, noted, deadline).await?;
        // Of calls at the same time, only the first corrects this process's own clock.
        if let Some(noted) = noted.filter(|_| !self.recalled.swap(true, Ordering::AcqRel)) {
            clock::recall(noted);
        }
        self.recalled.store(true, Ordering::Release);
        Ok(())
    }

    /// Calls a script. Returns the answer, and the number of the connection that it came on.
    pub async fn call(&self, call: &Call, deadline: Instant) -> Result<(Value, u64), StoreError> {
        let (key, servers) = (call.key(), &self.servers);
        let answer = match servers.send(key, &call.by_hash(), deadline).await {
            // The server does not know the script: it is sent as text, which the server remembers.
            Err(trouble) if trouble.remedy == Remedy::Text => {
                servers.send(key, &call.by_text(), deadline).await
            }
            answer => answer,
        };
        answer.map_err(|trouble| trouble.error)
    }

    /// Sends a command about one key. Returns the answer.
    pub async fn send(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, StoreError> {
        let answer = self.send_on(key, command, deadline).await;
        answer.map(|(value, _)| value)
    }

    /// Sends a command about one key. Returns the answer, and the number of the connection that it came on.
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
