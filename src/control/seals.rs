//! What shows that a document was written by one who has the master key: its last member, `mac`.
//!
//! The check covers the document and what it is stored as: kind, id, and the revision that wrote it, so that no
//! document passes for another one, and none that is older than what is known for a new one. It is made as provider keys
//! are sealed, of an empty secret.
//!
//! A store is *open* until it is sealed as a whole: gateways before 0.2.0 may write to it, whose documents have no
//! check. One that begins empty is sealed with its first commit, another one by `tollgate secrets seal`, and both for
//! good: the document `seal` says so to others, and each gateway remembers it. Without a master key nothing is checked.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::resource::{Document as _, ProviderKey};
use crate::store::{Record, Write};
use tollgate_base::Secret;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::{Keyring, OpenError, SealError, Sealed, token};

/// The kind of the document whose presence says that the store is sealed.
pub(super) const SEAL: &str = "seal";

/// What stands in front of the check, which ends the document.
const MEMBER: &str = ",\"mac\":\"";

/// Why a document counts for nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Forged {
    /// It has no check.
    #[error("was written without the master key, after the store was sealed")]
    Unsigned,
    /// Its check is another one's.
    #[error("was changed by one without the master key ({0})")]
    Bad(OpenError),
    /// It was written before what is known, and put back.
    #[error("is an older one that was put back")]
    Older,
}

/// A stored document as it was written.
pub(super) struct Opened<'a> {
    /// Without its check.
    pub content: Cow<'a, str>,
    /// Whether the current master key made the check.
    pub current: bool,
}

/// Takes what a store holds.
pub(super) struct Guard<'a> {
    pub keyring: &'a Keyring,
    /// Whether what has no check is refused.
    pub sealed: bool,
    /// Changes are newer than this; `None` of everything that there is.
    pub after: Option<u64>,
}

impl Guard<'_> {
    /// The record's document; `None` if it was deleted.
    pub(super) fn open<'a>(&self, record: &'a Record) -> Result<Option<Opened<'a>>, Forged> {
        let Some(body) = &record.body else {
            return Ok(None);
        };
        let (content, mac) = split(body);
        let opened = |current| {
            let content = content.clone();
            Ok(Some(Opened { content, current }))
        };
        if self.keyring.is_empty() {
            return opened(true);
        }
        let checked = mac.map(|mac| {
            let of = subject(&record.kind, &record.id, record.revision, &content);
            let current = self.keyring.is_current(&mac);
            self.keyring.open(&mac, &of).map(|_| current)
        });
        match checked {
            _ if self.sealed && self.after.is_some_and(|after| record.revision <= after) => {
                Err(Forged::Older)
            }
            Some(Ok(current)) => opened(current),
            _ if !self.sealed => opened(false),
            Some(Err(error)) => Err(Forged::Bad(error)),
            None => Err(Forged::Unsigned),
        }
    }
}

/// Returns a document with its check, as it is stored by the commit that makes `revision`.
///
/// # Errors
/// When there is no master key.
pub fn sign(
    keyring: &Keyring,
    (kind, id, revision): (&str, &str, u64),
    content: &str,
) -> Result<String, SealError> {
    let of = subject(kind, id, revision, content);
    let mac = keyring.seal_bound(&Secret::new(""), &of)?;
    // Every document is an object with members.
    let open = content.strip_suffix('}').unwrap_or(content);
    Ok(format!("{open}{MEMBER}{}\"}}", mac.as_str()))
}

/// Returns a stored document without its check.
pub fn content(body: &str) -> Cow<'_, str> {
    split(body).0
}

/// The seal of the store as a whole.
pub(super) fn whole() -> Write {
    Write {
        kind: SEAL.to_owned(),
        id: "store".to_owned(),
        body: Some("{\"sealed\":true}".to_owned()),
    }
}

fn split(body: &str) -> (Cow<'_, str>, Option<Sealed>) {
    let parts = body.rsplit_once(MEMBER).and_then(|(content, mac)| {
        let mac: Sealed = mac.strip_suffix("\"}")?.parse().ok()?;
        Some((format!("{content}}}"), mac))
    });
    match parts {
        Some((content, mac)) => (content.into(), Some(mac)),
        None => (body.into(), None),
    }
}

fn subject(kind: &str, id: &str, revision: u64, content: &str) -> String {
    let digest = token::to_hex(&Sha256::digest(content).into());
    format!("document/{kind}/{id}/{revision}/{digest}")
}

