//! A credential that cannot be printed by accident.

use std::fmt;

/// A provider key's value. `Debug` and `Display` show at most `first10***last4`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The credential itself; for the upstream request only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `first10***last4` of a long credential, `***` of one too short to show any of.
    pub fn redacted(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        if chars.len() < 24 {
            return "***".to_owned();
        }
        let first: String = chars[..10].iter().collect();
        let last: String = chars[chars.len() - 4..].iter().collect();
        format!("{first}***{last}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}
