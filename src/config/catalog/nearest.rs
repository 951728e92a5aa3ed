//! Which known ids look like an unknown one. Runs on bad requests only.

use std::sync::Arc;

use super::provider::Provider;

/// Longer texts are no typing mistakes of an id, and comparing them costs.
const LONGEST: usize = 96;

/// How alike two ids must be, from 0 (nothing in common) to 1 (the same).
const ALIKE: f64 = 0.7;

/// How many names are looked at, the first ones of the catalog, and how many of those are compared letter by letter:
/// whoever makes models must not make others wait for a wrong id.
const LOOKED_AT: usize = 4_096;
const COMPARED: usize = 256;

/// At most three ids or aliases of `providers` that look like `asked`, the most alike first. Text with one of
/// the providers' ids in front, in any case, is compared without it. Models that are not bare are looked at if no other
/// is alike, and suggested as they can be called.
pub(super) fn nearest(asked: &str, providers: &[Arc<Provider>]) -> Vec<String> {
    if asked.is_empty() || asked.len() > LONGEST {
        return Vec::new();
    }
    let asked = asked.to_ascii_lowercase();
    let prefixed = asked.split_once([':', '/']);
    let known = |id: &str| {
        providers
            .iter()
            .any(|provider| provider.id.eq_ignore_ascii_case(id))
    };
    let bare = prefixed
        .filter(|(provider, _)| known(provider))
        .map_or(asked.as_str(), |(_, model)| model);
    let mut search = Search {
        asked: bare,
        looked_at: 0,
        compared: 0,
    };
    let mut names = search.most_alike(providers, true);
    if names.is_empty() {
        names = search.most_alike(providers, false);
    }
    names
}

/// A search, which ends after so many names.
struct Search<'a> {
    asked: &'a str,
    looked_at: usize,
    compared: usize,
}

impl Search<'_> {
    /// Those of models that are named by their ids alone, or of the others, with their providers in front unless there is
    /// one provider only.
    fn most_alike(&mut self, providers: &[Arc<Provider>], bare: bool) -> Vec<String> {
        let mut scored: Vec<(f64, &str, &str)> = Vec::new();
        for provider in providers {
            for model in provider.models.iter().filter(|model| model.bare == bare) {
                // One suggestion a model: the id, unless an alias is more alike.
                let names =
                    std::iter::once(&*model.id).chain(model.aliases.iter().map(String::as_str));
                self.looked_at += 1 + model.aliases.len();
                if self.looked_at > LOOKED_AT {
                    break;
                }
                let best = names
                    .map(|name| (self.likeness(name), name))
                    .reduce(|best, other| if other.0 > best.0 { other } else { best });
                let best = best.filter(|(score, _)| *score >= ALIKE);
                scored.extend(best.map(|(score, name)| (score, &*provider.id, name)));
            }
        }
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut names: Vec<String> = Vec::new();
        for (_, provider, name) in scored {
            let name = match bare || providers.len() == 1 {
                true => name.to_owned(),
                false => format!("{provider}:{name}"),
            };
            if names.len() < 3 && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// By edits where lengths are close, and by common start, as `claude-opus` is to `claude-opus-5`; the better
    /// one, where edits count in full and a common start a little less.
    fn likeness(&mut self, name: &str) -> f64 {
        let asked = self.asked;
        let name = name.to_ascii_lowercase();
        // An id without its vendor, as `gpt-oss-20b` is `openai/gpt-oss-20b`, is as good as the same.
        let tail = name.rsplit('/').next().unwrap_or(&name);
        let edits = self.by_edits(&name);
        let edits = match tail.len() == name.len() {
            true => edits,
            false => edits.max(self.by_edits(tail)),
        };
        let start = if asked.len() >= 4 && name.starts_with(asked) {
            0.85
        } else {
            0.0
        };
        edits.max(start)
    }

    /// How alike two texts are by the edits between them; 0 if that is less than [`ALIKE`]. Most pairs are
    /// distinguished by their letters, which is a hundred times cheaper.
    fn by_edits(&mut self, name: &str) -> f64 {
        let asked = self.asked;
        if name.len() > LONGEST || self.compared >= COMPARED {
            return 0.0;
        }
        if asked.is_ascii() && name.is_ascii() {
            let mut surplus = [0_i32; 128];
            asked
                .bytes()
                .for_each(|letter| surplus[usize::from(letter)] += 1);
            name.bytes()
                .for_each(|letter| surplus[usize::from(letter)] -= 1);
            let of_sign = |sign: i32| {
                surplus
                    .iter()
                    .map(|count| (sign * count).max(0))
                    .sum::<i32>()
            };
            // An edit mends at most one letter too many and one too few.
            let edits = f64::from(of_sign(1).max(of_sign(-1)));
            let longest = asked.len().max(name.len());
            if edits
                > (1.0 - ALIKE + f64::EPSILON)
                    * f64::from(u32::try_from(longest).unwrap_or(u32::MAX))
            {
                return 0.0;
            }
        }
        self.compared += 1;
        strsim::normalized_damerau_levenshtein(asked, name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Catalog;

    fn near(asked: &str) -> Vec<String> {
        nearest(asked, Catalog::built_in().providers())
    }

    #[test]
    fn typing_mistakes_find_their_model_first() {
        for (asked, first) in [
            ("gpt-4o-mni", "gpt-4o-mini"),
            ("gpt4o", "gpt-4o"),
            ("GPT_4.1", "gpt-4.1"),
            ("claude-sonet-4-5", "claude-sonnet-4-5"),
            ("claude-opus-4.8", "claude-opus-4-8"),
            ("gemini-2.5-flsh", "gemini-2.5-flash"),
            ("gpt-oss-20b", "openai/gpt-oss-20b"),
            ("OpenAI:gpt-4o", "gpt-4o"),
            ("deepseek-v4", "deepseek-v4-flash"),
            ("claude-haiku-4-5-20251010", "claude-haiku-4-5-20251001"),
        ] {
            assert_eq!(
                near(asked).first().map(String::as_str),
                Some(first),
                "{asked}: {:?}",
                near(asked)
            );
        }
    }

    #[test]
    fn what_only_an_aggregator_has_is_suggested_as_it_is_called() {
        assert_eq!(
            near("mistral-larg")[0],
            "openrouter:mistralai/mistral-large"
        );
        let catalog = Catalog::built_in();
        let openrouter = catalog.provider("openrouter").unwrap();
        let here = nearest("mistral-larg", std::slice::from_ref(openrouter));
        assert_eq!(here[0], "mistralai/mistral-large");
    }

    #[test]
    fn what_looks_like_nothing_suggests_nothing() {
        assert_eq!(near(""), Vec::<String>::new());
        assert_eq!(near("unheard-of"), Vec::<String>::new());
        assert_eq!(near(&"gpt-4o".repeat(1000)), Vec::<String>::new());
        assert!(near("claude").len() <= 3);
    }

    proptest! {
        #[test]
        fn letters_alone_tell_nothing_alike_apart(asked in "[a-c:/ä]{0,12}", name in "[a-c:/ä]{0,12}") {
            let exact = strsim::normalized_damerau_levenshtein(&asked, &name);
            let mut search = Search { asked: &asked, looked_at: 0, compared: 0 };
            let quick = search.by_edits(&name);
            prop_assert!(quick == exact || (quick == 0.0 && exact < ALIKE), "{quick} {exact}");
        }
    }
}
