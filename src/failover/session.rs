//! Which key a conversation is served with, where several would do as well.
//!
//! A provider keeps the beginning of a prompt for a few minutes, for one key's owner at one place: a turn that reaches
//! another key pays for the whole prompt again. So keys of equal standing are ordered by rendezvous hashing of
//! session and key: nothing is remembered, every replica chooses alike, and a key that is lost or added moves no
//! sessions but its own.
//!
//! Invariant: the order of two keys depends on the session, on these two and on their weights alone. It is part of how
//! replicas of two versions agree: the hash (XXH3) is one whose values are specified.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// A conversation of one account, as 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session(u64);

/// Gathers what a session is known by.
pub struct SessionHasher(Xxh3);

impl Session {
    /// Returns the session that the account's client calls so.
    pub fn named(account: &str, name: &[u8]) -> Session {
        let mut hasher = SessionHasher::of(account);
        hasher.add(name);
        hasher.session()
    }

    /// Returns a session that is like no other one: `drawn` is random.
    pub fn alone(drawn: u64) -> Session {
        Session(drawn)
    }

    /// Returns how far down a key of this weight stands for the session: the lowest serves it. Over all sessions, of
    /// several keys each is the lowest as often as its share of their weights is.
    fn rank(self, key: &str, weight: u32) -> f64 {
        let drawn = xxh3_64_with_seed(key.as_bytes(), self.0);
        // Of 53 bits, and the middle of its step: neither 0 nor 1.
        let uniform = ((drawn >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -uniform.ln() / f64::from(weight.max(1))
    }

    /// Puts keys into the session's order; `of` says a key's id and its weight.
    pub(crate) fn sort<T>(self, keys: &mut [T], of: impl Fn(&T) -> (&str, u32)) {
        keys.sort_by_cached_key(|key| {
            let (id, weight) = of(key);
            // Ranks are positive, so that their bits are in their order.
            self.rank(id, weight).to_bits()
        });
    }
}

/// As a provider is told: it says nothing of the client's own name for the session.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tg-{:016x}", self.0)
    }
}

impl SessionHasher {
    /// Begins with the account, so that no account's names mean another one's sessions.
    pub fn of(account: &str) -> SessionHasher {
        SessionHasher(Xxh3::with_seed(xxh3_64_with_seed(account.as_bytes(), 0)))
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
        // Ends it: no UTF-8 has this byte.
        self.0.update(&[0xff]);
    }

    /// Returns the session.
    pub fn session(&self) -> Session {
        Session(self.0.digest())
    }
}

#[cfg(test)]
mod tests;
