//! What a feed changes, and what of it is held back.
//!
//! What is compared is what requests are charged, before and after: of every unit, by how it is served, how long the
//! prompt is, and when. So it does not matter how a feed writes its prices.

use std::collections::{BTreeMap, BTreeSet};

use super::Read;
use crate::catalog::{Catalog, Entry, Kept, Name};
use tollgate_ledger::tariff::{Found, Holds, Prices, Rates};
use tollgate_wire::report::{Context, Unit};

/// A price that is more than so many times another one is held back.
const FACTOR: u64 = 10;

/// The most ways and times of serving of a model that are compared; more of them are held back.
const WAYS: usize = 64;

const DAY: u64 = 86_400;

/// What becomes of a feed.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What is kept of it from now on.
    pub kept: Kept,
    /// What it changes, or would.
    pub changes: Vec<Change>,
    /// Models whose prices cannot be understood, and why; they stay as they are.
    pub faulty: BTreeMap<Name, String>,
    /// How many models it no longer has: they keep the prices that they had.
    pub gone: usize,
}

/// One price that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub name: Name,
    /// How it is served.
    pub when: Context,
    /// From when on, or at which hours; always is now.
    pub holds: Holds,
    /// What is billed.
    pub unit: Unit,
    /// For prompts of more tokens than this.
    pub above: Option<u64>,
    /// Pico-dollars each before; `None`: it had no price of its own.
    pub old: Option<u64>,
    /// Pico-dollars each after.
    pub new: Option<u64>,
    /// Whether it is more than ten times the other, or to or from nothing: then the whole model is held back.
    pub wild: bool,
}

/// Takes in what was read of the feed that is called `feed`. `below` is the catalog under it: what is built in, and the
/// feeds before it. `now` is Unix time (s).
///
/// A model that it no longer has keeps its price. One whose price is not understood stays as it is. One whose price
/// changes wildly is held back as a whole.
pub fn take(feed: &str, below: &Catalog, kept: &Kept, read: Read, now: u64) -> Taken {
    let mut taken = Taken {
        kept: Kept {
            taken: kept.taken.clone(),
            held: BTreeMap::new(),
        },
        faulty: read.faulty,
        ..Taken::default()
    };
    for name in taken.faulty.keys() {
        if let Some(entry) = kept.held.get(name) {
            taken.kept.held.insert(name.clone(), entry.clone());
        }
    }
    let has = |name: &Name| read.models.contains_key(name) || taken.faulty.contains_key(name);
    taken.gone = kept.taken.keys().filter(|name| !has(name)).count();
    for (name, prices) in read.models {
        let base = below.provider(&name.provider);
        let base =
            base.and_then(|provider| provider.models.iter().find(|one| one.id == name.model));
        let base = base.map(|model| model.prices.clone()).unwrap_or_default();
        let laid = |entry: Option<&Entry>| {
            let mut laid = base.clone();
            if let Some(entry) = entry {
                entry.lay(feed, &mut laid);
            }
            laid
        };
        let known = kept.taken.get(&name);
        let entry = Entry { since: now, prices };
        let (old, new) = (laid(known), laid(Some(&entry)));
        let same = old.standard == new.standard && old.variants == new.variants;
        if same && known.is_some_and(|known| known.prices == entry.prices) {
            continue;
        }
        if compare(&name, [&old, &new], now, &mut taken.changes) {
            // What was held back already is so since then.
            let same = kept
                .held
                .get(&name)
                .filter(|held| held.prices == entry.prices);
            taken.kept.held.insert(name, same.cloned().unwrap_or(entry));
        } else {
            taken.kept.taken.insert(name, entry);
        }
    }
    taken
}

