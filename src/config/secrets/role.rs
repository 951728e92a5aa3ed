//! What the holder of an admin API key may do.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the holder of an admin API key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read and change everything.
    #[default]
    Full,
    /// Read everything, change nothing.
    ReadOnly,
    /// Read usage, and nothing else.
    UsageOnly,
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role: use full, read-only or usage-only")]
pub struct UnknownRole;

impl Role {
    /// All of them, the widest first.
    pub const ALL: [Role; 3] = [Role::Full, Role::ReadOnly, Role::UsageOnly];

    /// As it is written in YAML and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Full => "full",
            Role::ReadOnly => "read-only",
            Role::UsageOnly => "usage-only",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let mut all = Role::ALL.into_iter();
        all.find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_written_and_read_alike() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
        assert_eq!(Role::default(), Role::Full);
    }
}
