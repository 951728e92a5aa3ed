//! The prompt's text, for counting: one walk without recursion over the members that hold it.
//!
//! Nothing is asked of their shape. What is not text to a model (ids, media, signatures) is known by its
//! key; free-form JSON (tool definitions, schemas, tool calls' arguments) is handed over as it is written. Media and
//! sealed thoughts that stand in the body count by a bound: see [`Walk::media`].

use std::ops::Range;

use super::RequestBody;
use super::names::Name;
use super::scan::{after_container, after_string, unescape};
use crate::{Endpoint, Surface};

pub(super) fn prompt(body: &RequestBody, sink: &mut dyn FnMut(&str)) -> u64 {
    let ids_count = matches!(
        body.endpoint,
        Endpoint::Generate(Surface::Completions | Surface::Embeddings)
    );
    let mut known = 0;
    for member in body
        .members
        .iter()
        .filter(|member| member.name == Name::Other)
    {
        let json = body.bytes.get(member.value.clone()).unwrap_or_default();
        match &*member.key(&body.bytes) {
            "messages" | "system" | "instructions" | "input" | "prompt" | "suffix"
            | "prediction" => {
                let mut walk = Walk::over(json, sink);
                let ids = walk.run();
                known += walk.media + if ids_count { ids } else { 0 };
            }
            "tools" | "functions" | "response_format" | "text" | "output_format"
            | "output_config" => sink(&String::from_utf8_lossy(json)),
            _ => {}
        }
    }
    known
}

/// Hands the texts of a value to `sink`, which may end anywhere.
pub(super) fn texts(json: &[u8], sink: &mut dyn FnMut(&str)) {
    Walk::over(json, sink).run();
}

/// The most tokens of one picture, and of one file or sealed thought, about; as in [`super::asked`].
const PICTURE: u64 = super::asked::IMAGE;
const FILE: u64 = super::asked::FILE;

/// What a value is, by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Strings are text; containers are walked.
    Text,
    /// Not text.
    Skip,
    /// Containers are text as they are written.
    Json,
    /// The object's type, which decides what its `data` is.
    Type,
    /// Text in an object of the type `text`, else media.
    Data,
    /// A picture, if it stands in the body.
    Picture,
    /// A file or a sealed thought.
    Sealed,
    /// What `data` is.
    MediaType,
}

impl Kind {
    fn of(key: &str) -> Kind {
        match key {
            "type" => Kind::Type,
            "data" => Kind::Data,
            "input" | "arguments" | "parameters" | "input_schema" | "schema" => Kind::Json,
            "image_url" | "url" => Kind::Picture,
            "file_data" | "encrypted_content" => Kind::Sealed,
            "media_type" => Kind::MediaType,
            "role" | "id" | "tool_use_id" | "tool_call_id" | "call_id" | "item_id"
            | "container_id" | "file_id" | "file_url" | "signature" | "cache_control"
            | "detail" | "format" | "status" | "object" | "version" => Kind::Skip,
            _ => Kind::Text,
        }
    }
}

/// An array or object that the walk is inside of.
struct Frame {
    object: bool,
    /// What the next value is: of an array every one, of an object the one whose key was just read.
    kind: Kind,
    /// Whether the next string of an object is a key.
    key_next: bool,
    /// The object's type is `text`.
    typed_text: bool,
    /// Its `data` is a picture.
    pictured: bool,
    /// Where the object's `data` string is.
    data: Option<Range<usize>>,
}

struct Walk<'a, 's> {
    json: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    /// Tokens of what stands in the body and is no text: of a picture as many as one may have, of anything else one
    /// for four bytes, and no more than of a file.
    media: u64,
    sink: &'s mut dyn FnMut(&str),
}

impl<'a, 's> Walk<'a, 's> {
    fn over(json: &'a [u8], sink: &'s mut dyn FnMut(&str)) -> Walk<'a, 's> {
        Walk {
            json,
            at: 0,
            frames: Vec::new(),
            media: 0,
            sink,
        }
    }

    /// Walks the whole value; returns the numbers that stand in no object.
    fn run(&mut self) -> u64 {
        let mut numbers = 0;
        while let Some(&byte) = self.json.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'[' | b'{' => self.open(byte == b'{'),
                b']' | b'}' => self.close(),
                b',' => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.key_next = frame.object;
                    }
                    self.at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let rest = &self.json[self.at..];
                    self.at += rest
                        .iter()
                        .take_while(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                        .count();
                    numbers += u64::from(self.frames.iter().all(|frame| !frame.object));
                }
                _ => self.at += 1,
            }
        }
        numbers
    }

    fn kind(&self) -> Kind {
        self.frames.last().map_or(Kind::Text, |frame| frame.kind)
    }

    fn string(&mut self) {
        let range = self.at..after_string(self.json, self.at + 1);
        self.at = range.end;
        let written = self.json.get(range.clone()).unwrap_or_default();
        let kind = self.kind();
        match self.frames.last_mut() {
            Some(frame) if frame.key_next => {
                frame.kind = Kind::of(&unescape(written));
                frame.key_next = false;
            }
            Some(frame) if kind == Kind::Type => {
                frame.typed_text |= frame.object && written == br#""text""#
            }
            Some(frame) if kind == Kind::Data => frame.data = Some(range),
            Some(frame) if kind == Kind::MediaType => {
                frame.pictured |= written.starts_with(b"\"image/");
            }
            _ if kind == Kind::Picture => {
                if written.starts_with(b"\"data:") {
                    self.media += picture(written.len());
                }
            }
            _ if kind == Kind::Sealed => self.media += sealed(written.len()),
            _ if kind == Kind::Skip => {}
            _ => self.emit(written),
        }
    }

    fn open(&mut self, object: bool) {
        let kind = self.kind();
        if matches!(kind, Kind::Skip | Kind::Json) {
            let end = after_container(self.json, self.at);
            if kind == Kind::Json {
                let written = self.json.get(self.at..end).unwrap_or_default();
                (self.sink)(&String::from_utf8_lossy(written));
            }
            self.at = end;
            return;
        }
        self.frames.push(Frame {
            object,
            kind: Kind::Text,
            key_next: object,
            typed_text: false,
            pictured: false,
            data: None,
        });
        self.at += 1;
    }

    fn close(&mut self) {
        self.at += 1;
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let Some(range) = frame.data else { return };
        if frame.typed_text {
            let written = self.json.get(range).unwrap_or_default();
            self.emit(written);
        } else if frame.pictured {
            self.media += picture(range.len());
        } else {
            self.media += sealed(range.len());
        }
    }

    fn emit(&mut self, written: &[u8]) {
        let text = unescape(written);
        if !text.is_empty() {
            (self.sink)(&text);
        }
    }
}

/// No picture has more tokens than bytes.
fn picture(bytes: usize) -> u64 {
    (bytes as u64).min(PICTURE)
}

fn sealed(bytes: usize) -> u64 {
    (bytes as u64 / 4).min(FILE)
}
