//! Server-sent events, read incrementally from bytes.
//!
//! The stream is cut into *blocks*: an event with the blank line that ends it, a lone comment line,
//! or a lone blank line. Between blocks the parser stands at a *boundary*, where a comment may be
//! written into the stream and where an event may be cut out of it.
//!
//! Invariant: however the bytes are split into chunks, the events and the boundaries are the same.
//! To keep it, a block whose last line ends in CR waits for the next byte, which may be that line's
//! LF; only a stream that ends all its lines in a bare CR is not made to wait.
//!
//! An event over [`MAX_EVENT`] is not gathered: its bytes are handed on as they come, and the events after it as ever.
//!
//! The format is the WHATWG HTML standard's, section 9.2.6, with one difference: an event that the
//! end of the stream leaves without its blank line is yielded (see [`Parser::finish`]), because
//! providers end streams so.

mod block;

use std::fmt;

/// The longest event in bytes, its field names and line ends included.
pub const MAX_EVENT: usize = 16 << 20;

/// What is kept for carrying unfinished events over chunks, in bytes; a larger buffer is given back.
const KEEP: usize = 16 << 10;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// Some bytes of a block that is longer than [`MAX_EVENT`], in their order. Whether it is an event is for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong<'a> {
    /// The bytes, without a byte order mark at the stream's start.
    pub bytes: &'a [u8],
    /// The block ends with them.
    pub last: bool,
}

impl fmt::Display for TooLong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a server-sent event is longer than {MAX_EVENT} bytes")
    }
}

impl std::error::Error for TooLong<'_> {}

/// One event that carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of its `event` field, empty if it has none.
    pub name: &'a [u8],
    /// The values of its `data` fields, joined by LF.
    pub data: &'a [u8],
    /// Where its block begins in the chunk being fed; `None` if it began in an earlier one.
    pub start: Option<usize>,
    /// Where its block ends in the chunk being fed, its blank line included.
    pub end: usize,
}

/// Cuts a byte stream into events.
#[derive(Debug)]
pub struct Parser {
    /// The longest block that is gathered, in bytes.
    most: usize,
    /// The unfinished block's bytes that came in earlier chunks.
    carry: Vec<u8>,
    /// The joined data of an event with several `data` lines.
    joined: Vec<u8>,
    scan: Scan,
    /// How many bytes of a byte order mark have been seen; `None` once the start is behind.
    bom: Option<usize>,
    begun: bool,
    /// Whether the first block, which a byte order mark may precede, is behind.
    first_done: bool,
    /// The unfinished block is too long to be gathered.
    long: bool,
    /// The stream has ended.
    dead: bool,
    boundary: Option<usize>,
}

/// What the scan knows of the unfinished block.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    line: Line,
    /// A line of the block that is no comment has ended.
    fields: bool,
    /// The line before this one ended in CR alone.
    bare: bool,
    /// The current line ended in a CR, and an LF may follow.
    cr: bool,
}

/// What the current line is, by its first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    Comment,
    Field,
}

impl Scan {
    /// The current line has ended; whether its block has too.
    fn end_line(&mut self, bare: bool) -> bool {
        let line = self.line;
        self.line = Line::Empty;
        self.cr = false;
        self.bare = bare;
        match line {
            Line::Empty => true,
            Line::Comment => !self.fields,
            Line::Field => {
                self.fields = true;
                false
            }
        }
    }

    /// Scans from `at` for the end of the block; the offset past it, `None` if it is not in `bytes`.
    fn block_end(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if self.cr {
                let lf = *bytes.get(at)? == b'\n';
                at += usize::from(lf);
                if self.end_line(!lf) {
                    return Some(at);
                }
            }
            if self.line == Line::Empty {
                self.line = match *bytes.get(at)? {
                    b'\n' | b'\r' => Line::Empty,
                    b':' => Line::Comment,
                    _ => Line::Field,
                };
            }
            let end = at + memchr::memchr2(b'\n', b'\r', bytes.get(at..)?)?;
            at = end + 1;
            if bytes[end] == b'\r' {
                let bare_blank = self.line == Line::Empty && self.fields && self.bare;
                if !bare_blank {
                    self.cr = true;
                    continue;
                }
            }
            if self.end_line(false) {
                return Some(at);
            }
        }
    }
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// Returns a parser at the start of a stream.
    pub fn new() -> Parser {
        Parser::up_to(MAX_EVENT)
    }

    /// The same, that gathers blocks of at most `most` bytes.
    pub(crate) fn up_to(most: usize) -> Parser {
        Parser {
            most,
            carry: Vec::new(),
            joined: Vec::new(),
            scan: Scan::default(),
            bom: None,
            begun: false,
            first_done: false,
            long: false,
            dead: false,
            boundary: None,
        }
    }

    /// Feeds the next bytes; the iterator yields the events that they complete.
    pub fn feed<'p>(&'p mut self, chunk: &'p [u8]) -> Events<'p> {
        self.boundary = None;
        Events {
            parser: self,
            chunk,
            at: 0,
            block: 0,
            carried: false,
            done: false,
        }
    }

    /// The stream has ended: yields the last event if its blank line is missing. An event that was
    /// cut in the middle of a line is yielded too; whether its data makes sense is for the reader.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        if self.dead || self.carry.is_empty() {
            return None;
        }
        self.dead = true;
        let block = strip_bom(&self.carry, !self.first_done);
        let (name, data) = block::read(block, &mut self.joined)?;
        Some(Event {
            name,
            data,
            start: None,
            end: 0,
        })
    }

    /// Returns whether nothing of an unfinished block has been consumed.
    pub fn at_boundary(&self) -> bool {
        self.carry.is_empty() && !self.long && !self.dead
    }

    /// Whether the unfinished block is too long to be gathered: all its bytes were handed on.
    pub(crate) fn in_long(&self) -> bool {
        self.long
    }

    /// The last boundary in the chunk fed last, as an offset; `None` if there is none in it.
    pub(crate) fn boundary(&self) -> Option<usize> {
        self.boundary
    }

    /// Passes over a byte order mark at the start of the stream, split or not.
    fn skip_bom(&mut self, chunk: &[u8]) -> usize {
        let mut seen = self.bom.unwrap_or(0);
        let mut at = 0;
        while !self.begun {
            let Some(byte) = chunk.get(at) else { break };
            if BOM.get(seen) == Some(byte) {
                seen += 1;
                at += 1;
                self.begun = seen == BOM.len();
            } else {
                self.begun = true;
                if seen > 0 {
                    self.scan.line = Line::Field;
                }
            }
        }
        self.bom = Some(seen);
        at
    }
}

