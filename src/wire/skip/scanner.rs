//! Steps over a JSON document that comes in pieces, and validates it on the way.
//!
//! Invariant: however a document is cut into pieces, [`Look`] gets the same and the verdict is the same; and it is the
//! verdict of serde_json, to a depth of [`MAX_LEVELS`] levels. Property tests hold both. Memory is a byte for each level
//! that is open, and a key of [`LONGEST_KEY`] bytes.
//!
//! Whether the bytes are UTF-8 is not asked here.

use super::text::{is_short, string};
use digits::Digits;
mod digits;

use super::{number, space};

/// Most levels of arrays and objects inside each other. A tool's input is as deep as a caller asks for, so it takes more
/// than a request's body does; what is deeper costs no more memory.
pub(crate) const MAX_LEVELS: usize = 1 << 16;

/// More levels than any document has.
const NONE: usize = usize::MAX;

/// The longest key that is passed on, in bytes; a longer one is passed as an empty one.
const LONGEST_KEY: usize = 64;

/// Receives what a [`Scanner`] finds, with the piece it finds it in. `levels` are the arrays and objects around it,
/// `true` for an object.
pub(crate) trait Look {
    /// The key of the member whose value comes next, as it is written between its quotes.
    fn key(&mut self, key: &[u8], levels: &[bool]);
    /// A value begins at `at`. Whether what is inside it shall be reported, if it is an array or an object.
    fn begin(&mut self, piece: &[u8], at: usize, levels: &[bool]) -> bool;
    /// The value has ended before `at`.
    fn end(&mut self, piece: &[u8], at: usize, levels: &[bool]);
}

/// Receives nothing of what is passed over.
struct Untold;

impl Look for Untold {
    fn key(&mut self, _: &[u8], _: &[bool]) {}

    fn begin(&mut self, _: &[u8], _: usize, _: &[bool]) -> bool {
        true
    }

    fn end(&mut self, _: &[u8], _: usize, _: &[bool]) {}
}

/// Why a document is not gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is no JSON.
    Syntax,
    /// It is deeper than [`MAX_LEVELS`].
    Depth,
}

/// Steps over JSON that comes in pieces.
#[derive(Debug)]
pub(crate) struct Scanner {
    stands: At,
    levels: Vec<bool>,
    /// The levels around the value that is passed over.
    over: usize,
    /// The bytes of a key that came in earlier pieces.
    key: Vec<u8>,
    /// How many bytes of an escape that a piece ended in have been seen.
    escape: usize,
}

/// Where a piece ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a value.
    Value,
    /// Behind `[`.
    Array,
    /// Behind `{`.
    Object,
    /// Behind a `,` in an object.
    Key,
    /// Behind a key.
    Colon,
    /// Behind a value.
    Behind,
    InKey,
    InString,
    InNumber(Digits),
    /// Before the rest of `true`, `false` or `null`.
    InWord(&'static [u8]),
}

impl Scanner {
    /// A scanner before the first byte of a document.
    pub(crate) fn new() -> Scanner {
        Scanner {
            stands: At::Value,
            levels: Vec::new(),
            over: NONE,
            key: Vec::new(),
            escape: 0,
        }
    }

    /// The arrays and objects that are open.
    pub(crate) fn levels(&self) -> &[bool] {
        &self.levels
    }

    /// Whether the document may end here: its one value is complete.
    pub(crate) fn is_whole(&self) -> bool {
        let number = matches!(self.stands, At::InNumber(digits) if digits.may_end());
        self.levels.is_empty() && (self.stands == At::Behind || number)
    }

    /// Whether there was nothing but white space so far.
    pub(crate) fn is_untouched(&self) -> bool {
        self.levels.is_empty() && self.stands == At::Value
    }

