//! What is known of the model that a request is translated for.
//!
//! What a Claude model takes depends on its version (sources: platform.claude.com/docs/en/build-with-claude,
//! "Extended thinking", "Adaptive thinking", "Effort", "Structured outputs"; "Migration guide" for sampling and a last
//! turn of the assistant).

use super::neutral::Field;
use super::{Lost, names};
use crate::capabilities::Capabilities;
use crate::reasoning::{Effort, Thoughts};
use crate::vendor::{Rules, Vendor};

/// The model that a request is translated for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The id that the provider knows.
    pub model: &'a str,
    /// Most tokens of its answers, if known; the request's own limit is lowered to it.
    pub max_output_tokens: Option<u64>,
    /// How an Anthropic model is asked to think.
    pub thinking: ThinkingStyle,
    /// Whether temperature, `top_p` and `top_k` are taken.
    pub sampling: bool,
    /// Whether an Anthropic model can be held to schemas (`output_config.format`, `strict`).
    pub structured: bool,
    /// Whether OpenAI's own newest fields are taken (`max_completion_tokens`, the role `developer`), which
    /// compatible providers may refuse.
    pub openai: bool,
    /// Whether the last message may be the assistant's, for an Anthropic model to go on with.
    pub prefill: bool,
    /// Top-level fields that are removed from the request once it is written: the provider's and the model's.
    pub unsupported: [&'a [String]; 2],
    /// Whether a chat target takes `thinking_blocks` and `cache_control`, as other gateways do.
    pub extensions: bool,
    /// Whether it thinks, and whether that can be set.
    pub thinks: Thinks,
    /// What is known of the model besides.
    pub capabilities: Capabilities,
    /// What the provider wants besides.
    pub rules: Rules,
    /// Whether an Anthropic model is told what to keep of the prompt, where the client says nothing of it.
    pub cache_marks: bool,
    /// What the conversation is called towards a provider that keeps requests of one together, if the client has no name
    /// for it.
    pub cache_key: Option<&'a str>,
}

/// Whether a model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    /// It is not known.
    Perhaps,
    /// It cannot, and refuses a setting of how hard.
    Never,
    /// When it is asked to.
    Asked,
    /// Unless it is asked not to.
    Unasked,
    /// Whatever it is asked.
    Always,
}

