//! Both sides, by what is compared: a model, or the tools beside it, and a key; each with its days.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use super::Request;
use super::keys::{Keys, Used as UsedBy};
use super::names::Names;
use super::side::{Side, nanos};
use crate::billed::Billed;
use crate::charged::{Hour, Used, add};
use crate::unit::Unit;
use crate::variant::STANDARD;

/// What is compared of each day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// A model.
    Model(String),
    /// The provider's tools, which no model is named for.
    Tools,
    /// All together: the provider's costs do not say what they are for.
    All,
}

/// A thing and a key, over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// The ledger's side, by hour.
    pub(super) hours: BTreeMap<Hour, Side>,
    /// The provider's side, by day.
    pub(super) billed: BTreeMap<Day, Side>,
}

impl Series {
    /// The ledger's side by day, where the time is `ahead` hours ahead of UTC.
    pub(super) fn ledger(&self, ahead: i32) -> BTreeMap<Day, Side> {
        let mut days: BTreeMap<Day, Side> = BTreeMap::new();
        for (hour, side) in &self.hours {
            days.entry(hour.day(ahead)).or_default().merge(side);
        }
        days
    }
}

/// What distinguishes series.
pub(super) type What = (Thing, Option<String>);

/// Both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    pub(super) series: BTreeMap<What, Series>,
    /// Whether lines are split by key.
    pub(super) by_key: bool,
    /// The provider's keys that are not the gateway's.
    pub(super) strangers: BTreeSet<String>,
    pub(super) notes: Vec<String>,
}

impl Sides {
    /// Puts a request's rows beside each other.
    pub(super) fn of(request: &Request<'_>) -> Sides {
        let rows = &request.reading.rows;
        let models = || rows.iter().filter_map(|row| row.model.as_deref());
        let ours = || request.ledger.rows().map(|(kind, _)| kind.model.as_str());
        let names = Names::of(ours(), models());
        let mut notes = Vec::new();
        let by_model = by_model(request, &mut notes);
        let keys = keys(request, &names);
        let by_key = keys.known && by_key(request);
        notes.extend(keys.notes.iter().cloned());
        let mut sides = Sides {
            by_key,
            strangers: keys.strangers.clone(),
            notes,
            ..Sides::default()
        };
        sides.charge(request, &names, by_model);
        sides.bill(request, &names, &keys, by_model);
        sides
    }

    fn charge(&mut self, request: &Request<'_>, names: &Names, by_model: bool) {
        for (kind, sum) in request.ledger.rows() {
            let key = kind.key.clone().filter(|_| self.by_key);
            let hour = kind.hour;
            let variant = kind.variant.as_deref();
            if !by_model {
                let side = self.at((Thing::All, key), hour);
                side.charge(variant, sum, sum.cost, |_| true);
                continue;
            }
            // What tools cost stands with them, if it can be separated from what the model cost.
            let mut tools = sum.units.iter().filter(|(unit, _)| unit.is_tool());
            let tools = tools.try_fold(0u128, |all, (_, used)| {
                Some(all.saturating_add(used.picos?))
            });
            let apart = nanos(tools.unwrap_or(0)).min(sum.cost.or_zero());
            let model = Thing::Model(names.label(&kind.model).to_owned());
            let side = self.at((model, key.clone()), hour);
            side.charge(variant, sum, sum.cost - apart, |unit| !unit.is_tool());
            if sum.units.keys().any(|unit| unit.is_tool()) {
                let side = self.at((Thing::Tools, key), hour);
                side.has_cost = true;
                side.has_usage = true;
                side.cost += apart;
                for (unit, used) in sum.units.iter().filter(|(unit, _)| unit.is_tool()) {
                    add(&mut side.units, *unit, *used);
                }
            }
        }
    }

    fn at(&mut self, what: What, hour: Hour) -> &mut Side {
        let series = self.series.entry(what).or_default();
        series.hours.entry(hour).or_default()
    }

    fn bill(&mut self, request: &Request<'_>, names: &Names, keys: &Keys, by_model: bool) {
        // Where usage is reported by itself, what costs say of quantities would count twice.
        let counted: BTreeSet<(Day, What)> = request
            .reading
            .rows
            .iter()
            .filter(|row| row.cost.is_none() && !(by_model && is_of_no_model(row)))
            .map(|row| (row.day, self.what(row, names, keys, by_model)))
            .collect();
        for row in &request.reading.rows {
            if by_model && is_of_no_model(row) {
                self.notes.push(NO_MODEL.to_owned());
                continue;
            }
            let what = self.what(row, names, keys, by_model);
            let twice = row.cost.is_some() && counted.contains(&(row.day, what.clone()));
            let label = row.key.as_deref().map(|key| keys.label(key).to_owned());
            let series = self.series.entry(what).or_default();
            let side = series.billed.entry(row.day).or_default();
            bill(side, row, label.as_deref(), twice);
        }
    }

