//! How much one account may have of what is made at run time: every gateway holds it in memory.
//!
//! Invariant: a change that makes something more of an account leaves no more than its quota. What is over it already, as
//! after a quota was lowered, may shrink, and change as long as it does not grow.

use std::collections::BTreeMap;

use super::resource::{
    AccessKey, ApiKey, Configuration, Document, Meta, Provider, ProviderKey, SharedBudget,
};
use super::tables::{Resources, Tabled};
use tollgate_config::types::Quotas;

/// How much there is of each of [`Quotas::all`], in that order.
pub(crate) type Weight = [i64; Quotas::MEASURES];

/// How much the accounts whose resources a change writes have more, or less, after it.
pub(super) type Growth = BTreeMap<String, Weight>;

/// What a resource counts for.
pub(super) fn weight<T: Document>(resource: &T) -> Weight {
    let Meta {
        name,
        description,
        metadata,
        ..
    } = resource.meta();
    let texts = [name, description, metadata].into_iter().flatten();
    let kind = |kind: &str| i64::from(T::KIND == kind);
    [
        kind(AccessKey::KIND),
        kind(Configuration::KIND),
        kind(Provider::KIND),
        kind(ProviderKey::KIND),
        kind(ApiKey::KIND),
        kind(SharedBudget::KIND),
        signed(resource.models()),
        signed(texts.map(String::len).sum()),
    ]
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn add(sum: &mut Weight, other: &Weight, sign: i64) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += sign * other;
    }
}

/// Notes what a change makes of a resource.
pub(super) fn note<T: Document>(growth: &mut Growth, before: Option<&T>, after: Option<&T>) {
    for (resource, sign) in [(before, -1), (after, 1)] {
        let Some(resource) = resource else { continue };
        let account = resource.meta().account.clone();
        add(growth.entry(account).or_default(), &weight(resource), sign);
    }
}

/// What a change would have too much of: the measure's name, and the quota.
pub(super) fn over(
    stored: &Resources,
    growth: &Growth,
    quotas: &Quotas,
) -> Option<(&'static str, u64)> {
    growth.iter().find_map(|(account, more)| {
        if more.iter().all(|more| *more <= 0) {
            return None;
        }
        let mut all = used(stored, account);
        add(&mut all, more, 1);
        let measures = quotas.all().into_iter().zip(all).zip(more);
        let mut over = measures.filter(|((measure, all), more)| {
            **more > 0 && u64::try_from(*all).unwrap_or(0) > measure.1
        });
        over.next().map(|((measure, _), _)| measure)
    })
}

/// What an account has, of what is not declared.
fn used(stored: &Resources, account: &str) -> Weight {
    let mut all = Weight::default();
    add_used::<AccessKey>(stored, account, &mut all);
    add_used::<Configuration>(stored, account, &mut all);
    add_used::<Provider>(stored, account, &mut all);
    add_used::<ProviderKey>(stored, account, &mut all);
    add_used::<ApiKey>(stored, account, &mut all);
    add_used::<SharedBudget>(stored, account, &mut all);
    all
}

fn add_used<T: Tabled>(stored: &Resources, account: &str, all: &mut Weight) {
    let own = T::table(stored).iter();
    let own = own.filter(|(_, resource)| resource.meta().account == account);
    own.for_each(|(_, resource)| add(all, &weight(&**resource), 1));
}