/// How an Anthropic model is asked to think.
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
    /// Returns what is known by a model's id.
    pub fn of_model(model: &'a str, max_output_tokens: Option<u64>) -> Target<'a> {
        // Without a number it is an alias of the newest.
        let version = name(model).map(|name| version(name).unwrap_or((4, 7)));
        let thinking = match version {
            Some(version) if version >= (4, 6) => ThinkingStyle::Adaptive {
                xhigh: version >= (4, 7),
            },
            _ => ThinkingStyle::Budget,
        };
        let bare = model.rsplit('/').next().unwrap_or(model);
        // Fine-tuned ones: `ft:gpt-4o-mini:organisation::id`.
        let bare = bare.strip_prefix("ft:").unwrap_or(bare);
        let openai = ["gpt-", "chatgpt-", "o1", "o3", "o4", "codex-"]
            .iter()
            .any(|prefix| bare.starts_with(prefix))
            && !bare.starts_with("gpt-oss");
        Target {
            model,
            max_output_tokens,
            thinking,
            sampling: version.is_none_or(|version| version < (4, 7)),
            structured: version.is_some_and(|version| version >= (4, 5)),
            openai,
            prefill: version.is_none_or(|version| version < (4, 6)),
            unsupported: [&[], &[]],
            extensions: false,
            // "Thinking": off by default before version 5, and since 5.5 always on.
            thinks: match version {
                None => Thinks::Perhaps,
                Some(version) if version < (3, 7) => Thinks::Never,
                Some(version) if version < (5, 0) => Thinks::Asked,
                Some((5, 0)) if !model.contains("fable") && !model.contains("mythos") => {
                    Thinks::Unasked
                }
                Some(_) => Thinks::Always,
            },
            capabilities: Capabilities::default(),
            rules: Vendor::rules(None),
            cache_marks: false,
            cache_key: None,
        }
    }

    /// Returns the same with what is known of the model and its provider, which is believed more than the id.
    #[must_use]
    pub fn knowing(self, capabilities: Capabilities, vendor: Option<Vendor>) -> Target<'a> {
        let off = capabilities
            .efforts
            .map(|efforts| efforts.contains(Effort::None));
        let off = capabilities.toggle.or(off).unwrap_or(false);
        let thinks = match capabilities.reasoning {
            Some(false) => Thinks::Never,
            Some(true) if off => Thinks::Unasked,
            Some(true) if self.thinks == Thinks::Perhaps => Thinks::Always,
            _ => self.thinks,
        };
        let rules = Vendor::rules(vendor);
        Target {
            sampling: self.sampling && capabilities.temperature != Some(false),
            structured: capabilities.structured_output.unwrap_or(self.structured),
            openai: self.openai && vendor.is_none_or(|vendor| vendor != Vendor::Google),
            thinks,
            capabilities,
            rules,
            ..self
        }
    }

    /// The temperature and `top_p` that go to one of OpenAI's surfaces; a model that takes the one takes the other.
    pub(super) fn sampled(
        &self,
        temperature: Option<f64>,
        top_p: Option<f64>,
        lost: &mut Lost,
    ) -> (Option<f64>, Option<f64>) {
        if self.capabilities.temperature != Some(false) {
            return (temperature, top_p);
        }
        let says = |value: Option<f64>| value.is_some_and(|value| (value - 1.0).abs() > 1e-9);
        lost.add_if(Field::Temperature, says(temperature));
        lost.add_if(Field::TopP, says(top_p));
        (None, None)
    }

    /// The effort that comes nearest to one that was asked for; `None` if the model takes none.
    pub(super) fn effort(&self, wanted: Effort) -> Option<Effort> {
        if self.thinks == Thinks::Never {
            return None;
        }
        match self.capabilities.efforts {
            Some(efforts) => efforts.nearest(wanted),
            None => Some(wanted),
        }
    }

    /// Most tools of a request (OpenAI: "Invalid 'tools': array too long. Expected an array with maximum length 128").
    pub(super) fn most_tools(&self) -> usize {
        match self.openai {
            true => 128,
            false => usize::MAX,
        }
    }

    /// A tool call's id as it is sent.
    pub(super) fn call_id(&self, id: &str) -> String {
        match self.rules.nine_letter_ids {
            true => names::nine_letters(id),
            false => names::call_id(id),
        }
    }

    /// Whether a chat message may have thoughts in this field.
    pub(super) fn takes_thoughts(&self, field: Thoughts) -> bool {
        match self.thoughts() {
            Some(known) => known == field,
            None => !self.openai,
        }
    }

    /// The field of chat messages that takes thoughts, if it is known.
    pub(super) fn thoughts(&self) -> Option<Thoughts> {
        let known = self.capabilities.thoughts.or(self.rules.thoughts)?;
        Some(match self.thinks {
            Thinks::Never => Thoughts::Nowhere,
            _ => known,
        })
    }

    /// Returns what requests of the conversation have in common: the client's word for it, or ours.
    pub(super) fn cache_key(&self, clients: Option<&str>) -> Option<String> {
        let made = || {
            let taken = self.rules.cache_key && self.takes("prompt_cache_key");
            self.cache_key.filter(|_| taken)
        };
        clients.or_else(made).map(str::to_owned)
    }

    /// Whether a top-level field stays in the request.
    pub(super) fn takes(&self, field: &str) -> bool {
        let mut removed = self.unsupported.into_iter().flatten();
        !removed.any(|name| name == field)
    }

    /// Returns a client's limit of an answer, in tokens: no more than the model writes, as far as that is known.
    pub(super) fn limited(&self, wanted: Option<u64>) -> Option<u64> {
        let most = self.max_output_tokens.unwrap_or(u64::MAX);
        wanted.map(|wanted| wanted.min(most))
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
        is_claude(self.model)
    }
}

fn is_claude(model: &str) -> bool {
    name(model).is_some()
}

/// The rest of a Claude model's id, behind the family's name.
fn name(model: &str) -> Option<&str> {
    const FAMILY: &str = "claude-";
    let at = memchr::memmem::find(model.as_bytes(), FAMILY.as_bytes())?;
    Some(&model[at + FAMILY.len()..])
}

/// The version in a Claude model's id, of either order: `claude-3-7-sonnet-20250219`, `claude-opus-4-6`.
fn claude(model: &str) -> Option<(u32, u32)> {
    version(name(model)?)
}

fn version(name: &str) -> Option<(u32, u32)> {
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
            ("claude-fable-5-2", Some((5, 2))),
            ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", Some((3, 5))),
            ("anthropic.claude-opus-4-20250514-v1:0", Some((4, 0))),
            ("claude-opus-4-1@20250805", Some((4, 1))),
            ("claude-4-opus-20250514", Some((4, 0))),
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
        assert!(haiku.prefill && haiku.structured && !opus.prefill);
        for alias in ["claude-opus-latest", "claude-mythos-preview"] {
            let newest = Target::of_model(alias, None);
            assert!(!newest.sampling && !newest.prefill, "{alias}");
            assert_ne!(newest.thinking, ThinkingStyle::Budget, "{alias}");
        }
        let other = Target::of_model("kimi-k2", None);
        assert!(other.sampling && other.prefill && !other.structured);
        let declared = Capabilities {
            structured_output: Some(true),
            ..Capabilities::default()
        };
        assert!(other.knowing(declared, None).structured);
        assert_eq!(other.thinking, ThinkingStyle::Budget);
        assert!(Target::of_model("gpt-5.6-luna", None).openai);
        assert!(Target::of_model("ft:gpt-4o-mini:us::x1", None).openai);
        assert!(!Target::of_model("openai/gpt-oss-120b", None).openai);
        assert!(!Target::of_model("deepseek-chat", None).openai);
    }
}
