//! Which server has a key: the only one, or the Cluster's node for the key's slot.
//!
//! The library has a client for Clusters. It makes all callers wait while it asks one node after another about the
//! slots, and retries without a pause when that fails, so one node that is silent holds up the accounts of all
//! others. Here nodes are asked at the same time, the first answer counts, and nobody waits who need not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::select_ok;
use parking_lot::Mutex;
use redis::aio::PubSub;
use redis::{Cmd, Value};

use super::keys::{SLOTS, slot};
use super::link::{Link, Target};
use super::server::Server;
use super::settings::Address;
use super::trouble::{Remedy, Trouble};
use tollgate_base::clock;

/// How often a command is tried, on new connections and other nodes.
const TRIES: u32 = 5;
/// The slots are asked for at most so often.
const REFRESH: Duration = Duration::from_millis(200);

pub(super) enum Servers {
    /// All keys are here.
    One(Arc<Link>),
    /// Each key is on the node that has its slot.
    Cluster(Arc<Cluster>),
}

/// The nodes as far as they are known.
pub(super) struct Cluster {
    /// What settings name; never empty.
    seeds: Vec<Arc<Link>>,
    /// The way in to each node is that of the first seed, at another address.
    way: Server,
    /// How long a node may take to let us in.
    timeout: Duration,
    /// Which node has a slot; empty until somebody has asked.
    slots: Mutex<HashMap<u16, Arc<Link>>>,
    /// When nodes were asked last; locked while they are.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Servers {
    /// Sends a command to the server that has `key`; also says on which connection.
    pub(super) async fn send(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<(Value, u64), Trouble> {
        match self {
            Servers::One(link) => {
                match link.send(command, false, deadline).await {
                    // Once more: the server may just have been restarted or failed over.
                    Err(trouble) if trouble.remedy == Remedy::Reconnect => {
                        link.send(command, false, deadline).await
                    }
                    done => done,
                }
            }
            Servers::Cluster(cluster) => cluster.send(slot(key), command, deadline).await,
        }
    }

    /// Subscribes to a channel at the server that has `key`, on a connection of its own, unless the user may not;
    /// also says to which connection for calls it belongs. In a Cluster all nodes pass on what one received.
    pub(super) async fn subscribe(
        &self,
        key: &str,
        channel: &str,
        deadline: Instant,
    ) -> Result<(Option<PubSub>, u64), Trouble> {
        let link = match self {
            Servers::One(link) => link.clone(),
            Servers::Cluster(cluster) => cluster.link(slot(key), deadline).await?,
        };
        link.subscribe(channel, deadline).await
    }

    /// The number of the connection to the server that has `key`; `None` while there is none.
    pub(super) fn connection(&self, key: &str) -> Option<u64> {
        match self {
            Servers::One(link) => link.connection(),
            Servers::Cluster(cluster) => cluster.known(slot(key))?.connection(),
        }
    }
}

impl Cluster {
    /// The other seeds serve if the first does not.
    pub(super) fn new(first: Server, others: Vec<Server>, timeout: Duration) -> Cluster {
        let way = first.clone();
        let seeds = std::iter::once(first).chain(others);
        Cluster {
            seeds: seeds
                .map(|seed| Link::new(Target::Server(seed), timeout))
                .collect(),
            way,
            timeout,
            slots: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
        }
    }

    fn known(&self, slot: u16) -> Option<Arc<Link>> {
        self.slots.lock().get(&slot).cloned()
    }