/// Notes every price that differs; says whether one does wildly, or there are too many to compare.
fn compare(name: &Name, [old, new]: [&Prices; 2], now: u64, changes: &mut Vec<Change>) -> bool {
    let (ways, times) = (ways(old, new), times(old, new, now));
    if ways.len().saturating_mul(times.len()) > WAYS {
        return true;
    }
    let mut any = false;
    let rates = || rates(old).chain(rates(new));
    let units: BTreeSet<Unit> = rates()
        .flat_map(Rates::iter)
        .map(|(unit, _)| unit)
        .collect();
    let lengths: BTreeSet<u64> = rates().flat_map(Rates::thresholds).collect();
    for when in &ways {
        // Of what is served otherwise, what is priced so; the rest follows the standard.
        let own = |unit: Unit| {
            let both = old.variants.iter().chain(&new.variants);
            let mut both = both.filter(|variant| variant.when == *when);
            when.is_standard() || both.any(|variant| variant.rates.get(unit).is_some())
        };
        for unit in units.iter().copied().filter(|unit| own(*unit)) {
            let mut last: Vec<(Option<u64>, Option<u64>, Option<u64>)> = Vec::new();
            for (holds, at) in &times {
                let mut these = Vec::new();
                for above in [None]
                    .into_iter()
                    .chain(lengths.iter().map(|above| Some(*above)))
                {
                    let prompt = above.map_or(0, |above| above.saturating_add(1));
                    let find = |prices: &Prices| prices.find(unit, when, prompt, *at);
                    let (before, after) = (find(old), find(new));
                    let pair = (shown(unit, before), shown(unit, after));
                    let as_before =
                        |it: &&(Option<u64>, Option<u64>, Option<u64>)| (it.1, it.2) == pair;
                    let again = these.last().filter(as_before).is_some();
                    if !again {
                        these.push((above, pair.0, pair.1));
                    }
                    let wild = is_wild(before, after);
                    any |= wild;
                    let differs = before.map(|it| it.pico) != after.map(|it| it.pico);
                    // The same as now, or as for shorter prompts, is said once.
                    if differs && !again && !last.contains(&(above, pair.0, pair.1)) {
                        changes.push(Change {
                            name: name.clone(),
                            when: when.clone(),
                            holds: *holds,
                            unit,
                            above,
                            old: pair.0,
                            new: pair.1,
                            wild,
                        });
                    }
                }
                if last.is_empty() {
                    last = these;
                }
            }
        }
    }
    any
}

/// A price of its own; what is assumed is none, but that a request without a price costs nothing.
fn shown(unit: Unit, found: Option<Found>) -> Option<u64> {
    let own = found.filter(|found| !found.assumed || unit == Unit::Request);
    own.map(|found| found.pico)
}

fn is_wild(before: Option<Found>, after: Option<Found>) -> bool {
    match (before.map(|it| it.pico), after.map(|it| it.pico)) {
        (None, Some(after)) => after == 0,
        (Some(before), Some(after)) => {
            let (less, more) = (before.min(after), before.max(after));
            (less == 0) != (more == 0) || more > less.saturating_mul(FACTOR)
        }
        (_, None) => false,
    }
}

fn rates(prices: &Prices) -> impl Iterator<Item = &Rates> {
    let standard = prices.standard.iter().map(|period| &period.rates);
    standard.chain(prices.variants.iter().map(|variant| &variant.rates))
}

fn ways(old: &Prices, new: &Prices) -> BTreeSet<Context> {
    let variants = old.variants.iter().chain(&new.variants);
    let ways = variants.map(|variant| variant.when.clone());
    ways.chain([Context::STANDARD]).collect()
}

/// Now, and a moment of every later day and all hours that a price depends on.
fn times(old: &Prices, new: &Prices, now: u64) -> Vec<(Holds, u64)> {
    let of = |prices: &Prices| {
        let standard = prices.standard.iter().map(|period| period.holds);
        let variants = prices.variants.iter().map(|variant| variant.holds);
        standard.chain(variants).collect::<Vec<Holds>>()
    };
    let mut times = vec![(Holds::Always, now)];
    for holds in of(old).into_iter().chain(of(new)) {
        let at = match holds {
            Holds::From(start) if start > now => start,
            Holds::Daily(from, ..) => now - now % DAY + u64::from(from),
            Holds::Always | Holds::From(_) => continue,
        };
        if times.iter().all(|(known, _)| *known != holds) {
            times.push((holds, at));
        }
    }
    times
}
