//! Copies what is kept of a document, while a [`Scanner`](crate::skip::Scanner) steps over it.
//!
//! What is kept is copied in runs as long as can be: from where it begins in the piece (`from`) to where something is left
//! out, or the piece ends. An *offset* is a place in the kept bytes as if the run were copied already. The bytes of the
//! member being read, up to `safe`, are JSON once the arrays and objects are closed that are open.

use std::mem;

use super::members::{Keep, Way, is_tool, member, way};
use super::slot::{Bounds, Slot, whole};
use crate::skip::Look;

/// Keeps what is looked at of the document that a scanner steps over.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    bounds: Bounds,
    /// What is kept of all members, one after another.
    pub bytes: Vec<u8>,
    /// The members that are behind.
    pub slots: Vec<Slot>,
    pub is_object: bool,
    /// An item of an output is a call of a tool that the provider ran.
    pub tools: bool,
    /// Bytes that no slot has any more, because its member was given again.
    waste: usize,
    /// The member being read, if `open`; it has all bytes from its `at.start` on.
    slot: Slot,
    open: bool,
    /// It has all that may be kept of it.
    full: bool,
    /// What is left for it of [`Bounds::text`] and of [`Bounds::looked`].
    left: usize,
    room: usize,
    /// Where in the piece it begins.
    begins: usize,
    /// What is read next in the top level.
    member: Option<(&'static str, Keep)>,
    /// What is read next deeper inside.
    way: Way,
    /// It says something of its choice or item.
    noted: bool,
    /// Where in the piece the run begins; `None` while nothing is kept.
    from: Option<usize>,
    safe: usize,
    /// The levels around the value inside the member that is being left out.
    hole: Option<usize>,
    /// The levels around the value that is kept with all that is in it.
    all: Option<usize>,
    /// The string being kept: the offset of its content.
    text: Option<usize>,
    /// Where in the piece its content begins, and its bytes in earlier pieces.
    content: usize,
    earlier: u64,
    /// The offset of the value that says something of its choice or item.
    note: Option<usize>,
}

impl Look for Keeper {
    fn key(&mut self, key: &[u8], levels: &[bool]) {
        if levels.len() == 1 {
            self.member = member(key);
        } else if self.all.is_none() {
            self.way = way(key);
            let tells = (self.slot.name, key);
            self.noted = levels.len() == 3
                && matches!(tells, ("choices", b"finish_reason") | ("output", b"type"));
        }
    }

    fn begin(&mut self, piece: &[u8], at: usize, levels: &[bool]) -> bool {
        match levels.len() {
            0 => {
                self.is_object = piece[at] == b'{';
                self.is_object
            }
            1 => self.begin_member(piece, at),
            _ => !self.full && self.begin_inside(piece, at, levels),
        }
    }

    fn end(&mut self, piece: &[u8], at: usize, levels: &[bool]) {
        if !self.open {
            return;
        }
        if self.hole.take().is_some() {
            self.from = Some(at);
            self.safe = self.bytes.len();
        } else if !self.full {
            self.end_inside(piece, at, levels);
        }
        if levels.len() == 1 {
            self.close(piece, at);
        }
    }
}

impl Keeper {
    pub(super) fn new(bounds: Bounds) -> Keeper {
        Keeper {
            bounds,
            bytes: Vec::with_capacity(512),
            slots: Vec::with_capacity(8),
            ..Keeper::default()
        }
    }

    /// The offset of a place in the piece that is in the run.
    fn offset(&self, at: usize) -> usize {
        self.bytes.len() + (at - self.from.unwrap_or(at))
    }

    /// The member has more than may be kept of it, up to this place.
    fn is_over(&self, at: usize) -> bool {
        self.slot.keep == Keep::Looked && self.offset(at) - self.slot.at.start > self.room
    }

    /// Copies the run up to `to`, and begins another there.
    fn copy(&mut self, piece: &[u8], to: usize) {
        let from = self.from.replace(to).unwrap_or(to);
        self.bytes.extend_from_slice(&piece[from..to]);
    }

    /// The longest content of a string that is kept now.
    fn most(&self) -> usize {
        self.left.max(self.bounds.short)
    }

