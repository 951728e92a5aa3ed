//! Events of Anthropic's messages.

use serde::Deserialize;

use super::facts::{Facts, Read};
use crate::report::failure::Fault;
use crate::report::figures::Written;
use crate::report::lenient::{Index, Maybe, Text};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    message: Maybe<Start<'a>>,
    index: Index,
    #[serde(borrow)]
    content_block: Maybe<Block<'a>>,
    #[serde(borrow)]
    delta: Maybe<Delta<'a>>,
    #[serde(borrow)]
    usage: Written<'a>,
    error: Fault,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Start<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    usage: Written<'a>,
}

/// A block as it starts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    partial_json: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    signature: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
}

impl MessageEvent<'_> {
    pub(super) fn read(self, facts: &mut Facts) -> Read {
        let mut failure = None;
        match &*self.kind.0 {
            "message_start" => {
                if let Some(start) = &self.message.0 {
                    facts.model(&start.model);
                    report(start.usage, false, facts);
                }
            }
            "content_block_start" => {
                facts.open_block = self.index.0;
                if let Some(block) = &self.content_block.0 {
                    facts.content |= !matches!(&*block.kind.0, "text" | "thinking" | "");
                    facts.text(&block.text);
                    facts.text(&block.thinking);
                    facts.text(&block.name);
                }
            }
            "content_block_stop" => facts.open_block = None,
            "content_block_delta" => {
                if let Some(delta) = &self.delta.0 {
                    facts.text(&delta.text);
                    facts.text(&delta.thinking);
                    facts.text(&delta.partial_json);
                    facts.text(&delta.content);
                    facts.content |= !delta.signature.is_empty();
                }
            }
            "message_delta" => {
                if let Some(reason) = self
                    .delta
                    .0
                    .as_ref()
                    .and_then(|delta| delta.stop_reason.some())
                {
                    facts.content = true;
                    facts.finish_reason(reason);
                }
                report(self.usage, true, facts);
            }
            "message_stop" => {
                facts.content = true;
                facts.complete = true;
            }
            // Providers that are merely compatible send the bare error object.
            "error" | "" => failure = self.error.failure(),
            _ => {}
        }
        Read {
            failure,
            usage_only: false,
            answers: !matches!(&*self.kind.0, "error" | ""),
        }
    }
}

fn report(usage: Written<'_>, at_the_end: bool, facts: &mut Facts) {
    let Some(figures) = usage.figures() else {
        return;
    };
    facts.serve_all(&figures);
    let earlier = facts
        .reported()
        .map(|report| report.usage)
        .unwrap_or_default();
    if let Some(usage) = figures.anthropic(earlier) {
        facts.report(usage, at_the_end && figures.reports_output());
    }
}
