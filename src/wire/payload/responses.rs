//! Events of OpenAI's responses, and a whole response.

use serde::Deserialize;

use crate::report::failure::Fault;
use crate::report::lenient::{Index, Maybe, Raw, Text};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    pub(crate) output_index: Index,
    pub(crate) content_index: Index,
    pub(crate) summary_index: Index,
    #[serde(borrow)]
    pub(crate) item_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) delta: Text<'a>,
    #[serde(borrow)]
    pub(crate) text: Raw<'a>,
    #[serde(borrow)]
    pub(crate) refusal: Raw<'a>,
    #[serde(borrow)]
    pub(crate) arguments: Raw<'a>,
    #[serde(borrow)]
    pub(crate) input: Raw<'a>,
    #[serde(borrow)]
    pub(crate) logprobs: Raw<'a>,
    #[serde(borrow)]
    pub(crate) item: Maybe<Box<Item<'a>>>,
    #[serde(borrow)]
    pub(crate) part: Maybe<Part<'a>>,
    #[serde(borrow)]
    pub(crate) response: Maybe<Box<Response<'a>>>,
    pub(crate) error: Fault,
}

/// A part of a message, as far as it is looked at when it begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
}

/// An item of a response's output.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) call_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) namespace: Text<'a>,
    #[serde(borrow)]
    pub(crate) arguments: Raw<'a>,
    #[serde(borrow)]
    pub(crate) input: Raw<'a>,
    #[serde(borrow)]
    pub(crate) content: Raw<'a>,
    #[serde(borrow)]
    pub(crate) summary: Raw<'a>,
    #[serde(borrow)]
    pub(crate) encrypted_content: Raw<'a>,
    #[serde(borrow)]
    pub(crate) action: Maybe<Action<'a>>,
    #[serde(borrow)]
    pub(crate) container_id: Text<'a>,
}

/// What a search of the web did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Action<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
}

/// The response object: whole, or as some events carry it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Response<'a> {
    #[serde(borrow)]
    pub(crate) object: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) model: Text<'a>,
    #[serde(borrow)]
    pub(crate) status: Text<'a>,
    /// Items.
    #[serde(borrow)]
    pub(crate) output: Raw<'a>,
    #[serde(borrow)]
    pub(crate) output_text: Raw<'a>,
    #[serde(borrow)]
    pub(crate) service_tier: Text<'a>,
    #[serde(borrow)]
    pub(crate) usage: Raw<'a>,
    #[serde(borrow)]
    pub(crate) tool_usage: Raw<'a>,
    pub(crate) error: Fault,
    #[serde(borrow)]
    pub(crate) incomplete_details: Maybe<Incomplete<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Incomplete<'a> {
    #[serde(borrow)]
    pub(crate) reason: Text<'a>,
}

impl Incomplete<'_> {
    /// Returns why a response is incomplete, if it says so.
    pub(crate) fn reason_of<'a>(details: &'a Maybe<Incomplete<'_>>) -> Option<&'a str> {
        details.0.as_ref()?.reason.some()
    }
}
