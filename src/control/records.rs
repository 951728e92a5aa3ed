//! What a change's records mean to this replica.

use super::resource::{
    AccessKey, Account, Configuration, CoolDownCleared, Document as _, Provider, ProviderKey,
    Settings, SharedBudget,
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
            | SharedBudget::KIND
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

/// The provider keys that rest no more where everything was read anew; none where nothing was known before.
pub(super) fn rest_no_more(old: &Resources, new: &Resources) -> Vec<String> {
    if old.revision == 0 {
        return Vec::new();
    }
    let keys = new.provider_keys.iter().filter(|(id, key)| {
        let old = old.provider_keys.get(id);
        old.is_some_and(|old| old.sealed != key.sealed)
    });
    let cleared = new.cleared.iter();
    let cleared = cleared.filter(|(id, now)| old.cleared.get(id) != Some(*now));
    let ids = keys.map(|(id, _)| id).chain(cleared.map(|(id, _)| id));
    ids.map(|id| id.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Meta;
    use tollgate_base::Secret;
    use tollgate_config::secrets::{Keyring, MasterKey};

    fn record(kind: &str, id: &str, document: &impl serde::Serialize) -> Record {
        Record {
            kind: kind.to_owned(),
            id: id.to_owned(),
            revision: 1,
            body: serde_json::to_string(document).ok(),
        }
    }

    #[test]
    fn what_is_read_anew_wakes_what_changed() {
        let master = MasterKey::parse(&"a".repeat(64)).unwrap();
        let keyring = Keyring::new(Some(master), Vec::new());
        let key = |id: &str| {
            let key = ProviderKey {
                sealed: Some(keyring.seal(&Secret::new("sk"), id).unwrap()),
                ..ProviderKey::default()
            };
            record(ProviderKey::KIND, id, &key)
        };
        let cleared = |id: &str, name: &str| {
            let meta = Meta {
                name: Some(name.to_owned()),
                ..Meta::default()
            };
            record(CoolDownCleared::KIND, id, &CoolDownCleared { meta })
        };
        let read = |records: Vec<Record>| {
            let revision = 1;
            let all = Contents { revision, records };
            Resources::of(&all, &Keyring::default(), &Resources::default())
        };
        let (same, cleared_once) = (key("pk_1"), cleared("pk_5", "once"));
        let old = vec![
            same.clone(),
            key("pk_2"),
            cleared_once.clone(),
            cleared("pk_3", "once"),
        ];
        let new = vec![
            same,
            key("pk_2"),
            key("pk_4"),
            cleared_once,
            cleared("pk_3", "again"),
        ];
        let (old, new) = (read(old), read(new));
        assert_eq!(rest_no_more(&old, &new), ["pk_2", "pk_3"]);
        assert!(
            rest_no_more(&Resources::default(), &new).is_empty(),
            "all is new at the start"
        );
    }
}
