//! An answer as it leaves for its client, kept in memory for requests that wait for the same one.
//!
//! It holds what was written to the client, after failover, translation and masking. Whoever listens hears it from its
//! beginning, as fast as it likes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use parking_lot::Mutex;
use pingora_core::protocols::http::HttpTask;
use pingora_http::ResponseHeader;
use tokio::sync::watch;

use crate::proxy::names;
use crate::proxy::shares::{Share, Supply};
use tollgate_base::clock;

/// The longest answer that is kept, in bytes.
const LONGEST: usize = 8 << 20;

/// All that are kept in memory have together so many bytes, which accounts share.
pub(super) const MOST: usize = 256 << 20;

/// An answer's status line and headers, less what is its own request's or its connection's.
#[derive(Clone)]
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

impl Head {
    fn of(head: &ResponseHeader) -> Head {
        let all = head.headers.iter();
        let kept = all.filter(|(name, _)| is_kept(name));
        Head {
            status: head.status,
            headers: kept
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    fn succeeds(&self) -> bool {
        self.status.is_success()
    }
}

/// Whether a header says the same of every copy of an answer.
fn is_kept(name: &HeaderName) -> bool {
    let own = [
        &header::CONNECTION,
        &header::CONTENT_LENGTH,
        &header::DATE,
        &header::RETRY_AFTER,
        &header::TRANSFER_ENCODING,
        &header::VARY,
        &names::REQUEST_ID,
        &names::SERVER_TIMING,
        &names::X_REQUEST_ID,
    ];
    let text = name.as_str();
    !own.contains(&name)
        && text != "keep-alive"
        && !text.starts_with("access-control-")
        && !text.contains("ratelimit")
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it was there.
    Whole,
    /// It failed, or broke off.
    Broken,
}

/// An answer that is under way.
pub(super) struct Recording {
    /// What was asked for.
    pub of: String,
    /// When that was.
    pub began: Instant,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    supply: Supply,
}

struct State {
    head: Option<Head>,
    body: Vec<u8>,
    /// The body's room; `None` if that became too long, and nothing of it is kept.
    room: Option<Share>,
    /// Comments that were sent to the client at the body's present end.
    comments: usize,
    end: Option<End>,
    /// It failed, and another request may take its name.
    free: bool,
    /// Its own client has left.
    deserted: bool,
    listeners: usize,
    /// When the last one who heard it, client or listener, left.
    unheard: Instant,
}

/// What a listener hears.
pub(super) struct Heard {
    /// `None` until it is known to succeed.
    pub head: Option<Head>,
    /// What came after what was heard before.
    pub data: Bytes,
    pub comments: usize,
    /// How it has ended, if all of its bytes are here.
    pub end: Option<End>,
}

impl Recording {
    /// Returns one whose body takes its room from a share, of which there is `None` where there is no more.
    pub(super) fn new(of: String, room: Option<Share>, supply: Supply, now: Instant) -> Recording {
        Recording {
            of,
            began: now,
            state: Mutex::new(State {
                head: None,
                body: Vec::new(),
                room,
                comments: 0,
                end: None,
                free: false,
                deserted: false,
                listeners: 0,
                unheard: now,
            }),
            changed: watch::Sender::new(()),
            supply,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock());
        self.changed.send_replace(());
        changed
    }

    /// The head that the client is given.
    pub(super) fn begin(&self, head: &ResponseHeader) {
        self.change(|state| {
            state.head.get_or_insert_with(|| Head::of(head));
        });
    }

    /// What is written to the client.
    pub(super) fn record(&self, tasks: &[HttpTask]) {
        for task in tasks {
            match task {
                HttpTask::Header(head, _) if !head.status.is_informational() => self.begin(head),
                HttpTask::Body(Some(data), _) => self.change(|state| self.add(state, data)),
                _ => {}
            }
        }
    }

    fn add(&self, state: &mut State, data: &[u8]) {
        state.comments = 0;
        let fits = state.body.len() + data.len() <= LONGEST;
        let room = state.room.as_mut().filter(|_| fits);
        if room.is_some_and(|room| room.grow(data.len(), self.supply)) {
            state.body.extend_from_slice(data);
        } else {
            (state.body, state.room) = (Vec::new(), None);
        }
    }

    /// The client was sent a comment.
    pub(super) fn comment(&self) {
        self.change(|state| state.comments += 1);
    }

    /// It ended, and is whole if it is a success. Without effect the second time.
    pub(super) fn end(&self) {
        self.change(|state| {
            let succeeds = state.head.as_ref().is_some_and(Head::succeeds);
            state
                .end
                .get_or_insert(if succeeds { End::Whole } else { End::Broken });
        });
    }

    /// It came to no end. Without effect after it has.
    pub(super) fn fail(&self) {
        self.change(|state| {
            state.end.get_or_insert(End::Broken);
        });
    }

    /// Its name is free.
    pub(super) fn set_free(&self) {
        self.change(|state| state.free = true);
    }

    /// Its client has left.
    pub(super) fn desert(&self, now: Instant) {
        self.change(|state| (state.deserted, state.unheard) = (true, now));
    }

    /// Since when nobody has heard it; `None` while somebody does.
    pub(super) fn unheard_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.deserted && state.listeners == 0).then_some(state.unheard)
    }

