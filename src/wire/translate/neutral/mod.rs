//! The model in the middle: what every dialect says, in no dialect's words.
//!
//! Invariant: nothing here names a wire format. A reader fills it from one, a writer says it in another, and
//! what a writer cannot say it names (`Written::dropped`) or refuses.

mod answer;
mod field;
mod pairs;
mod request;
mod seal;

pub(crate) use crate::reasoning::Effort;
pub(crate) use answer::Fault;
pub(crate) use answer::{Answer, Collector, MOST_PARTS, Part};
pub use answer::{Delta, Event, Kind, Stop};
pub(crate) use field::Field;
pub use request::Conversation;
pub(crate) use request::{
    Block, CacheMark, Call, CallResult, Choice, Content, Format, Reasoning, Role, Sampling, Source,
    Thinking, Tool, ToolKind, Turn,
};
pub use seal::Proof;
