//! "Did you mean …?"

/// Bytes; longer texts are no typing mistakes, and comparing costs time and memory of the product of both lengths.
const LONGEST: usize = 96;

/// Returns a hint that names the nearest candidate; `None` if none is near.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let limit = 1 + word.chars().count() / 4;
    let (distance, nearest) = candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= limit).then(|| format!("did you mean `{nearest}`?"))
}

/// A hint that names the nearest candidate, or else says which ones there are (if they are not many).
pub(super) fn did_you_mean_or_list<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    did_you_mean(word, candidates.clone()).or_else(|| {
        let all: Vec<&str> = candidates.into_iter().collect();
        (1..=20)
            .contains(&all.len())
            .then(|| format!("{what}: {}", all.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_near() {
        let fields = ["base_url", "auth", "keys"];
        assert_eq!(
            did_you_mean("bas_url", fields).as_deref(),
            Some("did you mean `base_url`?")
        );
        assert_eq!(
            did_you_mean("BASE_URL", fields).as_deref(),
            Some("did you mean `base_url`?")
        );
        assert_eq!(
            did_you_mean("kyes", fields).as_deref(),
            Some("did you mean `keys`?")
        );
        assert_eq!(did_you_mean("colour", fields), None);
        assert_eq!(
            did_you_mean_or_list("colour", "fields", fields).as_deref(),
            Some("fields: base_url, auth, keys")
        );
        assert_eq!(did_you_mean("x", []), None);
    }

    #[test]
    fn long_texts_are_not_compared() {
        // Comparing these two would take gigabytes.
        let (one, other) = ("a".repeat(30_000), "b".repeat(30_000));
        assert_eq!(did_you_mean(&one, [other.as_str()]), None);
        assert_eq!(did_you_mean("short", [other.as_str()]), None);
    }
}
