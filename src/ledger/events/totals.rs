//! What an event adds to the totals of its day, and what was used by the hour, as events that are still kept tell it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::paging::{self, PageError, Position, Wanted, page};
use super::stored::StoredEvent;
use super::{Attempt, Flag};
use crate::bank::{Day, EventReader, MOST_VALUES, Rollup};
use crate::{NanoUsd, OTHER};

/// More tokens than any answer has: what is beyond is no report, and no sum of as many requests overflows.
pub(crate) const MOST_TOKENS: u64 = 1_000_000_000_000;

const HOUR_MS: u64 = 3_600_000;

/// Most events that are looked at for hours.
pub const MOST_BY_HOUR: usize = 50_000;

/// Events that are read at once: so many that a page may end where they do, and nothing is read twice.
const PAGE: usize = paging::MOST;

/// Whether totals count an attempt: the last one of its request, or one that is charged.
pub(crate) fn counts<S, R>(attempt: &Attempt<S, R>) -> bool {
    attempt.is(Flag::Final) || attempt.cost != NanoUsd::ZERO
}

/// The model that totals name: rows stay for ever, and name what the catalog names.
pub(crate) fn model<S: Borrow<str>, R>(attempt: &Attempt<S, R>) -> &str {
    match attempt.is(Flag::Unlisted) {
        true => OTHER,
        false => attempt.model.id.borrow(),
    }
}

impl Rollup {
    /// Adds an attempt that [`counts`].
    pub(crate) fn add<S, R>(&mut self, attempt: &Attempt<S, R>) {
        let is_final = attempt.is(Flag::Final);
        self.requests += u64::from(is_final);
        self.failed += u64::from(is_final && attempt.is(Flag::Error));
        self.orphaned += u64::from(attempt.is(Flag::Orphaned));
        let add = |sum: &mut u64, tokens: u64| *sum += tokens.min(MOST_TOKENS);
        add(&mut self.input, attempt.usage.input());
        add(&mut self.cached_read, attempt.usage.cached_read());
        add(&mut self.cache_write, attempt.usage.cache_write());
        add(&mut self.output, attempt.usage.output());
        add(&mut self.reasoning, attempt.usage.reasoning());
        self.cost = NanoUsd::saturating_sum([self.cost, attempt.cost]);
    }

    /// Adds what another one comes to.
    pub fn add_all(&mut self, more: &Rollup) {
        for (sum, part) in self.counters_mut().into_iter().zip(more.counters()) {
            *sum = sum.saturating_add(part);
        }
        self.cost = NanoUsd::saturating_sum([self.cost, more.cost]);
    }

    /// One to which nothing was added yet.
    pub(crate) fn none<S: Into<Arc<str>>>(
        day: Day,
        access_key: S,
        provider: S,
        model: S,
    ) -> Rollup {
        Rollup {
            day,
            access_key: access_key.into(),
            provider: provider.into(),
            model: model.into(),
            ..Rollup::default()
        }
    }
}

/// Totals by day, tag and value; of each tag a day has [`MOST_VALUES`] values, and one for all that came after them.
#[derive(Debug, Default)]
pub struct ByTag(BTreeMap<(Day, Arc<str>), BTreeMap<Arc<str>, Rollup>>);

impl ByTag {
    /// Returns the total of a value, or of all that came too late to have one.
    pub fn total(&mut self, day: Day, name: &str, value: &str) -> &mut Rollup {
        let values = self.0.entry((day, name.into())).or_default();
        let has_room = values.len() < MOST_VALUES || values.contains_key(value);
        let value = if has_room { value } else { OTHER };
        values.entry(value.into()).or_insert_with(|| Rollup {
            day,
            tag: format!("{name}={value}").into(),
            ..Rollup::default()
        })
    }

    /// Returns all of them, in their order.
    pub fn rows(&self) -> impl Iterator<Item = &Rollup> {
        self.0.values().flat_map(BTreeMap::values)
    }
}

/// What was used by the hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// When an hour began (Unix time, ms), and what was used in it, in this order.
    pub used: Vec<(u64, Rollup)>,
    /// The first hour that is told, if there are more than [`MOST_BY_HOUR`] events.
    pub from_ms: Option<u64>,
}

/// Returns what an account used between two times (Unix time, ms), both included, the hour of the first one whole: by provider
/// and model, and by access key if that is asked for.
///
/// # Errors
/// When the bank does not answer, or has what cannot be read.
pub async fn by_hour(
    bank: &dyn EventReader,
    account: &str,
    from_ms: u64,
    to_ms: u64,
    by_key: bool,
) -> Result<Hours, PageError> {
    let most = (PAGE, MOST_BY_HOUR);
    by_hour_within(bank, account, (from_ms, to_ms), by_key, most).await
}

pub(super) async fn by_hour_within(
    bank: &dyn EventReader,
    account: &str,
    (from_ms, to_ms): (u64, u64),
    by_key: bool,
    (limit, most): (usize, usize),
) -> Result<Hours, PageError> {
    let mut sums = Sums::default();
    let (mut seen, mut after) = (0, None::<Position>);
    let told_from = loop {
        let wanted = Wanted {
            account,
            from_ms: hour(from_ms),
            to_ms,
            retries: true,
            after,
            limit,
            ..Wanted::default()
        };
        let some = page(bank, wanted, |event| sums.add(event, by_key)).await?;
        seen += some.events.len();
        after = some.next;
        match after {
            None => break None,
            // Of the hour in which it ends, some is missing.
            Some(next) if seen >= most => break Some(hour(next.at_ms()) + HOUR_MS),
            Some(_) => {}
        }
    };
    let mut by_hour = sums.by_hour;
    by_hour.retain(|(hour, _), _| told_from.is_none_or(|first| *hour >= first));
    Ok(Hours {
        used: by_hour
            .into_iter()
            .map(|((hour, _), rollup)| (hour, rollup))
            .collect(),
        from_ms: told_from,
    })
}

/// What events come to: each name is kept once.
#[derive(Default)]
struct Sums {
    names: BTreeSet<Arc<str>>,
    by_hour: BTreeMap<(u64, [Arc<str>; 3]), Rollup>,
}

impl Sums {
    /// Adds an event, if totals count it.
    fn add(&mut self, event: &StoredEvent<'_>, by_key: bool) {
        let attempt = &event.attempt;
        if !counts(attempt) {
            return;
        }
        let access_key = if by_key { event.request.access_key } else { "" };
        let names = [access_key, attempt.provider.id, model(attempt)].map(|name| self.name(name));
        let begun = hour(event.at_ms);
        let sum = self
            .by_hour
            .entry((begun, names))
            .or_insert_with_key(|(_, names)| {
                let day = Day(u32::try_from(begun / (24 * HOUR_MS)).unwrap_or(u32::MAX));
                let [access_key, provider, model] = names.clone();
                Rollup::none(day, access_key, provider, model)
            });
        sum.add(attempt);
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        let known = self.names.get(name).cloned();
        known.unwrap_or_else(|| {
            let new = Arc::<str>::from(name);
            self.names.insert(new.clone());
            new
        })
    }
}

fn hour(ms: u64) -> u64 {
    ms / HOUR_MS * HOUR_MS
}
