//! Who is signed in: sessions in this process's memory.
//!
//! A session keeps the digest of the API key that began it, or who an identity provider says it is, and the caller is
//! resolved by that anew for each request: it ends with its key, or when its groups have no role any more. Invariants: what
//! is kept opens no session (ids are kept as digests); the memory is bounded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::person::Person;
use tollgate_config::secrets::token;

/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a session lasts at most.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Most sessions of one API key, or of one person; a further one ends the one that was idle the longest.
const PER_KEY: usize = 16;
/// Most sessions in all; a further one ends one of whoever has the most.
const MOST: usize = 1_024;

type Digest = [u8; 32];

/// The secret that a cookie carries: 256 random bits.
#[derive(Clone, Copy)]
pub(super) struct Id([u8; 32]);

impl Id {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub(super) fn random() -> Result<Id, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Id(bytes))
    }

    /// Reads what [`Id::text`] wrote.
    pub(super) fn read(text: &str) -> Option<Id> {
        decoded(text).map(Id)
    }

    /// As a cookie carries it.
    pub(super) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The token that this session's forms carry: nobody can make it who has not the id, and it does not show the id.
    pub(super) fn form_token(&self) -> String {
        self.text_of("form")
    }

    /// Whether `token` is this session's, in time that does not depend on where it differs.
    pub(super) fn has_form_token(&self, token: &str) -> bool {
        decoded(token).is_some_and(|token| token::same(&token, &self.digest("form")))
    }

    /// A secret made of this one, as text.
    pub(super) fn text_of(&self, of: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.digest(of))
    }

    /// Reads what [`Id::text_of`] wrote.
    pub(super) fn digest_in(text: &str) -> Option<Digest> {
        decoded(text)
    }

    /// A secret made of this one: nobody can make it who has not this one, and it does not tell it.
    pub(super) fn digest(&self, of: &str) -> Digest {
        Sha256::new()
            .chain_update(of)
            .chain_update(self.0)
            .finalize()
            .into()
    }
}

fn decoded(text: &str) -> Option<[u8; 32]> {
    // 43 letters are 32 bytes: nothing longer is looked at.
    let bytes = URL_SAFE_NO_PAD.decode(text.get(..43)?).ok()?;
    bytes.try_into().ok().filter(|_| text.len() == 43)
}

/// Whose a session is.
#[derive(Clone)]
pub(super) enum Who {
    /// Whoever has the API key with this digest.
    Key(Digest),
    /// Somebody whom the identity provider knows.
    Person(Arc<Person>),
}

impl Who {
    fn is(&self, other: &Who) -> bool {
        match (self, other) {
            (Who::Key(one), Who::Key(other)) => one == other,
            (Who::Person(one), Who::Person(other)) => one.is(other),
            _ => false,
        }
    }
}

struct Session {
    who: Who,
    /// The account that it was bound to when it began, if it was.
    account: Option<Arc<str>>,
    begun: Instant,
    used: Instant,
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        let since = |then| now.saturating_duration_since(then);
        since(self.used) < IDLE && since(self.begun) < LONGEST
    }
}

/// All sessions, by the digest of their ids.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Digest, Session>>);

impl Sessions {
    /// Begins a session, which acts for `account` alone, or for all.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub(super) fn begin(
        &self,
        who: Who,
        account: Option<Arc<str>>,
        now: Instant,
    ) -> Result<Id, getrandom::Error> {
        let id = Id::random()?;
        let mut all = self.0.lock();
        all.retain(|_, session| session.lasts(now));
        make_room(&mut all, PER_KEY, |session| session.who.is(&who));
        if all.len() >= MOST {
            let whose = greediest(&all);
            end_oldest(&mut all, |session| session.account == whose);
        }
        let session = Session {
            who,
            account,
            begun: now,
            used: now,
        };
        all.insert(id.digest("id"), session);
        Ok(id)
    }

    /// Returns whose a session that lasts is. `used`: whether it is used by that, so that it lasts longer.
    pub(super) fn find(&self, id: &Id, used: bool, now: Instant) -> Option<Who> {
        let mut all = self.0.lock();
        let digest = id.digest("id");
        let session = all.get_mut(&digest)?;
        if !session.lasts(now) {
            all.remove(&digest);
            return None;
        }
        if used {
            session.used = now;
        }
        Some(session.who.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &Id) {
        self.0.lock().remove(&id.digest("id"));
    }
}

