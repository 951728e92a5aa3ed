//! A digest as 64 hexadecimal digits.

use serde::{Deserialize, Deserializer, Serializer, de};

use tollgate_config::secrets::token;

pub(super) fn serialize<S: Serializer>(
    digest: &[u8; 32],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&token::to_hex(digest))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; 32], D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
    token::from_hex(&text).ok_or_else(|| de::Error::custom("not a SHA-256 digest"))
}
