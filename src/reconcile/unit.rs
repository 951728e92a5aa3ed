//! What is billed by the piece.

use serde::Serialize;

/// A unit that a provider bills, by the name that the ledger has for it, if it has one. Units never overlap: the whole prompt
/// is the sum of the prompt's units, the whole answer that of the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Prompt tokens of text that came from no cache.
    Input,
    /// Prompt tokens read from the provider's cache.
    CachedRead,
    /// Prompt tokens written to the provider's cache, for how long is not said.
    CacheWriteAny,
    /// Prompt tokens written to the provider's cache, to be kept for minutes.
    CacheWrite,
    /// Prompt tokens written to the provider's cache, to be kept for an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Prompt tokens of sound.
    InputAudio,
    /// Prompt tokens of sound, read from the cache.
    CachedAudio,
    /// Prompt tokens of pictures.
    InputImage,
    /// Prompt tokens of pictures, read from the cache.
    CachedImage,
    /// Prompt tokens of moving pictures.
    InputVideo,
    /// Answer tokens of text.
    Output,
    /// Answer tokens of thinking.
    Reasoning,
    /// Answer tokens of sound.
    OutputAudio,
    /// Answer tokens of pictures.
    OutputImage,
    /// Answer tokens of moving pictures.
    OutputVideo,
    /// Answer tokens of citations, where a provider counts them apart.
    Citation,
    /// Searches of the web.
    WebSearch,
    /// Searches of files.
    FileSearch,
    /// Containers that the provider ran code in, or sessions of its interpreter.
    CodeContainer,
    /// Requests that are billed for themselves.
    Request,
    /// Pictures.
    Image,
    /// Characters of text that is spoken.
    Character,
    /// Seconds of sound.
    Second,
    /// Bytes that are stored.
    Byte,
}

/// Every unit.
const ALL: [Unit; 24] = [
    Unit::Input,
    Unit::CachedRead,
    Unit::CacheWriteAny,
    Unit::CacheWrite,
    Unit::CacheWrite1h,
    Unit::InputAudio,
    Unit::CachedAudio,
    Unit::InputImage,
    Unit::CachedImage,
    Unit::InputVideo,
    Unit::Output,
    Unit::Reasoning,
    Unit::OutputAudio,
    Unit::OutputImage,
    Unit::OutputVideo,
    Unit::Citation,
    Unit::WebSearch,
    Unit::FileSearch,
    Unit::CodeContainer,
    Unit::Request,
    Unit::Image,
    Unit::Character,
    Unit::Second,
    Unit::Byte,
];

impl Unit {
    /// Returns the unit of this name.
    pub fn named(name: &str) -> Option<Unit> {
        ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Returns its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Input => "input",
            Unit::CachedRead => "cached_read",
            Unit::CacheWriteAny => "cache_write_any",
            Unit::CacheWrite => "cache_write",
            Unit::CacheWrite1h => "cache_write_1h",
            Unit::InputAudio => "input_audio",
            Unit::CachedAudio => "cached_audio",
            Unit::InputImage => "input_image",
            Unit::CachedImage => "cached_image",
            Unit::InputVideo => "input_video",
            Unit::Output => "output",
            Unit::Reasoning => "reasoning",
            Unit::OutputAudio => "output_audio",
            Unit::OutputImage => "output_image",
            Unit::OutputVideo => "output_video",
            Unit::Citation => "citation",
            Unit::WebSearch => "web_search",
            Unit::FileSearch => "file_search",
            Unit::CodeContainer => "code_container",
            Unit::Request => "request",
            Unit::Image => "image",
            Unit::Character => "character",
            Unit::Second => "second",
            Unit::Byte => "byte",
        }
    }

    /// Returns what it is, for people, in the plural.
    pub fn words(self) -> &'static str {
        match self {
            Unit::Input => "prompt tokens",
            Unit::CachedRead => "cache-read tokens",
            Unit::CacheWriteAny => "cache-write tokens",
            Unit::CacheWrite => "5-minute cache-write tokens",
            Unit::CacheWrite1h => "1-hour cache-write tokens",
            Unit::InputAudio => "audio prompt tokens",
            Unit::CachedAudio => "cached audio tokens",
            Unit::InputImage => "image prompt tokens",
            Unit::CachedImage => "cached image tokens",
            Unit::InputVideo => "video prompt tokens",
            Unit::Output => "answer tokens",
            Unit::Reasoning => "reasoning tokens",
            Unit::OutputAudio => "audio answer tokens",
            Unit::OutputImage => "image answer tokens",
            Unit::OutputVideo => "video answer tokens",
            Unit::Citation => "citation tokens",
            Unit::WebSearch => "web searches",
            Unit::FileSearch => "file searches",
            Unit::CodeContainer => "code containers",
            Unit::Request => "requests",
            Unit::Image => "images",
            Unit::Character => "characters",
            Unit::Second => "seconds",
            Unit::Byte => "bytes",
        }
    }

    /// Returns whether it is one of tokens.
    pub fn is_tokens(self) -> bool {
        !self.is_tool()
            && !matches!(
                self,
                Unit::Request | Unit::Image | Unit::Character | Unit::Second | Unit::Byte
            )
    }

    /// Whether providers bill it beside the model, as a tool of theirs: their cost reports then name no model.
    pub(crate) fn is_tool(self) -> bool {
        matches!(
            self,
            Unit::WebSearch | Unit::FileSearch | Unit::CodeContainer
        )
    }

    /// The unit that it is compared as: no provider reports thinking apart from the answer that it is a part of.
    pub(crate) fn compared(self) -> Unit {
        match self {
            Unit::Reasoning => Unit::Output,
            other => other,
        }
    }

    /// Whether it is written to a cache.
    pub(crate) fn is_cache_write(self) -> bool {
        matches!(
            self,
            Unit::CacheWriteAny | Unit::CacheWrite | Unit::CacheWrite1h
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_found_by_the_name_that_json_gives_it() {
        for unit in ALL {
            assert_eq!(Unit::named(unit.name()), Some(unit));
            assert_eq!(serde_json::to_value(unit).unwrap(), unit.name());
        }
        assert_eq!(Unit::named("tokens"), None);
    }
}
