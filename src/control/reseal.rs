//! A new master key, and a store that is to be sealed: everything is sealed and signed again, under the current key.

use std::collections::BTreeSet;

use super::audit::{Action, Actor};
use super::change::ChangeError;
use super::replica::Control;
use super::resource::ProviderKey;
use super::seals::{SEAL, purpose, seal_value};
use super::view::{Draft, View};
use crate::Document as _;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::{Keyring, SealError};

/// How many are written with one commit: other changes wait no longer than that takes.
const AT_ONCE: usize = 50;

/// Why a document stays as it is that has no form here.
const UNREADABLE: &str = "it cannot be read";

/// What became of everything that is sealed.
#[derive(Debug, Default)]
pub struct Resealed {
    /// How many provider keys are under the current key now, and were not before.
    pub done: usize,
    /// How many were already.
    pub current: usize,
    /// How many other documents were signed anew.
    pub signed: usize,
    /// What stays as it is: kinds and ids, and why.
    pub failed: Vec<(String, String)>,
}

/// Why nothing more was sealed.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store did not take it.
    #[error("{0}")]
    Store(String),
}

impl From<ChangeError<SealError>> for ResealError {
    fn from(error: ChangeError<SealError>) -> Self {
        let store = |words: &dyn std::fmt::Display| ResealError::Store(words.to_string());
        match error {
            ChangeError::Decided(error) | ChangeError::Unsigned(error) => error.into(),
            ChangeError::Store(error) => store(&error),
            ChangeError::NoStore => store(&"there is no store"),
            ChangeError::Unreadable(kind) => store(&format!("a stored {kind} cannot be read")),
            ChangeError::Contended => store(&"other changes came first each time: try again"),
        }
    }
}

/// One document: its kind and its id.
type Name = (String, String);

impl Control {
    /// Seals everything under the current master key, as `actor`: provider keys, and in a sealed store the checks of all
    /// documents. With `whole` the store becomes a sealed one at the end, if nothing failed: gateways before 0.2.0 must
    /// not write to it any more. `progress` hears how many of how many are done. It may be broken off and begun again
    /// at any time: a key is always sealed under one master key or the other.
    ///
    /// # Errors
    /// When there is no master key, or the store cannot be read or written.
    pub async fn reseal(
        &self,
        actor: &Actor,
        whole: bool,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Resealed, ResealError> {
        let mut resealed = Resealed::default();
        loop {
            let read = self.catch_up().await;
            read.map_err(|error| ResealError::Store(error.to_string()))?;
            let (config, catalog) = (self.config(), self.served().load().catalog.clone());
            let work = Work {
                keyring: &config.secrets,
                catalog: &catalog,
                whole,
            };
            let mut left = self.look(|view| work.all(view));
            left.retain(|name| !resealed.has_failed(name));
            if left.is_empty() {
                break;
            }
            let some: Vec<Name> = left.iter().take(AT_ONCE).cloned().collect();
            let change = self.change(|view, draft| {
                let done = some.iter().map(|name| work.seal(actor, view, draft, name));
                done.collect::<Result<Vec<_>, SealError>>()
            });
            for (name, done) in some.iter().zip(change.await?) {
                match done {
                    Ok(()) if name.0 == ProviderKey::KIND => resealed.done += 1,
                    Ok(()) => resealed.signed += 1,
                    Err(why) => resealed.failed.push((told(name), why)),
                }
            }
            let so_far = resealed.done + resealed.signed + resealed.failed.len();
            progress(so_far, so_far + left.len() - some.len());
        }
        self.look(|view| {
            let unreadable = view.stored.all_unreadable();
            let told = |(kind, id)| (format!("{kind}/{id}"), UNREADABLE.to_owned());
            resealed.failed.extend(unreadable.map(told));
            let keys = view.stored.provider_keys.iter();
            let sealed = keys.filter(|(id, key)| {
                key.sealed.is_some() && resealed.failed.iter().all(|(one, _)| **one != ***id)
            });
            resealed.current = sealed.count().saturating_sub(resealed.done);
        });
        if whole && resealed.failed.is_empty() {
            self.seal_whole().await?;
        }
        Ok(resealed)
    }

    /// Seals the store as a whole, if everything in it is signed.
    async fn seal_whole(&self) -> Result<(), ResealError> {
        let change = self.change(|view, draft| {
            let signed = view.stored.unsigned().is_empty();
            if signed && !view.stored.has_seal {
                draft.seal();
            }
            Ok(signed)
        });
        if change.await? {
            return Ok(());
        }
        let words = "somebody wrote to the store meanwhile: try again, when every gateway is of this version";
        Err(ResealError::Store(words.to_owned()))
    }
}

impl Resealed {
    fn has_failed(&self, name: &Name) -> bool {
        let told = told(name);
        self.failed.iter().any(|(one, _)| *one == told)
    }
}

fn told((kind, id): &Name) -> String {
    match kind == ProviderKey::KIND {
        true => id.clone(),
        false => format!("{kind}/{id}"),
    }
}

/// What is to be sealed, and how.
struct Work<'a> {
    keyring: &'a Keyring,
    catalog: &'a Catalog,
    whole: bool,
}

