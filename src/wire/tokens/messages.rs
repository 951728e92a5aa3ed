//! Reads the events of Anthropic's messages.

use super::facts::{Facts, Read};
use crate::payload::messages::{Block, Delta, Event};
use crate::report::figures::Figures;
use crate::report::lenient::Raw;

/// Reads one event into facts.
pub(super) fn read(event: &Event<'_>, facts: &mut Facts) -> Read {
    let mut failure = None;
    let delta = event.delta.0.as_ref();
    match &*event.kind.0 {
        "message_start" => {
            if let Some(message) = &event.message.0 {
                facts.model(&message.model);
                report(message.usage, false, facts);
            }
        }
        "content_block_start" => {
            facts.open_block = event.index.0;
            if let Some(block) = &event.content_block.0 {
                tell_block(block, facts);
            }
        }
        "content_block_stop" => facts.open_block = None,
        "content_block_delta" => {
            if let Some(delta) = delta {
                tell_delta(delta, facts);
            }
        }
        "message_delta" => {
            if let Some(reason) = delta.and_then(|delta| delta.stop_reason.some()) {
                facts.content = true;
                facts.finish_reason(reason);
            }
            report(event.usage, true, facts);
        }
        "message_stop" => {
            facts.content = true;
            facts.complete = true;
        }
        // Providers that are merely compatible send the bare error object.
        "error" | "" => failure = event.error.failure(),
        _ => {}
    }
    Read {
        failure,
        usage_only: false,
        answers: !matches!(&*event.kind.0, "error" | ""),
    }
}

/// Tells what a block has as it starts.
fn tell_block(block: &Block<'_>, facts: &mut Facts) {
    facts.content |= !matches!(&*block.kind.0, "text" | "thinking" | "");
    facts.text(&block.text);
    facts.text(&block.thinking);
    facts.text(&block.name);
}

fn tell_delta(delta: &Delta<'_>, facts: &mut Facts) {
    facts.text(&delta.text);
    facts.text(&delta.thinking);
    delta.partial_json.text(|json| facts.text(json));
    facts.text(&delta.content);
    facts.content |= !delta.signature.is_empty();
}

fn report(usage: Raw<'_>, at_the_end: bool, facts: &mut Facts) {
    let Some(figures) = Figures::of(usage) else {
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
