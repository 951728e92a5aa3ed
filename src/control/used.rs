//! When credentials were last used: noted in memory, written to the store now and then.

use std::time::Duration;

use super::replica::Control;
use super::resource::{AccessKey, ApiKey, Document as _, ProviderKey};
use tollgate_base::clock;
use tollgate_store::StoreError;

/// How often the store is updated.
const TELL: Duration = Duration::from_secs(10);

/// What a credential is called in the notes.
fn name(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

impl Control {
    /// An API key was used just now.
    pub(crate) fn mark_api_key(&self, id: &str) {
        let mut marks = self.marks.lock();
        marks.api_keys.insert(id.to_owned(), clock::wall_ms());
    }

    /// Returns when credentials of a kind were last used (Unix time, ms), as far as anybody knows.
    pub async fn last_used(&self, kind: &str, ids: &[&str]) -> Vec<Option<u64>> {
        let names: Vec<String> = ids.iter().map(|id| name(kind, id)).collect();
        let told = match self.store() {
            Some(store) => store.last_used(&names).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let served = self.served();
        let snapshot = served.load();
        let own = |id: &str| match kind {
            AccessKey::KIND => snapshot.access_key(id)?.used.last(),
            ProviderKey::KIND => snapshot.provider_key(id)?.used.last(),
            _ => self.marks.lock().api_keys.get(id).copied(),
        };
        let latest = |(place, id): (usize, &&str)| {
            let told = told.get(place).copied().flatten();
            told.max(own(id))
        };
        ids.iter().enumerate().map(latest).collect()
    }

    /// What was used at `since` (Unix time, ms) or later.
    fn notes(&self, since: u64) -> Vec<(String, u64)> {
        let served = self.served();
        let snapshot = served.load();
        let access = snapshot.access_keys();
        let access = access.map(|key| (AccessKey::KIND, &key.id, &key.used));
        let provider = snapshot.all_provider_keys();
        let provider = provider.map(|key| (ProviderKey::KIND, &key.id, &key.used));
        let keys = access.chain(provider).filter_map(|(kind, id, used)| {
            let last = used.last().filter(|last| *last >= since)?;
            Some((name(kind, id), last))
        });
        let marks = self.marks.lock();
        let own = marks.api_keys.iter().filter(|(_, last)| **last >= since);
        keys.chain(own.map(|(id, last)| (name(ApiKey::KIND, id), *last)))
            .collect()
    }

    /// Writes to the store what was used since the last time.
    ///
    /// # Errors
    /// When the store does not answer; it is written the next time.
    pub(crate) async fn tell_used(&self) -> Result<(), StoreError> {
        let Some(store) = self.store() else {
            return Ok(());
        };
        let now = clock::wall_ms();
        let since = self.marks.lock().told;
        let marks = self.notes(since);
        if !marks.is_empty() {
            store.mark_used(&marks).await?;
        }
        self.marks.lock().told = now;
        Ok(())
    }

    /// Tells the store now and then; does not end.
    pub async fn keep_told(&self) {
        loop {
            tokio::time::sleep(TELL).await;
            if let Err(error) = self.tell_used().await {
                log::debug!("when keys were used is told later: {error}");
            }
        }
    }
}