impl Work<'_> {
    fn signs(&self, view: View<'_>) -> bool {
        self.whole || view.stored.sealed
    }

    /// What is not under the current key, or not bound as it is to be.
    fn all(&self, view: View<'_>) -> BTreeSet<Name> {
        let keys = view.stored.provider_keys.iter();
        let old = keys.filter(|(_, key)| !self.is_current(view, key));
        let old = old.map(|(id, _)| (ProviderKey::KIND.to_owned(), id.to_string()));
        let unsigned = view.stored.unsigned().iter();
        let unsigned = unsigned.filter(|_| self.signs(view)).cloned();
        old.chain(unsigned).collect()
    }

    fn is_current(&self, view: View<'_>, key: &ProviderKey) -> bool {
        let bound = self.signs(view);
        key.sealed
            .as_ref()
            .is_none_or(|sealed| self.keyring.is_current(sealed) && (sealed.is_bound() || !bound))
    }

    /// Seals one document anew; says why it stays as it is.
    fn seal(
        &self,
        actor: &Actor,
        view: View<'_>,
        draft: &mut Draft,
        name: &Name,
    ) -> Result<Result<(), String>, SealError> {
        let (kind, id) = name;
        draft.signed |= self.signs(view);
        if kind == SEAL {
            draft.seal();
            return Ok(Ok(()));
        }
        let keys = &view.stored.provider_keys;
        let key = keys.get(id).filter(|_| kind == ProviderKey::KIND);
        let Some(key) = key.filter(|key| !self.is_current(view, key)) else {
            return Ok(match view.stored.body(kind, id) {
                Some(body) => {
                    draft.rewrite(kind, id, body);
                    Ok(())
                }
                // It would be asked for again and again.
                None if view.stored.unsigned().contains(name) => Err(UNREADABLE.to_owned()),
                // Another change has deleted it meanwhile.
                None => Ok(()),
            });
        };
        let Some(sealed) = &key.sealed else {
            return Ok(Ok(()));
        };
        let bound = sealed.is_bound() || view.stored.sealed;
        let secret = match purpose(self.catalog, id, key, bound) {
            Some(purpose) => self.keyring.open(sealed, &purpose),
            None => return Ok(Err(unknown(key))),
        };
        let secret = match secret {
            Ok(secret) => secret,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let of = (self.keyring, self.catalog);
        let Some(value) = seal_value(of, (id, key), &secret, self.signs(view))? else {
            return Ok(Err(unknown(key)));
        };
        let mut new = (**key).clone();
        new.sealed = Some(value);
        draft.update(actor, Action::Reseal, id, &**key, &new);
        Ok(Ok(()))
    }
}

fn unknown(key: &ProviderKey) -> String {
    format!(
        "there is no provider `{}`: declare it, or delete the key",
        key.provider
    )
}
