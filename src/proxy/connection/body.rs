//! Where the body of an HTTP/1 request ends, found in its bytes as they pass.
//!
//! What follows it is the next request, and must not be taken for a part of this one.

/// Most bytes of chunk extensions and trailers in one body.
const MOST_EXTRA: usize = 16 << 10;

/// Most digits of a chunk's size: more would not fit into 64 bits.
const MOST_DIGITS: u8 = 15;

/// What is left of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112, 7.1).
    Chunks(Chunks),
}

impl Body {
    pub(super) fn chunked() -> Body {
        Body::Chunks(Chunks::default())
    }

    /// How many of `bytes` belong to it: fewer than all at its end only.
    ///
    /// # Errors
    /// What is wrong with its chunks.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        match self {
            Body::Length(left) => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok(taken)
            }
            Body::Chunks(chunks) => chunks.take(bytes),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Body::Length(left) => *left == 0,
            Body::Chunks(chunks) => matches!(chunks.next, Next::Nothing),
        }
    }
}

/// Chunks, as far as they were looked at.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    next: Next,
    /// What is left of the chunk.
    size: u64,
    digits: u8,
    extra: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Next {
    /// Digits of a size.
    #[default]
    Size,
    /// The name of an extension; whether some of it was there.
    Name(bool),
    /// The value of an extension.
    Value,
    /// The LF after a size.
    SizeLf,
    /// Bytes of a chunk.
    Data,
    /// The CR after a chunk, and its LF.
    DataCr,
    DataLf,
    /// A trailer, or the last line end.
    Trailers,
    /// More of a trailer; whether its colon was there.
    Trailer(bool),
    TrailerLf,
    EndLf,
    /// The body is over.
    Nothing,
}

const BAD_SIZE: &str = "a chunk's size is not a hexadecimal number that CR and LF follow";
const BAD_END: &str = "a chunk is not as long as its size says, or CR and LF do not follow it";
const BAD_EXTENSION: &str = "a chunk's extension is not `;name` or `;name=value`";
const BAD_TRAILER: &str = "a trailer is not a header line that ends in CR and LF";
const TOO_MUCH: &str = "its chunks carry too much besides data";

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() {
            if let Next::Data = self.next {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len() - at);
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.next = Next::DataCr;
                }
                continue;
            }
            if let Next::Nothing = self.next {
                break;
            }
            self.next = self.after(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    /// What comes after a byte that is no data.
    fn after(&mut self, byte: u8) -> Result<Next, &'static str> {
        if matches!(
            self.next,
            Next::Name(_) | Next::Value | Next::Trailers | Next::Trailer(_)
        ) {
            self.extra += 1;
            if self.extra > MOST_EXTRA {
                return Err(TOO_MUCH);
            }
        }
        let is_text = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        match (self.next, byte) {
            (Next::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < MOST_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.size = self.size << 4 | u64::from(digit);
                self.digits += 1;
                Ok(Next::Size)
            }
            (Next::Size, b'\r') if self.digits > 0 => Ok(Next::SizeLf),
            (Next::Size, b';') if self.digits > 0 => Ok(Next::Name(false)),
            (Next::Size, _) => Err(BAD_SIZE),
            (Next::Name(true), b'=') => Ok(Next::Value),
            (Next::Name(true) | Next::Value, b';') => Ok(Next::Name(false)),
            (Next::Name(true) | Next::Value, b'\r') => Ok(Next::SizeLf),
            (Next::Name(_), _) if is_token(byte) => Ok(Next::Name(true)),
            (Next::Value, _) if is_text => Ok(Next::Value),
            (Next::Name(_) | Next::Value, _) => Err(BAD_EXTENSION),
            (Next::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(match self.size {
                    0 => Next::Trailers,
                    _ => Next::Data,
                })
            }
            (Next::SizeLf, _) => Err(BAD_SIZE),
            (Next::DataCr, b'\r') => Ok(Next::DataLf),
            (Next::DataLf, b'\n') => Ok(Next::Size),
            (Next::DataCr | Next::DataLf, _) => Err(BAD_END),
            (Next::Trailers, b'\r') => Ok(Next::EndLf),
            (Next::Trailers, _) if is_token(byte) => Ok(Next::Trailer(false)),
            (Next::Trailer(false), b':') => Ok(Next::Trailer(true)),
            (Next::Trailer(false), _) if is_token(byte) => Ok(Next::Trailer(false)),
            (Next::Trailer(true), b'\r') => Ok(Next::TrailerLf),
            (Next::Trailer(true), _) if is_text => Ok(Next::Trailer(true)),
            (Next::TrailerLf, b'\n') => Ok(Next::Trailers),
            (Next::EndLf, b'\n') => Ok(Next::Nothing),
            (Next::Trailers | Next::Trailer(_) | Next::TrailerLf | Next::EndLf, _) => {
                Err(BAD_TRAILER)
            }
            // Neither is asked for.
            (next @ (Next::Data | Next::Nothing), _) => Ok(next),
        }
    }
}

/// Whether a word of the grammar may hold the byte (RFC 9110, 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `bytes` belong to a chunked body, given piece by piece; and whether it is over then.
    fn taken(bytes: &[u8], piece: usize) -> Result<(usize, bool), &'static str> {
        let mut body = Body::chunked();
        let mut all = 0;
        for piece in bytes.chunks(piece) {
            let taken = body.take(piece)?;
            all += taken;
            if taken < piece.len() {
                break;
            }
        }
        Ok((all, body.is_over()))
    }

    #[test]
    fn the_end_of_chunks_is_found_however_they_are_split() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "05\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "5;a;b=c;d=\"e f\"\r\nhello\r\n0;x\r\n\r\n",
            "1\r\n\r\r\n1\r\n\n\r\n000\r\na: b\r\nc:\r\n\r\n",
        ] {
            let next = format!("{body}POST / HTTP/1.1\r\n");
            for piece in 1..=next.len() {
                let found = taken(next.as_bytes(), piece);
                assert_eq!(found, Ok((body.len(), true)), "{body:?} by {piece}");
            }
            for end in 1..body.len() {
                let found = taken(&body.as_bytes()[..end], 3);
                assert_eq!(found, Ok((end, false)), "{body:?} up to {end}");
            }
        }
        let mut body = Body::Length(3);
        assert_eq!(body.take(b"ab"), Ok(2));
        assert!(!body.is_over());
        assert_eq!(body.take(b"cd"), Ok(1));
        assert!(body.is_over());
    }

    #[test]
    fn chunks_that_can_be_read_in_two_ways_are_refused() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(MOST_EXTRA));
        let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(MOST_EXTRA / 4));
        for body in [
            "x\r\n",
            "\r\n",
            "-5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5_0\r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello\r\n",
            "5;\r\nhello\r\n",
            "5;=a\r\nhello\r\n",
            "5;a\nhello\r\n",
            "5;a=\0\r\nhello\r\n",
            "5;a=b\rc\r\nhello\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n",
            "5\r\nhelloyou\r\n0\r\n\r\n",
            "1ffffffffffffffff\r\n",
            "0000000000000005\r\nhello\r\n",
            "0\r\n\n",
            "0\r\na b\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\n a: b\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na: \0\r\n\r\n",
            &long,
            &trailers,
        ] {
            for piece in [1, 2, body.len()] {
                assert!(
                    taken(body.as_bytes(), piece).is_err(),
                    "{body:?} by {piece}"
                );
            }
        }
    }
}
