//! Opens the database that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tollgate_store::redis::{Redis, RedisSettings, Topology};
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database, StoreError};

use tollgate_config::{BankChoice, Ledger, RedisChoice, RedisNode, RedisTopology};

/// A command waits at least this long for an answer: nobody's request waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the database that is chosen, within a Tokio runtime.
///
/// # Errors
/// When it cannot be opened, what to do: see [`Worker::open`].
pub fn open(ledger: &Ledger, access: Access) -> Result<Database, StoreError> {
    let timeout = match access {
        Access::Gateway => ledger.timeout,
        Access::Command => ledger.timeout.max(PATIENCE),
    };
    match &ledger.bank {
        BankChoice::Sqlite { path } => {
            // Whoever fears power cuts for the journal fears them for the bank.
            let synchronous = if ledger.fsync {
                Synchronous::Full
            } else {
                Synchronous::Normal
            };
            let options = Options {
                access,
                timeout,
                synchronous,
            };
            Ok(Database::Sqlite(Arc::new(Worker::open(path, options)?)))
        }
        BankChoice::Redis(choice) => {
            let redis = Redis::open(&settings(choice, timeout))?;
            Ok(Database::Redis(Arc::new(redis)))
        }
    }
}

fn settings(choice: &RedisChoice, timeout: Duration) -> RedisSettings {
    let scheme = if choice.tls { "rediss" } else { "redis" };
    let url = |node: &RedisNode| {
        if node.host.contains(':') {
            format!("{scheme}://[{}]:{}", node.host, node.port)
        } else {
            format!("{scheme}://{}:{}", node.host, node.port)
        }
    };
    let topology = match &choice.topology {
        RedisTopology::Single(node) => Topology::Single(url(node)),
        RedisTopology::Cluster(nodes) => Topology::Cluster(nodes.iter().map(url).collect()),
        RedisTopology::Sentinel { sentinels, master } => Topology::Sentinel {
            urls: sentinels.iter().map(url).collect(),
            master: master.clone(),
        },
    };
    RedisSettings {
        topology,
        username: choice.username.clone(),
        password: choice.password.clone(),
        database: Some(u32::from(choice.database)).filter(|database| *database > 0),
        ca: choice.ca.clone(),
        timeout,
        prefix: choice.prefix.clone(),
    }
}
