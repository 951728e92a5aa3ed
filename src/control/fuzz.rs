//! What must hold for whatever a store holds. `tests/fuzz` runs it on what it invents, the tests here on what was worth
//! keeping of that.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

use super::declared::declared;
use super::merge::{Base, snapshot};
use super::resource::{
    AccessKey, Account, ApiKey, Configuration, CoolDownCleared, Provider, ProviderKey, Settings,
    SharedBudget,
};
use super::seals::{SEAL, purpose, sign};
use super::tables::Resources;
pub use crate::store::fuzz::answer;
use crate::store::{Contents, Record};
use tollgate_base::Secret;
use tollgate_config::Config;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::Keyring;

/// A configuration with a master key, and what it declares.
static BASE: LazyLock<(Arc<Config>, Resources)> = LazyLock::new(|| {
    let yaml = "accounts: [{ id: acme }]\n\
        providers: [{ id: p, base_url: 'https://p.test', keys: [{ id: k, value: x }] }]";
    let master = |name: &str| (name == "TOLLGATE_MASTER_KEY").then(|| "6d".repeat(32));
    let config = tollgate_config::parse(yaml, &master);
    let config = Arc::new(config.unwrap_or_else(|faults| panic!("{faults:?}")));
    let declared = declared(&config, 0);
    (config, declared)
});

/// Most documents of an input.
const MOST: usize = 32;

/// Lines `kind id document`; those of documents that the gateway itself has written begin with `+`. Whatever they say,
/// they are served or refused one by one; in a sealed store nothing counts that was not written with the master key. What
/// is read is written again so that it reads the same.
pub fn documents(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (config, _) = &*BASE;
    let mut records = Vec::new();
    let mut signed = Vec::new();
    for (line, revision) in text.lines().take(MOST).zip(1..) {
        let (own, line) = match line.strip_prefix('+') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let mut words = line.splitn(3, ' ');
        let (Some(kind), Some(id), Some(body)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let body = match own {
            true => {
                sign(&config.secrets, (kind, id, revision), body).expect("there is a master key")
            }
            false => body.to_owned(),
        };
        signed.push(own);
        records.push(Record {
            kind: kind.to_owned(),
            id: id.to_owned(),
            revision,
            body: Some(body),
        });
    }
    let mut contents = Contents {
        revision: MOST as u64 + 1,
        records,
    };
    let open = Resources::of(&contents, &Keyring::default(), &Resources::default());
    served(&open);
    written::<Account>(&open);
    written::<AccessKey>(&open);
    written::<Configuration>(&open);
    written::<SharedBudget>(&open);
    written::<Provider>(&open);
    written::<ProviderKey>(&open);
    written::<ApiKey>(&open);
    written::<Settings>(&open);
    written::<CoolDownCleared>(&open);
    contents.records.push(Record {
        kind: SEAL.to_owned(),
        id: "store".to_owned(),
        revision: contents.revision,
        body: Some("{}".to_owned()),
    });
    let sealed = Resources::of(&contents, &config.secrets, &Resources::default());
    served(&sealed);
    for (at, record) in contents.records[..signed.len()].iter().enumerate() {
        // Of two with one name the later one counts.
        let same = |other: &Record| (&other.kind, &other.id) == (&record.kind, &record.id);
        let last = contents.records.iter().rposition(same) == Some(at);
        if last && !signed[at] {
            let found = sealed.body(&record.kind, &record.id);
            assert_eq!(found, None, "nothing counts that has no good check");
        }
    }
}

/// A snapshot is built of it.
fn served(stored: &Resources) {
    let (config, declared) = &*BASE;
    let open = |catalog: &Catalog, id: &str, key: &ProviderKey| -> Option<Secret> {
        let sealed = key.sealed.as_ref()?;
        let purpose = purpose(catalog, id, key, stored.sealed || sealed.is_bound())?;
        config.secrets.open(sealed, &purpose).ok()
    };
    let base = Base {
        config,
        declared,
        stored,
        complete: true,
        open: &open,
        laid: &Mutex::default(),
    };
    drop(snapshot(&base, 1, None));
}

/// What is read is written again so that it reads the same, and the audit log keeps neither digests nor sealed values.
fn written<T: super::Tabled>(state: &Resources) {
    for (id, document) in T::table(state).iter() {
        let once = serde_json::to_string(&**document).expect("a document is JSON");
        let read: T = serde_json::from_str(&once)
            .unwrap_or_else(|error| panic!("{} {id} is written as {once}: {error}", T::KIND));
        let again = serde_json::to_string(&read).expect("a document is JSON");
        assert_eq!(once, again, "{} {id}", T::KIND);
        assert_eq!(read.newer(), document.newer());
        let audited = document.audited();
        assert!(audited.get("sha256").or(audited.get("sealed")).is_none());
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kept_input_passes() {
        replay::replay("documents", documents);
        replay::replay("redis", |bytes| {
            if let Ok(value) = redis::parse_redis_value(bytes) {
                answer(&value);
            }
        });
    }
}
