//! Reads the events of OpenAI's responses.

use super::facts::{Facts, Read};
use crate::Dialect;
use crate::payload::responses::{Event, Incomplete, Item, Response};
use crate::report::StreamFailure;
use crate::report::failure;
use crate::report::figures::Figures;

/// Reads one event into facts.
pub(super) fn read(event: &Event<'_>, facts: &mut Facts) -> Read {
    let kind = &*event.kind.0;
    let response = event.response.0.as_deref();
    let told = response.and_then(|response| tell_response(response, facts));
    let mut failure = None;
    match kind {
        "response.completed" | "response.incomplete" => {
            facts.content = true;
            facts.complete = true;
        }
        "response.failed" => {
            failure = told.or_else(|| Some(failure::event(500, "response.failed", "")));
            facts.complete = true;
        }
        "error" | "" => failure = event.error.failure(),
        "response.output_item.added" => {
            if let Some(item) = &event.item.0 {
                facts.content |= !matches!(&*item.kind.0, "message" | "reasoning" | "");
                facts.text(&item.name);
            }
        }
        "response.output_item.done" => {
            facts.content = true;
            if let Some(item) = &event.item.0 {
                tell_tool(item, facts);
            }
        }
        _ if kind.starts_with("response.") && kind.ends_with(".delta") => {
            if kind.ends_with("audio.delta") {
                facts.other(event.delta.0.len());
            } else {
                facts.text(&event.delta);
            }
        }
        _ => {}
    }
    Read {
        failure,
        usage_only: false,
        answers: !matches!(kind, "error" | ""),
    }
}

/// Tells model, usage and why it ended; returns the failure if it failed.
fn tell_response(response: &Response<'_>, facts: &mut Facts) -> Option<StreamFailure> {
    facts.model(&response.model);
    facts.id(&response.id);
    facts.serve(&response.service_tier);
    if let Some(mut figures) = Figures::of(response.usage) {
        figures.tools(response.tool_usage);
        facts.serve_all(&figures);
        if let Some(usage) = figures.usage(Dialect::OpenAi, false) {
            facts.report(usage, true);
        }
    }
    let reason = Incomplete::reason_of(&response.incomplete_details);
    tell_end(&response.status.0, reason, facts);
    response.error.failure()
}

/// Tells why a response ended, if it did.
pub(super) fn tell_end(status: &str, reason: Option<&str>, facts: &mut Facts) {
    match status {
        "incomplete" => facts.finish_reason(reason.unwrap_or("incomplete")),
        "completed" | "failed" => facts.finish_reason(status),
        _ => {}
    }
}

/// Tells which tool the provider ran, if an item is that.
pub(super) fn tell_tool(item: &Item<'_>, facts: &mut Facts) {
    let action = item.action.0.as_ref().map(|action| &*action.kind.0);
    facts.ran(
        &item.kind.0,
        action.unwrap_or_default(),
        &item.container_id.0,
    );
}
