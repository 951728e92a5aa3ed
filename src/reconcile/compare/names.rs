//! One name for a model that both sides name differently.
//!
//! The ledger has what was asked for (`gpt-4o`), providers bill what answered (`gpt-4o-2024-08-06`), and a console shows
//! a name for people (`Claude Haiku 4.5`). Names of a family are distinguished as long as both sides use the same ones,
//! and taken together as soon as one side has a name that the other does not.

use std::collections::{BTreeMap, BTreeSet};

/// What each name is called in the comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    labels: BTreeMap<String, String>,
}

impl Names {
    /// Of the names that both sides use.
    pub(super) fn of<'a>(
        ledger: impl Iterator<Item = &'a str>,
        billed: impl Iterator<Item = &'a str>,
    ) -> Names {
        let mut families: BTreeMap<String, [BTreeSet<&str>; 2]> = BTreeMap::new();
        for name in ledger {
            families.entry(family(name).0).or_default()[0].insert(name);
        }
        for name in billed {
            families.entry(family(name).0).or_default()[1].insert(name);
        }
        let mut labels = BTreeMap::new();
        for [ours, theirs] in families.into_values() {
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            let strangers = theirs.difference(&ours).count() > 0;
            let an_alias = only_ours.iter().any(|name| !family(name).1);
            let together = !only_ours.is_empty() && (strangers || an_alias && !theirs.is_empty());
            let shortest = ours.iter().min_by_key(|name| name.len()).copied();
            for name in ours.union(&theirs) {
                let label = shortest.filter(|_| together).unwrap_or(name);
                labels.insert((*name).to_owned(), label.to_owned());
            }
        }
        Names { labels }
    }

    /// What a name is called.
    pub(super) fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.labels.get(name).map_or(name, String::as_str)
    }
}

/// A name without its date, in one spelling; and whether it has a date.
fn family(name: &str) -> (String, bool) {
    let plain = name.trim().to_lowercase();
    let plain = plain.replace([' ', '.', '_', '@'], "-");
    let latest = plain.strip_suffix("-latest").unwrap_or(&plain);
    let undated = without_date(latest);
    let dated = undated.len() < latest.len();
    // Anthropic's alias of the first of a line.
    let first = if undated.starts_with("claude") {
        undated.strip_suffix("-0").unwrap_or(undated)
    } else {
        undated
    };
    (first.to_owned(), dated)
}

/// Without `-20250514` or `-2025-05-14` at its end.
fn without_date(name: &str) -> &str {
    for digits in ["-########", "-####-##-##"] {
        let Some(at) = name.len().checked_sub(digits.len()).filter(|at| *at > 0) else {
            continue;
        };
        let Some(end) = name.get(at..) else { continue };
        let is_one = end.bytes().zip(digits.bytes()).all(|(byte, form)| {
            if form == b'#' {
                byte.is_ascii_digit()
            } else {
                byte == form
            }
        });
        if is_one && end.get(1..3) == Some("20") {
            return &name[..at];
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_one_name_on_both_sides() {
        for (ours, theirs, name, label) in [
            ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "gpt-4o"),
            (
                "claude-haiku-4-5-20251001",
                "Claude Haiku 4.5",
                "Claude Haiku 4.5",
                "claude-haiku-4-5-20251001",
            ),
            (
                "claude-sonnet-4-0",
                "claude-sonnet-4-20250514",
                "claude-sonnet-4-20250514",
                "claude-sonnet-4-0",
            ),
            (
                "claude-3-5-sonnet-latest",
                "Claude 3.5 Sonnet 2024-10-22",
                "Claude 3.5 Sonnet 2024-10-22",
                "claude-3-5-sonnet-latest",
            ),
            (
                "gpt-4.1",
                "gpt-4.1-mini-2025-04-14",
                "gpt-4.1-mini-2025-04-14",
                "gpt-4.1-mini-2025-04-14",
            ),
            (
                "gpt-4o-2024-05-13",
                "gpt-4o-2024-05-13",
                "gpt-4o-2024-05-13",
                "gpt-4o-2024-05-13",
            ),
            ("größe", "x-20250514", "x-20250514", "x-20250514"),
        ] {
            let names = Names::of([ours].into_iter(), [theirs].into_iter());
            assert_eq!(names.label(name), label, "{ours} and {theirs}");
        }
    }

    #[test]
    fn dated_models_stay_apart_as_long_as_both_sides_name_them() {
        let dated = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06"];
        let names = Names::of(dated.into_iter(), dated.into_iter());
        assert_eq!(names.label(dated[0]), dated[0]);
        // Somebody else's traffic with another one changes nothing.
        let names = Names::of([dated[0]].into_iter(), dated.into_iter());
        assert_eq!(
            (names.label(dated[0]), names.label(dated[1])),
            (dated[0], dated[1])
        );
        // An alias may have been answered by any of them.
        let names = Names::of(["gpt-4o", dated[0]].into_iter(), dated.into_iter());
        assert_eq!(
            (names.label(dated[0]), names.label(dated[1])),
            ("gpt-4o", "gpt-4o")
        );
    }
}
