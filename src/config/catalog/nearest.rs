//! Which known ids look like an unknown one. Runs on bad requests only.

use std::sync::Arc;

use super::provider::Provider;

/// Longer texts are no typing mistakes of an id, and comparing them costs.
const LONGEST: usize = 96;

/// How alike two ids must be, from 0 (nothing in common) to 1 (the same).
const ALIKE: f64 = 0.7;

/// At most three ids or aliases of `providers` that look like `asked`, the most alike first. Text with one of
/// the providers' ids in front, in any case, is compared without it.
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
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for model in providers.iter().flat_map(|provider| &provider.models) {
        // One suggestion a model: the id, unless an alias is more alike.
        let names = std::iter::once(&*model.id).chain(model.aliases.iter().map(String::as_str));
        let best = names
            .map(|name| (likeness(bare, name), name))
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        scored.extend(best.filter(|(score, _)| *score >= ALIKE));
    }
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut names: Vec<String> = Vec::new();
    for (_, name) in scored {
        if names.len() < 3 && !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// By edits where lengths are close, and by common start, as `claude-opus` is to `claude-opus-5`; the better
/// one, where edits count in full and a common start a little less.
fn likeness(asked: &str, name: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    // An id without its vendor, as `gpt-oss-20b` is `openai/gpt-oss-20b`, is as good as the same.
    let tail = name.rsplit('/').next().unwrap_or(&name);
    let edits = strsim::normalized_damerau_levenshtein(asked, &name)
        .max(strsim::normalized_damerau_levenshtein(asked, tail));
    let start = if asked.len() >= 4 && name.starts_with(asked) {
        0.85
    } else {
        0.0
    };
    edits.max(start)
}

#[cfg(test)]
mod tests {
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
    fn what_looks_like_nothing_suggests_nothing() {
        assert_eq!(near(""), Vec::<String>::new());
        assert_eq!(near("mistral-large"), Vec::<String>::new());
        assert_eq!(near(&"gpt-4o".repeat(1000)), Vec::<String>::new());
        assert!(near("claude").len() <= 3);
    }
}
