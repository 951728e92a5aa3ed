//! What is special to a Cluster: slots that move, nodes that are silent.

use std::time::Duration;

use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_store::StoreError;
use tollgate_store::redis::{RedisSettings, Topology};

use super::topologies::{address, cluster, in_step, open, settings};
use crate::contract::{Teller, new_grant, tell};
use crate::process::{Process, wait_for};

/// The node that has the slot of an account's keys, the slot, and another node.
fn place<'a>(
    nodes: &'a [Process; 3],
    prefix: &str,
    account: &str,
) -> (&'a Process, u16, &'a Process) {
    let slot: u16 = nodes[0].ask(&[
        "CLUSTER",
        "KEYSLOT",
        &format!("{prefix}:1:{{{account}}}:state"),
    ]);
    (
        node_of(nodes, slot),
        slot,
        node_of(nodes, (slot + 5461) % 16384),
    )
}

fn node_of(nodes: &[Process; 3], slot: u16) -> &Process {
    let index = if slot <= 5460 {
        0
    } else if slot <= 10922 {
        1
    } else {
        2
    };
    &nodes[index]
}

fn id(node: &Process) -> String {
    node.ask(&["CLUSTER", "MYID"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_accounts_along() {
    let nodes = cluster();
    let settings = settings(Topology::Cluster(
        nodes.iter().map(|node| address(&node.url())).collect(),
    ));
    let bank = open(&settings);
    bank.grant("a", &new_grant("g", 1_000, None)).await.unwrap();
    let mut teller = Teller::new("a", 1);
    tell(&*bank, &teller.spend(1)).await;

    let (from, slot, to) = place(&nodes, &settings.prefix, "a");
    let number = slot.to_string();
    to.ask::<()>(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(from)]);
    from.ask::<()>(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(to)]);
    let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", &number, "100"]);
    assert!(keys.len() >= 5, "{keys:?}");
    let port = to.port.to_string();
    let message = teller.spend(1);
    for key in &keys {
        from.ask::<()>(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
    }
    // Some keys are here and some are there: no node may run a script on them.
    let Err(StoreError::Away(error)) = bank
        .exchange(std::slice::from_ref(&message))
        .await
        .remove(0)
    else {
        panic!("the account is torn apart");
    };
    assert!(error.contains("moving"), "{error}");
    for node in [to, from] {
        node.ask::<()>(&["CLUSTER", "SETSLOT", &number, "NODE", &id(to)]);
    }
    assert_eq!(tell(&*bank, &message).await.last, 2, "by MOVED");
    for _ in 0..3 {
        tell(&*bank, &teller.spend(1)).await;
    }
    let books = bank.books("a").await.unwrap();
    assert_eq!((books.spent, books.faults()), (NanoUsd(5), vec![]));
    assert_eq!(
        from.ask::<Vec<String>>(&["CLUSTER", "GETKEYSINSLOT", &number, "100"]),
        [""; 0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_does_not_hold_up_the_accounts_of_others() {
    let nodes = cluster();
    let settings = RedisSettings {
        timeout: Duration::from_millis(600),
        ..settings(Topology::Cluster(
            nodes.iter().map(|node| address(&node.url())).collect(),
        ))
    };
    let bank = open(&settings);
    let accounts: Vec<String> = (0..12).map(|index| format!("a{index}")).collect();
    let mut tellers: Vec<Teller> = accounts
        .iter()
        .map(|account| Teller::new(account, 1))
        .collect();
    let messages: Vec<_> = tellers.iter_mut().map(|teller| teller.spend(1)).collect();
    for answer in bank.exchange(&messages).await {
        answer.unwrap();
    }
    let ports: Vec<u16> = accounts
        .iter()
        .map(|account| place(&nodes, &settings.prefix, account).0.port)
        .collect();
    // The node that has the list of accounts, too: it must not be needed for accounts that are in it.
    let shared: u16 = nodes[0].ask(&["CLUSTER", "KEYSLOT", &format!("{{{}}}", settings.prefix)]);
    let silent = node_of(&nodes, shared);
    assert!(ports.contains(&silent.port) && ports.iter().any(|port| *port != silent.port));
    silent.signal("STOP");
    for _ in 0..4 {
        let began = clock::now();
        let answers = bank.exchange(&messages).await;
        assert!(
            clock::now() - began < Duration::from_secs(2),
            "all have a deadline"
        );
        for ((account, port), answer) in accounts.iter().zip(&ports).zip(answers) {
            let here = *port == silent.port;
            match answer {
                Ok(reply) => assert!(!here && reply.last == 1, "{account}"),
                Err(StoreError::Away(error)) => assert!(
                    here,
                    "{account} is at {port}, not at {}: {error}",
                    silent.port
                ),
                Err(error) => panic!("{error}"),
            }
        }
    }
    silent.signal("CONT");
    let end = clock::now() + Duration::from_secs(20);
    while bank.exchange(&messages).await.iter().any(Result::is_err) {
        assert!(clock::now() < end, "it does not come back");
    }
    for account in &accounts {
        assert_eq!(
            bank.books(account).await.unwrap().spent,
            NanoUsd(1),
            "{account}"
        );
    }
    let mut all = accounts.clone();
    all.sort();
    assert_eq!(bank.accounts().await.unwrap(), all);
}

#[tokio::test]
async fn a_node_that_is_taken_for_a_single_server_says_so() {
    let nodes = cluster();
    let settings = settings(Topology::Single(address(&nodes[0].url())));
    let bank = open(&settings);
    let mut told = 0;
    for account in ["a", "b", "c", "d", "e", "f"] {
        if let Err(StoreError::Away(error)) = bank.books(account).await {
            assert!(error.contains("must say that it is a Cluster"), "{error}");
            told += 1;
        }
    }
    assert!(told > 0, "some slots are elsewhere");
    let alone = Process::start(&[]);
    let settings = super::topologies::settings(Topology::Cluster(vec![address(&alone.url())]));
    let Err(StoreError::Away(error)) = open(&settings).books("a").await else {
        panic!("it is no Cluster");
    };
    assert!(error.contains("not a node of a Cluster"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_is_found() {
    let mut nodes = cluster();
    let timeout = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500"];
    let replica = Process::start(&timeout);
    for node in &nodes {
        node.ask::<()>(&["CONFIG", "SET", "cluster-node-timeout", "1500"]);
    }
    let port = nodes[0].port.to_string();
    replica.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    wait_for("the replica to know all", || {
        let info: String = replica.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:4")
    });
    let settings = RedisSettings {
        timeout: Duration::from_secs(1),
        ..settings(Topology::Cluster(
            nodes.iter().map(|node| address(&node.url())).collect(),
        ))
    };
    let bank = open(&settings);
    let mut teller = Teller::new("a", 1);
    let (old, _, _) = place(&nodes, &settings.prefix, "a");
    let index = nodes.iter().position(|node| node.port == old.port).unwrap();
    replica.ask::<()>(&["CLUSTER", "REPLICATE", &id(old)]);
    wait_for("the replica to be in step", || {
        let info: String = replica.ask(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
    tell(&*bank, &teller.spend(1)).await;
    in_step(&nodes[index], &replica);
    nodes[index].kill();
    let message = teller.spend(1);
    let end = clock::now() + Duration::from_secs(30);
    while let Err(error) = bank
        .exchange(std::slice::from_ref(&message))
        .await
        .remove(0)
    {
        assert!(clock::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bank.books("a").await.unwrap().spent, NanoUsd(2));
}
