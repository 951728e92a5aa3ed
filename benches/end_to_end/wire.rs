//! Just enough HTTP/1.1 for the two ends of the measurement: finding a head, reading a header,
//! and walking a body by content length or in chunks.
//!
//! Invariant: a body's content passes through as slices of the read buffer; nothing is copied, so the
//! provider and the load generator cost as little as they can beside the proxies being measured.

use memchr::memmem;

/// Where the head in `buffer` ends (after its empty line), once all of it is there.
pub fn head_end(buffer: &[u8]) -> Option<usize> {
    memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of the first header called `name` (any case), trimmed.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (key, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        key.eq_ignore_ascii_case(name.as_bytes())
            .then(|| std::str::from_utf8(value.trim_ascii()).ok())
            .flatten()
    })
}

/// A header's value as a number; 0 when it is absent or no number.
pub fn number(head: &[u8], name: &str) -> u64 {
    header(head, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// What is still to come of one message's body.
pub enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks; the decoder knows how far it is.
    Chunked(Chunks),
}

impl Body {
    /// How the body after `head` is framed; without either header it is empty.
    pub fn of(head: &[u8]) -> Body {
        match header(head, "transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => {
                Body::Chunked(Chunks::Size(0))
            }
            _ => Body::Length(number(head, "content-length")),
        }
    }

    /// True once all of it has been fed.
    pub fn is_done(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunked(Chunks::Done))
    }

    /// Takes bytes off the wire, hands the content to `content`, and returns how many bytes it took:
    /// all of them, or fewer when the body ends before `input` does.
    pub fn feed(&mut self, input: &[u8], content: impl FnMut(&[u8])) -> usize {
        match self {
            Body::Length(left) => {
                let mut content = content;
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                content(&input[..take]);
                *left -= take as u64;
                take
            }
            Body::Chunked(chunks) => chunks.feed(input, content),
        }
    }
}

/// Where a chunked body is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// In a chunk's size, which is this so far.
    Size(u64),
    /// In the rest of the size's line; the size is known.
    SizeLine(u64),
    /// In a chunk's data with this much left.
    Data(u64),
    /// In the line break after a chunk's data.
    AfterData,
    /// In the trailer, on a line that is empty so far.
    EmptyLine,
    /// In the trailer, on a line with something on it.
    TrailerLine,
    /// After the last line.
    Done,
}

impl Chunks {
    fn feed(&mut self, input: &[u8], mut content: impl FnMut(&[u8])) -> usize {
        let mut at = 0;
        while at < input.len() && *self != Chunks::Done {
            if let Chunks::Data(left) = *self {
                let rest = &input[at..];
                let take = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                content(&rest[..take]);
                at += take;
                let left = left - take as u64;
                *self = if left == 0 {
                    Chunks::AfterData
                } else {
                    Chunks::Data(left)
                };
            } else {
                *self = self.next(input[at]);
                at += 1;
            }
        }
        at
    }

    fn next(self, byte: u8) -> Chunks {
        match (self, byte) {
            (Chunks::Size(0) | Chunks::SizeLine(0), b'\n') => Chunks::EmptyLine,
            (Chunks::Size(size) | Chunks::SizeLine(size), b'\n') => Chunks::Data(size),
            (Chunks::Size(size), byte) => match char::from(byte).to_digit(16) {
                Some(digit) => Chunks::Size(size.saturating_mul(16) + u64::from(digit)),
                None => Chunks::SizeLine(size),
            },
            (Chunks::AfterData, b'\n') => Chunks::Size(0),
            (Chunks::EmptyLine, b'\n') => Chunks::Done,
            (Chunks::EmptyLine, b'\r') => Chunks::EmptyLine,
            (Chunks::TrailerLine, b'\n') => Chunks::EmptyLine,
            (Chunks::EmptyLine, _) => Chunks::TrailerLine,
            (same, _) => same,
        }
    }
}