fn strip_bom(block: &[u8], first: bool) -> &[u8] {
    if first {
        block.strip_prefix(BOM).unwrap_or(block)
    } else {
        block
    }
}

/// The events that one chunk completes. Dropping it early skips the rest of them, not their bytes.
#[derive(Debug)]
pub struct Events<'p> {
    parser: &'p mut Parser,
    chunk: &'p [u8],
    /// Where the scan stands.
    at: usize,
    /// Where the current block begins in the chunk; 0 if it began in an earlier one.
    block: usize,
    /// The last event was read out of the carry, which is now spent.
    carried: bool,
    done: bool,
}

impl Events<'_> {
    /// The next event, which borrows from the chunk or, if it began in an earlier one, from the parser.
    ///
    /// Not [`Iterator`], because the event borrows from the iterator itself.
    ///
    /// # Errors
    /// [`TooLong`], for each part of a block over [`MAX_EVENT`].
    #[expect(
        clippy::should_implement_trait,
        reason = "a lending iterator cannot be an Iterator"
    )]
    pub fn next(&mut self) -> Option<Result<Event<'_>, TooLong<'_>>> {
        loop {
            if std::mem::take(&mut self.carried) {
                self.parser.carry.clear();
                self.parser.carry.shrink_to(KEEP);
                self.parser.joined.shrink_to(KEEP);
            }
            if self.done || self.parser.dead {
                return None;
            }
            if !self.parser.begun {
                self.at += self.parser.skip_bom(self.chunk);
            }
            let found = self.parser.scan.block_end(self.chunk, self.at);
            let end = found.unwrap_or(self.chunk.len());
            if self.parser.long || self.parser.carry.len() + (end - self.block) > self.parser.most {
                return self.too_long(found);
            }
            let start = self.block;
            let bytes = &self.chunk[start..end];
            let whole = self.parser.carry.is_empty();
            if !whole || found.is_none() {
                self.parser.carry.extend_from_slice(bytes);
            }
            if found.is_none() {
                self.done = true;
                return None;
            }
            self.at = end;
            self.block = end;
            self.carried = !whole;
            self.parser.boundary = Some(end);
            let scan = std::mem::take(&mut self.parser.scan);
            let first = !std::mem::replace(&mut self.parser.first_done, true);
            if !scan.fields {
                continue;
            }
            // Asked twice because the borrow checker holds a returned borrow for the whole loop.
            let block = strip_bom(if whole { bytes } else { &self.parser.carry }, first);
            if !block::has_data(block) {
                continue;
            }
            let block = strip_bom(if whole { bytes } else { &self.parser.carry }, first);
            return block::read(block, &mut self.parser.joined).map(|(name, data)| {
                Ok(Event {
                    name,
                    data,
                    start: whole.then_some(start),
                    end,
                })
            });
        }
    }
}

impl Events<'_> {
    /// The next part of a block that is too long to be gathered, which ends at `found` if it does in this chunk.
    fn too_long(&mut self, found: Option<usize>) -> Option<Result<Event<'_>, TooLong<'_>>> {
        let start = self.block;
        let end = found.unwrap_or(self.chunk.len());
        let parser = &mut *self.parser;
        let begins = !std::mem::replace(&mut parser.long, found.is_none());
        let first = !std::mem::replace(&mut parser.first_done, true);
        self.at = end;
        self.block = end;
        self.done = found.is_none();
        if found.is_some() {
            parser.boundary = found;
            parser.scan = Scan::default();
        }
        let bytes = &self.chunk[start..end];
        let bytes = if parser.carry.is_empty() {
            bytes
        } else {
            self.carried = true;
            parser.carry.extend_from_slice(bytes);
            &parser.carry
        };
        if bytes.is_empty() && found.is_none() {
            return None;
        }
        Some(Err(TooLong {
            bytes: strip_bom(bytes, first && begins),
            last: found.is_some(),
        }))
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
