//! A credential that cannot be printed by accident.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::redact;

/// A provider key's value. `Debug` and `Display` show what [`redact`] leaves: at most `first10***last4`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    shown: Arc<str>,
}

impl Secret {
    /// Wraps a credential.
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        let shown = redact(&value).into();
        Secret { value, shown }
    }

    /// Returns the credential itself; for the upstream request only.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// `first10***last4` of a long credential, less of a shorter one, `***` of one too short to show any of.
    pub fn redacted(&self) -> &Arc<str> {
        &self.shown
    }
}

impl Default for Secret {
    fn default() -> Self {
        Secret::new("")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

/// Writes the redacted form: what is serialized may be shown.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_ends_only_when_it_is_long() {
        let long = Secret::new("sk-proj-abcdefghijklmnopqrstuvwxyz0123");
        for text in [
            format!("{long}"),
            format!("{long:?}"),
            serde_json::to_string(&long).unwrap(),
        ] {
            assert_eq!(text.trim_matches('"'), "sk-proj-ab***0123");
        }
        assert_eq!(Secret::new("short").to_string(), "***");
        assert_eq!(Secret::new("").to_string(), "***");
    }
}
