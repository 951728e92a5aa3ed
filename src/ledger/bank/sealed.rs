//! Daily totals of a day that is over, kept a second time as one value: who looks at a month reads thirty of them, instead of
//! every total field by field.
//!
//! Invariant: a sealed day is what its totals are. Whoever adds to a day breaks its seal with the same transaction, and a day
//! is sealed only as it was read; so a seal that is there is right, and one that cannot be read is as good as none.
//!
//! The form: a version byte, then [`postcard`] of `Sealed`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Future, StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Day, Rollup};
use crate::NanoUsd;
use tollgate_store::StoreError;

/// The form that is written; another one gets another number.
const FORM: u8 = 1;

/// How long after a day its totals are not sealed yet: what ended before midnight is told a little later.
const LATE_MS: u64 = 10 * 60 * 1_000;

const DAY_MS: u64 = 86_400_000;

/// Days that are not sealed are read so many at a time.
const AT_ONCE: usize = 4;

/// What is sealed of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Every total.
    Each,
    /// Their sums by provider and model.
    ByModel,
    /// Every total by tag.
    ByTag,
}

impl Part {
    /// What banks call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Each => "each",
            Part::ByModel => "by_model",
            Part::ByTag => "by_tag",
        }
    }

    /// What else is sealed with it: all that is made of the same totals.
    pub(super) fn together(self) -> &'static [Part] {
        match self {
            Part::Each | Part::ByModel => &[Part::Each, Part::ByModel],
            Part::ByTag => &[Part::ByTag],
        }
    }

    /// Makes it of every total.
    pub(super) fn of(self, rows: Vec<Rollup>) -> Vec<Rollup> {
        match self {
            Part::Each | Part::ByTag => rows,
            Part::ByModel => by_model(&rows),
        }
    }
}

/// A day's totals. Names are written once, and given by their places.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(borrow)]
    names: Vec<&'a str>,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    /// Access key, provider, model, tag.
    names: [u32; 4],
    /// As [`Rollup::counters`].
    counters: [u64; 8],
    cost: NanoUsd,
}

/// Writes the totals of one day, whichever that is; `None` if it cannot be done.
pub(super) fn seal(rows: &[Rollup]) -> Option<Vec<u8>> {
    let (mut names, mut places) = (Vec::new(), BTreeMap::new());
    let mut written = Vec::with_capacity(rows.len());
    for row in rows {
        let mut given = [0; 4];
        let own = [&row.access_key, &row.provider, &row.model, &row.tag];
        for (place, name) in given.iter_mut().zip(own) {
            let next = u32::try_from(names.len()).ok()?;
            *place = *places.entry(&**name).or_insert_with(|| {
                names.push(&**name);
                next
            });
        }
        written.push(Row {
            names: given,
            counters: row.counters(),
            cost: row.cost,
        });
    }
    let sealed = Sealed {
        names,
        rows: written,
    };
    postcard::to_extend(&sealed, vec![FORM]).ok()
}

/// Reads what [`seal`] wrote; `None` if nothing did, or a newer version.
pub(super) fn open(day: Day, sealed: &[u8]) -> Option<Vec<Rollup>> {
    let (&FORM, rest) = sealed.split_first()? else {
        return None;
    };
    let Sealed { names, rows } = postcard::from_bytes(rest).ok()?;
    let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
    let name = |place: u32| names.get(usize::try_from(place).ok()?).cloned();
    let row = |row: Row| {
        let [access_key, provider, model, tag] = row.names.map(name);
        let counted = (-NanoUsd::TOTAL..=NanoUsd::TOTAL).contains(&row.cost);
        let one = Rollup {
            day,
            access_key: access_key?,
            provider: provider?,
            model: model?,
            tag: tag?,
            cost: counted.then_some(row.cost)?,
            ..Rollup::default()
        };
        Some(one.with_counters(row.counters))
    };
    rows.into_iter().map(row).collect()
}

/// Whether a day is over for so long that nothing more of it is expected.
pub(super) fn is_over(day: Day, now_ms: u64) -> bool {
    (u64::from(day.0) + 1) * DAY_MS + LATE_MS <= now_ms
}

/// Adds up totals that differ in their access keys alone; those are empty then.
pub(super) fn by_model(rows: &[Rollup]) -> Vec<Rollup> {
    let mut sums: BTreeMap<(Day, &str, &str), Rollup> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((row.day, &row.provider, &row.model));
        let none = || Rollup {
            day: row.day,
            provider: row.provider.clone(),
            model: row.model.clone(),
            ..Rollup::default()
        };
        sum.or_insert_with(none).add_all(row);
    }
    sums.into_values().collect()
}

/// Those of totals by tag that are of the tag with this name.
pub(super) fn of_tag(mut rows: Vec<Rollup>, name: &str) -> Vec<Rollup> {
    rows.retain(|row| row.tag.split_once('=').is_some_and(|(own, _)| own == name));
    rows
}

/// A part of the totals of some days, in their order. Those that are sealed are opened, the others read: `read` returns every
/// total of a day, and seals it if it is over.
pub(super) async fn all<F>(
    days: Vec<(Day, Vec<u8>)>,
    part: Part,
    read: impl Fn(Day) -> F,
) -> Result<Vec<Rollup>, StoreError>
where
    F: Future<Output = Result<Vec<Rollup>, StoreError>>,
{
    let read = &read;
    let one = |(day, sealed): (Day, Vec<u8>)| async move {
        match open(day, &sealed) {
            Some(rows) => Ok::<_, StoreError>(rows),
            None => Ok(part.of(read(day).await?)),
        }
    };
    let each = stream::iter(days).map(one).buffered(AT_ONCE);
    each.try_concat().await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rollup() -> impl Strategy<Value = Rollup> {
        let name = || prop::sample::select(vec!["", "a", "größe 1", "x=y"]);
        let names = (name(), name(), name(), name());
        (names, any::<[u64; 8]>(), 0..=NanoUsd::TOTAL.0).prop_map(|(names, counters, cost)| {
            let (access_key, provider, model, tag) = names;
            let one = Rollup {
                day: Day(20_000),
                access_key: access_key.into(),
                provider: provider.into(),
                model: model.into(),
                tag: tag.into(),
                cost: NanoUsd(cost),
                ..Rollup::default()
            };
            one.with_counters(counters)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_sealed_day_is_what_it_was(rows in prop::collection::vec(rollup(), 0..20), cut in any::<prop::sample::Index>()) {
            let sealed = seal(&rows).unwrap();
            prop_assert_eq!(open(Day(20_000), &sealed), Some(rows));
            let part = &sealed[..cut.index(sealed.len())];
            prop_assert_eq!(open(Day(20_000), part), None, "what is cut off is no seal");
        }
    }

    #[test]
    fn a_newer_form_is_no_seal() {
        let mut sealed = seal(&[]).unwrap();
        assert_eq!(open(Day(1), &sealed), Some(Vec::new()));
        sealed[0] += 1;
        assert_eq!(open(Day(1), &sealed), None);
        assert_eq!(open(Day(1), &[]), None);
    }

    #[test]
    fn a_day_is_over_a_while_after_midnight() {
        let midnight = 2 * DAY_MS;
        assert!(!is_over(Day(1), midnight + LATE_MS - 1));
        assert!(is_over(Day(1), midnight + LATE_MS));
        assert!(!is_over(Day(u32::MAX), midnight));
    }
}
