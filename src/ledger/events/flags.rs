//! What is true of an attempt, in one number.

use serde::{Deserialize, Serialize};

/// Something that is true of an attempt, or is not. The numbers are stored: one is only ever added, at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// A deadline ended it.
    TimedOut = 0,
    /// It failed: timed out, never answered, or answered 4xx or 5xx.
    Error = 1,
    /// The client asked for a stream.
    Streaming = 2,
    /// What was used is our own count, because the provider reported none.
    Estimated = 3,
    /// Some of what was served has no price, so that the dearest known was taken.
    Assumed = 4,
    /// It is charged what was held, because that is more than what is known of its use.
    Held = 5,
    /// The key is the operator's: [`KeyKind::Managed`](crate::KeyKind::Managed).
    Managed = 6,
    /// The request ended with it.
    Final = 7,
    /// The catalog does not know the model, whose id is then whatever the caller wrote.
    Unlisted = 8,
    /// The process died before it settled, so that it is charged at its estimate.
    Orphaned = 9,
    /// Its configuration lists the tags that requests may have, so that totals tell their values apart.
    TagsListed = 10,
}

/// A bit for each [`Flag`], at the place of its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(u16);

impl Flags {
    /// Returns whether this is true.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 >> flag as u8 & 1 == 1
    }

    /// Returns the same with one set, if it is true.
    #[must_use]
    pub const fn with(self, flag: Flag, is_true: bool) -> Flags {
        Flags(self.0 | (is_true as u16) << flag as u8)
    }

    /// Returns the same with one turned round.
    #[must_use]
    pub(super) const fn turned(self, flag: Flag) -> Flags {
        Flags(self.0 ^ 1 << flag as u8)
    }
}
