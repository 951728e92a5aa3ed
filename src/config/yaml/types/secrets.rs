//! The master keys.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use tollgate_base::Secret;

/// The master keys that credentials are sealed with where they are stored. Make one with `tollgate secrets
/// generate`: 64 hexadecimal digits, or 32 bytes in base64.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// The key that seals: `${ENVIRONMENT_VARIABLE}` or `file:/path` (relative to this file). Default: the
    /// environment variable `TOLLGATE_MASTER_KEY`; without either, nothing secret can be stored.
    #[serde(skip_serializing)]
    pub master_key: Option<Secret>,
    /// Keys that were `master_key` before, and still open what they sealed. Default: the environment variable
    /// `TOLLGATE_MASTER_KEY_PREVIOUS`, with commas between them.
    #[serde(skip_serializing)]
    pub previous_keys: Option<Vec<Secret>>,
}

/// Without even the ends of a key.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}
