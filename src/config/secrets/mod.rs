//! Credentials at rest: sealed where they are stored, redacted where they are shown.
//!
//! A `Keyring` seals a [`Secret`](tollgate_base::Secret) under the current master key, for one context: the
//! name of the resource that it belongs to. What comes out is [`Sealed`], a text that any store can keep. It opens
//! with the key that sealed it (current or previous) and in the same context only, so that nobody who can write to
//! the store can make one resource use another's credential. Invariant: neither a master key nor what was sealed
//! appears in `Debug`, in an error, or in a serialized form.

mod keyring;
mod master_key;
mod role;
mod sealed;
pub mod token;

pub use keyring::{Keyring, OpenError, SealError};
pub use master_key::MasterKey;
pub use role::{Role, UnknownRole};
pub use sealed::Sealed;
pub use token::Token;