    async fn send(
        self: &Arc<Self>,
        slot: u16,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<(Value, u64), Trouble> {
        let mut tries = 0;
        let mut ask: Option<Arc<Link>> = None;
        loop {
            tries += 1;
            let asking = ask.is_some();
            let link = match ask.take() {
                Some(link) => link,
                None => self.link(slot, deadline).await?,
            };
            let trouble = match link.send(command, asking, deadline).await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            if tries == TRIES {
                return Err(self.given_up(trouble));
            }
            if clock::now() >= deadline {
                self.refresh_soon();
                return Err(trouble);
            }
            match trouble.remedy {
                Remedy::None | Remedy::Text => return Err(trouble),
                // If this fails, too, there is already something to say.
                Remedy::Reconnect => drop(self.refresh(deadline).await),
                Remedy::Elsewhere => {
                    drop(self.refresh(deadline).await);
                    if self.known(slot).is_none_or(|now| Arc::ptr_eq(&now, &link)) {
                        return Err(trouble);
                    }
                }
                Remedy::Moved(to) => {
                    drop(self.refresh(deadline).await);
                    let link = self.link_to(to);
                    self.slots.lock().insert(slot, link);
                }
                Remedy::Ask(to) => ask = Some(self.link_to(to)),
                Remedy::Wait => tokio::time::sleep(Duration::from_millis(20 << tries)).await,
            }
        }
    }

    /// Nodes that point to one another are moving a slot.
    fn given_up(&self, trouble: Trouble) -> Trouble {
        match trouble.remedy {
            Remedy::Moved(_) | Remedy::Ask(_) => {
                let place = &self.way.address;
                let message =
                    format!("the Redis Cluster at {place} is moving these keys to another node");
                Trouble::away(Remedy::None, message)
            }
            _ => trouble,
        }
    }

    /// The link to the node that has a slot.
    async fn link(&self, slot: u16, deadline: Instant) -> Result<Arc<Link>, Trouble> {
        if let Some(link) = self.known(slot) {
            return Ok(link);
        }
        self.refresh(deadline).await?;
        self.known(slot).ok_or_else(|| {
            let message = format!(
                "no node of the Redis Cluster at {} has slot {slot} now",
                self.way.address
            );
            Trouble::away(Remedy::None, message)
        })
    }

    /// The link to a node, a new one if there is none yet.
    fn link_to(&self, address: Address) -> Arc<Link> {
        let known = self
            .nodes()
            .into_iter()
            .find(|link| *link.address() == address);
        known.unwrap_or_else(|| Link::new(Target::Server(self.way.at(address)), self.timeout))
    }

    /// All nodes that are known: those with slots, and the seeds.
    fn nodes(&self) -> Vec<Arc<Link>> {
        let mut nodes = self.seeds.clone();
        for link in self.slots.lock().values() {
            if !nodes.iter().any(|node| Arc::ptr_eq(node, link)) {
                nodes.push(link.clone());
            }
        }
        nodes
    }

    /// Looks for a node that has taken over from one that is silent; the caller has no time left.
    fn refresh_soon(self: &Arc<Self>) {
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Err(trouble) = cluster.refresh(clock::now() + cluster.timeout).await {
                log::debug!("{}", trouble.error);
            }
        });
    }

    /// Asks all nodes who has which slot, and believes the first that answers; what is wrong then, `MOVED` corrects.
    async fn refresh(&self, deadline: Instant) -> Result<(), Trouble> {
        let late = || {
            Trouble::away(
                Remedy::None,
                format!(
                    "no node of the Redis Cluster at {} answered in time",
                    self.way.address
                ),
            )
        };
        let mut asked = tokio::time::timeout_at(deadline.into(), self.asked.lock())
            .await
            .map_err(|_| late())?;
        if asked.is_some_and(|at| clock::now() < at + REFRESH) {
            return Ok(());
        }
        *asked = Some(clock::now());
        let question = redis::cmd("CLUSTER").arg("SLOTS").clone();
        let nodes = self.nodes();
        let answers = nodes.iter().map(|node| {
            let question = &question;
            async move {
                let (answer, _) = node.send(question, false, deadline).await?;
                ranges(&answer, node.address()).ok_or_else(|| {
                    let message = format!(
                        "Redis at {} did not say which node has which slots",
                        node.address()
                    );
                    Trouble::away(Remedy::None, message)
                })
            }
            .boxed()
        });
        let (ranges, _) = select_ok(answers).await?;
        let mut slots = HashMap::with_capacity(SLOTS.into());
        let mut links: HashMap<Address, Arc<Link>> = HashMap::new();
        for (from, to, address) in ranges {
            let link = links
                .entry(address)
                .or_insert_with_key(|address| self.link_to(address.clone()));
            slots.extend((from..=to).map(|slot| (slot, link.clone())));
        }
        *self.slots.lock() = slots;
        Ok(())
    }
}

/// Reads the answer to `CLUSTER SLOTS`: for each range of slots the address of its primary. A node that does not
/// know its own host is where it was asked.
pub(super) fn ranges(answer: &Value, asked: &Address) -> Option<Vec<(u16, u16, Address)>> {
    let Value::Array(rows) = answer else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let read = |row: &Value| {
        let Value::Array(row) = row else { return None };
        let [from, to, Value::Array(primary), ..] = &row[..] else {
            return None;
        };
        let [host, port, ..] = &primary[..] else {
            return None;
        };
        let host: Arc<str> = match host {
            Value::BulkString(host) if !host.is_empty() && host != b"?" => {
                std::str::from_utf8(host).ok()?.into()
            }
            _ => asked.host.clone(),
        };
        let port = number(port)?;
        Some((
            number(from)?,
            number(to)?.min(SLOTS - 1),
            Address { host, port },
        ))
    };
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read() {
        let answer = redis::parse_redis_value(
            b"*2\r\n*3\r\n:0\r\n:100\r\n*3\r\n$1\r\na\r\n:7000\r\n$1\r\nx\r\n\
              *4\r\n:101\r\n:16383\r\n*3\r\n$-1\r\n:7001\r\n$1\r\ny\r\n*3\r\n$1\r\nb\r\n:7002\r\n$1\r\nz\r\n",
        )
        .unwrap();
        let asked = Address::new("own", 1);
        assert_eq!(
            ranges(&answer, &asked),
            Some(vec![
                (0, 100, Address::new("a", 7000)),
                (101, 16383, Address::new("own", 7001)),
            ])
        );
        assert_eq!(ranges(&Value::Nil, &asked), None);
        assert_eq!(ranges(&Value::Array(vec![Value::Nil]), &asked), None);
    }
}
