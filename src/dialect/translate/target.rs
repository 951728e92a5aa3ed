//! What is known of the model that a request is translated for.
//!
//! What a Claude model takes depends on its version (sources: platform.claude.com/docs/en/build-with-claude,
//! "Extended thinking", "Adaptive thinking", "Effort"; "Migration guide" for sampling).

/// The model that a request is translated for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The id that the provider knows.
    pub model: &'a str,
    /// Most tokens of its answers, if known; the request's own limit is lowered to it.
    pub max_output_tokens: Option<u64>,
    /// How an Anthropic model is told to think.
    pub thinking: ThinkingStyle,
    /// Whether temperature, `top_p` and `top_k` are taken.
    pub sampling: bool,
    /// Whether OpenAI's own newest fields are taken (`max_completion_tokens`, the role `developer`), which
    /// compatible providers may refuse.
    pub openai: bool,
    /// Whether a chat target takes `thinking_blocks` and `cache_control`, as other gateways do.
    pub extensions: bool,
}

/// How an Anthropic model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingStyle {
    /// `{"type": "enabled", "budget_tokens": n}`.
    Budget,
    /// `{"type": "adaptive"}` and `output_config.effort`, up to `high` or `max`.
    Adaptive {
        /// Whether it knows `xhigh`.
        xhigh: bool,
    },
}

impl<'a> Target<'a> {
    /// What is known by a model's id.
    pub fn of_model(model: &'a str, max_output_tokens: Option<u64>) -> Target<'a> {
        let version = claude(model);
        let thinking = match version {
            Some(version) if version >= (4, 6) => ThinkingStyle::Adaptive {
                xhigh: version >= (4, 7),
            },
            _ => ThinkingStyle::Budget,
        };
        let bare = model.rsplit('/').next().unwrap_or(model);
        let openai = ["gpt-", "chatgpt-", "o1", "o3", "o4", "codex-"]
            .iter()
            .any(|prefix| bare.starts_with(prefix))
            && !bare.starts_with("gpt-oss");
        Target {
            model,
            max_output_tokens,
            thinking,
            sampling: version.is_none_or(|version| version < (4, 7)),
            openai,
            extensions: false,
        }
    }

    /// What Anthropic's `max_tokens` is when neither the request nor the catalog says: what every model of
    /// the version takes.
    pub(super) fn default_max_tokens(&self) -> u64 {
        match claude(self.model) {
            Some(version) if version < (4, 0) => 4096,
            Some(_) => 32_000,
            None => 8192,
        }
    }

    /// Whether it is one of Anthropic's own models.
    pub(super) fn is_claude(&self) -> bool {
        claude(self.model).is_some()
    }
}

/// The version in a Claude model's id, of either order: `claude-3-7-sonnet-20250219`, `claude-opus-4-6`.
fn claude(model: &str) -> Option<(u32, u32)> {
    let name = &model[model.find("claude-")? + "claude-".len()..];
    let mut numbers = name
        .split(['-', '.', '@', ':'])
        .map(|part| {
            Some(part)
                .filter(|part| part.len() <= 2)
                .and_then(|part| part.parse::<u32>().ok())
        })
        .skip_while(Option::is_none);
    let major = numbers.next().flatten()?;
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_out_of_ids() {
        for (id, expected) in [
            ("claude-opus-4-6", Some((4, 6))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("anthropic/claude-opus-4.8", Some((4, 8))),
            ("claude-latest", None),
            ("gpt-5.6-luna", None),
        ] {
            assert_eq!(claude(id), expected, "{id}");
        }
    }

    #[test]
    fn a_model_is_known_by_its_id() {
        let opus = Target::of_model("claude-opus-4-8", None);
        assert_eq!(opus.thinking, ThinkingStyle::Adaptive { xhigh: true });
        assert!(!opus.sampling, "it refuses a temperature");
        let haiku = Target::of_model("claude-haiku-4-5", None);
        assert_eq!(haiku.thinking, ThinkingStyle::Budget);
        assert!(haiku.sampling);
        assert!(Target::of_model("gpt-5.6-luna", None).openai);
        assert!(!Target::of_model("deepseek-chat", None).openai);
    }
}
