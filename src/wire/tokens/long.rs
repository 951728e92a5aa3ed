//! An event of a stream that is too long to be read as one: its data is looked at as it passes.
//!
//! What is looked at is kept (see [`extract`](super::extract)), and read at its end as a short event is. Such events repeat
//! a whole answer (`response.completed`), or carry an image.

use super::extract::{End, Extract};
use super::facts::{Facts, Read};
use super::stream;
use crate::Surface;
use crate::report::StreamFailure;
use crate::report::failure::event;
use crate::report::template::Template;

/// The longest name of a field or of an event that is distinguished from others, in bytes.
const LONGEST_NAME: usize = 64;

/// An event, as far as it has passed.
#[derive(Debug, Default)]
pub(super) struct Long {
    data: Extract,
    /// A line of data has ended.
    has_data: bool,
    /// The event's name.
    name: Vec<u8>,
    line: Line,
    /// The name of the line's field, so far.
    field: Vec<u8>,
    /// The last line ended in a CR, and an LF may follow.
    cr: bool,
}

/// What of the line is being read.
#[derive(Clone, Copy, Debug, Default)]
enum Line {
    /// The field's name.
    #[default]
    Field,
    /// Its colon is behind, and one space may follow.
    Colon(Field),
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Name,
    Other,
}

impl Field {
    fn of(name: &[u8]) -> Field {
        match name {
            b"data" => Field::Data,
            b"event" => Field::Name,
            _ => Field::Other,
        }
    }
}

impl Long {
    /// The next bytes of the event, its fields' names and line ends included.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        if self.cr && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.cr = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            self.part(&bytes[..end]);
            self.end_line();
            let after = &bytes[end + 1..];
            self.cr = bytes[end] == b'\r' && after.is_empty();
            let crlf = bytes[end] == b'\r' && after.first() == Some(&b'\n');
            bytes = &after[usize::from(crlf)..];
        }
        self.part(bytes);
    }

    /// A part of a line.
    fn part(&mut self, mut bytes: &[u8]) {
        if let Line::Field = self.line {
            let colon = memchr::memchr(b':', bytes);
            extend(&mut self.field, &bytes[..colon.unwrap_or(bytes.len())]);
            let Some(colon) = colon else { return };
            bytes = &bytes[colon + 1..];
            self.line = Line::Colon(self.begin());
        }
        if let Line::Colon(field) = self.line
            && !bytes.is_empty()
        {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            self.line = Line::Value(field);
        }
        match self.line {
            Line::Value(Field::Data) => self.data.push(bytes),
            Line::Value(Field::Name) => extend(&mut self.name, bytes),
            _ => {}
        }
    }

    /// A value begins; what it is of.
    fn begin(&mut self) -> Field {
        let field = Field::of(&self.field);
        match field {
            // Lines of data are joined by LF.
            Field::Data if std::mem::replace(&mut self.has_data, true) => self.data.push(b"\n"),
            Field::Name => self.name.clear(),
            Field::Data | Field::Other => {}
        }
        self.field.clear();
        field
    }

    fn end_line(&mut self) {
        if let Line::Field = self.line {
            // A line without a colon is a field without a value.
            self.begin();
        }
        self.line = Line::Field;
    }

    /// The event has ended: reads it.
    pub(super) fn finish(self, surface: Surface, facts: &mut Facts) -> Read {
        if !self.has_data {
            return Read::default();
        }
        let kept = self.data.finish();
        let failure = match kept.end {
            End::Empty => return Read::default(),
            End::Whole | End::Deep => None,
            End::Cut | End::Broken if self.name == b"error" => Some(event(500, "error", "")),
            End::Cut | End::Broken => Some(StreamFailure::Malformed),
        };
        // What is not kept comes before what follows the text, as usage does.
        let cut = match kept.end {
            End::Whole => kept.cut(),
            _ => 0,
        };
        facts.text.beyond += cut;
        let before = facts.found();
        let read = match failure {
            None if kept.is_object => {
                let (document, mut template) = (kept.document(), Template::default());
                stream::read(surface, &self.name, &document, &mut template, facts)
            }
            failure => Read {
                failure,
                ..Read::default()
            },
        };
        if facts.found() == before && !facts.complete {
            // A response repeats what was asked and what was said; so does what is so long of its other events.
            let known = kept.length_of("response").saturating_add(cut);
            let bytes = kept.length.saturating_sub(known);
            facts.unread = match surface {
                Surface::Responses => facts.unread.max(bytes),
                _ => facts.unread.saturating_add(bytes),
            };
        }
        read
    }
}

/// Appends what may be appended of a name.
fn extend(name: &mut Vec<u8>, part: &[u8]) {
    let room = LONGEST_NAME.saturating_sub(name.len());
    name.extend_from_slice(&part[..part.len().min(room)]);
}
