//! Takes a credential out of what leaves for a client, in whatever form it is written: as it is, with JSON or URL
//! escapes for some of its characters, as base64, alone or inside something longer.
//!
//! Invariant: however the bytes are cut into pieces, the same bytes are masked; a masked credential is as long as
//! before, so that announced lengths hold; everything else passes as it came.
//!
//! Cost: what holds nothing of the kind is searched twice by vector instructions, and not copied. Only where
//! escapes stand for characters that the credential has, text is decoded. Only at the end of a piece that ends in the
//! middle of a word, what may be the beginning of the credential waits for the next piece.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use memchr::memmem::Finder;

mod escapes;
#[cfg(test)]
mod tests;

use crate::words::Words;
use escapes::{Decoded, decode};

/// Shorter credentials are no secrets, and would be found in any text.
const SHORTEST: usize = 8;

/// A character may be written in so many bytes: an escape whose backslashes or percent signs are escaped again, as
/// `%25252525XX`.
const LONGEST_ESCAPE: usize = 11;

/// What a credential looks like.
pub struct Mask(Option<Box<Forms>>);

struct Forms {
    secret: Vec<u8>,
    finder: Finder<'static>,
    /// The credential as it is and as base64.
    plain: Vec<Vec<u8>>,
    any_plain: Words,
    /// The bytes that one of the forms has.
    bytes: [bool; 256],
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Returns a mask for this credential. One of less than 8 bytes is no secret, and nothing is masked.
    pub fn new(credential: &str) -> Mask {
        let secret = credential.as_bytes();
        if secret.len() < SHORTEST {
            return Mask(None);
        }
        let mut plain = vec![secret.to_vec()];
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            for before in 0..3 {
                let form = as_base64(engine, before, secret);
                if !plain.contains(&form) {
                    plain.push(form);
                }
            }
        }
        let Ok(any_plain) = Words::new(&plain) else {
            return Mask(None); // longer than any header may be
        };
        let mut bytes = [false; 256];
        for byte in plain.iter().flatten().chain(b"\\/u%0123456789abcdefABCDEF") {
            bytes[usize::from(*byte)] = true;
        }
        Mask(Some(Box::new(Forms {
            finder: Finder::new(secret).into_owned(),
            secret: secret.to_vec(),
            plain,
            any_plain,
            bytes,
        })))
    }

    /// Masks it in a whole text.
    pub fn whole(&self, text: &mut [u8]) {
        if let Some(forms) = &self.0 {
            for found in forms.find(text) {
                text[found].fill(b'*');
            }
        }
    }

    /// Returns the text without it; `None` if it is not in it.
    pub fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let forms = self.0.as_ref()?;
        if text.len() < forms.secret.len() || forms.find(text).is_empty() {
            return None;
        }
        let mut masked = text.to_vec();
        self.whole(&mut masked);
        Some(masked)
    }
}

/// The characters of base64 that a credential decides wherever it stands: behind `before` bytes, or three more, or six.
fn as_base64(engine: &GeneralPurpose, before: usize, secret: &[u8]) -> Vec<u8> {
    let padded = [&[0; 3][..before], secret].concat();
    let all = engine.encode(&padded).into_bytes();
    all[(8 * before).div_ceil(6)..8 * padded.len() / 6].to_vec()
}

impl Forms {
    /// Where it is.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.any_plain.each(text, |_, at| found.push(at));
        if self.may_be_escaped(text) {
            let Decoded { text, at, .. } = decode(text);
            let escaped = self.finder.find_iter(&text);
            found.extend(escaped.map(|start| at[start]..at[start + self.secret.len()]));
        }
        found
    }

    /// Whether an escape stands for a character of the credential.
    fn may_be_escaped(&self, text: &[u8]) -> bool {
        let has = |byte: Option<u8>| byte.is_some_and(|byte| self.secret.contains(&byte));
        let hex = |at: usize| escapes::byte(text.get(at..at + 2)?);
        memchr::memchr2_iter(b'\\', b'%', text).any(|at| match &text[at..] {
            [b'\\', b'u', b'0', b'0', ..] => has(hex(at + 4)),
            [b'\\', byte, ..] => *byte == b'/' && has(Some(b'/')),
            [b'%', ..] => hex(at + 1) == Some(b'%') || has(hex(at + 1)),
            _ => false,
        })
    }

    /// How many bytes of the end may be the beginning of it.
    fn begun(&self, text: &[u8]) -> usize {
        // Events and documents end so that nothing may.
        if !text
            .last()
            .is_some_and(|last| self.bytes[usize::from(*last)])
        {
            return 0;
        }
        let longest = LONGEST_ESCAPE * self.secret.len();
        let tail = &text[text.len().saturating_sub(longest)..];
        let begins = |form: &[u8], tail: &[u8]| {
            let from = tail.len().saturating_sub(form.len() - 1);
            let starts = memchr::memchr_iter(form[0], &tail[from..]).map(move |at| from + at);
            starts.into_iter().find(|at| form.starts_with(&tail[*at..]))
        };
        let plain = self.plain.iter().filter_map(|form| begins(form, tail));
        let mut begun = plain.min().map_or(0, |at| tail.len() - at);
        if memchr::memchr2(b'\\', b'%', tail).is_some() {
            let Decoded { text, at, cut } = decode(tail);
            let escaped = begins(&self.secret, &text).map(|start| at[start]);
            let start = escaped.or(cut).map_or(0, |at| tail.len() - at);
            begun = begun.max(start);
        }
        begun
    }
}

/// Masks a credential in what comes in pieces.
#[derive(Debug)]
pub struct Masking {
    mask: Arc<Mask>,
    /// What may be the beginning of the credential.
    rest: Vec<u8>,
}

impl Masking {
    /// For one text.
    pub fn new(mask: Arc<Mask>) -> Masking {
        Masking {
            mask,
            rest: Vec::new(),
        }
    }

    /// Returns a piece; its end may be kept until the next one.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let Some(forms) = &self.mask.0 else {
            return piece;
        };
        let piece = match self.rest.is_empty() {
            true => piece,
            false => [&std::mem::take(&mut self.rest), &piece[..]]
                .concat()
                .into(),
        };
        let (found, begun) = (forms.find(&piece), forms.begun(&piece));
        // What was found whole begins nothing else, as in an uncut text.
        let whole = found.iter().map(|found| found.end).max().unwrap_or(0);
        let passes = whole.max(piece.len() - begun);
        self.rest.extend_from_slice(&piece[passes..]);
        if found.is_empty() {
            return match passes == piece.len() {
                true => piece,
                false => piece.slice(..passes),
            };
        }
        let mut masked = piece[..passes].to_vec();
        for found in found {
            let within = found.start.min(passes)..found.end.min(passes);
            masked[within].fill(b'*');
        }
        masked.into()
    }

    /// Returns what was kept.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.rest).into()
    }
}
