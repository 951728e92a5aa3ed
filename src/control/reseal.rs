//! A new master key: everything that is sealed under another one is sealed again.

use super::audit::{Action, Actor};
use super::replica::{ChangeError, Control, context};
use super::resource::ProviderKey;
use super::view::View;
use tollgate_config::secrets::{OpenError, SealError};

/// How many are sealed with one commit: other changes wait no longer than that takes.
const AT_ONCE: usize = 50;

/// What became of everything that is sealed.
#[derive(Debug, Default)]
pub struct Resealed {
    /// How many are sealed under the current key now, and were not before.
    pub done: usize,
    /// How many were already.
    pub current: usize,
    /// What cannot be opened: ids, and why.
    pub failed: Vec<(String, OpenError)>,
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

impl Control {
    /// Seals all provider keys under the current master key, as `actor`; `progress` hears how many of how many are
    /// done. It may be broken off and begun again at any time: a key is always sealed under one master key or the
    /// other.
    ///
    /// # Errors
    /// When there is no master key, or the store cannot be read or written.
    pub async fn reseal(
        &self,
        actor: &Actor,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Resealed, ResealError> {
        let store = |error: &dyn std::fmt::Display| ResealError::Store(error.to_string());
        self.catch_up().await.map_err(|error| store(&error))?;
        let keyring = self.config().secrets.clone();
        let mut resealed = Resealed::default();
        let old: Vec<String> = self.look(|view| {
            let mut old = Vec::new();
            for found in view.all::<ProviderKey>() {
                match &found.resource.sealed {
                    Some(sealed) if keyring.is_current(sealed) => resealed.current += 1,
                    Some(_) => old.push(found.id.to_string()),
                    None => {}
                }
            }
            old
        });
        for some in old.chunks(AT_ONCE) {
            let change = self.change(|view, draft| {
                let mut failed = Vec::new();
                for id in some {
                    let Some(key) = stored(view, id) else {
                        continue;
                    };
                    let Some(sealed) = key.sealed.as_ref().filter(|one| !keyring.is_current(one))
                    else {
                        continue;
                    };
                    match keyring.open(sealed, &context(id)) {
                        Ok(secret) => {
                            let mut new = (*key).clone();
                            new.sealed = Some(keyring.seal(&secret, &context(id))?);
                            draft.update(actor, Action::Reseal, id, &*key, &new);
                        }
                        Err(error) => failed.push((id.clone(), error)),
                    }
                }
                Ok(failed)
            });
            let failed = match change.await {
                Ok(failed) => failed,
                Err(ChangeError::Decided(error)) => return Err(ResealError::Seal(error)),
                Err(ChangeError::Store(error)) => return Err(store(&error)),
                Err(ChangeError::NoStore) => return Err(store(&"there is no store")),
                Err(ChangeError::Unreadable(kind)) => {
                    return Err(store(&format!("a stored {kind} cannot be read")));
                }
                Err(ChangeError::Contended) => {
                    return Err(store(&"other changes came first each time: try again"));
                }
            };
            resealed.done += some.len() - failed.len();
            resealed.failed.extend(failed);
            progress(resealed.done + resealed.failed.len(), old.len());
        }
        Ok(resealed)
    }
}

fn stored(view: View<'_>, id: &str) -> Option<std::sync::Arc<ProviderKey>> {
    view.get::<ProviderKey>(id).map(|found| found.resource)
}
