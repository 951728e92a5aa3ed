//! Whose turn it is where requests wait for quota: accounts take turns, by their weights, interactive requests before batch.
//!
//! Requests for one key and model stand in one line. What an account has in it of one priority is a *flow*. Each request has a
//! tag: its predecessor's in the flow, or the one of the line's last turn if there is none, and on top of it one round, divided
//! by the account's weight; eight rounds if it is batch. The lowest tag goes first, and of equal ones whoever came first. This
//! is self-clocked fair queueing (S. J. Golestani, 1994), where all requests are of one size.
//!
//! Invariants: the first of a flow is passed over by those of another no more often than their rounds fit into its own, and
//! once more: so none starves. Who leaves is in no line any more, and who stands behind it moves up.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tollgate_config::types::Priority;

use super::headroom::Need;

/// A round, divided by weights from 1 to 1000.
const ROUND: u64 = 1 << 20;
/// Rounds of a batch request.
const BATCH: u64 = 8;

/// All lines.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait; changed only under the lock of the lines, read without it.
    waiting: AtomicUsize,
    lines: Mutex<HashMap<Line, Waiting>>,
}

/// A key, and a model as its provider knows it.
type Line = (Arc<str>, Arc<str>);

/// A tag, and the request's number.
type Turn = (u64, u64);

/// Whose a request is, and how it shares turns with others.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// The account.
    pub account: &'a Arc<str>,
    /// The account's weight, 1 to 1000.
    pub weight: u32,
    /// How soon an answer is wanted.
    pub priority: Priority,
}

impl Flow<'_> {
    fn name(&self) -> Name {
        (self.account.clone(), self.priority)
    }

    /// What a turn is worth.
    fn cost(&self) -> u64 {
        let rounds = match self.priority {
            Priority::Interactive => 1,
            Priority::Batch => BATCH,
        };
        rounds * ROUND / u64::from(self.weight.max(1))
    }
}

/// A flow's account and priority.
type Name = (Arc<str>, Priority);

/// One line.
#[derive(Debug, Default)]
struct Waiting {
    /// The tag of the last whose turn it was.
    now: u64,
    /// How many have come.
    came: u64,
    flows: HashMap<Name, Standing>,
}

/// What a flow has in a line.
#[derive(Debug)]
struct Standing {
    /// The tag of the first.
    first: u64,
    /// What the next one's is higher by.
    cost: u64,
    /// By the number of each, what it needs.
    requests: VecDeque<(u64, Need)>,
}

/// A place in a line, given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
    line: Line,
    flow: Name,
    number: u64,
}

impl Queue {
    /// Puts a request into a line.
    pub fn join(self: &Arc<Queue>, line: Line, flow: Flow<'_>, need: Need) -> Place {
        let mut lines = self.lines.lock();
        let waiting = lines.entry(line.clone()).or_default();
        let (name, number, cost) = (flow.name(), waiting.came, flow.cost());
        waiting.came += 1;
        let standing = waiting.flows.entry(name.clone());
        let standing = standing.or_insert_with(|| Standing::after(waiting.now, cost));
        standing.cost = cost;
        standing.requests.push_back((number, need));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Place {
            queue: self.clone(),
            line,
            flow: name,
            number,
        }
    }

    /// Returns what those need, all together, who would stand before a request of the flow. `line` and `flow` are asked for only
    /// if somebody waits.
    pub fn ahead<'a>(&self, line: impl FnOnce() -> Line, flow: impl FnOnce() -> Flow<'a>) -> Need {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return Need::default();
        }
        let (line, flow) = (line(), flow());
        let lines = self.lines.lock();
        let Some(waiting) = lines.get(&line) else {
            return Need::default();
        };
        let tag = match waiting.flows.get(&flow.name()) {
            Some(standing) => standing.tag(standing.requests.len()),
            None => waiting.now.saturating_add(flow.cost()),
        };
        waiting.before((tag, waiting.came))
    }
}

impl Waiting {
    /// The tag of a request in the line, and its place in its flow.
    fn find(&self, flow: &Name, number: u64) -> Option<(u64, usize)> {
        let standing = self.flows.get(flow)?;
        let requests = &standing.requests;
        let place = requests.binary_search_by_key(&number, |(number, _)| *number);
        place.ok().map(|place| (standing.tag(place), place))
    }

    fn before(&self, turn: Turn) -> Need {
        let flows = self.flows.values();
        flows.fold(Need::default(), |sum, flow| sum.and(flow.before(turn)))
    }
}

impl Standing {
    fn after(now: u64, cost: u64) -> Standing {
        Standing {
            first: now.saturating_add(cost),
            cost,
            requests: VecDeque::new(),
        }
    }

    fn tag(&self, place: usize) -> u64 {
        let before = u64::try_from(place).unwrap_or(u64::MAX);
        self.first.saturating_add(self.cost.saturating_mul(before))
    }

    fn before(&self, turn: Turn) -> Need {
        let requests = self.requests.iter().enumerate();
        let before = requests.take_while(|(place, (number, _))| (self.tag(*place), *number) < turn);
        before.fold(Need::default(), |sum, (_, (_, need))| sum.and(*need))
    }
}

impl Place {
    /// Returns what those need, all together, who stand before it.
    pub fn ahead(&self) -> Need {
        let lines = self.queue.lines.lock();
        let waiting = lines.get(&self.line);
        let before = waiting.and_then(|waiting| {
            let (tag, _) = waiting.find(&self.flow, self.number)?;
            Some(waiting.before((tag, self.number)))
        });
        before.unwrap_or_default()
    }

    /// It is its turn.
    pub fn go(self) {
        let mut lines = self.queue.lines.lock();
        let Some(waiting) = lines.get_mut(&self.line) else {
            return;
        };
        let Some((tag, _)) = waiting.find(&self.flow, self.number) else {
            return;
        };
        waiting.now = waiting.now.max(tag);
        // Who moves up keeps its tag.
        if let Some(standing) = waiting.flows.get_mut(&self.flow) {
            standing.first = standing.tag(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.queue.lines.lock();
        let Some(waiting) = lines.get_mut(&self.line) else {
            return;
        };
        let Some((_, place)) = waiting.find(&self.flow, self.number) else {
            return;
        };
        self.queue.waiting.fetch_sub(1, Ordering::Relaxed);
        if let Some(standing) = waiting.flows.get_mut(&self.flow) {
            standing.requests.remove(place);
            if standing.requests.is_empty() {
                waiting.flows.remove(&self.flow);
            }
        }
        if waiting.flows.is_empty() {
            lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests;