/// Leaves fewer than `most` of those that count.
fn make_room(all: &mut HashMap<Digest, Session>, most: usize, counts: impl Fn(&Session) -> bool) {
    while all.values().filter(|session| counts(session)).count() >= most {
        end_oldest(all, &counts);
    }
}

/// Ends the one that was idle the longest, of those that count.
fn end_oldest(all: &mut HashMap<Digest, Session>, counts: impl Fn(&Session) -> bool) {
    let counted = all.iter().filter(|(_, session)| counts(session));
    let oldest = counted.min_by_key(|(_, session)| session.used);
    if let Some((&oldest, _)) = oldest {
        all.remove(&oldest);
    }
}

/// Whose sessions are the most: an account's, or those of keys for all accounts.
fn greediest(all: &HashMap<Digest, Session>) -> Option<Arc<str>> {
    let mut counts: HashMap<&Option<Arc<str>>, usize> = HashMap::new();
    for session in all.values() {
        *counts.entry(&session.account).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.and_then(|(account, _)| account.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::clock;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
        let sessions = Sessions::default();
        let start = clock::now();
        let id = sessions.begin(Who::Key([1; 32]), None, start).unwrap();
        let is_found = |id: &Id, used: bool, now: Instant| match sessions.find(id, used, now) {
            Some(Who::Key(key)) => key == [1; 32],
            _ => false,
        };
        assert!(is_found(&id, false, start + 29 * MINUTE));
        assert!(!is_found(&id, true, start + 30 * MINUTE), "idle");
        let id = sessions.begin(Who::Key([1; 32]), None, start).unwrap();
        for minute in (0..720).step_by(20) {
            let now = start + minute * MINUTE;
            assert!(is_found(&id, true, now), "{minute}");
        }
        assert!(!is_found(&id, true, start + 720 * MINUTE), "old");
        let id = sessions.begin(Who::Key([1; 32]), None, start).unwrap();
        sessions.end(&id);
        assert!(!is_found(&id, true, start), "signed out");
    }

    #[test]
    fn sessions_are_bounded_by_key_and_in_all() {
        let sessions = Sessions::default();
        let start = clock::now();
        let after = |n: usize| start + Duration::from_millis(n as u64);
        let ids: Vec<Id> = (0..=PER_KEY)
            .map(|n| sessions.begin(Who::Key([1; 32]), None, after(n)).unwrap())
            .collect();
        assert!(sessions.find(&ids[0], false, after(99)).is_none());
        assert!(sessions.find(&ids[1], false, after(99)).is_some());
        for n in 0..MOST {
            let mut key = [2; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            sessions
                .begin(Who::Key(key), Some("greedy".into()), after(100 + n))
                .unwrap();
        }
        assert_eq!(sessions.0.lock().len(), MOST);
        let kept = |id| sessions.find(id, false, after(9_999)).is_some();
        assert!(ids[1..].iter().all(kept), "others keep theirs");
    }

    #[test]
    fn a_form_token_is_its_sessions_and_is_not_its_id() {
        let (one, other) = (Id::random().unwrap(), Id::random().unwrap());
        assert!(one.has_form_token(&one.form_token()));
        for wrong in [
            other.form_token(),
            one.text(),
            String::new(),
            "é".repeat(43),
        ] {
            assert!(!one.has_form_token(&wrong), "{wrong}");
        }
        let again = Id::read(&one.text()).unwrap();
        assert_eq!(again.form_token(), one.form_token());
        assert!(Id::read(&format!("{}A", one.text())).is_none());
    }
}
