//! The calls of a stream, whose pieces belong together by their index, their id, or what they say.
//!
//! Not every provider counts: some give every call the index 0, and some give no ids, or one for all. So a piece begins
//! another call if it has another id or another name, and whenever the arguments before it are whole.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::neutral::{Delta, Event, Kind};
use super::super::sink::Sink;
use super::opaque::extra;
use crate::payload::chat::ToolCall;

/// Returns the tool's name, and some of the arguments, or of the input of a custom tool.
fn says<'a>(call: &'a ToolCall<'_>) -> (&'a str, Cow<'a, str>) {
    match (&call.function.0, &call.custom.0) {
        (_, Some(custom)) => (&custom.name.0, (&*custom.input.0).into()),
        (Some(function), None) => (&function.name.0, function.arguments.arguments()),
        (None, None) => (&call.name.0, call.arguments.arguments()),
    }
}

/// The calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// The last call of each of the provider's indices.
    last: HashMap<u64, usize>,
    /// Calls whose arguments became whole since the last one began.
    whole: Vec<usize>,
}

#[derive(Debug)]
struct Call {
    /// The provider's index.
    number: u64,
    id: String,
    name: String,
    index: u32,
    custom: bool,
    balance: Balance,
    /// `{}` or `null` came, which is all that there is or the place of what follows.
    empty: bool,
    /// Some of its arguments were passed on.
    said: bool,
    open: bool,
}

/// Whether JSON that comes in fragments is whole.
#[derive(Debug, Default)]
struct Balance {
    depth: u32,
    begun: bool,
    string: bool,
    escape: bool,
}

impl Balance {
    /// Reads on; where the JSON became whole, if it did.
    fn feed(&mut self, text: &str) -> Option<usize> {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' if self.string => self.escape = true,
                b'"' => self.string = !self.string,
                _ if self.string => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.whole() {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn whole(&self) -> bool {
        self.begun && self.depth == 0
    }
}

impl Call {
    fn is_whole(&self) -> bool {
        !self.custom && (self.empty || self.balance.whole())
    }

    /// Whether a piece with this id, this name and these arguments belongs to it.
    fn goes_on(&self, id: &str, name: &str, text: &str) -> bool {
        let other_id = !id.is_empty() && !self.id.is_empty() && id != self.id;
        if other_id || (!name.is_empty() && name != self.name) {
            // Some give every piece an id of its own.
            return name.is_empty() && self.balance.begun && !self.is_whole();
        }
        if !self.is_whole() {
            return true;
        }
        let begins = text.trim_start().starts_with(['{', '[']);
        match (name.is_empty(), id.is_empty()) {
            (true, _) => !begins || self.empty,
            (false, true) => false,
            // Its head, again.
            (false, false) => !begins,
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        if std::mem::take(&mut self.open) {
            if !self.said && !self.custom {
                sink(&Event::Delta(self.index, Delta::Text("{}")));
            }
            sink(&Event::Close(self.index));
        }
    }
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Reads one of the pieces of a chunk, the one of this place, or one of the calls of a `whole` message. `next` is the
    /// next block's index.
    pub(super) fn read(
        &mut self,
        place: usize,
        fragment: &ToolCall<'_>,
        whole: bool,
        next: &mut u32,
        sink: Sink<'_>,
    ) {
        let ((name, text), id) = (says(fragment), &*fragment.id.0);
        if name.is_empty() && text.is_empty() && id.is_empty() {
            return;
        }
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        let number = fragment.index.0.unwrap_or(place);
        let known = self.last.get(&number).copied();
        let known = known.filter(|at| !whole && self.all[*at].goes_on(id, name, &text));
        let at = match known {
            Some(at) => at,
            None => {
                extra(Some(id), fragment.extra_content, next, sink);
                self.begin(number, id, name, fragment.custom.0.is_some(), next, sink)
            }
        };
        self.feed(at, &text, next, sink);
    }

    fn begin(
        &mut self,
        number: u64,
        id: &str,
        name: &str,
        custom: bool,
        next: &mut u32,
        sink: Sink<'_>,
    ) -> usize {
        // Another one of the same tool need not say so again.
        let name = match (name, self.last.get(&number)) {
            ("", Some(last)) => self.all[*last].name.clone(),
            (name, _) => name.to_owned(),
        };
        // The calls before it are over, unless their arguments are still on their way.
        self.whole.sort_unstable();
        for at in self.whole.drain(..) {
            let call = &mut self.all[at];
            if call.is_whole() {
                call.close(sink);
            }
        }
        let index = *next;
        *next += 1;
        sink(&Event::Open(
            index,
            Kind::Call {
                id,
                name: &name,
                namespace: None,
                custom,
            },
        ));
        self.last.insert(number, self.all.len());
        self.all.push(Call {
            number,
            id: id.to_owned(),
            name,
            index,
            custom,
            balance: Balance::default(),
            empty: false,
            said: false,
            open: true,
        });
        self.all.len() - 1
    }

    /// Some of a call's arguments; what follows when they are whole begins another one.
    fn feed(&mut self, mut at: usize, mut text: &str, next: &mut u32, sink: Sink<'_>) {
        while !text.is_empty() {
            let call = &mut self.all[at];
            if !call.open || call.balance.whole() {
                return;
            }
            if !call.custom && !call.said && matches!(text.trim(), "{}" | "null") {
                call.empty = true;
                self.whole.push(at);
                return;
            }
            call.empty = false;
            let end = match call.custom {
                true => text.len(),
                false => call.balance.feed(text).unwrap_or(text.len()),
            };
            call.said = true;
            if call.is_whole() {
                self.whole.push(at);
            }
            sink(&Event::Delta(call.index, Delta::Text(&text[..end])));
            text = text[end..].trim_start();
            if !text.starts_with('{') {
                return; // nothing that arguments could be
            }
            let number = call.number;
            at = self.begin(number, "", "", false, next, sink);
        }
    }

    pub(super) fn close(&mut self, sink: Sink<'_>) {
        for call in &mut self.all {
            call.close(sink);
        }
    }
}
