//! What a change's records mean to this replica.

use super::resource::{
    AccessKey, Account, Configuration, CoolDownCleared, Document as _, Provider, ProviderKey,
    Settings,
};
use super::tables::Resources;
use crate::store::{Commit, Contents, Record, Write};

/// What this replica's own commit changed.
pub(super) fn contents(commit: &Commit, revision: u64) -> Contents {
    let record = |write: &Write| Record {
        kind: write.kind.clone(),
        id: write.id.clone(),
        revision,
        body: write.body.clone(),
    };
    Contents {
        revision,
        records: commit.writes.iter().map(record).collect(),
    }
}

/// The access keys among these, if a snapshot is made of nothing else that is among them.
pub(super) fn only_access_keys(records: &[Record]) -> Option<Vec<&str>> {
    let mut ids = Vec::new();
    for record in records {
        match &*record.kind {
            AccessKey::KIND => ids.push(&*record.id),
            Account::KIND
            | Configuration::KIND
            | Provider::KIND
            | ProviderKey::KIND
            | Settings::KIND => {
                return None;
            }
            _ => {}
        }
    }
    Some(ids)
}

/// The provider key that a change wakes: because it says so, or because its value is another one now.
pub(super) fn rests_no_more(known: &Resources, record: &Record) -> Option<String> {
    let body = record.body.as_deref()?;
    match &*record.kind {
        CoolDownCleared::KIND => Some(record.id.clone()),
        ProviderKey::KIND => {
            let old = known.provider_keys.get(&record.id)?;
            let new: ProviderKey = serde_json::from_str(body).ok()?;
            (new.sealed != old.sealed).then(|| record.id.clone())
        }
        _ => None,
    }
}
