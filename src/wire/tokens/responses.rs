//! Events of OpenAI's responses.

use serde::Deserialize;

use super::facts::{Facts, Read};
use crate::Dialect;
use crate::report::StreamFailure;
use crate::report::failure::Fault;
use crate::report::figures::Written;
use crate::report::lenient::{Maybe, Text};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    delta: Text<'a>,
    #[serde(borrow)]
    item: Maybe<Item<'a>>,
    #[serde(borrow)]
    response: Maybe<Response<'a>>,
    error: Fault,
}

/// An item of a response's output.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    action: Maybe<Action<'a>>,
    #[serde(borrow)]
    container_id: Text<'a>,
}

/// What a search of the web did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Action<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

/// The response object that some events carry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    service_tier: Text<'a>,
    #[serde(borrow)]
    usage: Written<'a>,
    #[serde(borrow)]
    tool_usage: Written<'a>,
    error: Fault,
    #[serde(borrow)]
    incomplete_details: Maybe<Incomplete<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

impl Item<'_> {
    /// Tells which tool the provider ran, if it is that.
    pub(super) fn tell_tool(&self, facts: &mut Facts) {
        let action = self.action.0.as_ref().map(|action| &*action.kind.0);
        let action = action.unwrap_or_default();
        facts.ran(&self.kind.0, action, &self.container_id.0);
    }
}

impl Response<'_> {
    /// Tells model, usage and why it ended; the failure if it failed.
    fn tell(&self, facts: &mut Facts) -> Option<StreamFailure> {
        facts.model(&self.model);
        facts.id(&self.id);
        facts.serve(&self.service_tier);
        if let Some(mut figures) = self.usage.figures() {
            self.tool_usage.tools(&mut figures);
            facts.serve_all(&figures);
            if let Some(usage) = figures.usage(Dialect::OpenAi, false) {
                facts.report(usage, true);
            }
        }
        end(&self.status, &self.incomplete_details, facts);
        self.error.failure()
    }
}

/// Tells why a response ended, if it did.
pub(super) fn end(status: &Text<'_>, details: &Maybe<Incomplete<'_>>, facts: &mut Facts) {
    let reason = details.0.as_ref().and_then(|details| details.reason.some());
    match &*status.0 {
        "incomplete" => facts.finish_reason(reason.unwrap_or("incomplete")),
        status @ ("completed" | "failed") => facts.finish_reason(status),
        _ => {}
    }
}

impl ResponseEvent<'_> {
    pub(super) fn read(self, facts: &mut Facts) -> Read {
        let kind = &*self.kind.0;
        let told = self
            .response
            .0
            .as_ref()
            .and_then(|response| response.tell(facts));
        let mut failure = None;
        match kind {
            "response.completed" | "response.incomplete" => {
                facts.content = true;
                facts.complete = true;
            }
            "response.failed" => {
                failure = told
                    .or_else(|| Some(crate::report::failure::event(500, "response.failed", "")));
                facts.complete = true;
            }
            "error" | "" => failure = self.error.failure(),
            "response.output_item.added" => {
                if let Some(item) = &self.item.0 {
                    facts.content |= !matches!(&*item.kind.0, "message" | "reasoning" | "");
                    facts.text(&item.name);
                }
            }
            "response.output_item.done" => {
                facts.content = true;
                if let Some(item) = &self.item.0 {
                    item.tell_tool(facts);
                }
            }
            _ if kind.starts_with("response.") && kind.ends_with(".delta") => {
                if kind.ends_with("audio.delta") {
                    facts.other(self.delta.0.len());
                } else {
                    facts.text(&self.delta);
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
}
