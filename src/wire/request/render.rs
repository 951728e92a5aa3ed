//! One candidate's body, spliced out of the client's.
//!
//! Invariant: whatever is neither removed nor replaced keeps its bytes and its order, white space
//! included; the result is valid JSON because every cut takes a member together with one comma.

use std::ops::Range;

use bytes::Bytes;

use super::RequestBody;
use super::fields::{INCLUDE_USAGE, StreamOptions, option_members};
use super::index::Member;
use super::names::{Field, Name};

/// What one candidate needs changed. [`RequestBody::render`] removes `models` in any case.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The model id that the provider knows.
    pub model: &'a str,
    /// Top-level members that the candidate refuses. `model` and `stream` are never removed.
    pub strip: &'a [&'a str],
    /// Lowers the request's token limits to this; never raises one.
    pub max_output_tokens: Option<u64>,
    /// The name of the limit to add where the request has none.
    pub limit: Option<&'a str>,
    /// Asks for a usage chunk (`stream_options.include_usage`), where the surface has one and the request
    /// is a stream.
    pub include_usage: bool,
}

/// What happens to one member.
enum Change {
    Keep,
    Remove,
    Replace(String),
}

pub(super) fn render(body: &RequestBody, edit: &Edit<'_>) -> Bytes {
    let fields = Field::of(body.endpoint);
    let ask = edit.include_usage
        && body.read.stream
        && fields.contains(&Field::StreamOptions)
        && !edit.strip.contains(&Field::StreamOptions.key());
    let mut splice = Splice::new(&body.bytes);
    let mut has_options = false;
    for member in &body.members {
        has_options |= member.name == Name::Read(Field::StreamOptions);
        splice.member(&body.members, member, change(body, edit, ask, member));
    }
    if ask && !has_options {
        let text = format!(
            r#","{}":{{"{INCLUDE_USAGE}":true}}"#,
            Field::StreamOptions.key()
        );
        splice.append(&body.members, &text);
    }
    if let (Some(name), Some(most), None) = (
        edit.limit,
        edit.max_output_tokens,
        body.read.max_output_tokens,
    ) && !edit.strip.contains(&name)
    {
        splice.append(&body.members, &format!(r#","{name}":{most}"#));
    }
    splice
        .finish()
        .map_or_else(|| body.bytes.clone(), Bytes::from)
}

fn change(body: &RequestBody, edit: &Edit<'_>, ask: bool, member: &Member) -> Change {
    let raw = || {
        body.bytes
            .get(member.value.clone())
            .and_then(|raw| str::from_utf8(raw).ok())
            .unwrap_or_default()
    };
    match member.name {
        Name::Shadow | Name::Read(Field::Models) => Change::Remove,
        Name::Read(Field::Stream) => Change::Keep,
        Name::Read(Field::Model) if body.read.model == edit.model => Change::Keep,
        Name::Read(Field::Model) => {
            Change::Replace(serde_json::Value::from(edit.model).to_string())
        }
        Name::Read(field) if edit.strip.contains(&field.key()) => Change::Remove,
        Name::Read(Field::StreamOptions) if ask => options(body.read.stream_options, raw()),
        Name::Read(Field::StreamOptions) => Change::Keep,
        Name::Read(Field::MaxTokens | Field::MaxCompletionTokens | Field::MaxOutputTokens) => {
            match (edit.max_output_tokens, raw().parse::<u64>()) {
                (Some(most), Ok(wanted)) if wanted > most => Change::Replace(most.to_string()),
                // One that says nothing makes room for the one that is added.
                (Some(_), Err(_)) if edit.limit.is_some() && raw() == "null" => Change::Remove,
                _ => Change::Keep,
            }
        }
        Name::Other if edit.strip.is_empty() => Change::Keep,
        Name::Other if edit.strip.contains(&&*member.key(&body.bytes)) => Change::Remove,
        Name::Other => Change::Keep,
    }
}

/// `stream_options` with `include_usage` said once and truly, its other members kept.
fn options(read: StreamOptions, raw: &str) -> Change {
    match read {
        StreamOptions::Object {
            include_usage: true,
            plain: true,
        }
        | StreamOptions::Odd => Change::Keep,
        StreamOptions::Absent => Change::Replace(format!(r#"{{"{INCLUDE_USAGE}":true}}"#)),
        StreamOptions::Object { .. } => {
            let members = option_members(raw).unwrap_or_default();
            if members.iter().all(|member| member.name == Name::Shadow) {
                return Change::Replace(format!(r#"{{"{INCLUDE_USAGE}":true}}"#));
            }
            let mut splice = Splice::new(raw.as_bytes());
            for member in &members {
                let shadow = member.name == Name::Shadow;
                splice.member(
                    &members,
                    member,
                    if shadow { Change::Remove } else { Change::Keep },
                );
            }
            splice.append(&members, &format!(r#","{INCLUDE_USAGE}":true"#));
            match splice.finish().map(String::from_utf8) {
                Some(Ok(text)) => Change::Replace(text),
                _ => Change::Keep,
            }
        }
    }
}

/// A copy with changes, made in one pass from front to back, and not made at all without changes.
struct Splice<'a> {
    source: &'a [u8],
    out: Option<Vec<u8>>,
    /// Everything before this index of the source is copied or cut.
    from: usize,
    /// The end of the member before the one at hand.
    previous: usize,
    /// Whether any member before the one at hand was kept.
    kept: bool,
}

impl<'a> Splice<'a> {
    fn new(source: &'a [u8]) -> Self {
        Splice {
            source,
            out: None,
            from: 0,
            previous: 0,
            kept: false,
        }
    }

    /// Treats the next member of `all`.
    fn member(&mut self, all: &[Member], member: &Member, change: Change) {
        let value = member.value.clone();
        match change {
            Change::Keep => self.kept = true,
            Change::Replace(text) => {
                self.cut(value.clone(), text.as_bytes());
                self.kept = true;
            }
            // With the comma before it; the first member has none, and goes with the comma after it.
            Change::Remove if self.kept => self.cut(self.previous..value.end, b""),
            Change::Remove => {
                let next = all
                    .iter()
                    .map(|other| other.start)
                    .find(|start| *start > member.start);
                self.cut(member.start..next.unwrap_or(value.end), b"");
            }
        }
        self.previous = value.end;
    }

    /// Puts `text` behind the last member of `all`, of which at least one was kept.
    fn append(&mut self, all: &[Member], text: &str) {
        let end = all.last().map_or(self.from, |member| member.value.end);
        self.cut(end..end, text.as_bytes());
    }

    fn cut(&mut self, range: Range<usize>, instead: &[u8]) {
        let out = self
            .out
            .get_or_insert_with(|| Vec::with_capacity(self.source.len() + 128));
        out.extend_from_slice(self.source.get(self.from..range.start).unwrap_or_default());
        out.extend_from_slice(instead);
        self.from = range.end;
    }

    /// The copy; `None` if nothing changed.
    fn finish(self) -> Option<Vec<u8>> {
        let mut out = self.out?;
        out.extend_from_slice(self.source.get(self.from..).unwrap_or_default());
        Some(out)
    }
}