    fn begin_member(&mut self, piece: &[u8], at: usize) -> bool {
        let Some((name, keep)) = self.member.take() else {
            return false;
        };
        self.forget(name);
        let (text, takes) = self.slots.iter().fold((0, 0), |(text, takes), slot| {
            (text + slot.text, takes + slot.takes())
        });
        self.left = self.bounds.text.saturating_sub(text);
        self.room = self.bounds.looked.saturating_sub(takes);
        let start = self.bytes.len();
        self.slot = Slot {
            name,
            keep,
            at: start..start,
            ..Slot::default()
        };
        self.open = true;
        (self.way, self.noted) = (Way::Look, false);
        self.begins = at;
        self.from = Some(at);
        self.safe = start;
        if keep == Keep::Looked {
            self.begun(piece, at);
        }
        keep == Keep::Looked
    }

    /// Of a member given twice the last one counts.
    fn forget(&mut self, name: &str) {
        let Some(earlier) = self.slots.iter().position(|slot| slot.name == name) else {
            return;
        };
        self.waste += self.slots.swap_remove(earlier).at.len();
        if self.waste > self.bounds.looked {
            self.waste = 0;
            let bytes = mem::take(&mut self.bytes);
            for slot in &mut self.slots {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(&bytes[slot.at.clone()]);
                slot.moved(start);
            }
        }
    }

    fn begin_inside(&mut self, piece: &[u8], at: usize, levels: &[bool]) -> bool {
        let (way, noted) = (mem::take(&mut self.way), mem::take(&mut self.noted));
        if self.is_over(at) {
            self.fill(piece, levels, None);
            return false;
        }
        match way {
            Way::Leave => {
                self.copy(piece, at);
                self.bytes.extend_from_slice(b"null");
                self.from = None;
                self.hole = Some(levels.len());
                return false;
            }
            Way::All => self.all = Some(levels.len()),
            Way::Look => {}
        }
        if noted {
            self.note = Some(self.offset(at));
        }
        self.begun(piece, at);
        true
    }

    fn begun(&mut self, piece: &[u8], at: usize) {
        match piece[at] {
            b'"' => {
                self.text = Some(self.offset(at) + 1);
                self.content = at + 1;
                self.earlier = 0;
            }
            b'{' | b'[' => self.safe = self.offset(at) + 1,
            _ => {}
        }
    }

    /// A value that is kept ends before `at`.
    fn end_inside(&mut self, piece: &[u8], at: usize, levels: &[bool]) {
        if let Some(text) = self.text {
            self.end_text(piece, at, text);
        }
        if self.is_over(at) {
            let closing = at.checked_sub(1).map(|last| piece[last]);
            return self.fill(piece, levels, closing.filter(|byte| b"}]".contains(byte)));
        }
        if let Some(text) = self.text.take() {
            let length = self.earlier + (at - 1 - self.content) as u64;
            self.take(self.offset(at) - 1 - text, length);
        }
        self.safe = self.offset(at);
        if self.all == Some(levels.len()) {
            self.all = None;
        }
        if let Some(note) = self.note.filter(|_| levels.len() == 3) {
            self.note = None;
            self.copy(piece, at);
            self.tell(note);
        }
    }

    /// A string ends before `at`, whose content is kept from the offset `text` on.
    fn end_text(&mut self, piece: &[u8], at: usize, text: usize) {
        if self.from.is_some() && self.offset(at - 1) - text > self.most() {
            self.cut(piece, at - 1, text);
        }
        if self.from.is_none() {
            self.bytes.push(b'"');
            self.from = Some(at);
        }
    }

