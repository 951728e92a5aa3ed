//! Shared budgets above each other: an access key's, a team's, an organisation's. Pure.

use std::fmt;

/// How many shared budgets may stand above each other.
pub const DEEPEST: usize = 8;

/// Why budgets do not stand above each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLineage {
    /// One is above itself.
    Circle,
    /// There are more than [`DEEPEST`].
    TooDeep,
}

impl fmt::Display for NoLineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoLineage::Circle => f.write_str("a budget cannot be above itself"),
            NoLineage::TooDeep => write!(f, "more than {DEEPEST} budgets above each other"),
        }
    }
}

/// Returns a shared budget and all that are above it, itself first, by each one's parent.
///
/// # Errors
/// They are too many, or a circle.
pub fn lineage<'a>(
    leaf: &'a str,
    parent: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<&'a str>, NoLineage> {
    let mut all = vec![leaf];
    let mut last = leaf;
    while let Some(above) = parent(last) {
        if all.contains(&above) {
            return Err(NoLineage::Circle);
        }
        if all.len() == DEEPEST {
            return Err(NoLineage::TooDeep);
        }
        all.push(above);
        last = above;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_above_is_found_once_or_not_at_all() {
        let above = |id: &str| match id {
            "app" => Some("team"),
            "team" => Some("acme"),
            "one" => Some("other"),
            "other" => Some("one"),
            "into" => Some("one"),
            _ => None,
        };
        assert_eq!(lineage("app", above), Ok(vec!["app", "team", "acme"]));
        assert_eq!(lineage("acme", above), Ok(vec!["acme"]));
        assert_eq!(lineage("one", above), Err(NoLineage::Circle));
        assert_eq!(lineage("into", above), Err(NoLineage::Circle));
        const IDS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let next = |id: &str| IDS.get(id.parse::<usize>().ok()? + 1).copied();
        assert_eq!(lineage("1", next), Err(NoLineage::TooDeep));
        assert_eq!(lineage("2", next).map(|all| all.len()), Ok(DEEPEST));
    }
}
