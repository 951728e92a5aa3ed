//! What providers answer with, as each surface writes it: one set of types for all who read it.
//!
//! The observer reads every event and needs little of it, translation reads nearly all of it. So what the observer passes over and
//! is long, or is said again at the end, is [`Raw`](crate::report::lenient::Raw): skipped at first, and read by whoever
//! needs it. What few events have is boxed, since a value is moved at each level that it is read through. Wire facts: the
//! public API references, and what compatible providers were seen to send.

pub(crate) mod chat;
pub(crate) mod messages;
pub(crate) mod responses;
