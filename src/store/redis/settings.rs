//! Where Redis is, and how to be let in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tollgate_base::Secret;

/// Everything that [`super::Redis`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Which servers, and how they belong together.
    pub topology: Topology,
    /// Whether all of them, Sentinels included, speak TLS.
    pub tls: bool,
    /// The number of the database; a Cluster has only 0.
    pub database: u16,
    /// Who logs in at the servers that hold the data; `None` is the server's user `default`.
    pub username: Option<String>,
    /// The password; `None` is no login at all.
    pub password: Option<Secret>,
    /// A PEM file with the authorities that TLS trusts; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// How long one call may take, connecting included; above 0.
    pub timeout: Duration,
    /// What all keys begin with, as several ledgers may share a Redis: letters, digits, `-`, `_`, `.` and `:`, at least one.
    pub prefix: String,
}

/// How servers belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server, or one address that always leads to the primary.
    Single(Address),
    /// A primary with replicas, which Sentinels watch.
    Sentinel {
        /// The Sentinels, at least one; nobody logs in there.
        sentinels: Vec<Address>,
        /// The name that they have for the primary; not empty.
        master: String,
    },
    /// A Cluster; some of its nodes, at least one, which name the others.
    Cluster(Vec<Address>),
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an address; an IPv6 one without brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Of its parts.
    pub fn new(host: &str, port: u16) -> Address {
        let host = host.into();
        Address { host, port }
    }

    /// Reads `host:port`, as servers write it; an IPv6 address may be without brackets.
    pub(super) fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Address::new(host, port.parse().ok()?))
    }
}

/// `host:port` or `[::1]:port`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl RedisSettings {
    /// Returns the defaults: no TLS and no login, one second, keys that begin with `tollgate`.
    pub fn new(topology: Topology) -> RedisSettings {
        RedisSettings {
            topology,
            tls: false,
            database: 0,
            username: None,
            password: None,
            ca: None,
            timeout: Duration::from_secs(1),
            prefix: "tollgate".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_servers_write_are_read() {
        for (text, shown) in [
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("::1:7", "[::1]:7"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(Address::parse("x"), None);
    }
}
