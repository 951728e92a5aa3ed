//! Where Redis is, and how to be let in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tollgate_base::Secret;

/// Everything that [`super::Redis`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Which servers, and how they belong together.
    pub topology: Topology,
    /// The user of the servers that hold the data; beats a URL's.
    pub username: Option<String>,
    /// Its password; beats a URL's.
    pub password: Option<Secret>,
    /// The number of the database; beats a URL's. A Cluster has only 0.
    pub database: Option<u32>,
    /// A PEM file with the authorities that `rediss://` trusts; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// How long one call may take, connecting included; above 0.
    pub timeout: Duration,
    /// What all keys begin with: several ledgers may share a Redis. Without braces, not empty.
    pub prefix: String,
}

/// How servers belong together. URLs are `redis://[user[:password]@]host[:port][/database]`, `rediss://…` for TLS.
#[derive(Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server, or one address that always leads to the primary; also `unix:///path/to/socket`.
    Single(String),
    /// A primary with replicas, which these sentinels watch.
    Sentinel {
        /// The sentinels. User and password in them are the sentinels' own; with `rediss` the primary speaks TLS,
        /// too.
        urls: Vec<String>,
        /// The name that the sentinels have for the primary.
        master: String,
    },
    /// A Cluster; some of its nodes, which tell of the others.
    Cluster(Vec<String>),
}

impl RedisSettings {
    /// The defaults: one second, keys that begin with `tollgate`.
    pub fn new(topology: Topology) -> RedisSettings {
        RedisSettings {
            topology,
            username: None,
            password: None,
            database: None,
            ca: None,
            timeout: Duration::from_secs(1),
            prefix: "tollgate".to_owned(),
        }
    }
}

/// Without user and password, which URLs may contain.
impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |urls: &[String]| {
            urls.iter()
                .map(|url| without_login(url))
                .collect::<Vec<_>>()
        };
        match self {
            Topology::Single(url) => f.debug_tuple("Single").field(&without_login(url)).finish(),
            Topology::Sentinel { urls, master } => f
                .debug_struct("Sentinel")
                .field("urls", &shown(urls))
                .field("master", master)
                .finish(),
            Topology::Cluster(urls) => f.debug_tuple("Cluster").field(&shown(urls)).finish(),
        }
    }
}

/// Leaves out everything between the scheme and the last `@`.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://***@{place}"),
        (None, Some(_)) => "***".to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let urls = || vec!["rediss://me:p@ss@host:1/2".to_owned()];
        for topology in [
            Topology::Single("redis://:p@ss@host".to_owned()),
            Topology::Single("me:p@ss@host".to_owned()),
            Topology::Cluster(urls()),
            Topology::Sentinel {
                urls: urls(),
                master: "main".to_owned(),
            },
        ] {
            let shown = format!("{:?}", RedisSettings::new(topology));
            assert!(!shown.contains("p@ss") && !shown.contains("ss@"), "{shown}");
        }
    }
}
