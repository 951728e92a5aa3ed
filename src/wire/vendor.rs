//! Vendors, and what their APIs want of requests beyond what the surface says.
//!
//! A rule is here once, with its source; writers ask for the rule and never for the vendor. Invariant: a provider whose
//! vendor is not known has the rules of its surface alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reasoning::Thoughts;

/// Whose rules a provider's API follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Vendor {
    /// OpenAI, and Azure.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API in OpenAI's dialect.
    Google,
    /// DeepSeek.
    Deepseek,
    /// Moonshot AI.
    Moonshotai,
    /// Z.ai.
    ZAi,
    /// Mistral.
    Mistral,
    /// Groq.
    Groq,
    /// OpenRouter.
    Openrouter,
}

/// How thinking is switched on and off in a chat request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// By `reasoning_effort` alone.
    Effort,
    /// By `thinking`: `{"type": "disabled"}`.
    Thinking,
    /// By `reasoning`: `{"enabled": false}`.
    Reasoning,
}

/// What a vendor's API wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where thoughts go back, if every model wants them at one place.
    pub thoughts: Option<Thoughts>,
    /// How thinking is switched off.
    pub switch: Switch,
    /// Whether parts of messages may have `cache_control`.
    pub cache_control: bool,
    /// Whether chat completions are nearer than responses, whatever the client's surface.
    pub prefers_chat: bool,
    /// Whether ids of calls are exactly nine letters and digits.
    pub nine_letter_ids: bool,
    /// Whether a user's message may not follow a tool's.
    pub assistant_after_tool: bool,
    /// Whether requests of one conversation are kept together by a `prompt_cache_key`.
    pub cache_key: bool,
    /// Whether the names of what a tool takes are 1 to 64 letters, digits, `_`, `.` and `-`.
    pub plain_properties: bool,
}

/// The rules of a provider of which nothing is known.
const UNKNOWN: Rules = Rules {
    thoughts: None,
    switch: Switch::Effort,
    cache_control: false,
    prefers_chat: false,
    nine_letter_ids: false,
    assistant_after_tool: false,
    cache_key: false,
    plain_properties: false,
};

impl Vendor {
    /// All of them.
    pub const ALL: [Vendor; 9] = [
        Vendor::Openai,
        Vendor::Anthropic,
        Vendor::Google,
        Vendor::Deepseek,
        Vendor::Moonshotai,
        Vendor::ZAi,
        Vendor::Mistral,
        Vendor::Groq,
        Vendor::Openrouter,
    ];

    /// As the catalog and the YAML have it.
    pub const fn name(self) -> &'static str {
        match self {
            Vendor::Openai => "openai",
            Vendor::Anthropic => "anthropic",
            Vendor::Google => "google",
            Vendor::Deepseek => "deepseek",
            Vendor::Moonshotai => "moonshotai",
            Vendor::ZAi => "z-ai",
            Vendor::Mistral => "mistral",
            Vendor::Groq => "groq",
            Vendor::Openrouter => "openrouter",
        }
    }

    /// Returns the vendor of a name; `None` if there is none of it.
    pub fn named(name: &str) -> Option<Vendor> {
        Vendor::ALL.into_iter().find(|vendor| vendor.name() == name)
    }

    /// Returns what a vendor's API wants; of no vendor, what the surface says.
    pub const fn rules(vendor: Option<Vendor>) -> Rules {
        let Some(vendor) = vendor else {
            return UNKNOWN;
        };
        match vendor {
            // Members of messages that are not in the reference are refused. "Prompt caching": requests of one prefix and one
            // key go to the machine that has them.
            Vendor::Openai => Rules {
                thoughts: Some(Thoughts::Nowhere),
                cache_key: true,
                ..UNKNOWN
            },
            // The same; and what its API answers to other names (anthropics/claude-code#79418).
            Vendor::Anthropic => Rules {
                thoughts: Some(Thoughts::Nowhere),
                plain_properties: true,
                ..UNKNOWN
            },
            // ai.google.dev/gemini-api/docs/thought-signatures: a call of Gemini 3 without its signature is refused.
            Vendor::Google => Rules {
                thoughts: Some(Thoughts::Signature),
                ..UNKNOWN
            },
            // api-docs.deepseek.com/guides/thinking_mode: the switch, and thoughts of turns with calls.
            // platform.moonshot.ai and docs.z.ai, "Thinking": the same.
            Vendor::Deepseek | Vendor::Moonshotai | Vendor::ZAi => Rules {
                thoughts: Some(Thoughts::Content),
                switch: Switch::Thinking,
                ..UNKNOWN
            },
            // mistralai.github.io/mistral-common/usage/tools, "Tool calling and messages".
            Vendor::Mistral => Rules {
                thoughts: Some(Thoughts::Nowhere),
                nine_letter_ids: true,
                assistant_after_tool: true,
                ..UNKNOWN
            },
            // console.groq.com/docs/openai: what is not supported is refused.
            Vendor::Groq => Rules {
                thoughts: Some(Thoughts::Words),
                ..UNKNOWN
            },
            // openrouter.ai/docs, "Reasoning tokens" and "Prompt caching"; its responses are a beta.
            Vendor::Openrouter => Rules {
                thoughts: Some(Thoughts::Details),
                switch: Switch::Reasoning,
                cache_control: true,
                prefers_chat: true,
                ..UNKNOWN
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_has_one_name() {
        for vendor in Vendor::ALL {
            assert_eq!(Vendor::named(vendor.name()), Some(vendor));
            let json = serde_json::to_value(vendor).unwrap();
            assert_eq!(json, vendor.name());
        }
        assert_eq!(Vendor::named("nobody"), None);
    }
}
