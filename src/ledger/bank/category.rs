//! Why credits were granted.
//!
//! A bank knows nothing of it: it stands in the grant's note, so that every bank, every version and `tollgate credits
//! transactions` show it. Invariant: a note that no purchase wrote does not begin like one.

use serde::{Deserialize, Serialize};

/// Why credits were granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Somebody paid for them.
    Purchase,
    /// They are a present; so is everything that the configuration grants.
    Promotional,
}

/// What the notes of purchases begin with.
const PURCHASE: &str = "[purchase]";

impl Category {
    /// Returns what a grant's note says of it: the category, and the words for people.
    pub fn of(note: &str) -> (Category, &str) {
        match note.strip_prefix(PURCHASE) {
            Some(words) => (Category::Purchase, words.strip_prefix(' ').unwrap_or(words)),
            None => (Category::Promotional, note),
        }
    }

    /// Returns the note of a grant of this category; `None` if these words, in it, would say another one.
    pub fn note(self, words: &str) -> Option<String> {
        match self {
            Category::Purchase if words.is_empty() => Some(PURCHASE.to_owned()),
            Category::Purchase => Some(format!("{PURCHASE} {words}")),
            Category::Promotional if words.starts_with(PURCHASE) => None,
            Category::Promotional => Some(words.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_noted_is_read(purchase: bool, words in "(\\[purchase\\])?[ a-z\\[\\]]{0,12}") {
            let category = if purchase { Category::Purchase } else { Category::Promotional };
            match category.note(&words) {
                Some(note) => prop_assert_eq!(Category::of(&note), (category, &*words)),
                None => prop_assert_eq!(Category::of(&words).0, Category::Purchase),
            }
        }
    }
}
