//! Connections, where there may be only so many: when all places are taken, one that waits for its client gives way to
//! whoever comes. It is the one that has waited longest, of the address that has the most of them.
//!
//! A connection waits while it has no request under way: during its TLS handshake, before its first request, and between
//! two of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::proxy::shares::Share;

/// Counts the connections, and says which one gives way.
#[derive(Default)]
pub struct Crowd(Mutex<Members>);

#[derive(Default)]
struct Members {
    /// Numbers connections, and orders waits.
    next: u64,
    guests: HashMap<u64, Guest>,
    /// Which connection is which, for requests that know their client's address only.
    numbers: HashMap<SocketAddr, u64>,
    /// By address, in the order in which they began to wait.
    waiting: HashMap<IpAddr, BTreeMap<u64, u64>>,
    /// Addresses by how many of their connections wait.
    crowds: BTreeSet<(usize, IpAddr)>,
}

struct Guest {
    address: SocketAddr,
    /// Requests under way.
    busy: usize,
    /// By account, where many requests share the connection.
    lines: HashMap<Arc<str>, Line>,
    /// Since when it waits, if it does.
    since: Option<u64>,
    /// Dropped to make it leave.
    _stay: oneshot::Sender<()>,
}

/// What an account has of a connection.
struct Line {
    /// Its requests under way.
    requests: usize,
    _share: Share,
}

/// A connection's place, until it is dropped.
pub struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    stay: oneshot::Receiver<()>,
}

/// A request under way on a connection, until it is dropped.
pub struct Busy {
    crowd: Arc<Crowd>,
    number: u64,
    /// Whose it is, if that is counted.
    account: Option<Arc<str>>,
}

impl Crowd {
    /// Returns a place among `most` for a connection that waits from now on; `None` if all are taken by requests.
    pub fn enter(self: &Arc<Crowd>, address: SocketAddr, most: usize) -> Option<Place> {
        let mut state = self.0.lock();
        while state.guests.len() >= most {
            let longest = state.longest()?;
            state.leave(longest);
        }
        let number = state.number();
        let (sender, stay) = oneshot::channel();
        let guest = Guest {
            address,
            busy: 0,
            lines: HashMap::new(),
            since: None,
            _stay: sender,
        };
        state.guests.insert(number, guest);
        state.numbers.insert(address, number);
        state.waits(number);
        Some(Place {
            crowd: self.clone(),
            number,
            stay,
        })
    }

    /// A request of this client has begun; `None` if its connection has no place here.
    pub fn busy(self: &Arc<Crowd>, address: SocketAddr) -> Option<Busy> {
        let mut state = self.0.lock();
        let number = *state.numbers.get(&address)?;
        state.begins(number);
        Some(Busy {
            crowd: self.clone(),
            number,
            account: None,
        })
    }
}

impl Members {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The connection to give way.
    fn longest(&self) -> Option<u64> {
        let (_, address) = self.crowds.last()?;
        let waiting = self.waiting.get(address)?;
        waiting.values().next().copied()
    }

    fn waits(&mut self, number: u64) {
        let since = self.number();
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        guest.since = Some(since);
        let address = guest.address.ip();
        let waiting = self.waiting.entry(address).or_default();
        self.crowds.remove(&(waiting.len(), address));
        waiting.insert(since, number);
        self.crowds.insert((waiting.len(), address));
    }

    fn waits_no_more(&mut self, number: u64) {
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        let (Some(since), address) = (guest.since.take(), guest.address.ip()) else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(&address) else {
            return;
        };
        self.crowds.remove(&(waiting.len(), address));
        waiting.remove(&since);
        if waiting.is_empty() {
            self.waiting.remove(&address);
        } else {
            self.crowds.insert((waiting.len(), address));
        }
    }

    fn begins(&mut self, number: u64) {
        self.waits_no_more(number);
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.busy += 1;
        }
    }

    fn ends(&mut self, number: u64, account: Option<&Arc<str>>) {
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        if let Some(account) = account
            && let Some(line) = guest.lines.get_mut(account)
        {
            line.requests -= 1;
            if line.requests == 0 {
                guest.lines.remove(account);
            }
        }
        guest.busy -= 1;
        if guest.busy == 0 {
            self.waits(number);
        }
    }

    fn leave(&mut self, number: u64) {
        self.waits_no_more(number);
        if let Some(guest) = self.guests.remove(&number)
            && self.numbers.get(&guest.address) == Some(&number)
        {
            self.numbers.remove(&guest.address);
        }
    }
}

impl Place {
    /// A request has begun.
    pub fn busy(&self) -> Busy {
        self.crowd.0.lock().begins(self.number);
        Busy {
            crowd: self.crowd.clone(),
            number: self.number,
            account: None,
        }
    }