    /// Goes on. After an error there is nothing to go on with.
    pub(crate) fn feed(&mut self, piece: &[u8], look: &mut impl Look) -> Result<(), Stop> {
        let Some(mut at) = self.resume(piece, look)? else {
            return Ok(());
        };
        loop {
            if self.over == NONE {
                let Some(over) = self.run(piece, at, look)? else {
                    return Ok(());
                };
                at = over;
            }
            let Some(end) = self.run(piece, at, &mut Untold)? else {
                return Ok(());
            };
            at = end;
            self.over = NONE;
            look.end(piece, at, &self.levels);
        }
    }

    /// Goes on with what the last piece ended in: where that ends, `None` if it does not.
    fn resume(&mut self, piece: &[u8], look: &mut impl Look) -> Result<Option<usize>, Stop> {
        let end = match self.stands {
            At::InKey if self.over == NONE => return self.key(piece, 0, look),
            At::InKey => return self.key(piece, 0, &mut Untold),
            At::InString => self.string(piece, 0)?,
            At::InNumber(digits) => self.number(piece, 0, digits)?,
            At::InWord(rest) => self.word(piece, 0, rest)?,
            _ => return Ok(Some(0)),
        };
        if let Some(end) = end {
            self.stands = At::Behind;
            if self.over == NONE {
                look.end(piece, end, &self.levels);
            }
        }
        Ok(end)
    }

    /// Goes on between tokens. Where to go on if an array or an object is to be passed over, or was passed over; `None` if
    /// the piece has ended.
    fn run<L: Look>(
        &mut self,
        piece: &[u8],
        mut at: usize,
        look: &mut L,
    ) -> Result<Option<usize>, Stop> {
        loop {
            at = space(piece, at);
            let Some(&byte) = piece.get(at) else {
                return Ok(None);
            };
            at += 1;
            match self.stands {
                At::Behind if byte == b',' => {
                    self.stands = match self.levels.last() {
                        Some(true) => At::Key,
                        Some(false) => At::Value,
                        None => return Err(Stop::Syntax),
                    };
                    continue;
                }
                At::Behind => {}
                At::Value | At::Array => match byte {
                    b']' if self.stands == At::Array => {}
                    b'{' | b'[' => {
                        if self.open(piece, at - 1, byte == b'{', look)? {
                            continue;
                        }
                        return Ok(Some(at));
                    }
                    _ => match self.scalar(piece, at, byte, look)? {
                        Some(end) => {
                            at = end;
                            continue;
                        }
                        None => return Ok(None),
                    },
                },
                At::Key | At::Object => match byte {
                    b'"' => match self.key(piece, at, look)? {
                        Some(end) => {
                            at = end;
                            continue;
                        }
                        None => return Ok(None),
                    },
                    b'}' if self.stands == At::Object => {}
                    _ => return Err(Stop::Syntax),
                },
                At::Colon if byte == b':' => {
                    self.stands = At::Value;
                    continue;
                }
                _ => return Err(Stop::Syntax),
            }
            // What is left is an end.
            match (self.levels.last(), byte) {
                (Some(true), b'}') | (Some(false), b']') => {}
                _ => return Err(Stop::Syntax),
            }
            self.levels.pop();
            self.stands = At::Behind;
            if self.levels.len() == self.over {
                return Ok(Some(at));
            }
            look.end(piece, at, &self.levels);
        }
    }

    /// An array or an object begins at `at`; whether it is reported.
    fn open<L: Look>(
        &mut self,
        piece: &[u8],
        at: usize,
        object: bool,
        look: &mut L,
    ) -> Result<bool, Stop> {
        if self.levels.len() == MAX_LEVELS {
            return Err(Stop::Depth);
        }
        let told = look.begin(piece, at, &self.levels);
        if !told {
            self.over = self.levels.len();
        }
        self.levels.push(object);
        self.stands = if object { At::Object } else { At::Array };
        Ok(told)
    }

