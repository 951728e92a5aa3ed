//! One server, a Cluster of three, a primary with a replica and a sentinel; and stores on them.
//!
//! The servers of the contract suite are shared by the tests of one process; each test has a prefix of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tollgate_store::Database;
use tollgate_store::redis::{Address, Redis, RedisSettings, RedisUrl, Topology};

use crate::contract::{Opened, Store};
use crate::process::{Process, wait_for};

/// For tests that are not about deadlines: a busy machine must not spoil them.
pub const AMPLE: Duration = Duration::from_secs(20);

pub fn open(settings: &RedisSettings) -> Opened {
    let redis = Redis::open(settings).unwrap();
    Opened::on(&Database::Redis(Arc::new(redis)))
}

/// Where the server of a URL is.
pub fn address(url: &str) -> Address {
    RedisUrl::parse(url, 6379).unwrap().address
}

/// Settings with ample time and a prefix that no other test has.
pub fn settings(topology: Topology) -> RedisSettings {
    static PREFIXES: AtomicU64 = AtomicU64::new(0);
    RedisSettings {
        timeout: AMPLE,
        prefix: format!("test{}", PREFIXES.fetch_add(1, Ordering::Relaxed)),
        ..RedisSettings::new(topology)
    }
}

/// Three nodes, each with a third of the slots.
pub fn cluster() -> [Process; 3] {
    let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
    let nodes = [(); 3].map(|()| Process::start(&arguments));
    let slots = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
    for (node, [from, to]) in nodes.iter().zip(slots) {
        node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
    }
    // Otherwise two nodes might take the same number for their first epoch.
    for (node, epoch) in nodes.iter().zip(["1", "2", "3"]) {
        node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]);
    }
    for node in &nodes[1..] {
        nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]);
    }
    wait_for("a Cluster", || {
        nodes.iter().all(|node| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
    });
    nodes
}

/// Waits until a replica has all that its primary has.
///
/// `WAIT` is not enough: it is about what its own connection wrote. Neither is a link that is up: after a transfer
/// without a disk the primary holds everything more back until the replica has said that it is done.
pub fn in_step(primary: &Process, replica: &Process) {
    let offset = |server: &Process, field: &str| {
        let info: String = server.ask(&["INFO", "replication"]);
        let found = info.lines().find_map(|line| line.strip_prefix(field));
        found.and_then(|number| number.trim().parse::<u64>().ok())
    };
    let written = offset(primary, "master_repl_offset:");
    assert!(written.is_some(), "a primary counts what it writes");
    wait_for("a replica that has everything", || {
        offset(replica, "slave_repl_offset:") >= written
    });
}

/// A primary named `main`, its replica, and a sentinel that has seen both.
pub struct Watched {
    pub primary: Process,
    pub replica: Process,
    pub sentinel: Process,
}

impl Watched {
    pub fn start() -> Watched {
        let primary = Process::start(&[]);
        let port = primary.port.to_string();
        let replica = Process::start(&["--replicaof", "127.0.0.1", &port]);
        let sentinel = Process::start_with(|own, dir| {
            let config = dir.join("sentinel.conf");
            let lines = format!(
                "port {own}\nsentinel monitor main 127.0.0.1 {port} 1\n\
                 sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 10000\n"
            );
            std::fs::write(&config, lines).unwrap();
            vec![
                config.to_string_lossy().into_owned(),
                "--sentinel".to_owned(),
            ]
        });
        let watched = Watched {
            primary,
            replica,
            sentinel,
        };
        wait_for("a replica that is in step", || {
            let info: String = watched.replica.ask(&["INFO", "replication"]);
            info.contains("master_link_status:up")
        });
        wait_for("a sentinel that knows the replica", || {
            let replicas: Vec<Vec<String>> =
                watched.sentinel.ask(&["SENTINEL", "REPLICAS", "main"]);
            replicas.len() == 1 && replicas[0].contains(&"ok".to_owned())
        });
        watched
    }

    /// The first sentinel of the settings is not there.
    pub fn topology(&self) -> Topology {
        Topology::Sentinel {
            sentinels: vec![Address::new("127.0.0.1", 1), address(&self.sentinel.url())],
            master: "main".to_owned(),
        }
    }
}

macro_rules! store {
    ($(#[$about:meta] $store:ident on $servers:ty: $start:expr, $topology:expr;)+) => {
        $(
            #[$about]
            pub struct $store(RedisSettings);

            #[async_trait]
            impl Store for $store {
                async fn fresh() -> Self {
                    static SERVERS: OnceLock<$servers> = OnceLock::new();
                    $store(settings(($topology)(SERVERS.get_or_init($start))))
                }

                async fn open(&self) -> Opened {
                    open(&self.0)
                }
            }
        )+
    };
}

store! {
    /// Its own keys on the process's server.
    Single on Process: || Process::start(&[]), |server: &Process| Topology::Single(address(&server.url()));
    /// Its own keys in the process's Cluster, of which settings name one node.
    Cluster on [Process; 3]: cluster, |nodes: &[Process; 3]| Topology::Cluster(vec![address(&nodes[1].url())]);
    /// Its own keys on the process's primary.
    Sentinels on Watched: Watched::start, Watched::topology;
}
