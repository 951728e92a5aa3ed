//! The blocks of a response's stream, by where its events say that they are.
//!
//! An event names its item by place and by id, and providers leave out either, or give the same place to all; so a block
//! is known by whatever both its events and it say. What was passed on is remembered, since items and the whole
//! response say everything again.

use super::super::neutral::{Delta, Event, Kind};
use super::super::sink::Sink;

/// Where an event is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    /// The item's place in the output.
    pub(super) output: Option<u64>,
    /// The item's id.
    pub(super) item: Option<&'a str>,
    /// The part of a message; 0 for other items.
    pub(super) content: u64,
}

impl Place<'_> {
    /// The only block of an item that is no message.
    pub(super) fn first(self) -> Self {
        Place { content: 0, ..self }
    }
}

/// The blocks of a stream: those that are open, and those that were passed on.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    next: u32,
    open: Vec<Block>,
    told: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    output: Option<u64>,
    item: Option<String>,
    content: u64,
    index: u32,
    what: What,
    /// Some of its text was passed on.
    said: bool,
    /// The part of a thought that was passed on last.
    part: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Text,
    Refusal,
    Thinking,
    Call { custom: bool },
}

impl What {
    fn of(kind: &Kind<'_>) -> What {
        match kind {
            Kind::Text => What::Text,
            Kind::Refusal => What::Refusal,
            Kind::Thinking | Kind::Proof(_) => What::Thinking,
            Kind::Call { custom, .. } => What::Call { custom: *custom },
        }
    }
}

impl Block {
    /// Whether they may be of the same output.
    fn is_beside(&self, place: Place<'_>) -> bool {
        let both = self.output.zip(place.output);
        both.is_none_or(|(own, other)| own == other)
    }

    /// Whether nothing that both say distinguishes them.
    fn may_be(&self, place: Place<'_>) -> bool {
        let both = self.item.as_deref().zip(place.item);
        both.is_none_or(|(own, other)| own == other) && self.is_beside(place)
    }

    /// Whether something that both say is the same.
    fn is(&self, place: Place<'_>) -> bool {
        let same_output = self.output.zip(place.output).is_some_and(|(a, b)| a == b);
        let same_item = self
            .item
            .as_deref()
            .zip(place.item)
            .is_some_and(|(a, b)| a == b);
        same_output || same_item
    }
}

impl Blocks {
    /// Whether there were none.
    pub(super) fn are_none(&self) -> bool {
        self.next == 0
    }

    /// The index of an open block in the neutral stream.
    pub(super) fn index(&self, at: usize) -> u32 {
        self.open[at].index
    }

    /// Whether some of an open block was passed on.
    pub(super) fn has_said(&self, at: usize) -> bool {
        self.open[at].said
    }

    /// The open block that is so, at a place: the one of the same item, or else of the same output. Ids change on the
    /// way, with some.
    fn find(&self, place: Place<'_>, is_so: impl Fn(&Block) -> bool) -> Option<usize> {
        let is_so = |block: &Block| block.content == place.content && is_so(block);
        let is_item = |block: &Block| block.item.is_some() && block.item.as_deref() == place.item;
        let mut blocks = self.open.iter();
        let same = blocks.position(|block| is_so(block) && is_item(block));
        let mut blocks = self.open.iter();
        same.or_else(|| blocks.position(|block| is_so(block) && block.is_beside(place)))
    }

    /// The open block of a kind at a place, or a new one.
    pub(super) fn at(&mut self, place: Place<'_>, kind: Kind<'_>, sink: Sink<'_>) -> usize {
        let what = What::of(&kind);
        let found = self.find(place, |block| block.what == what);
        found.unwrap_or_else(|| self.begin(place, kind, sink))
    }

    /// The open block of an item that begins, or a new one: one of another id is another.
    pub(super) fn added(&mut self, place: Place<'_>, kind: Kind<'_>, sink: Sink<'_>) -> usize {
        let what = What::of(&kind);
        let found = self.find(place, |block| block.what == what && block.may_be(place));
        found.unwrap_or_else(|| self.begin(place, kind, sink))
    }

