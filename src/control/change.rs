//! Changing resources: decided on everything there is, committed if that is still so, and decided anew if not.

use super::records::contents;
use super::replica::Control;
use super::seals;
use super::view::{Draft, View};
use crate::store::{Commit, Committed, Store, Write};
use tollgate_base::random;
use tollgate_config::secrets::{Keyring, SealError};
use tollgate_store::StoreError;

/// How often a change is decided anew because another one came first.
const ROUNDS: usize = 64;

/// Why nothing was changed.
#[derive(Debug)]
pub enum ChangeError<E> {
    /// The decision was against it.
    Decided(E),
    /// The store does not answer: it may have been changed all the same.
    Store(StoreError),
    /// There is no store.
    NoStore,
    /// Other changes came first each time.
    Contended,
    /// The store is sealed, and there is no master key to sign the change with.
    Unsigned(SealError),
    /// It would write over a stored document that this gateway cannot read: its kind.
    Unreadable(String),
}

impl<E> From<StoreError> for ChangeError<E> {
    fn from(error: StoreError) -> Self {
        ChangeError::Store(error)
    }
}

impl Control {
    /// Changes resources as `decide` says, which is asked again whenever another change came first.
    ///
    /// # Errors
    /// When the decision is against it, or the store does not answer in time.
    pub async fn change<R, E>(
        &self,
        decide: impl Fn(View<'_>, &mut Draft) -> Result<R, E>,
    ) -> Result<R, ChangeError<E>> {
        let Some(store) = &self.store else {
            return Err(ChangeError::NoStore);
        };
        // Whoever has waited for a change that the store did not answer would only wait as long again.
        let leader = self.writing.wait().await?;
        let changed = self.try_change(&**store, decide).await;
        if let Err(ChangeError::Store(error @ StoreError::Away(_))) = &changed {
            leader.share(error.clone());
        }
        changed
    }

    async fn try_change<R, E>(
        &self,
        store: &dyn Store,
        decide: impl Fn(View<'_>, &mut Draft) -> Result<R, E>,
    ) -> Result<R, ChangeError<E>> {
        for _ in 0..ROUNDS {
            self.catch_up().await?;
            let mut draft = Draft::new();
            let (answer, expected, signs, keyring) = {
                let known = self.known.read();
                let view = View {
                    declared: &known.declared,
                    stored: &known.stored,
                };
                let answer = decide(view, &mut draft).map_err(ChangeError::Decided)?;
                let mut writes = draft.commit.writes.iter();
                if let Some(write) =
                    writes.find(|write| known.stored.is_unreadable(&write.kind, &write.id))
                {
                    return Err(ChangeError::Unreadable(write.kind.clone()));
                }
                let (keyring, stored) = (known.config.secrets.clone(), &known.stored);
                let signs = stored.signs(&keyring);
                if signs && !stored.has_seal && !draft.is_empty() && !draft.signed {
                    draft.seal();
                }
                (answer, stored.revision, signs || draft.signed, keyring)
            };
            if draft.is_empty() {
                return Ok(answer);
            }
            let mut commit = draft.commit;
            commit.id = random::bits64();
            if signs {
                let signed = sign(&mut commit, expected + 1, &keyring);
                signed.map_err(ChangeError::Unsigned)?;
            }
            match self.commit(store, expected, &commit).await? {
                Committed::At(revision) => {
                    self.take(expected, &contents(&commit, revision));
                    return Ok(answer);
                }
                Committed::Behind(_) => {}
            }
        }
        Err(ChangeError::Contended)
    }

    /// Once more if the answer was lost: a repetition is recognized.
    async fn commit(
        &self,
        store: &dyn Store,
        expected: u64,
        commit: &Commit,
    ) -> Result<Committed, StoreError> {
        match store.commit(expected, commit).await {
            Err(StoreError::Away(_)) => store.commit(expected, commit).await,
            answer => answer,
        }
    }
}

/// Signs what a commit writes.
fn sign(commit: &mut Commit, revision: u64, keyring: &Keyring) -> Result<(), SealError> {
    for Write { kind, id, body } in &mut commit.writes {
        let Some(content) = body else { continue };
        *content = seals::sign(keyring, (kind, id, revision), content)?;
    }
    Ok(())
}
