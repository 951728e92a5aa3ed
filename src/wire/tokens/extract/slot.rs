//! One member of a document's top level, as far as it is kept.

use std::ops::Range;

use super::members::Keep;

/// How much is kept, in bytes as it is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Of generated text.
    pub text: usize,
    /// Of members that are looked into, their texts included.
    pub looked: usize,
    /// Of any other member; a longer one is not kept.
    pub longest: usize,
    /// Of a string that is kept whatever was kept before: it may be a name, or why an answer ended.
    pub short: usize,
}

pub(super) const BOUNDS: Bounds = Bounds {
    text: 1 << 20,
    looked: (1 << 20) + (256 << 10),
    longest: 64 << 10,
    short: 256,
};

/// One member.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub name: &'static str,
    pub keep: Keep,
    /// Where its value is, as far as it is kept; empty if it is not.
    pub at: Range<usize>,
    /// Of choices: where it says why the last one ended that says so.
    pub reason: Option<Range<usize>>,
    /// Of the whole value, in bytes.
    pub length: u64,
    /// Bytes of strings that would be kept if there were not so many.
    pub cut: u64,
    /// Bytes of strings that are kept, as far as they count for [`Bounds::text`].
    pub text: usize,
}

impl Slot {
    /// How much of [`Bounds::looked`] it has taken.
    pub(super) fn takes(&self) -> usize {
        match self.keep {
            Keep::AsItIs => 0,
            Keep::Looked => self.at.len(),
        }
    }

    /// Bytes of strings that are kept, and of what is not.
    pub(super) fn measure(&self) -> u64 {
        self.length.saturating_sub(self.at.len() as u64) + self.text as u64
    }

    /// Its bytes have moved to `start`.
    pub(super) fn moved(&mut self, start: usize) {
        let (from, to) = (self.at.start, start);
        let shift = |range: &Range<usize>| range.start - from + to..range.end - from + to;
        self.reason = self.reason.as_ref().map(shift);
        self.at = shift(&self.at);
    }
}

/// How much of a string's content ends neither inside a character, nor inside an escape, nor between the halves of a
/// character that is written as two.
pub(super) fn whole(content: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = content.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match rest {
            [
                b'\\',
                b'u',
                b'd' | b'D',
                b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B',
                _,
                _,
                next @ ..,
            ] => first_half(next),
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            [0xF0..=0xFF, ..] => 4,
            [0xE0..=0xEF, ..] => 3,
            [0xC0..=0xDF, ..] => 2,
            _ => 1,
        };
        if step > rest.len() {
            break;
        }
        at += step;
    }
    at
}

/// The length of the first half of a character with the second, if `next` may be that.
fn first_half(next: &[u8]) -> usize {
    match next {
        [] | [b'\\'] | [b'\\', b'u'] | [b'\\', b'u', b'd' | b'D'] => 12,
        [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..] => 12,
        _ => 6,
    }
}
