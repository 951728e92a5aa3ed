//! Pages of stored usage events, the newest first, while new ones arrive.
//!
//! Events are ordered by when they ended and then by their ids: no two are equal. A page ends at a [`Position`], and
//! the next one holds what comes after it in that order. Invariants: what was stored when the first page was read is
//! on exactly one page; nothing is on two. What arrives meanwhile is on a later page if it belongs after the position
//! (replicas report their events to the bank some time after they ended), and else on none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Flag;
use super::stored::{self, StoredError, StoredEvent};
use crate::bank::{EventReader, Events};
use tollgate_store::StoreError;

/// Most events that are looked through for one page, if that leads anywhere: after that it ends early.
pub(super) const MOST: usize = 20_000;

/// Events that are read beyond a page. Batches of several replicas overlap in time: without them the end of nearly every page would
/// not be known, and four times as many be read instead.
const OVERLAP: usize = 128;

/// A request is looked for by its id alone in more time than this; less is looked through at once (ms).
const LONG: u64 = 24 * 60 * 60 * 1_000;

/// How positions are written; another way needs another number.
const FORM: u8 = 1;

/// A place between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Older events come after it (Unix time, ms).
    at_ms: u64,
    /// So do those of the same time with lower ids.
    id: (u64, u64),
}

impl Position {
    /// Returns when the events that come after it ended, at the latest (Unix time, ms).
    pub fn at_ms(self) -> u64 {
        self.at_ms
    }

    fn key(self) -> (u64, (u64, u64)) {
        (self.at_ms, self.id)
    }
}

/// Opaque, of letters, digits, `-` and `_`.
impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![FORM];
        for number in [self.at_ms, self.id.0, self.id.1] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Position, NoPosition> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoPosition)?;
        let Some((&FORM, numbers)) = bytes.split_first() else {
            return Err(NoPosition);
        };
        let (numbers, rest) = numbers.as_chunks::<8>();
        match (numbers, rest) {
            (&[at_ms, origin, sequence], []) => Ok(Position {
                at_ms: u64::from_be_bytes(at_ms),
                id: (u64::from_be_bytes(origin), u64::from_be_bytes(sequence)),
            }),
            _ => Err(NoPosition),
        }
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position in a list of usage events")]
pub struct NoPosition;

/// Which events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Whose.
    pub account: &'a str,
    /// Not before this time (Unix time, ms).
    pub from_ms: u64,
    /// Not after this time (Unix time, ms).
    pub to_ms: u64,
    /// Those of one access key, by its id.
    pub access_key: Option<&'a str>,
    /// Those of one client request, by its id.
    pub request: Option<&'a str>,
    /// Those of one provider, by its id.
    pub provider: Option<&'a str>,
    /// Those of one model, as its provider knows it.
    pub model: Option<&'a str>,
    /// Those with one tag: its name and its value.
    pub tag: Option<(&'a str, &'a str)>,
    /// Those that failed, or those that did not.
    pub failed: Option<bool>,
    /// Attempts that were not the last ones of their requests, too.
    pub retries: bool,
    /// Those after this position.
    pub after: Option<Position>,
    /// Most events on the page, above 0.
    pub limit: usize,
}

