//! What was said on a connection, so that a turn can go on where an earlier one ended, whoever answers it.
//!
//! Each response is kept with what it adds to the one that it continues, so that a long conversation is kept once, and
//! two that begin alike share their beginning.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::proxy::shares::Share;

/// Most responses that can be continued.
const MOST_RESPONSES: usize = 256;

/// Most turns of one conversation; what is longer is not kept.
const MOST_TURNS: u32 = 1_024;

/// What an entry takes besides its items, about.
const ENTRY: usize = 256;

/// The responses of a connection.
pub(super) struct History {
    /// Most bytes of all of them.
    most: usize,
    taken: Arc<AtomicUsize>,
    /// By id, the eldest first.
    responses: VecDeque<(Box<str>, Arc<Said>)>,
}

/// What was said until the end of a response.
pub(super) struct Said {
    /// What it continues.
    before: Option<Arc<Said>>,
    /// What its turn added: items with commas between them.
    items: Bytes,
    /// How many turns it has.
    turns: u32,
    /// Which lane it was on.
    pub lane: Option<Arc<str>>,
    taken: Arc<AtomicUsize>,
    _share: Option<Share>,
}

impl Said {
    /// All items, turn by turn.
    pub(super) fn all(&self) -> Vec<Bytes> {
        let mut all = vec![self.items.clone()];
        let mut before = &self.before;
        while let Some(said) = before {
            all.push(said.items.clone());
            before = &said.before;
        }
        all.reverse();
        all
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        self.taken
            .fetch_sub(ENTRY + self.items.len(), Ordering::Relaxed);
    }
}

impl History {
    /// Nothing was said yet; `most` bytes can be kept.
    pub(super) fn new(most: usize) -> History {
        History {
            most,
            taken: Arc::default(),
            responses: VecDeque::new(),
        }
    }

    /// What was said until the end of this response.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Said>> {
        let mut responses = self.responses.iter().rev();
        let (_, said) = responses.find(|(known, _)| **known == *id)?;
        Some(said.clone())
    }

    /// Forgets that a response can be continued.
    pub(super) fn forget(&mut self, id: &str) {
        self.responses.retain(|(known, _)| **known != *id);
    }

    /// Keeps what a turn added, and forgets the eldest responses where there is no room for it. `share` takes so many bytes
    /// of what all accounts share; where there are none, or it is too long, it is not kept.
    pub(super) fn keep(
        &mut self,
        id: &str,
        before: Option<Arc<Said>>,
        items: Vec<u8>,
        lane: Option<Arc<str>>,
        share: impl FnOnce(usize) -> Option<Share>,
    ) {
        let turns = before.as_ref().map_or(0, |said| said.turns) + 1;
        let size = ENTRY + items.len();
        self.forget(id);
        let most = self.most.saturating_sub(size);
        while self.responses.len() >= MOST_RESPONSES
            || (self.taken.load(Ordering::Relaxed) > most && !self.responses.is_empty())
        {
            self.responses.pop_front();
        }
        if turns > MOST_TURNS || self.taken.load(Ordering::Relaxed) > most || size > self.most {
            return;
        }
        let Some(share) = share(size) else { return };
        self.taken.fetch_add(size, Ordering::Relaxed);
        let said = Said {
            before,
            items: items.into(),
            turns,
            lane,
            taken: self.taken.clone(),
            _share: Some(share),
        };
        self.responses.push_back((id.into(), Arc::new(said)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::shares::{Shares, Supply};

    fn keep(history: &mut History, id: &str, before: Option<&str>, items: &str) {
        let before = before.and_then(|id| history.find(id));
        let shares: Arc<Shares> = Arc::default();
        let supply = Supply {
            most: 1 << 30,
            several: false,
        };
        let share = |size| shares.take(&"a".into(), size, supply);
        history.keep(id, before, items.as_bytes().to_vec(), None, share);
    }

    fn all(history: &History, id: &str) -> Option<String> {
        let all = history.find(id)?.all();
        let all = all
            .iter()
            .map(|items| String::from_utf8_lossy(items).into_owned());
        Some(all.collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn a_response_is_continued_more_than_once() {
        let mut history = History::new(1 << 20);
        keep(&mut history, "a", None, "1,2");
        keep(&mut history, "b", Some("a"), "3");
        keep(&mut history, "c", Some("a"), "4");
        assert_eq!(all(&history, "b").as_deref(), Some("1,2|3"));
        assert_eq!(all(&history, "c").as_deref(), Some("1,2|4"));
        history.forget("a");
        assert!(history.find("a").is_none());
        assert_eq!(
            all(&history, "c").as_deref(),
            Some("1,2|4"),
            "it is a part of others"
        );
        keep(&mut history, "b", None, "5");
        assert_eq!(
            all(&history, "b").as_deref(),
            Some("5"),
            "the last one counts"
        );
    }

    #[test]
    fn what_has_no_room_makes_the_eldest_go_or_is_not_kept() {
        let mut history = History::new(4 * (ENTRY + 10));
        for id in ["a", "b", "c", "d", "e"] {
            keep(&mut history, id, None, "0123456789");
        }
        assert!(history.find("a").is_none() && history.find("b").is_some());
        keep(&mut history, "long", None, &"x".repeat(4 * (ENTRY + 10)));
        assert!(history.find("long").is_none());
        // A conversation that fills it cannot grow, and is not cut either.
        let mut history = History::new(3 * (ENTRY + 10));
        keep(&mut history, "0", None, "0123456789");
        for turn in 1..4 {
            let (id, before) = (turn.to_string(), (turn - 1).to_string());
            keep(&mut history, &id, Some(&before), "0123456789");
        }
        assert!(history.find("3").is_none());
        assert_eq!(
            history.taken.load(Ordering::Relaxed),
            0,
            "what none can reach is gone"
        );
    }

    #[test]
    fn there_are_only_so_many_responses_and_turns() {
        let mut history = History::new(1 << 30);
        for turn in 0..=MOST_TURNS {
            let (id, before) = (
                turn.to_string(),
                turn.checked_sub(1).map(|turn| turn.to_string()),
            );
            keep(&mut history, &id, before.as_deref(), "0");
        }
        assert_eq!(history.responses.len(), MOST_RESPONSES - 1);
        assert!(
            history.find(&MOST_TURNS.to_string()).is_none(),
            "that is one too many"
        );
    }
}
