//! The text that a sealed secret is stored as: `v2.<key id>.<payload>`.
//!
//! The form says what it is bound to: `v1` to its resource's name, `v2` also to where it is sent. Both are
//! XChaCha20-Poly1305, the payload being 24 bytes of nonce, the ciphertext and 16 bytes of tag,
//! in base64 for URLs without padding. Invariant: a [`Sealed`] has the three parts; whether they open is for the
//! [`Keyring`](super::Keyring) to say. A form from the future is kept, so that a store written by a newer gateway
//! can be read apart from its secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The form of stores that gateways before 0.2.0 share.
pub(super) const NAMED: &str = "v1";
/// The form of sealed stores.
pub(super) const BOUND: &str = "v2";

/// A secret that only its master key opens. `Debug` shows form and key id, not the payload.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(String);

/// A text that is no sealed secret. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no sealed secret: one looks like `v2.<key id>.<payload>`")]
pub struct SealedError;

impl Sealed {
    /// Puts the parts together; `payload` is already in base64.
    pub(super) fn join(form: &str, key_id: &str, payload: &str) -> Sealed {
        Sealed(format!("{form}.{key_id}.{payload}"))
    }

    /// Returns whether it is bound to more than its resource's name.
    pub fn is_bound(&self) -> bool {
        self.form() == BOUND
    }

    /// Returns the stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the master key that sealed it: 8 hexadecimal digits.
    pub(crate) fn key_id(&self) -> &str {
        self.parts().1
    }

    /// `v1`, `v2`, or what a newer gateway writes.
    pub(super) fn form(&self) -> &str {
        self.parts().0
    }

    /// Nonce, ciphertext and tag, in base64.
    pub(super) fn payload(&self) -> &str {
        self.parts().2
    }

    fn parts(&self) -> (&str, &str, &str) {
        // That they are there was checked when this was made.
        split(&self.0).unwrap_or_default()
    }
}

fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (form, rest) = text.split_once('.')?;
    let (key_id, payload) = rest.split_once('.')?;
    Some((form, key_id, payload))
}

impl TryFrom<String> for Sealed {
    type Error = SealedError;

    fn try_from(text: String) -> Result<Self, SealedError> {
        let (form, key_id, payload) = split(&text).ok_or(SealedError)?;
        let number = form.strip_prefix('v').ok_or(SealedError)?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let good = (1..=4).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
            && key_id.len() == 8
            && key_id.bytes().all(lower_hex)
            && !payload.is_empty()
            && payload.bytes().all(plain);
        if good {
            Ok(Sealed(text))
        } else {
            Err(SealedError)
        }
    }
}

impl FromStr for Sealed {
    type Err = SealedError;

    fn from_str(text: &str) -> Result<Self, SealedError> {
        text.to_owned().try_into()
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> String {
        sealed.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}.{}.***)", self.form(), self.key_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kept_and_its_parts_are_told() {
        let text = "v1.0a1b2c3d.AAAA-_";
        let sealed: Sealed = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(
            (sealed.form(), sealed.key_id(), sealed.payload()),
            ("v1", "0a1b2c3d", "AAAA-_")
        );
        assert_eq!(
            serde_json::to_string(&sealed).unwrap(),
            format!("\"{text}\"")
        );
        assert_eq!(format!("{sealed:?}"), "Sealed(v1.0a1b2c3d.***)");
        assert!(
            "v3.0a1b2c3d.x.y".parse::<Sealed>().is_ok(),
            "from the future"
        );
    }

    #[test]
    fn what_is_not_sealed_is_refused_and_not_repeated() {
        for text in [
            "",
            "sk-proj-hunter2",
            "v1",
            "v1.0a1b2c3d",
            "v1.0a1b2c3d.",
            "v1.0A1B2C3D.AAAA",
            "v1.0a1b2c.AAAA",
            "v.0a1b2c3d.AAAA",
            "1.0a1b2c3d.AAAA",
            "v12345.0a1b2c3d.AAAA",
            "v1.0a1b2c3d.AAAA+/",
            "v1.0a1b2c3d.AA AA",
        ] {
            let error = text.parse::<Sealed>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{text}");
            let json = serde_json::to_string(text).unwrap();
            let error = serde_json::from_str::<Sealed>(&json).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
