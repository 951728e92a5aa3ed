//! The accounts of a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use super::AccountSettings;
use crate::yaml::Config;

/// Equal account ids share one allocation, and one account's keys share its settings.
#[derive(Debug)]
pub(super) struct Accounts {
    common: Arc<AccountSettings>,
    /// All that have settings of their own, and more.
    known: HashMap<Arc<str>, Arc<AccountSettings>>,
}

impl Accounts {
    pub(super) fn new(config: &Config, own: Vec<(&str, AccountSettings)>) -> Accounts {
        let own = own.into_iter();
        Accounts {
            common: Arc::new(AccountSettings::common(config)),
            known: own
                .map(|(id, settings)| (id.into(), Arc::new(settings)))
                .collect(),
        }
    }

    /// Returns an account's id and settings.
    pub(super) fn look(&self, id: &str) -> (Arc<str>, Arc<AccountSettings>) {
        match self.known.get_key_value(id) {
            Some((id, settings)) => (id.clone(), settings.clone()),
            None => (id.into(), self.common.clone()),
        }
    }

    /// Returns the same, and keeps the id for whoever asks next.
    pub(super) fn get(&mut self, id: &str) -> (Arc<str>, Arc<AccountSettings>) {
        let (id, settings) = self.look(id);
        if !self.known.contains_key(&id) {
            self.known.insert(id.clone(), settings.clone());
        }
        (id, settings)
    }
}
