//! The master keys: from the YAML, or else from the environment.

use super::Checker;
use crate::secrets::{Keyring, MasterKey};
use crate::yaml::place::Place;
use crate::yaml::types;

const CURRENT: &str = "TOLLGATE_MASTER_KEY";
const PREVIOUS: &str = "TOLLGATE_MASTER_KEY_PREVIOUS";

impl Checker<'_> {
    pub(super) fn secrets(&mut self, secrets: &types::Secrets) -> Keyring {
        let top = Place::top("secrets");
        let place = top.key("master_key");
        let before = self.faults.len();
        let written = secrets.master_key.as_ref().map(|key| key.expose());
        let current = match written.filter(|key| !key.is_empty()) {
            Some(key) => self.master_key(&place, "", key),
            None => {
                let key = self.variable(CURRENT);
                let of = format!("the environment variable {CURRENT}: ");
                key.and_then(|key| self.master_key(&place, &of, &key))
            }
        };
        let place = top.key("previous_keys");
        let previous: Vec<MasterKey> = match &secrets.previous_keys {
            Some(keys) => {
                // An optional one that is absent is empty.
                let keys = keys.iter().enumerate();
                keys.filter(|(_, key)| !key.expose().is_empty())
                    .filter_map(|(i, key)| self.master_key(&place.index(i), "", key.expose()))
                    .collect()
            }
            None => self.previous_from_environment(&place),
        };
        if current.is_none() && !previous.is_empty() && self.faults.len() == before {
            let hint = Some(format!("set `secrets.master_key`, or {CURRENT}"));
            let message = "previous keys only open: without a master key nothing can be sealed";
            self.warn(&place, message, hint);
        }
        Keyring::new(current, previous)
    }

    fn previous_from_environment(&mut self, place: &Place) -> Vec<MasterKey> {
        let list = self.variable(PREVIOUS).unwrap_or_default();
        let keys = list.split(',').enumerate();
        // A comma at the end is no key.
        keys.filter(|(_, key)| !key.trim().is_empty())
            .filter_map(|(i, key)| {
                let of = format!("the environment variable {PREVIOUS}, key {}: ", i + 1);
                self.master_key(place, &of, key)
            })
            .collect()
    }

    /// `None` if it was a fault; `of` says where a key that is not written here came from.
    fn master_key(&mut self, place: &Place, of: &str, text: &str) -> Option<MasterKey> {
        MasterKey::parse(text)
            .map_err(|error| {
                let hint = Some("make one with `tollgate secrets generate`".to_owned());
                self.fault(place, format!("{of}{error}"), hint);
            })
            .ok()
    }
}
