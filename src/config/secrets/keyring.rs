//! The master keys of a gateway: one that seals, and earlier ones that still open what they sealed.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Its nonces of 192 bits are drawn at random for each secret:
//! any number of gateways may seal under one key without ever asking each other for the next nonce. Form, key id
//! and context are the associated data: what is moved to another resource, or has another header, does not open.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroize;

use super::master_key::MasterKey;
use super::sealed::{BOUND, NAMED, Sealed};
use tollgate_base::Secret;

const NONCE_LENGTH: usize = 24;

/// One current master key at most, and any number of previous ones. Clones share the keys.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Arc<Keys>,
}

#[derive(Default)]
struct Keys {
    current: Option<MasterKey>,
    previous: Vec<MasterKey>,
}

/// Why a secret could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The keyring has no current key.
    #[error(
        "no master key is configured: set TOLLGATE_MASTER_KEY (make one with `tollgate secrets generate`)"
    )]
    NoMasterKey,
    /// The system has no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
    /// The cipher refused: the secret has more than 256 GiB.
    #[error("the secret is too long to be sealed")]
    TooLong,
}

/// Why a sealed secret could not be opened. Names its context, which is not secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No master key is configured at all.
    #[error(
        "`{context}` is sealed with master key `{key_id}`, and no master key is configured: set TOLLGATE_MASTER_KEY to that key"
    )]
    NoMasterKey {
        /// What was to be opened.
        context: String,
        /// The id of the key that sealed it.
        key_id: String,
    },
    /// The key that sealed it is not among those that are configured.
    #[error(
        "`{context}` is sealed with master key `{key_id}`, which is not configured (there are: {known}): add that key to TOLLGATE_MASTER_KEY_PREVIOUS or `secrets.previous_keys`"
    )]
    UnknownKey {
        /// What was to be opened.
        context: String,
        /// The id of the key that sealed it.
        key_id: String,
        /// The ids that are known, the current one first.
        known: String,
    },
    /// It was sealed by a newer version.
    #[error(
        "`{context}` is sealed in the form `{form}`, which this version of Tollgate does not know: upgrade it"
    )]
    UnknownForm {
        /// What was to be opened.
        context: String,
        /// Its form.
        form: String,
    },
    /// It was changed since it was sealed, or sealed for another context.
    #[error(
        "what is stored for `{context}` does not open with master key `{key_id}`: it was damaged, or sealed for something else; set the secret again"
    )]
    Damaged {
        /// What was to be opened.
        context: String,
        /// The id of the key that it says it was sealed with.
        key_id: String,
    },
}

impl Keyring {
    /// Returns a keyring that seals with `current` and opens with all. A key that is given twice counts once.
    pub fn new(current: Option<MasterKey>, mut previous: Vec<MasterKey>) -> Keyring {
        let mut seen: Vec<String> = current.iter().map(|key| key.id().to_owned()).collect();
        previous.retain(|key| {
            let new = !seen.iter().any(|id| id == key.id());
            seen.push(key.id().to_owned());
            new
        });
        Keyring {
            keys: Arc::new(Keys { current, previous }),
        }
    }

    /// Seals a secret for the name of its resource, as in `provider-key/pk_…`, in the form that gateways before 0.2.0
    /// read. The same secret sealed twice is two texts.
    ///
    /// # Errors
    ///
    /// When there is no current key, or the system has no random numbers.
    pub fn seal(&self, secret: &Secret, context: &str) -> Result<Sealed, SealError> {
        self.seal_as(NAMED, secret, context)
    }

    /// Seals a secret for a `context` that says where it may be sent as well.
    ///
    /// # Errors
    ///
    /// As [`Keyring::seal`].
    pub fn seal_bound(&self, secret: &Secret, context: &str) -> Result<Sealed, SealError> {
        self.seal_as(BOUND, secret, context)
    }

    fn seal_as(&self, form: &str, secret: &Secret, context: &str) -> Result<Sealed, SealError> {
        let key = self.keys.current.as_ref().ok_or(SealError::NoMasterKey)?;
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let sealed = cipher(key)
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: secret.expose().as_bytes(),
                    aad: &associated(form, key.id(), context),
                },
            )
            .map_err(|_| SealError::TooLong)?;
        let payload = BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        Ok(Sealed::join(form, key.id(), &payload))
    }

    /// Opens what was sealed for the same `context`.
    ///
    /// # Errors
    ///
    /// When its key is not here, or it is damaged, from a newer version, or sealed for another context.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<Secret, OpenError> {
        let form = sealed.form();
        if ![NAMED, BOUND].contains(&form) {
            return Err(OpenError::UnknownForm {
                context: context.to_owned(),
                form: form.to_owned(),
            });
        }
        let key_id = sealed.key_id();
        let Some(key) = self.all().find(|key| key.id() == key_id) else {
            return Err(self.unknown_key(context, key_id));
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed.payload());
        let opened = bytes.ok().and_then(|bytes| {
            let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_LENGTH>()?;
            decrypt(key, nonce, ciphertext, &associated(form, key.id(), context))
        });
        opened.ok_or_else(|| OpenError::Damaged {
            context: context.to_owned(),
            key_id: key_id.to_owned(),
        })
    }

    fn unknown_key(&self, context: &str, key_id: &str) -> OpenError {
        let (context, key_id) = (context.to_owned(), key_id.to_owned());
        let known: Vec<String> = self.all().map(|key| format!("`{}`", key.id())).collect();
        if known.is_empty() {
            return OpenError::NoMasterKey { context, key_id };
        }
        OpenError::UnknownKey {
            context,
            key_id,
            known: known.join(", "),
        }
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        self.keys.current.iter().chain(&self.keys.previous)
    }

    /// Returns the id of the key that seals; `None` without one.
    pub fn current_id(&self) -> Option<&str> {
        self.keys.current.as_ref().map(MasterKey::id)
    }

    /// Returns the ids of the keys that only open.
    pub fn previous_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.previous.iter().map(MasterKey::id)
    }

    /// Returns whether it was sealed with the key that seals now, in a form that is known here; what was not is to be
    /// sealed again when keys rotate.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        [NAMED, BOUND].contains(&sealed.form()) && self.current_id() == Some(sealed.key_id())
    }

    /// Returns whether it has no key at all: then nothing that is sealed can be checked.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Returns whether both have the same keys, in the same parts.
    pub fn is_same(&self, other: &Keyring) -> bool {
        self.current_id() == other.current_id() && self.previous_ids().eq(other.previous_ids())
    }
}

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// What is authenticated beside the secret: `<form>.<key id>.<context>`. Form and id have a fixed length, so that no
/// two of the three make the same bytes.
fn associated(form: &str, key_id: &str, context: &str) -> Vec<u8> {
    format!("{form}.{key_id}.{context}").into_bytes()
}

fn decrypt(
    key: &MasterKey,
    nonce: &[u8; NONCE_LENGTH],
    ciphertext: &[u8],
    aad: &[u8],
) -> Option<Secret> {
    let payload = Payload {
        msg: ciphertext,
        aad,
    };
    let opened = cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()?;
    match String::from_utf8(opened) {
        Ok(text) => Some(Secret::new(text)),
        // Only a text is ever sealed.
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current_id())
            .field("previous", &self.previous_ids().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests;
