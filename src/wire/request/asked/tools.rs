//! The tools that a provider runs: which of them a request orders, and what they are billed by.

use serde_json::Value;

use super::kept::{is_kept, key_of};
use super::{Asked, Paid};
use crate::report::Unit;
use crate::request::RequestBody;
use crate::request::index::Member;
use crate::request::names::Name;
use crate::skip;

/// The largest container that is to be had (OpenAI).
const MOST_GB: u64 = 64;

impl RequestBody {
    /// Whether it says that one of the provider's own tools must be used.
    pub(super) fn forces_hosted_tool(&self) -> bool {
        let is_choice = |member: &&Member| {
            let other = member.name == Name::Other;
            other && member.key(&self.bytes).eq_ignore_ascii_case("tool_choice")
        };
        self.members.iter().filter(is_choice).any(|member| {
            let choice = serde_json::from_slice::<Value>(&self.bytes[member.value.clone()]);
            let choice = choice.unwrap_or_default();
            let named = |key: &str| {
                choice[key].as_str().is_some_and(|kind| {
                    !matches!(kind, "tool" | "any" | "auto" | "none" | "allowed_tools")
                        && billed(kind).is_some()
                })
            };
            named("type") || named("name")
        })
    }
}

impl Asked {
    pub(super) fn tools(&mut self, value: &[u8], forced: bool) {
        let (mut place, mut hosted, mut own) = (0, Vec::new(), false);
        if value.first() != Some(&b'[') {
            return;
        }
        // The body was validated.
        let _read = skip::array(value, 0, |at| {
            let end = skip::value(value, at)?;
            // A tool that says twice what it is, is whatever of it may be billed.
            let (mut kinds, mut kept) = (Vec::new(), false);
            skip::members(&value[at..end], |key, value| match &*key_of(key) {
                "type" => kinds.push(value),
                "container" | "environment" => {
                    self.container_gb = self.container_gb.max(gigabytes(value));
                    kept |= is_kept(value);
                }
                "vector_store_ids" | "server_url" | "connector_id" => kept = true,
                _ => {}
            })
            .unwrap_or_default();
            let read = |kind| serde_json::from_slice::<String>(kind).unwrap_or_default();
            match kinds.into_iter().find_map(|kind| billed(&read(kind))) {
                Some(what) => hosted.push((what, format!("tools[{place}].type"))),
                None => own = true,
            }
            if kept {
                self.add(Paid::Kept, format!("tools[{place}]"));
            }
            place += 1;
            Ok(end)
        });
        // Agents offer hosted tools beside their own with every request, and hardly ever use them: what is used is
        // charged all the same. One that stands alone, is forced, or is not known is ordered.
        for (what, param) in hosted {
            if !own || forced || what == Paid::Tool {
                self.add(what, param);
            }
        }
    }
}

/// Which unit a tool is billed by; `None` if the client runs it, or it costs no more than its tokens.
fn billed(kind: &str) -> Option<Paid> {
    let starts = |names: &[&str]| names.iter().any(|name| kind.starts_with(name));
    if matches!(kind, "" | "function" | "custom" | "namespace")
        || starts(&[
            "local_shell",
            "apply_patch",
            "tool_search",
            "bash",
            "text_editor",
            "computer",
            "memory",
            "mcp",
            "web_fetch",
        ])
    {
        return None;
    }
    let unit = if starts(&["web_search", "x_search", "live_search", "openrouter:web"]) {
        Unit::WebSearch
    } else if starts(&["file_search", "collections_search", "document_"]) {
        Unit::FileSearch
    } else if starts(&["code_interpreter", "code_execution", "shell"]) {
        Unit::CodeContainer
    } else if starts(&["image_generation"]) {
        Unit::OutputImage
    } else {
        return Some(Paid::Tool);
    };
    Some(Paid::Unit(unit))
}

/// How large the container is that this orders, as in `{"memory_limit": "4g"}`; what is not understood is the largest.
fn gigabytes(container: &[u8]) -> u64 {
    let container = serde_json::from_slice::<Value>(container).unwrap_or_default();
    let said = match &container["memory_limit"] {
        Value::Null => return 1,
        Value::String(text) => text.trim_end_matches(['g', 'G', 'b', 'B', ' ']).parse(),
        other => other.to_string().parse(),
    };
    said.unwrap_or(MOST_GB).clamp(1, MOST_GB)
}