    fn begin(&mut self, place: Place<'_>, kind: Kind<'_>, sink: Sink<'_>) -> usize {
        let what = What::of(&kind);
        let index = self.next;
        self.next += 1;
        sink(&Event::Open(index, kind));
        self.open.push(Block {
            output: place.output,
            item: place.item.map(str::to_owned),
            content: place.content,
            index,
            what,
            said: false,
            part: 0,
        });
        self.open.len() - 1
    }

    /// The open call at a place.
    pub(super) fn call(&self, place: Place<'_>) -> Option<usize> {
        self.find(place, |block| matches!(block.what, What::Call { .. }))
    }

    /// The open call or thought that an item of the whole response repeats.
    pub(super) fn meant(&self, place: Place<'_>) -> Option<usize> {
        let is_item = |block: &Block| !matches!(block.what, What::Text | What::Refusal);
        self.open
            .iter()
            .position(|block| is_item(block) && block.is(place))
    }

    /// Whether an item was passed on to its end. `last` says that it stands in the whole response, whose places and ids
    /// may be others.
    pub(super) fn was_told(&self, place: Place<'_>, last: bool) -> bool {
        self.told.iter().any(|block| match last {
            true => block.is(place),
            false => block.is(place) && block.may_be(place),
        })
    }

    /// Whether a part of a message was passed on to its end.
    pub(super) fn part_was_told(&self, place: Place<'_>) -> bool {
        let told = |block: &Block| block.is(place) && block.content == place.content;
        self.told.iter().any(told)
    }

    /// A fragment.
    pub(super) fn text(&mut self, at: usize, text: &str, sink: Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let block = &mut self.open[at];
        block.said = true;
        sink(&Event::Delta(block.index, Delta::Text(text)));
    }

    /// All of the text, which is passed on if no fragment of it was.
    pub(super) fn rest(&mut self, at: usize, text: &str, sink: Sink<'_>) {
        if !self.open[at].said {
            self.text(at, text, sink);
        }
    }

    /// A part of a message is whole.
    pub(super) fn done(&mut self, place: Place<'_>, kind: Kind<'_>, text: &str, sink: Sink<'_>) {
        let at = self.at(place, kind, sink);
        self.rest(at, text, sink);
        self.close(at, sink);
    }

    /// A fragment of one of the parts of a thought.
    pub(super) fn thought(
        &mut self,
        place: Place<'_>,
        part: Option<u64>,
        text: &str,
        sink: Sink<'_>,
    ) {
        let at = self.at(place.first(), Kind::Thinking, sink);
        let block = &mut self.open[at];
        let part = part.unwrap_or(0);
        if block.said && !text.is_empty() && std::mem::replace(&mut block.part, part) != part {
            self.text(at, "\n\n", sink);
        }
        self.open[at].part = part;
        self.text(at, text, sink);
    }

    /// One of the parts of a thought is whole.
    pub(super) fn thought_done(
        &mut self,
        place: Place<'_>,
        part: Option<u64>,
        text: &str,
        sink: Sink<'_>,
    ) {
        let at = self.at(place.first(), Kind::Thinking, sink);
        let block = &self.open[at];
        if !block.said || block.part != part.unwrap_or(0) {
            self.thought(place, part, text, sink);
        }
    }

    /// A block is over.
    pub(super) fn close(&mut self, at: usize, sink: Sink<'_>) {
        let block = self.open.remove(at);
        if !block.said && block.what == (What::Call { custom: false }) {
            sink(&Event::Delta(block.index, Delta::Text("{}")));
        }
        sink(&Event::Close(block.index));
        self.told.push(block);
    }

    /// The parts of a message that are still open are over.
    pub(super) fn close_item(&mut self, place: Place<'_>, sink: Sink<'_>) {
        let is_part = |block: &Block| matches!(block.what, What::Text | What::Refusal);
        while let Some(at) = self
            .open
            .iter()
            .position(|block| is_part(block) && block.may_be(place))
        {
            self.close(at, sink);
        }
    }

    /// All are over.
    pub(super) fn close_all(&mut self, sink: Sink<'_>) {
        while !self.open.is_empty() {
            self.close(0, sink);
        }
    }
}
