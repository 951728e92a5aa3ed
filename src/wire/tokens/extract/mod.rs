//! What is kept of a JSON document that passes in pieces: the members of its top level that are looked at.
//!
//! A small member is kept as it is, one with generated text as far as its text is counted: what nobody looks at becomes
//! `null` in it, and of texts beyond [`Bounds::text`] only the length is kept. So the readers of small documents read
//! large ones as well, and nothing that a document says elsewhere (in a text, in a tool's input) is taken for its own.
//! A [`short`] document is kept as it is, and looked at once.
//!
//! Invariant: what is kept does not depend on how the document was cut into pieces, and has a bound that does not depend
//! on the document. Each member that is kept is JSON, even where the document breaks off.

mod keeper;
mod members;
mod short;
mod slot;
mod utf8;

use keeper::Keeper;
use slot::{BOUNDS, Bounds, Slot};
use utf8::Utf8;

use crate::skip::{Scanner, Stop};

/// The members with text that is counted.
const GENERATED: [&str; 5] = ["choices", "content", "output", "delta", "content_block"];

/// A document that passes, as far as it is kept.
#[derive(Debug)]
pub(super) enum Extract {
    /// All of it so far.
    Short(Vec<u8>),
    /// It is looked at as it passes.
    Long(Box<Walk>),
}

/// Steps over a document that passes.
#[derive(Debug)]
pub(super) struct Walk {
    scanner: Scanner,
    keeper: Keeper,
    utf8: Utf8,
    length: u64,
    stopped: Option<Stop>,
}

/// How a document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is JSON.
    Whole,
    /// It has too many levels to say.
    Deep,
    /// Its end is missing.
    Cut,
    /// It is no JSON.
    Broken,
    /// There was nothing but white space.
    Empty,
}

/// What was kept of a document that has ended.
#[derive(Debug)]
pub(super) struct Kept {
    pub end: End,
    /// It is an object, or begins as one.
    pub is_object: bool,
    /// Of the whole document, in bytes.
    pub length: u64,
    /// An item of the output is a call of a tool that the provider ran.
    pub tools: bool,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// It has all of the document.
    is_all: bool,
}

impl Default for Extract {
    fn default() -> Extract {
        Extract::Short(Vec::new())
    }
}

impl Extract {
    /// The next bytes of the document.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match self {
            Extract::Short(all) if all.len() + piece.len() <= short::LONGEST => {
                all.extend_from_slice(piece);
            }
            Extract::Short(all) => {
                let mut walk = Walk::within(BOUNDS);
                walk.push(all);
                walk.push(piece);
                *self = Extract::Long(Box::new(walk));
            }
            Extract::Long(walk) => walk.push(piece),
        }
    }

    /// The document has ended.
    pub(super) fn finish(self) -> Kept {
        match self {
            Extract::Short(all) => short::read(all).unwrap_or_else(|all| walked(&all)),
            Extract::Long(walk) => walk.finish(),
        }
    }
}

/// What is kept of a document that is here as a whole.
pub(super) fn walked(all: &[u8]) -> Kept {
    let mut walk = Walk::within(BOUNDS);
    walk.push(all);
    walk.finish()
}

impl Walk {
    fn within(bounds: Bounds) -> Walk {
        Walk {
            scanner: Scanner::new(),
            keeper: Keeper::new(bounds),
            utf8: Utf8::default(),
            length: 0,
            stopped: None,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        if self.stopped.is_some() {
            return;
        }
        let (scanner, keeper, stopped) = (&mut self.scanner, &mut self.keeper, &mut self.stopped);
        let text = self.utf8.feed(piece, |part| {
            if stopped.is_none() {
                *stopped = scanner.feed(part, keeper).err();
                match stopped {
                    None => keeper.flush(part, scanner.levels()),
                    Some(_) => keeper.give_up(part, scanner.levels()),
                }
            }
        });
        if text.is_err() && self.stopped.is_none() {
            self.stopped = Some(Stop::Syntax);
            self.keeper.give_up(&[], self.scanner.levels());
        }
    }

    fn finish(mut self) -> Kept {
        let end = match self.stopped {
            Some(Stop::Depth) => End::Deep,
            Some(Stop::Syntax) => End::Broken,
            None if self.scanner.is_whole() && self.utf8.is_whole() => End::Whole,
            None if self.scanner.is_untouched() && self.utf8.is_whole() => End::Empty,
            None => End::Cut,
        };
        self.keeper.finish(self.scanner.levels());
        Kept {
            end,
            is_object: self.keeper.is_object,
            length: self.length,
            tools: self.keeper.tools,
            bytes: self.keeper.bytes,
            slots: self.keeper.slots,
            is_all: false,
        }
    }
}

impl Kept {
    fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    fn bytes(&self, slot: &Slot) -> &[u8] {
        self.bytes.get(slot.at.clone()).unwrap_or_default()
    }

    /// A member's value; `None` if there is no such member, it is `null`, or longer than is kept.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let value = self.bytes(self.slot(name)?);
        Some(value).filter(|value| !matches!(*value, b"" | b"null"))
    }

    /// Whether there is such a member, and it is not `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        let slot = self.slot(name);
        slot.is_some_and(|slot| self.bytes(slot) != b"null")
    }

    /// Why the last choice ended that says so.
    pub(super) fn finish_reason(&self) -> Option<&[u8]> {
        self.bytes.get(self.slot("choices")?.reason.clone()?)
    }

    /// How long a member is, in bytes.
    pub(super) fn length_of(&self, name: &str) -> u64 {
        self.slot(name).map_or(0, |slot| slot.length)
    }

    fn generated(&self) -> impl Iterator<Item = &Slot> {
        let generated = |slot: &&Slot| GENERATED.contains(&slot.name);
        self.slots.iter().filter(generated)
    }

    /// Bytes of generated text that were not kept.
    pub(super) fn cut(&self) -> u64 {
        self.generated().map(|slot| slot.cut).sum()
    }

    /// What was generated, text or not, in bytes; about.
    pub(super) fn measure(&self) -> u64 {
        match self.is_all {
            true => walked(&self.bytes).measure(),
            false => self.generated().map(Slot::measure).sum(),
        }
    }

    /// What is kept, as a document.
    pub(super) fn document(&self) -> Vec<u8> {
        let mut document = vec![b'{'];
        for slot in self.slots.iter().filter(|slot| !slot.at.is_empty()) {
            if document.len() > 1 {
                document.push(b',');
            }
            document.push(b'"');
            document.extend_from_slice(slot.name.as_bytes());
            document.extend_from_slice(b"\":");
            document.extend_from_slice(self.bytes(slot));
        }
        document.push(b'}');
        document
    }
}

#[cfg(test)]
pub(super) mod tests;
