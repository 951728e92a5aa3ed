//! Which known ids look like an unknown one.

use std::sync::Arc;

use super::provider::Provider;

/// Longer texts are no typing mistakes of an id, and comparing them costs.
const LONGEST: usize = 96;

/// At most three ids of `providers` that look like `asked`, the most alike first.
pub(super) fn nearest(asked: &str, providers: &[Arc<Provider>]) -> Vec<String> {
    let asked = asked.to_ascii_lowercase();
    if asked.is_empty() || asked.len() > LONGEST {
        return Vec::new();
    }
    let models = providers.iter().flat_map(|provider| &provider.models);
    let names = models.flat_map(|model| {
        std::iter::once(&*model.id).chain(model.aliases.iter().map(String::as_str))
    });
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| {
            (
                strsim::jaro_winkler(&asked, &name.to_ascii_lowercase()),
                name,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}