    /// Keeps what may be kept of a string's content, up to `to`, and nothing more of it.
    fn cut(&mut self, piece: &[u8], to: usize, text: usize) {
        let most = self.most();
        let Some(from) = self.from.take() else { return };
        let wanted = (text + most).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&piece[from..to.min(from + wanted)]);
        self.end_at_character(text);
    }

    /// Takes what is half a character off a string's content.
    fn end_at_character(&mut self, text: usize) {
        let whole = whole(&self.bytes[text..]);
        self.bytes.truncate(text + whole);
    }

    /// So much is kept of a string's content of this length.
    fn take(&mut self, kept: usize, length: u64) {
        let taken = kept.min(self.left);
        self.left -= taken;
        self.slot.text += taken;
        self.slot.cut += length - kept as u64;
    }

    /// The value from the offset `note` on says something of its choice or item.
    fn tell(&mut self, note: usize) {
        match (self.slot.name, &self.bytes[note..]) {
            ("output", kind) => self.tools |= is_tool(kind),
            (_, b"null" | b"\"\"") => {}
            _ => self.slot.reason = Some(note..self.bytes.len()),
        }
    }

    /// The member has all that may be kept of it: closes what is open where it was safe. `closing` is the last byte of what
    /// has just been closed.
    fn fill(&mut self, piece: &[u8], levels: &[bool], closing: Option<u8>) {
        let ahead = self.safe.saturating_sub(self.bytes.len());
        if let Some(from) = self.from {
            self.copy(piece, from + ahead);
        }
        self.bytes.truncate(self.safe);
        self.bytes.extend(closing);
        self.close_levels(levels);
        self.leave();
    }

    /// Closes what is open inside the member and is kept.
    fn close_levels(&mut self, levels: &[bool]) {
        let kept = levels.get(1..self.hole.unwrap_or(levels.len()));
        let inside = kept.unwrap_or_default().iter().rev();
        let ends = inside.map(|object| if *object { b'}' } else { b']' });
        self.bytes.extend(ends);
    }

    /// Leaves out the rest of the member.
    fn leave(&mut self) {
        if self.slot.keep == Keep::AsItIs {
            self.bytes.truncate(self.slot.at.start);
        }
        self.full = true;
        self.hole = None;
        self.from = None;
        self.text = None;
        self.note = None;
    }

    /// The member ends before `at`.
    fn close(&mut self, piece: &[u8], at: usize) {
        self.slot.length += (at - self.begins) as u64;
        let length = self.offset(at) - self.slot.at.start;
        if self.slot.keep == Keep::AsItIs && length > self.bounds.longest {
            self.leave();
        }
        if self.from.is_some() {
            self.copy(piece, at);
        }
        self.put_away();
    }

    fn put_away(&mut self) {
        self.slot.at.end = self.bytes.len();
        if mem::take(&mut self.full) {
            let kept = self.slot.at.len() as u64;
            self.slot.cut = self.slot.length.saturating_sub(kept);
            self.slot.text = 0;
        }
        self.slots.push(mem::take(&mut self.slot));
        self.open = false;
        self.from = None;
        self.text = None;
        self.all = None;
    }

    /// The piece has ended.
    pub(super) fn flush(&mut self, piece: &[u8], levels: &[bool]) {
        if !self.open {
            return;
        }
        let end = piece.len();
        self.slot.length += (end - mem::take(&mut self.begins)) as u64;
        if self.text.is_some() {
            self.earlier += (end - mem::take(&mut self.content)) as u64;
        }
        if self.from.is_none() {
            return;
        }
        let length = self.offset(end) - self.slot.at.start;
        match (self.slot.keep, self.text) {
            (Keep::AsItIs, _) if length > self.bounds.longest => self.leave(),
            (Keep::Looked, Some(text)) if self.offset(end) - text > self.most() => {
                self.cut(piece, end, text);
            }
            // How much of a string is kept is known at its end.
            (Keep::Looked, None) if self.is_over(end) => self.fill(piece, levels, None),
            _ => {
                self.copy(piece, end);
                self.from = Some(0);
            }
        }
    }

    /// The document turned out to be none within this piece.
    pub(super) fn give_up(&mut self, piece: &[u8], levels: &[bool]) {
        if self.open && !self.full {
            self.fill(piece, levels, None);
        }
    }

    /// The document has ended, maybe too early.
    pub(super) fn finish(&mut self, levels: &[bool]) {
        if !self.open {
            return;
        }
        if self.slot.keep == Keep::AsItIs {
            self.leave();
        }
        if !self.full {
            if let Some(text) = self.text {
                self.end_at_character(text);
                self.take(self.bytes.len() - text, self.earlier);
                self.bytes.push(b'"');
            } else if self.hole.is_none() {
                self.bytes.truncate(self.safe);
            }
            self.close_levels(levels);
        }
        self.put_away();
    }
}