/// What a provider key's value is sealed for: in a sealed store also for its account, its provider and the provider's
/// host. `None` while the provider is not known.
pub(super) fn purpose(
    catalog: &Catalog,
    id: &str,
    key: &ProviderKey,
    bound: bool,
) -> Option<String> {
    if !bound {
        return Some(format!("{}/{id}", ProviderKey::KIND));
    }
    let host = &catalog.provider(&key.provider)?.base_url.host;
    let parts = [id, &key.meta.account, &key.provider, host];
    Some(format!(
        "{}/{}",
        ProviderKey::KIND,
        serde_json::json!(parts)
    ))
}

/// Seals a provider key's value for where it is sent; `None` while its provider is not known.
///
/// # Errors
/// When there is no master key.
pub(super) fn seal_value(
    (keyring, catalog): (&Keyring, &Catalog),
    (id, key): (&str, &ProviderKey),
    secret: &Secret,
    bound: bool,
) -> Result<Option<Sealed>, SealError> {
    let Some(purpose) = purpose(catalog, id, key, bound) else {
        return Ok(None);
    };
    let sealed = match bound {
        true => keyring.seal_bound(secret, &purpose),
        false => keyring.seal(secret, &purpose),
    };
    sealed.map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use tollgate_config::secrets::MasterKey;

    fn ring(digit: &str) -> Keyring {
        Keyring::new(
            Some(MasterKey::parse(&digit.repeat(64)).unwrap()),
            Vec::new(),
        )
    }

    fn record(kind: &str, id: &str, revision: u64, body: String) -> Record {
        Record {
            kind: kind.to_owned(),
            id: id.to_owned(),
            revision,
            body: Some(body),
        }
    }

    fn taken(keyring: &Keyring, sealed: bool, record: &Record) -> Result<String, String> {
        let after = None;
        let guard = Guard {
            keyring,
            sealed,
            after,
        };
        let opened = guard.open(record).map_err(|forged| forged.to_string())?;
        Ok(opened.unwrap().content.into_owned())
    }

    #[test]
    fn a_document_passes_as_what_it_is_and_as_nothing_else() {
        let (ours, body) = (ring("a"), r#"{"account":"a","mac":"v2.00000000.x","z":1}"#);
        let signed = sign(&ours, ("provider", "p", 7), body).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&signed).is_ok());
        assert_eq!(content(&signed), body);
        let good = record("provider", "p", 7, signed.clone());
        assert_eq!(taken(&ours, true, &good), Ok(body.to_owned()));
        let bare = record("provider", "p", 7, body.to_owned());
        for (forged, why) in [
            (record("access-key", "p", 7, signed.clone()), "changed"),
            (record("provider", "q", 7, signed.clone()), "changed"),
            (record("provider", "p", 8, signed.clone()), "changed"),
            (
                record("provider", "p", 7, signed.replacen("\"a\"", "\"b\"", 1)),
                "changed",
            ),
            (bare.clone(), "without the master key"),
            (
                record("provider", "p", 7, signed.replace("\"}", "\" }")),
                "without the master key",
            ),
        ] {
            let said = taken(&ours, true, &forged).unwrap_err();
            assert!(said.contains(why), "{said}");
            assert!(
                taken(&ours, false, &forged).is_ok(),
                "an open store takes it"
            );
        }
        let other = sign(&ring("b"), ("provider", "p", 7), body).unwrap();
        let said = taken(&ours, true, &record("provider", "p", 7, other)).unwrap_err();
        assert!(said.contains("is not configured"), "{said}");
        for body in [&good, &bare] {
            assert!(
                taken(&Keyring::default(), true, body).is_ok(),
                "no master key, no check"
            );
        }
        let late = Guard {
            keyring: &ours,
            sealed: true,
            after: Some(7),
        };
        let Err(forged) = late.open(&good) else {
            panic!("what was known cannot change again");
        };
        assert!(forged.to_string().contains("put back"));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_as_it_was(text in "\\PC{0,40}", revision: u64) {
            let body = serde_json::json!({"a": text, "mac": text}).to_string();
            let signed = sign(&ring("a"), ("k", "i", revision), &body).unwrap();
            prop_assert_eq!(content(&signed), body.as_str());
            let read = taken(&ring("a"), true, &record("k", "i", revision, signed));
            prop_assert_eq!(read, Ok(body));
        }

        #[test]
        fn no_stored_text_makes_reading_panic(text in "\\PC{0,40}(,\"mac\":\"v2.0000000a.[A-Za-z]{0,60}\"}){0,2}") {
            drop(taken(&ring("a"), true, &record("k", "i", 1, text)));
        }
    }
}
