//! The providers' words for what they bill.

use crate::unit::Unit;

/// What a line item is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) model: Option<String>,
    pub(super) unit: Option<Unit>,
    pub(super) variant: Option<String>,
}

/// Tiers that line items name before the kind of token.
const TIERS: [&str; 5] = ["batch", "flex", "priority", "scale", "fast"];

/// Reads a line item of OpenAI: `gpt-4o-2024-08-06, cached input`, `gpt-5, input_tokens`, `web search tool calls`. What
/// is about something else than a model or a known tool is named by its whole text.
pub(super) fn item(text: &str) -> Item {
    if let Some((model, rest)) = text.split_once(", ") {
        let words = words(rest);
        let tier = words.iter().find(|word| TIERS.contains(&word.as_str()));
        let unit = tokens(&words).or_else(|| tool(rest));
        return Item {
            model: Some(model.trim().to_owned()).filter(|_| !unit.is_some_and(Unit::is_tool)),
            unit,
            variant: tier.cloned(),
        };
    }
    match tool(text) {
        Some(unit) => Item {
            unit: Some(unit),
            ..Item::default()
        },
        None => Item {
            model: Some(text.trim().to_owned()),
            ..Item::default()
        },
    }
}

/// The kind of a token: `uncached_input_tokens`, `cache_creation.ephemeral_1h_input_tokens`, `input_cache_write_5m`,
/// `Output Tokens`.
pub(super) fn kind_of_token(text: &str) -> Option<Unit> {
    tokens(&words(text))
}

fn tokens(words: &[String]) -> Option<Unit> {
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let written = has(&["write", "writes", "creation", "creations"]);
    let cached = has(&["cached", "read", "reads"]) || has(&["cache"]) && !written && !has(&["no"]);
    if written {
        return Some(if has(&["1h", "hour"]) {
            Unit::CacheWrite1h
        } else if has(&["5m", "minute"]) {
            Unit::CacheWrite
        } else {
            Unit::CacheWriteAny
        });
    }
    let answer = has(&["output", "completion", "completions", "generated"]);
    let prompt = has(&["input", "prompt", "uncached"]) || cached;
    let unit = match (answer, prompt) {
        (true, _) if has(&["audio"]) => Unit::OutputAudio,
        (true, _) if has(&["image"]) => Unit::OutputImage,
        (true, _) => Unit::Output,
        (false, true) if has(&["audio"]) && cached => Unit::CachedAudio,
        (false, true) if has(&["image"]) && cached => Unit::CachedImage,
        (false, true) if has(&["audio"]) => Unit::InputAudio,
        (false, true) if has(&["image"]) => Unit::InputImage,
        (false, true) if has(&["video"]) => Unit::InputVideo,
        (false, true) if cached => Unit::CachedRead,
        (false, true) => Unit::Input,
        (false, false) => return None,
    };
    Some(unit)
}

/// The tool that a text is about: `web_search`, `file search tool calls`, `code_interpreter_sessions`.
pub(super) fn tool(text: &str) -> Option<Unit> {
    let words = words(text);
    let has = |word: &str| words.iter().any(|own| own.trim_end_matches('s') == word);
    if has("search") || has("searche") {
        return if has("web") {
            Some(Unit::WebSearch)
        } else if has("file") {
            Some(Unit::FileSearch)
        } else {
            None
        };
    }
    // What is stored for a search is none.
    let session = has("interpreter") || has("execution") || has("container");
    session.then_some(Unit::CodeContainer)
}

/// Lower-case words without separators.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_items_name_a_model_and_a_unit() {
        for (text, model, unit, variant) in [
            (
                "gpt-4o-2024-08-06, input",
                Some("gpt-4o-2024-08-06"),
                Some(Unit::Input),
                None,
            ),
            (
                "gpt-4o-2024-08-06, cached input",
                Some("gpt-4o-2024-08-06"),
                Some(Unit::CachedRead),
                None,
            ),
            ("gpt-4o, output", Some("gpt-4o"), Some(Unit::Output), None),
            (
                "gpt-5-nano, input_tokens",
                Some("gpt-5-nano"),
                Some(Unit::Input),
                None,
            ),
            (
                "gpt-5, input_cached_tokens",
                Some("gpt-5"),
                Some(Unit::CachedRead),
                None,
            ),
            (
                "gpt-5, input_cache_write_tokens",
                Some("gpt-5"),
                Some(Unit::CacheWriteAny),
                None,
            ),
            (
                "gpt-4o-mini, batch input",
                Some("gpt-4o-mini"),
                Some(Unit::Input),
                Some("batch"),
            ),
            (
                "gpt-5, priority cached input",
                Some("gpt-5"),
                Some(Unit::CachedRead),
                Some("priority"),
            ),
            (
                "gpt-4o-audio-preview, audio input",
                Some("gpt-4o-audio-preview"),
                Some(Unit::InputAudio),
                None,
            ),
            (
                "gpt-4o-audio-preview, output_audio_tokens",
                Some("gpt-4o-audio-preview"),
                Some(Unit::OutputAudio),
                None,
            ),
            ("web search tool calls", None, Some(Unit::WebSearch), None),
            ("file search tool calls", None, Some(Unit::FileSearch), None),
            (
                "code interpreter sessions",
                None,
                Some(Unit::CodeContainer),
                None,
            ),
            (
                "gpt-4o-search-preview, web search",
                None,
                Some(Unit::WebSearch),
                None,
            ),
            (
                "vector store storage",
                Some("vector store storage"),
                None,
                None,
            ),
            ("gpt-4o", Some("gpt-4o"), None, None),
            ("gpt-4o, something new", Some("gpt-4o"), None, None),
        ] {
            let expected = Item {
                model: model.map(str::to_owned),
                unit,
                variant: variant.map(str::to_owned),
            };
            assert_eq!(item(text), expected, "{text}");
        }
    }

    #[test]
    fn kinds_of_tokens_are_known_in_every_spelling() {
        for (text, unit) in [
            ("uncached_input_tokens", Some(Unit::Input)),
            ("input_no_cache", Some(Unit::Input)),
            ("input", Some(Unit::Input)),
            ("output_tokens", Some(Unit::Output)),
            ("Output Tokens", Some(Unit::Output)),
            ("cache_read_input_tokens", Some(Unit::CachedRead)),
            ("input_cache_read", Some(Unit::CachedRead)),
            (
                "cache_creation.ephemeral_5m_input_tokens",
                Some(Unit::CacheWrite),
            ),
            (
                "cache_creation.ephemeral_1h_input_tokens",
                Some(Unit::CacheWrite1h),
            ),
            ("input_cache_write_5m", Some(Unit::CacheWrite)),
            ("input_cache_write_1h", Some(Unit::CacheWrite1h)),
            ("input_cache_write", Some(Unit::CacheWriteAny)),
            ("web_search", None),
            ("session", None),
        ] {
            assert_eq!(kind_of_token(text), unit, "{text}");
        }
    }
}
