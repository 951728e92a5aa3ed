//! The names of keys. All of an account are in one hash slot, so that one script reaches them on one node.
//!
//! ```text
//! tollgate:1:{account}:state    of an account; 1 is the schema
//! {tollgate}:1:accounts         of the ledger
//! {tollgate}:schema             the newest schema that was here: an older program must not begin anew beside it
//! ```

use std::fmt::Write as _;

use crate::StoreError;

/// How many slots a Cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// What all keys of a ledger begin with.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Names that begin with `prefix`. Braces say what a slot depends on, so the prefix has none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is empty or has braces.
    pub fn new(prefix: &str) -> Result<Keys, StoreError> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(StoreError::Refused(
                "the prefix of the ledger's keys in Redis must not be empty and has no braces"
                    .to_owned(),
            ));
        }
        let prefix = prefix.to_owned();
        Ok(Keys { prefix })
    }

    /// Returns one key of an account.
    pub fn of(&self, account: &str, name: &str) -> String {
        format!("{}:1:{{{}}}:{name}", self.prefix, escaped(account))
    }

    /// Returns one key of the ledger.
    pub fn shared(&self, name: &str) -> String {
        format!("{{{}}}:1:{name}", self.prefix)
    }

    /// Returns where the newest schema is.
    pub fn schema(&self) -> String {
        format!("{{{}}}:schema", self.prefix)
    }
}

/// Without braces, never empty, and different for each account.
fn escaped(account: &str) -> String {
    let mut escaped = String::with_capacity(account.len());
    if account.is_empty() {
        escaped.push('%');
    }
    for char in account.chars() {
        match char {
            '%' | '{' | '}' => {
                // A string takes all that is written to it.
                let _written = write!(escaped, "%{:02X}", u32::from(char));
            }
            _ => escaped.push(char),
        }
    }
    escaped
}

/// The slot of a key: CRC-16/XMODEM of what is between the first braces, as the Cluster specification says.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let tag = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty());
    let crc = tag.unwrap_or(key).bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31C3, "the specification's own example");
        assert_eq!(slot("{user1000}.following"), slot("user1000"));
        assert_eq!(slot("foo{}{bar}"), 8363, "as CLUSTER KEYSLOT says");
        assert_eq!(slot("foo"), 12182, "as CLUSTER KEYSLOT says");
    }

    #[test]
    fn an_account_has_one_slot_and_no_other_accounts_keys() {
        let keys = Keys::new("tollgate").unwrap();
        let mut seen = HashSet::new();
        for account in [
            "", "%", "%25", "{}", "{", "}", "a{b}", "a%7Bb%7D", "a", "größe", " ",
        ] {
            let all = ["state", "grants"].map(|name| keys.of(account, name));
            assert!(
                all.iter().all(|key| slot(key) == slot(&all[0])),
                "{account:?}: {all:?}"
            );
            for key in all {
                assert!(seen.insert(key.clone()), "{key} is of two accounts");
            }
        }
        assert_eq!(slot(&keys.schema()), slot(&keys.shared("accounts")));
        assert!(Keys::new("").is_err() && Keys::new("a{b").is_err());
    }
}
