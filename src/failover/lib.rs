//! What to try, in which order, and what a failure means. Pure: no I/O, no Pingora, no clock.
//!
//! The files in the order in which a request meets them:
//!
//! 1. [`mod@plan`] turns resolved models into an ordered list of candidates, with [`session`] where keys stand equal;
//! 2. [`machine`] walks that list, one attempt after another, until commit or until nothing is left;
//! 3. [`cause`] reads in an error's body whose fault it is;
//! 4. `classify` says what an attempt's outcome means: next candidate, provider or model, or stop;
//! 5. [`mod@retry_after`] reads from an answer's headers how long a key should cool down;
//! 6. [`cooldown`] remembers which keys cool down, [`breaker`] which providers cannot be reached;
//! 7. [`mod@limits`] reads what an answer's headers say of the key's limits, [`headroom`] estimates what is left of them;
//! 8. [`health`] is the one door to all three, and [`queue`] says whose turn it is where requests wait for quota;
//! 9. [`hedge`] says how many attempts may be begun beside others.
//!
//! The law of the room: *after commit, never another attempt*; never the same (model, key) twice, unless the operator
//! asks for it ([`Retry`]).

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

pub(crate) mod backoff;
pub mod breaker;
pub mod cause;
pub(crate) mod classify;
pub mod cooldown;
pub mod headroom;
pub mod health;
pub mod hedge;
pub mod limits;
pub mod machine;
pub mod plan;
pub mod queue;
pub mod retry_after;
pub mod scope;
pub mod session;
#[cfg(test)]
mod testing;
mod times;

pub use breaker::{BreakerState, Shut};
pub use cause::ProviderError;
pub use classify::{ConnectFailure, Outcome};
pub use cooldown::Cooldowns;
pub use headroom::{Headroom, Need};
pub use health::{Health, Learnt};
pub use limits::Limits;
pub use machine::{Attempt, Ending, Machine, Step};
pub use plan::{Candidate, Selection, Target, Wait, plan};
pub use retry_after::retry_after;
pub use scope::{Class, Scope};
pub use session::{Session, SessionHasher};
pub use tollgate_config::Retry;