    /// A value that is no array and no object began with `byte`, before `at`: where it ends, if it does.
    #[inline]
    fn scalar<L: Look>(
        &mut self,
        piece: &[u8],
        at: usize,
        byte: u8,
        look: &mut L,
    ) -> Result<Option<usize>, Stop> {
        if !matches!(byte, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
            return Err(Stop::Syntax);
        }
        look.begin(piece, at - 1, &self.levels);
        let end = match byte {
            b'"' => {
                self.stands = At::InString;
                self.string(piece, at)?
            }
            b'-' | b'0'..=b'9' => match number(piece, at - 1) {
                Ok(end) if end < piece.len() => Some(end),
                // It may go on in the next piece.
                _ => self.number(piece, at, Digits::first(byte))?,
            },
            b't' => self.word(piece, at, b"rue")?,
            b'f' => self.word(piece, at, b"alse")?,
            _ => self.word(piece, at, b"ull")?,
        };
        if let Some(end) = end {
            self.stands = At::Behind;
            look.end(piece, end, &self.levels);
        }
        Ok(end)
    }

    /// Goes on inside a key.
    fn key(
        &mut self,
        piece: &[u8],
        at: usize,
        look: &mut impl Look,
    ) -> Result<Option<usize>, Stop> {
        let Some(end) = self.string(piece, at)? else {
            self.stands = At::InKey;
            self.keep_key(&piece[at..]);
            return Ok(None);
        };
        self.tell_key(&piece[at..end - 1], look);
        self.stands = At::Colon;
        Ok(Some(end))
    }

    /// Goes on inside a word of which `rest` is missing.
    fn word(
        &mut self,
        piece: &[u8],
        at: usize,
        rest: &'static [u8],
    ) -> Result<Option<usize>, Stop> {
        let here = rest.len().min(piece.len() - at);
        if piece[at..at + here] != rest[..here] {
            return Err(Stop::Syntax);
        }
        if here < rest.len() {
            self.stands = At::InWord(&rest[here..]);
            return Ok(None);
        }
        Ok(Some(at + here))
    }

    /// Goes on inside a string: the index after its closing quote, `None` if that is not in this piece.
    fn string(&mut self, piece: &[u8], mut at: usize) -> Result<Option<usize>, Stop> {
        while self.escape > 0 {
            let Some(byte) = piece.get(at) else {
                return Ok(None);
            };
            self.escape = match (self.escape, byte) {
                (1, b'u') => 2,
                (1, byte) if is_short(*byte) => 0,
                (5, byte) if byte.is_ascii_hexdigit() => 0,
                (2..=4, byte) if byte.is_ascii_hexdigit() => self.escape + 1,
                _ => return Err(Stop::Syntax),
            };
            at += 1;
        }
        match string(piece, at) {
            Ok(end) => Ok(Some(end)),
            Err(fault) => {
                let rest = piece.get(fault.at..).unwrap_or_default();
                let begun = match rest {
                    [] | [b'\\'] => true,
                    [b'\\', b'u', digits @ ..] => {
                        digits.len() < 4 && digits.iter().all(u8::is_ascii_hexdigit)
                    }
                    _ => false,
                };
                if !begun {
                    return Err(Stop::Syntax);
                }
                self.escape = rest.len();
                Ok(None)
            }
        }
    }

    /// Goes on inside a number: the index after it, `None` if it may go on in the next piece.
    fn number(
        &mut self,
        piece: &[u8],
        at: usize,
        mut digits: Digits,
    ) -> Result<Option<usize>, Stop> {
        let end = digits.feed(piece, at).ok_or(Stop::Syntax)?;
        if end == piece.len() {
            self.stands = At::InNumber(digits);
            return Ok(None);
        }
        Ok(Some(end))
    }

    fn keep_key(&mut self, part: &[u8]) {
        // One byte more than is passed on, so that a longer key is known for one.
        let room = LONGEST_KEY + 1 - self.key.len();
        self.key.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn tell_key(&mut self, part: &[u8], look: &mut impl Look) {
        if self.key.is_empty() {
            look.key(known(part), &self.levels);
        } else {
            self.keep_key(part);
            look.key(known(&self.key), &self.levels);
            self.key.clear();
        }
    }
}

fn known(key: &[u8]) -> &[u8] {
    if key.len() > LONGEST_KEY { b"" } else { key }
}

#[cfg(test)]
mod tests;
