//! Which of the provider's keys is which of the gateway's.
//!
//! The gateway knows its managed keys by the ids that the operator gave them, a provider by ids of its own. They are
//! paired as they are given; else if they are equal; else if they used the same quantities; else if they are the only
//! ones that are left. A provider's key that is nobody's pair, while all of the gateway's are paired, was used without
//! the gateway.

use std::collections::{BTreeMap, BTreeSet};

use super::tolerance::Tolerance;
use crate::unit::Unit;

/// Quantities by model and unit.
pub(super) type Used = BTreeMap<(String, Unit), u64>;

/// How keys are paired.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// The provider's keys, by the gateway's ids of them.
    pairs: BTreeMap<String, String>,
    /// The provider's keys that are nobody's.
    pub(super) strangers: BTreeSet<String>,
    /// Whether every key of the gateway is paired, so that lines can be split by key.
    pub(super) known: bool,
    /// What is worth saying about it.
    pub(super) notes: Vec<String>,
}

impl Keys {
    /// Pairs keys; `given` are pairs of the gateway's and the provider's, as the operator says.
    pub(super) fn pair(
        ours: &BTreeMap<String, Used>,
        theirs: &BTreeMap<String, Used>,
        given: &[(String, String)],
        tolerance: &Tolerance,
    ) -> Keys {
        if ours.is_empty() || theirs.is_empty() {
            return Keys::default();
        }
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        for (our, their) in given {
            if theirs.contains_key(their) {
                pairs.insert(their.clone(), our.clone());
            }
        }
        for (their, our) in equal(ours, theirs) {
            if !pairs.contains_key(&their) && !pairs.values().any(|one| *one == our) {
                pairs.insert(their, our);
            }
        }
        let mut notes = Vec::new();
        loop {
            let paired: BTreeSet<&String> = pairs.values().collect();
            let left: Vec<&String> = ours.keys().filter(|our| !paired.contains(our)).collect();
            let free: Vec<&String> = theirs
                .keys()
                .filter(|one| !pairs.contains_key(*one))
                .collect();
            let next =
                by_usage(&left, &free, ours, theirs, tolerance).or(match (&left[..], &free[..]) {
                    ([our], [their]) => Some(((*our).clone(), (*their).clone())),
                    _ => None,
                });
            let Some((our, their)) = next else { break };
            notes.push(format!(
                "the provider's key {their} is taken for {our}, by what both used; if it is not, say --key {our}=ID"
            ));
            pairs.insert(their, our);
        }
        let paired: BTreeSet<&String> = pairs.values().collect();
        let left: Vec<&String> = ours.keys().filter(|our| !paired.contains(our)).collect();
        let free: BTreeSet<String> = theirs
            .keys()
            .filter(|their| !pairs.contains_key(*their))
            .cloned()
            .collect();
        let known = left.is_empty() || free.is_empty();
        if !known {
            let left: Vec<&str> = left.iter().map(|our| our.as_str()).collect();
            notes.push(format!(
                "which of the provider's keys {} is {} cannot be told, so that lines are not told apart by key: say \
                 --key {}=ID",
                free.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                left.join(", "),
                left.first().copied().unwrap_or_default()
            ));
        }
        Keys {
            strangers: if known { free } else { BTreeSet::new() },
            pairs,
            known,
            notes,
        }
    }

    /// What a key of the provider is called: by the gateway's id, if it is one of its.
    pub(super) fn label<'a>(&'a self, their: &'a str) -> &'a str {
        self.pairs.get(their).map_or(their, String::as_str)
    }
}

fn equal(ours: &BTreeMap<String, Used>, theirs: &BTreeMap<String, Used>) -> Vec<(String, String)> {
    let pairs = ours.keys().filter_map(|our| {
        let their = theirs
            .keys()
            .find(|their| their.eq_ignore_ascii_case(our))?;
        Some((their.clone(), our.clone()))
    });
    pairs.collect()
}

/// A pair that used the same, and like nobody else.
fn by_usage(
    left: &[&String],
    free: &[&String],
    ours: &BTreeMap<String, Used>,
    theirs: &BTreeMap<String, Used>,
    tolerance: &Tolerance,
) -> Option<(String, String)> {
    let same = |our: &String, their: &String| {
        let (our, their) = (ours.get(our), theirs.get(their));
        our.zip(their).is_some_and(|(our, their)| {
            our.values().any(|quantity| *quantity > 0)
                && our.keys().chain(their.keys()).all(|unit| {
                    let of = |used: &Used| used.get(unit).copied().unwrap_or(0);
                    tolerance.same(of(our), of(their))
                })
        })
    };
    left.iter().find_map(|our| {
        let mut like = free.iter().filter(|their| same(our, their));
        let (Some(their), None) = (like.next(), like.next()) else {
            return None;
        };
        let rivals = left.iter().filter(|rival| same(rival, their)).count();
        (rivals == 1).then(|| ((*our).clone(), (*their).clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(keys: &[(&str, u64)]) -> BTreeMap<String, Used> {
        let one = |(key, quantity): &(&str, u64)| {
            let used = BTreeMap::from([(("m".to_owned(), Unit::Input), *quantity)]);
            ((*key).to_owned(), used)
        };
        keys.iter().map(one).collect()
    }

    fn pair(ours: &[(&str, u64)], theirs: &[(&str, u64)], given: &[(&str, &str)]) -> Keys {
        let given: Vec<_> = given
            .iter()
            .map(|(our, their)| ((*our).to_owned(), (*their).to_owned()))
            .collect();
        Keys::pair(&used(ours), &used(theirs), &given, &Tolerance::DEFAULT)
    }

    #[test]
    fn keys_are_paired_as_given_by_name_by_use_and_by_elimination() {
        let keys = pair(
            &[("a", 1), ("B", 2)],
            &[("k1", 5), ("b", 7), ("k3", 1)],
            &[("a", "k1")],
        );
        assert_eq!(
            (keys.label("k1"), keys.label("b"), keys.label("k3")),
            ("a", "B", "k3")
        );
        assert!(keys.known);
        assert_eq!(keys.strangers, BTreeSet::from(["k3".to_owned()]));

        let keys = pair(
            &[("a", 10), ("b", 20)],
            &[("k1", 20), ("k2", 10), ("k3", 5)],
            &[],
        );
        assert_eq!((keys.label("k1"), keys.label("k2")), ("b", "a"));
        assert_eq!(keys.strangers, BTreeSet::from(["k3".to_owned()]));

        let keys = pair(&[("a", 10)], &[("k1", 20)], &[]);
        assert_eq!(keys.label("k1"), "a");
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let keys = pair(&[("a", 10), ("b", 10)], &[("k1", 10), ("k2", 10)], &[]);
        assert!(!keys.known && keys.strangers.is_empty());
        assert!(keys.notes[0].contains("--key a=ID"), "{:?}", keys.notes);
        let keys = pair(&[("a", 10)], &[("k1", 11), ("k2", 12)], &[]);
        assert!(!keys.known);
        assert!(!pair(&[], &[("k1", 1)], &[]).known);
    }
}
