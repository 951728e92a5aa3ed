//! Everything there is at one moment, and what a change makes of it.

use std::sync::Arc;

use serde_json::Value;

use super::audit::{self, Action, Actor, Audited};
use super::quota::{self, Growth};
use super::resource::{Document, ProviderKey};
use super::seals;
use super::tables::{Resources, Tabled};
use crate::store::{Commit, Write};
use tollgate_base::Secret;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::{Keyring, SealError, Sealed};
use tollgate_config::types::Quotas;

/// A resource, and where it comes from.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// Its id.
    pub id: Arc<str>,
    /// What it says.
    pub resource: Arc<T>,
    /// Whether the YAML declares it, so that it cannot be changed here.
    pub declared: bool,
}

/// Declared and stored resources together.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(super) declared: &'a Resources,
    pub(super) stored: &'a Resources,
}

impl View<'_> {
    /// Returns the resource with this id.
    pub fn get<T: Tabled>(&self, id: &str) -> Option<Found<T>> {
        let of = |state, declared| {
            let (id, resource) = T::table(state).entry(id)?;
            Some(Found {
                id: id.clone(),
                resource: resource.clone(),
                declared,
            })
        };
        of(self.declared, true).or_else(|| of(self.stored, false))
    }

    /// Whether there is one with this id that this gateway cannot read.
    pub(crate) fn is_unreadable<T: Document>(&self, id: &str) -> bool {
        self.stored.is_unreadable(T::KIND, id)
    }

    /// What a change would have too much of: the measure's name, and the quota.
    pub(crate) fn over_quota(&self, draft: &Draft, quotas: &Quotas) -> Option<(&'static str, u64)> {
        quota::over(self.stored, &draft.growth, quotas)
    }

    /// Seals a provider key's value as the store has it, for where the catalog says that it is sent; `None` while its
    /// provider is not known.
    ///
    /// # Errors
    /// When there is no master key.
    pub(crate) fn seal_value(
        &self,
        (keyring, catalog): (&Keyring, &Catalog),
        key: (&str, &ProviderKey),
        secret: &Secret,
    ) -> Result<Option<Sealed>, SealError> {
        let bound = self.stored.signs(keyring);
        seals::seal_value((keyring, catalog), key, secret, bound)
    }

    /// Returns all of a kind, with ids below `before` if there is one; the highest id first.
    pub fn below<T: Tabled>(&self, before: Option<&str>) -> impl Iterator<Item = Found<T>> {
        let found = |declared| {
            move |(id, resource): (&Arc<str>, &Arc<T>)| Found {
                id: id.clone(),
                resource: resource.clone(),
                declared,
            }
        };
        let hidden = T::table(self.declared);
        let mut stored = T::table(self.stored)
            .below(before)
            .rev()
            .filter(move |(id, _)| hidden.get(id).is_none())
            .map(found(false))
            .peekable();
        let mut declared = hidden.below(before).rev().map(found(true)).peekable();
        std::iter::from_fn(move || match (stored.peek(), declared.peek()) {
            (Some(one), Some(other)) if one.id < other.id => declared.next(),
            (Some(_), _) => stored.next(),
            (None, _) => declared.next(),
        })
    }

    /// Returns all of a kind, the highest id first.
    pub fn all<T: Tabled>(&self) -> impl Iterator<Item = Found<T>> {
        self.below(None)
    }
}

/// What a change writes.
#[derive(Debug, Default)]
pub struct Draft {
    pub(super) commit: Commit,
    /// What accounts have more of after it.
    pub(super) growth: Growth,
    /// Whether it is signed although the store is open: it is to be sealed.
    pub(super) signed: bool,
}

impl Draft {
    /// Nothing yet.
    pub fn new() -> Draft {
        Draft::default()
    }

    /// Returns whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.commit.writes.is_empty() && self.commit.audit.is_empty()
    }

    /// A new resource.
    pub fn create<T: Document>(&mut self, actor: &Actor, id: &str, new: &T) {
        self.note(actor, Action::Create, id, None, Some(new));
    }

    /// A resource's new form.
    pub fn update<T: Document>(
        &mut self,
        actor: &Actor,
        action: Action,
        id: &str,
        old: &T,
        new: &T,
    ) {
        self.note(actor, action, id, Some(old), Some(new));
    }

    /// A resource's form, whether it was there before or not.
    pub fn put<T: Document>(
        &mut self,
        actor: &Actor,
        action: Action,
        id: &str,
        old: Option<&T>,
        new: &T,
    ) {
        self.note(actor, action, id, old, Some(new));
    }

    /// A resource less.
    pub fn delete<T: Document>(&mut self, actor: &Actor, id: &str, old: &T) {
        self.note(actor, Action::Delete, id, Some(old), None);
    }

    /// Seals the store as a whole.
    pub(super) fn seal(&mut self) {
        self.signed = true;
        self.commit.writes.push(seals::whole());
    }

    /// The same document once more, which is no change that the audit log keeps.
    pub(super) fn rewrite(&mut self, kind: &str, id: &str, body: String) {
        self.commit.writes.push(Write {
            kind: kind.to_owned(),
            id: id.to_owned(),
            body: Some(body),
        });
    }

    /// An entry of the audit log about something that is not a stored resource.
    pub fn audit(&mut self, entry: &Audited) {
        if let Ok(text) = serde_json::to_string(entry) {
            self.commit.audit.push(text);
        }
    }

    fn note<T: Document>(
        &mut self,
        actor: &Actor,
        action: Action,
        id: &str,
        before: Option<&T>,
        after: Option<&T>,
    ) {
        quota::note(&mut self.growth, before, after);
        let account = after
            .or(before)
            .map(|resource| resource.meta().account.clone());
        let audited = |resource: Option<&T>| {
            resource.map_or(Value::Null, |found| audit::bounded(found.audited()))
        };
        self.audit(&Audited {
            actor: actor.clone(),
            action: action.into(),
            kind: T::KIND.to_owned(),
            id: id.to_owned(),
            account: account.unwrap_or_default(),
            before: audited(before),
            after: audited(after),
        });
        let body = match after.map(serde_json::to_string).transpose() {
            Ok(body) => body,
            // Documents are plain data, which always has a JSON form; and no body would delete.
            Err(error) => return log::error!("{} `{id}` has no JSON form: {error}", T::KIND),
        };
        self.commit.writes.push(Write {
            kind: T::KIND.to_owned(),
            id: id.to_owned(),
            body,
        });
    }
}