    fn what(&self, row: &Billed, names: &Names, keys: &Keys, by_model: bool) -> What {
        let thing = match &row.model {
            _ if !by_model => Thing::All,
            Some(model) => Thing::Model(names.label(model).to_owned()),
            None => Thing::Tools,
        };
        let key = row.key.as_deref().filter(|_| self.by_key);
        (thing, key.map(|key| keys.label(key).to_owned()))
    }
}

/// What is said of usage that does not say which model it is of.
const NO_MODEL: &str =
    "the usage report is not grouped by model, so that its quantities are not compared";

/// Whether it is usage of nobody knows which model.
fn is_of_no_model(row: &Billed) -> bool {
    row.cost.is_none() && row.model.is_none() && !row.unit.is_some_and(Unit::is_tool)
}

fn bill(side: &mut Side, row: &Billed, key: Option<&str>, twice: bool) {
    if let Some(cost) = row.cost {
        side.has_cost = true;
        side.cost += cost;
        side.rounding += row.rounding;
        let other = row.variant.as_ref().filter(|variant| *variant != STANDARD);
        side.billed_as
            .extend(other.filter(|_| cost != NanoUsd::ZERO).cloned());
    }
    if let Some(requests) = row.requests {
        side.has_usage = true;
        side.requests = Some(side.requests.unwrap_or(0).saturating_add(requests));
    }
    let picos = row.cost.map(super::side::picos);
    let Some(unit) = row.unit.map(Unit::compared) else {
        side.undivided |= row.cost.is_some_and(|cost| cost != NanoUsd::ZERO);
        return;
    };
    let quantity = row.quantity.filter(|_| !twice);
    side.has_usage |= quantity.is_some();
    let used = side.units.entry(unit).or_insert(Used {
        quantity: 0,
        picos: Some(0),
    });
    used.quantity = used.quantity.saturating_add(quantity.unwrap_or(0));
    used.picos = used.picos.map(|sum| sum.saturating_add(picos.unwrap_or(0)));
    if let Some(quantity) = quantity {
        side.served(row.variant.as_deref(), quantity);
        if let Some(key) = key {
            let units = side.keys.entry(key.to_owned()).or_default();
            let sum = units.entry(unit).or_default();
            *sum = sum.saturating_add(quantity);
        }
    }
}

/// Whether lines can be split by model: not if costs do not say what they are for.
fn by_model(request: &Request<'_>, notes: &mut Vec<String>) -> bool {
    let mut rows = request.reading.rows.iter();
    let costs = request.reading.has_costs;
    let vague = rows.any(|row| {
        let about = row.cost.is_some_and(|cost| cost != NanoUsd::ZERO)
            || !costs && row.quantity.unwrap_or(0) > 0;
        about && row.model.is_none() && !row.unit.is_some_and(Unit::is_tool)
    });
    if vague {
        notes.push(
            "the report does not say which models its figures are for, so that only whole days are compared; ask for it \
             grouped: OpenAI's costs by line_item, Anthropic's by description, usage by model"
                .to_owned(),
        );
    }
    !vague
}

/// Whether lines can be split by key: if what decides, costs or else usage, is reported by key.
fn by_key(request: &Request<'_>) -> bool {
    let costs = request.reading.has_costs;
    let mut rows = request.reading.rows.iter();
    let ours = request.ledger.rows().all(|(kind, _)| kind.key.is_some());
    ours && rows.any(|row| row.key.is_some() && (row.cost.is_some() || !costs))
}

fn keys(request: &Request<'_>, names: &Names) -> Keys {
    let mut ours: BTreeMap<String, UsedBy> = BTreeMap::new();
    for (kind, sum) in request.ledger.rows() {
        if let Some(key) = &kind.key
            && request.period.has(kind.hour.day(0))
        {
            let used = ours.entry(key.clone()).or_default();
            for (unit, of) in &sum.units {
                let unit = vague(*unit);
                let model = names.label(&kind.model).to_owned();
                let sum = used.entry((model, unit)).or_default();
                *sum = sum.saturating_add(of.quantity);
            }
        }
    }
    let mut theirs: BTreeMap<String, UsedBy> = BTreeMap::new();
    for row in &request.reading.rows {
        let Some(key) = &row.key else { continue };
        let used = theirs.entry(key.clone()).or_default();
        let usage = row.cost.is_none() || !request.reading.has_usage;
        if let (Some(unit), Some(quantity), true) = (row.unit, row.quantity, usage) {
            let model = row.model.as_deref().map_or("", |model| names.label(model));
            let unit = vague(unit.compared());
            let sum = used.entry((model.to_owned(), unit)).or_default();
            *sum = sum.saturating_add(quantity);
        }
    }
    Keys::pair(&ours, &theirs, request.keys, &request.tolerance)
}

/// Not split by how long a cache was written for.
fn vague(unit: Unit) -> Unit {
    if unit.is_cache_write() {
        Unit::CacheWriteAny
    } else {
        unit
    }
}
