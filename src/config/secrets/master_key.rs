//! A master key: 256 random bits, and the public id by which what it sealed finds it again.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::secrets::token::{from_hex, to_hex};

/// So that an id is the hash of nothing else.
const ID_DOMAIN: &[u8] = b"tollgate master key id\0";
/// Hexadecimal digits of an id.
const ID_LENGTH: usize = 8;
const HEX_LENGTH: usize = 64;
const BASE64_LENGTH: usize = 44;

/// A master key. Its bytes are overwritten when it is dropped; `Debug` shows its id only.
pub struct MasterKey {
    bytes: [u8; 32],
    id: String,
}

/// Why a text is no master key. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// It has another length than either form.
    #[error(
        "this is no master key: it has {0} characters, where a key has 64 hexadecimal digits, or 44 characters of base64"
    )]
    Length(usize),
    /// It has the length of the hexadecimal form.
    #[error("this is no master key: some of its 64 characters are not hexadecimal digits")]
    Hex,
    /// It has the length of the base64 form.
    #[error("this is no master key: its 44 characters are not the base64 of 32 bytes")]
    Base64,
}

/// Why no master key could be made: the system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random numbers: {0}")]
pub struct GenerateError(getrandom::Error);

impl MasterKey {
    /// Reads 64 hexadecimal digits of either case, or 44 characters of base64 (of either alphabet); white space
    /// around them does not count.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<MasterKey, MasterKeyError> {
        let text = text.trim();
        match text.chars().count() {
            HEX_LENGTH => from_hex(text)
                .map(MasterKey::new)
                .ok_or(MasterKeyError::Hex),
            BASE64_LENGTH => from_base64(text).ok_or(MasterKeyError::Base64),
            length => Err(MasterKeyError::Length(length)),
        }
    }

    /// Returns a new key from the system's random numbers.
    ///
    /// # Errors
    ///
    /// When the system has none.
    pub fn generate() -> Result<MasterKey, GenerateError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(GenerateError)?;
        Ok(MasterKey::new(*bytes))
    }

    fn new(mut bytes: [u8; 32]) -> MasterKey {
        let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(bytes);
        let mut id = to_hex(&hash.finalize().into());
        id.truncate(ID_LENGTH);
        let key = MasterKey { bytes, id };
        bytes.zeroize();
        key
    }

    /// 8 hexadecimal digits that distinguish keys; not secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// 64 hexadecimal digits: the key itself, to be shown once.
    pub fn expose_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(to_hex(&self.bytes))
    }

    /// The key itself, for the cipher only.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

fn from_base64(text: &str) -> Option<MasterKey> {
    let padded =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let alphabet = match text.contains(['-', '_']) {
        true => alphabet::URL_SAFE,
        false => alphabet::STANDARD,
    };
    let bytes = GeneralPurpose::new(&alphabet, padded).decode(text).ok()?;
    let bytes = Zeroizing::new(bytes);
    bytes.as_slice().try_into().map(MasterKey::new).ok()
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use proptest::prelude::*;

    #[test]
    fn generated_keys_differ_and_are_read_again() {
        let key = MasterKey::generate().unwrap();
        let again = MasterKey::parse(&key.expose_hex()).unwrap();
        assert_eq!((key.bytes(), key.id()), (again.bytes(), again.id()));
        assert_ne!(key.id(), MasterKey::generate().unwrap().id());
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id()));
    }

    /// The id is in everything that was ever sealed: if this fails, nothing stored can be opened any more.
    #[test]
    fn an_id_never_changes() {
        let key = MasterKey::parse(&"0f".repeat(32)).unwrap();
        assert_eq!(key.id(), "42af13f4");
    }

    #[test]
    fn what_is_no_key_is_told_without_repeating_it() {
        let hex = "0f".repeat(32);
        for (text, error) in [
            (String::new(), MasterKeyError::Length(0)),
            ("hunter2".to_owned(), MasterKeyError::Length(7)),
            (hex[1..].to_owned(), MasterKeyError::Length(63)),
            (format!("{hex}0"), MasterKeyError::Length(65)),
            (hex.replace("f0", "g0"), MasterKeyError::Hex),
            ("ä".repeat(64), MasterKeyError::Hex),
            ("ä".repeat(44), MasterKeyError::Base64),
            ("A".repeat(44), MasterKeyError::Base64),
            (format!("{}==", "A".repeat(42)), MasterKeyError::Base64),
            // The last digit carries bits that no byte has.
            (format!("{}B=", "A".repeat(42)), MasterKeyError::Base64),
            (format!("-+{}=", "A".repeat(41)), MasterKeyError::Base64),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap_err(), error, "{text}");
        }
        assert!(!MasterKeyError::Length(7).to_string().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn every_form_of_a_key_is_the_same_key(bytes: [u8; 32]) {
            let hex = to_hex(&bytes);
            for text in [
                hex.to_uppercase(),
                BASE64_STANDARD.encode(bytes),
                BASE64_URL_SAFE.encode(bytes),
                format!(" {hex}\n"),
                hex,
            ] {
                let key = MasterKey::parse(&text).unwrap();
                prop_assert_eq!(key.bytes(), &bytes);
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,70}|[A-Za-z0-9+/_=-]{44}|[0-9a-g]{64}") {
            drop(MasterKey::parse(&text));
        }
    }
}