    /// Waits until the connection has to give way, which it never has to while a request is under way.
    pub async fn given_away(&mut self) {
        // Nothing is ever sent.
        drop((&mut self.stay).await);
    }
}

impl Busy {
    /// Counts the request as this account's. Its first one on the connection takes a share of connections with `take`, and
    /// the last one to end gives it back. False if there is none for it.
    pub fn counts_for(&mut self, account: &Arc<str>, take: impl FnOnce() -> Option<Share>) -> bool {
        let mut state = self.crowd.0.lock();
        // A connection that is gone needs none.
        let Some(guest) = state.guests.get_mut(&self.number) else {
            return true;
        };
        match guest.lines.get_mut(account) {
            Some(line) => line.requests += 1,
            None => {
                let Some(share) = take() else {
                    return false;
                };
                let line = Line {
                    requests: 1,
                    _share: share,
                };
                guest.lines.insert(account.clone(), line);
            }
        }
        self.account = Some(account.clone());
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.0.lock().leave(self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.crowd.0.lock();
        state.ends(self.number, self.account.as_ref());
    }
}

/// Waits until the connection has to give way to another; for ever if places are not counted.
pub async fn given_away(place: &mut Option<Place>) {
    match place {
        Some(place) => place.given_away().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::shares::{Shares, Supply};

    fn at(host: u8, port: u16) -> SocketAddr {
        ([127, 0, 0, host], port).into()
    }

    fn is_given_away(place: &mut Place) -> bool {
        matches!(
            place.stay.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        )
    }

    #[test]
    fn the_longest_wait_of_the_largest_crowd_gives_way() {
        let crowd = Arc::default();
        let mut places: Vec<Place> = [(1, 1), (2, 1), (2, 2), (2, 3)]
            .map(|(host, port)| Crowd::enter(&crowd, at(host, port), 4).unwrap())
            .into();
        // It has waited longest no more.
        drop(places[1].busy());
        let fifth = Crowd::enter(&crowd, at(3, 1), 4).unwrap();
        let gone: Vec<bool> = places.iter_mut().map(is_given_away).collect();
        assert_eq!(gone, [false, false, true, false]);
        drop(places.remove(2));
        drop(fifth);
        assert!(Crowd::enter(&crowd, at(3, 2), 4).is_some());
        assert!(!places.iter_mut().any(is_given_away), "there was room");
    }

    #[test]
    fn an_account_takes_one_share_of_a_connection_for_all_its_requests() {
        let crowd = Arc::default();
        let place = Crowd::enter(&crowd, at(1, 1), 1).unwrap();
        let shares: Arc<Shares> = Arc::default();
        let supply = Supply {
            most: 1,
            several: false,
        };
        let account: Arc<str> = "a".into();
        let take = || shares.take(&account, 1, supply);
        let mut requests: Vec<Busy> = (0..3).map(|_| crowd.busy(at(1, 1)).unwrap()).collect();
        let is_counted = requests
            .iter_mut()
            .all(|request| request.counts_for(&account, take));
        assert!(is_counted);
        let mut other = crowd.busy(at(1, 1)).unwrap();
        assert!(!other.counts_for(&"b".into(), || shares.take(&"b".into(), 1, supply)));
        drop(other);
        while let Some(request) = requests.pop() {
            assert!(take().is_none(), "{} are left", requests.len() + 1);
            drop(request);
        }
        assert!(take().is_some(), "it came back with the last one");
        // And with the connection.
        let mut late = crowd.busy(at(1, 1)).unwrap();
        assert!(late.counts_for(&account, take) && take().is_none());
        drop(place);
        assert!(take().is_some());
        assert!(late.counts_for(&account, take));
    }

    #[test]
    fn requests_give_way_to_nobody() {
        let crowd = Arc::default();
        let mut first = Crowd::enter(&crowd, at(1, 1), 1).unwrap();
        let busy = first.busy();
        let more = crowd.busy(at(1, 1));
        assert!(more.is_some() && crowd.busy(at(1, 2)).is_none());
        drop(busy);
        assert!(Crowd::enter(&crowd, at(2, 1), 1).is_none());
        drop(more);
        let mut second = Crowd::enter(&crowd, at(2, 1), 1).unwrap();
        assert!(is_given_away(&mut first) && !is_given_away(&mut second));
        // The end of one that was given away takes nobody's place.
        drop(first);
        let _busy = second.busy();
        assert!(Crowd::enter(&crowd, at(3, 1), 1).is_none());
        assert!(crowd.0.lock().crowds.is_empty());
    }
}