/// Some events, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// As they are shown; perhaps fewer than there was room for.
    pub events: Vec<T>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<Position>,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The bank said so.
    #[error(transparent)]
    Bank(#[from] StoreError),
    /// What it has cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Reads a page.
///
/// # Errors
/// When the bank does not answer, or has what cannot be read.
pub async fn page<T>(
    bank: &dyn EventReader,
    wanted: Wanted<'_>,
    show: impl FnMut(&StoredEvent<'_>) -> T,
) -> Result<Page<T>, PageError> {
    let is_long = wanted.to_ms.saturating_sub(wanted.from_ms) > LONG;
    let span = match wanted.request.filter(|_| is_long) {
        Some(id) => bank.request_span(wanted.account, id).await?,
        None => Some((wanted.from_ms, wanted.to_ms)),
    };
    let Some((from_ms, to_ms)) = span else {
        return Ok(Page {
            events: Vec::new(),
            next: None,
        });
    };
    let wanted = Wanted {
        from_ms: wanted.from_ms.max(from_ms),
        to_ms: wanted.to_ms.min(to_ms),
        ..wanted
    };
    page_within(bank, wanted, show, MOST).await
}

async fn page_within<T>(
    bank: &dyn EventReader,
    wanted: Wanted<'_>,
    mut show: impl FnMut(&StoredEvent<'_>) -> T,
    most: usize,
) -> Result<Page<T>, PageError> {
    let to_ms = match wanted.after {
        Some(position) => wanted.to_ms.min(position.at_ms),
        None => wanted.to_ms,
    };
    let mut at_least = wanted.limit.saturating_add(OVERLAP);
    loop {
        let batches = bank
            .events(wanted.account, wanted.from_ms, to_ms, at_least)
            .await?;
        let page = cut(&batches, &wanted, at_least, at_least >= most, &mut show)?;
        if let Some(page) = page {
            return Ok(page);
        }
        let more = at_least.saturating_mul(4);
        // A page that may not end early yet must go on beyond.
        at_least = if at_least < most {
            more.min(most)
        } else {
            more
        };
    }
}

/// The page that these batches hold; `None` if more of them are needed. They are the newest ones, of `at_least` events
/// if there are as many. `tired`: a page may end early.
fn cut<T>(
    batches: &[Events],
    wanted: &Wanted<'_>,
    at_least: usize,
    tired: bool,
    show: impl FnMut(&StoredEvent<'_>) -> T,
) -> Result<Option<Page<T>>, StoredError> {
    let count: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
    let all = count < u64::try_from(at_least).unwrap_or(u64::MAX);
    // Batches of several replicas overlap in time. Those that are not here end no later than the last one that is, so
    // what is newer than that end is here.
    let known_above = batches.last().filter(|_| !all).map(|last| last.to_ms);
    let mut found = Vec::new();
    for batch in batches {
        found.extend(stored::decode(batch)?.into_iter().filter(|event| {
            known_above.is_none_or(|end| event.at_ms > end) && wanted.takes(event)
        }));
    }
    found.sort_unstable_by_key(|event| std::cmp::Reverse(key(event)));
    // A journal that is replayed may report an event again.
    found.dedup_by_key(|event| event.attempt.id);
    let full = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    let next = match (full, known_above) {
        (true, _) => found.last().map(|last| Position {
            at_ms: last.at_ms,
            id: last.attempt.id.parts(),
        }),
        (false, None) => None,
        (false, Some(end)) => {
            let here = Position {
                at_ms: end.saturating_add(1),
                id: (0, 0),
            };
            let ahead = wanted.after.is_none_or(|after| here.key() < after.key());
            if !tired || !ahead {
                return Ok(None);
            }
            Some(here)
        }
    };
    Ok(Some(Page {
        events: found.iter().map(show).collect(),
        next,
    }))
}

fn key(event: &StoredEvent<'_>) -> (u64, (u64, u64)) {
    (event.at_ms, event.attempt.id.parts())
}

impl Wanted<'_> {
    fn takes(&self, event: &StoredEvent<'_>) -> bool {
        (self.from_ms..=self.to_ms).contains(&event.at_ms)
            && self.after.is_none_or(|after| key(event) < after.key())
            && self
                .access_key
                .is_none_or(|id| event.request.access_key == id)
            && self.request.is_none_or(|id| event.request.id == id)
            && self
                .provider
                .is_none_or(|id| event.attempt.provider.id == id)
            && self.model.is_none_or(|id| event.attempt.model.id == id)
            && self
                .tag
                .is_none_or(|tag| event.attempt.tags().any(|own| own == tag))
            && self
                .failed
                .is_none_or(|failed| event.attempt.is(Flag::Error) == failed)
            && (self.retries || event.attempt.is(Flag::Final))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use proptest::prelude::*;

    use super::*;
    use crate::events::event::tests::sample;
    use crate::events::{EventId, EventIds, Flags};

    /// Has batches, and nothing else.
    #[derive(Default)]
    struct Batches(Vec<Events>);

    #[async_trait]
    impl EventReader for Batches {
        async fn events(
            &self,
            _: &str,
            from_ms: u64,
            to_ms: u64,
            at_least: usize,
        ) -> Result<Vec<Events>, StoreError> {
            let mut all = self.0.clone();
            all.retain(|batch| batch.to_ms >= from_ms && batch.from_ms <= to_ms);
            all.sort_by_key(|batch| std::cmp::Reverse(batch.to_ms));
            let mut count = 0;
            all.retain(|batch| {
                let wanted = count < at_least;
                count += usize::try_from(batch.count).unwrap();
                wanted
            });
            Ok(all)
        }
    }

    /// What a test's event is: when it ended, whether it is final, its access key, and the random half of its id.
    type Said = (u64, bool, bool, u64);

    fn said() -> impl Strategy<Value = Vec<Said>> {
        prop::collection::vec((0u64..40, any::<bool>(), any::<bool>(), 0u64..3), 1..8)
    }

    fn batch(said: &[Said], next: &mut u64) -> Events {
        let event = |&(at_ms, is_final, other, origin): &Said| {
            *next += 1;
            let mut event = sample(&EventIds::new(0), "r");
            event.attempt.id = EventId::made_up(origin, *next);
            event.at_ms = at_ms;
            event.attempt.flags = Flags::default().with(Flag::Final, is_final);
            event.request.access_key = if other { "other" } else { "app" };
            event
        };
        let events: Vec<_> = said.iter().map(event).collect();
        stored::encode(&events).unwrap()
    }

    fn keys(batches: &[Events], wanted: &Wanted<'_>) -> Vec<(u64, (u64, u64))> {
        let events = batches
            .iter()
            .flat_map(|batch| stored::decode(batch).unwrap());
        events
            .filter(|event| wanted.takes(event))
            .map(|event| key(&event))
            .collect()
    }

    #[test]
    fn an_hour_is_told_whole_or_not_at_all() {
        use crate::events::totals::{Hours, by_hour_within};
        const HOUR: u64 = 3_600_000;
        let mut next = 0;
        let at = |hours: [u64; 3]| hours.map(|hour| (hour * HOUR + 7, true, false, 0));
        let bank = Batches(
            [[1, 2, 2], [2, 3, 3]]
                .map(|hours| batch(&at(hours), &mut next))
                .into(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let told = |from_ms, most| {
            let hours = by_hour_within(&bank, "default", (from_ms, 9 * HOUR), true, most);
            let Hours { used, from_ms } = runtime.block_on(hours).unwrap();
            let hours = used.iter();
            let hours: Vec<_> = hours
                .map(|(hour, sum)| (hour / HOUR, sum.requests))
                .collect();
            assert!(used.iter().all(|(_, sum)| &*sum.access_key == "app"));
            (hours, from_ms.map(|ms| ms / HOUR))
        };
        assert_eq!(told(0, (2, 100)), (vec![(1, 1), (2, 3), (3, 2)], None));
        assert_eq!(
            told(2 * HOUR + 5, (2, 100)),
            (vec![(2, 3), (3, 2)], None),
            "from its begin"
        );
        assert_eq!(
            told(0, (2, 4)),
            (vec![(3, 2)], Some(3)),
            "of the second there are more"
        );
        let (window, most) = ((0, 9 * HOUR), (2, 100));
        let of_all = by_hour_within(&bank, "default", window, false, most);
        let of_all = runtime.block_on(of_all).unwrap().used;
        assert!(of_all.iter().all(|(_, sum)| sum.access_key.is_empty()));
    }

    proptest! {
        #[test]
        fn no_event_is_lost_or_repeated_while_others_arrive(
            before in prop::collection::vec(said(), 0..12),
            after in prop::collection::vec(said(), 0..12),
            limit in 1usize..6,
            (from_ms, to_ms) in (0u64..20, 15u64..45),
            (filtered, retries) in any::<(bool, bool)>(),
            most in 1usize..40,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut next = 0;
            let mut bank = Batches(before.iter().map(|said| batch(said, &mut next)).collect());
            let mut arriving = after.iter();
            let wanted = Wanted {
                account: "default",
                from_ms,
                to_ms,
                access_key: filtered.then_some("app"),
                retries,
                limit,
                ..Wanted::default()
            };
            let there = keys(&bank.0, &wanted);
            let (mut seen, mut position) = (Vec::new(), None);
            loop {
                let asked = Wanted { after: position, ..wanted };
                let page = runtime.block_on(page_within(&bank, asked, key, most)).unwrap();
                prop_assert!(page.events.len() <= limit);
                seen.extend(page.events);
                let Some(next_position) = page.next else { break };
                let text = next_position.to_string();
                prop_assert_eq!(text.parse(), Ok(next_position), "{}", text);
                prop_assert!(
                    position.is_none_or(|last: Position| next_position.key() < last.key()),
                    "pages go on"
                );
                position = Some(next_position);
                bank.0.extend(arriving.next().map(|said| batch(said, &mut next)));
            }
            prop_assert!(seen.is_sorted_by(|one, next| one > next), "none twice: {:?}", seen);
            for one in there {
                prop_assert!(seen.contains(&one), "{one:?} is lost");
            }
            let all = keys(&bank.0, &wanted);
            prop_assert!(seen.iter().all(|one| all.contains(one)), "none is made up");
        }

        #[test]
        fn no_text_makes_reading_a_position_panic(text in ".{0,40}|[A-Za-z0-9_-]{30,36}") {
            let read: Result<Position, _> = text.parse();
            if let Ok(position) = read {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }
}
