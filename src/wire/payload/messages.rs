//! Events of Anthropic's messages, and a whole message.

use serde::Deserialize;

use crate::report::failure::Fault;
use crate::report::lenient::{Content, Index, Maybe, Raw, Text};

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) message: Maybe<Box<Message<'a>>>,
    pub(crate) index: Index,
    #[serde(borrow)]
    pub(crate) content_block: Maybe<Box<Block<'a>>>,
    #[serde(borrow)]
    pub(crate) delta: Maybe<Delta<'a>>,
    #[serde(borrow)]
    pub(crate) usage: Raw<'a>,
    pub(crate) error: Fault,
}

/// A message: whole, or as its stream begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Message<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) model: Text<'a>,
    /// Blocks; a text of those that know no better.
    #[serde(borrow)]
    pub(crate) content: Raw<'a>,
    #[serde(borrow)]
    pub(crate) stop_reason: Text<'a>,
    #[serde(borrow)]
    pub(crate) stop_sequence: Text<'a>,
    #[serde(borrow)]
    pub(crate) usage: Raw<'a>,
}

/// A block: whole, or as it begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow)]
    pub(crate) text: Text<'a>,
    #[serde(borrow)]
    pub(crate) thinking: Text<'a>,
    #[serde(borrow)]
    pub(crate) signature: Text<'a>,
    #[serde(borrow)]
    pub(crate) data: Text<'a>,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) input: Raw<'a>,
}

/// A fragment of a block, or of the message's end.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delta<'a> {
    #[serde(borrow)]
    pub(crate) text: Text<'a>,
    #[serde(borrow)]
    pub(crate) thinking: Text<'a>,
    #[serde(borrow)]
    pub(crate) partial_json: Content<'a>,
    #[serde(borrow)]
    pub(crate) content: Text<'a>,
    #[serde(borrow)]
    pub(crate) signature: Text<'a>,
    #[serde(borrow)]
    pub(crate) stop_reason: Text<'a>,
    #[serde(borrow)]
    pub(crate) stop_sequence: Text<'a>,
}