    /// Whether nothing of it is kept.
    pub(super) fn is_lost(&self) -> bool {
        self.state.lock().room.is_none()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state.lock().end == Some(End::Whole)
    }

    /// The answer with these last tasks, which are not recorded yet: its head and its body; `None` without a head. Of a
    /// body that is too long nothing.
    pub(super) fn whole(&self, last: &[HttpTask]) -> Option<(Head, Option<Vec<u8>>)> {
        let state = self.state.lock();
        let mut head = state.head.clone();
        let mut body = state.body.clone();
        for task in last {
            match task {
                HttpTask::Header(new, _) if head.is_none() => head = Some(Head::of(new)),
                HttpTask::Body(Some(data), _) => body.extend_from_slice(data),
                _ => {}
            }
        }
        let fits = state.room.is_some() && body.len() <= LONGEST;
        Some((head?, fits.then_some(body)))
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Somebody who hears an answer that is under way.
pub(super) struct Listener {
    recording: Arc<Recording>,
    changes: watch::Receiver<()>,
}

impl Listener {
    /// Returns one from the beginning; `None` if nothing of the answer is kept.
    pub(super) fn of(recording: Arc<Recording>) -> Option<Listener> {
        let listens = recording.change(|state| {
            state.listeners += usize::from(state.room.is_some());
            state.room.is_some()
        });
        let changes = recording.changes();
        listens.then(|| Listener { recording, changes })
    }

    /// What there is after `from` bytes.
    pub(super) fn hear(&mut self, from: usize) -> Heard {
        self.changes.borrow_and_update();
        let state = self.recording.state.lock();
        let data = state.body.get(from..).map(Bytes::copy_from_slice);
        Heard {
            head: state.head.clone().filter(Head::succeeds),
            comments: state.comments,
            // Who has heard some of what became too long hears no more.
            end: match data {
                Some(_) if state.room.is_some() => state.end,
                _ => Some(End::Broken),
            },
            data: data.unwrap_or_default(),
        }
    }

    /// Waits until another request may take the name of one that has failed.
    pub(super) async fn until_free(&mut self) {
        loop {
            self.changes.borrow_and_update();
            if self.recording.state.lock().free {
                return;
            }
            self.changed().await;
        }
    }

    /// Waits until there may be more.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let now = clock::now();
        self.recording.change(|state| {
            state.listeners -= 1;
            state.unheard = now;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::shares::Shares;

    const SUPPLY: Supply = Supply {
        most: MOST,
        several: false,
    };

    fn recording(room: &Arc<Shares>) -> Arc<Recording> {
        let share = room.take(&"a".into(), 0, SUPPLY);
        Arc::new(Recording::new(String::new(), share, SUPPLY, clock::now()))
    }

    fn body(length: usize) -> HttpTask {
        HttpTask::Body(Some(vec![b'x'; length].into()), false)
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_gives_its_room_back() {
        let room = Arc::default();
        let one = recording(&room);
        one.record(&[body(LONGEST)]);
        let mut listener = Listener::of(one.clone()).unwrap();
        assert_eq!(listener.hear(0).data.len(), LONGEST);
        one.record(&[body(1)]);
        assert!(one.is_lost() && Listener::of(one.clone()).is_none());
        assert_eq!(listener.hear(LONGEST).end, Some(End::Broken));

        let many: Vec<_> = (0..MOST / LONGEST).map(|_| recording(&room)).collect();
        many.iter().for_each(|one| one.record(&[body(LONGEST)]));
        let late = recording(&room);
        late.record(&[body(1)]);
        assert!(late.is_lost() && !many.iter().any(|one| one.is_lost()));
        drop(many);
        assert!(
            room.take(&"b".into(), MOST, SUPPLY).is_some(),
            "it comes back"
        );
    }

    #[test]
    fn who_hears_an_answer_is_known() {
        let one = recording(&Arc::default());
        assert_eq!(one.unheard_since(), None, "its client");
        let listener = Listener::of(one.clone());
        one.desert(clock::now());
        assert_eq!(one.unheard_since(), None, "a listener");
        drop(listener);
        assert!(one.unheard_since().is_some());
    }
}
