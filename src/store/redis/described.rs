//! What a server says of itself, for people: which version it is, whether it persists what it is sent.

use std::collections::BTreeMap;

use super::client::Redis;
use super::read;
use crate::StoreError;

impl Redis {
    /// Returns what the server reports of itself (`INFO`), by the names that it uses; of a Cluster, one of its nodes.
    ///
    /// # Errors
    /// [`StoreError::Away`] if it does not answer, [`StoreError::Refused`] if the user may not ask.
    pub async fn described(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let key = self.keys.shared("clock");
        let answer = self
            .send(&key, &redis::cmd("INFO"), self.deadline())
            .await?;
        let text: String = read(answer)?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect())
    }

    /// Returns one of the server's settings (`CONFIG GET`); `None` if it has none of that name.
    ///
    /// # Errors
    /// As [`Redis::described`]: many servers show their settings to nobody.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let key = self.keys.shared("clock");
        let question = redis::cmd("CONFIG").arg("GET").arg(name).clone();
        let answer = self.send(&key, &question, self.deadline()).await?;
        let mut settings: BTreeMap<String, String> = read(answer)?;
        Ok(settings.remove(name))
    }
}
