//! A YAML text as JSON, with the line of each of its values.
//!
//! An alias goes through the events of its anchor once more. What came by alias or merge key has its nearest
//! ancestor's line.

use std::collections::HashMap;
use std::mem::replace;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::lines::Lines;
use super::place::Place;
use super::scalar::resolve;

/// How deep values may be nested. Each place repeats all that is around it.
const DEEPEST: usize = 128;
/// How many values aliases may stand for in all, 256 bytes of a text being one more: a few kilobytes of aliases
/// could stand for gigabytes.
const MOST_REPEATED: usize = 100_000;

/// What a text says.
#[derive(Default)]
pub(super) struct Parsed {
    /// `None` if what is wrong leaves nothing to go by.
    pub value: Option<Value>,
    pub lines: Lines,
    /// What is wrong: where, on which line, and what to do.
    pub faults: Vec<(Place, usize, String, Option<&'static str>)>,
}

/// Reads a text as a configuration's, but for its references.
///
/// # Errors
///
/// What is not YAML, with its line, or not a `T`.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let Parsed { value, faults, .. } = parse(text);
    match faults.first() {
        Some((_, line, message, _)) => Err(format!("line {line}: {message}")),
        None => {
            serde_json::from_value(value.unwrap_or_default()).map_err(|error| error.to_string())
        }
    }
}

/// Reads a text of one document.
pub(super) fn parse(text: &str) -> Parsed {
    let mut reader = Reader::default();
    match reader.document(text) {
        // Who says nothing says that there are no fields.
        Ok(Value::Null) => reader.parsed.value = Some(Value::Object(Map::new())),
        Ok(value) => reader.parsed.value = Some(value).filter(|_| !reader.ambiguous),
        // The duplicate keys may be the reason.
        Err(_) if reader.ambiguous => {}
        Err((line, info)) => {
            reader.fault(&Place::default(), line, format!("not YAML: {info}"), None)
        }
    }
    reader.parsed
}

#[derive(Default)]
struct Reader<'t> {
    events: Vec<(Event<'t>, Marker)>,
    next: usize,
    /// Where the values of anchors begin.
    anchors: HashMap<usize, usize>,
    /// Whether an alias stands for what is read.
    repeats: bool,
    repeated: usize,
    /// Whether a key was written twice.
    ambiguous: bool,
    parsed: Parsed,
}

/// The line of the first thing that is no YAML, or more than is read, and what it is.
type NotYaml = (usize, String);

impl<'t> Reader<'t> {
    fn document(&mut self, text: &'t str) -> Result<Value, NotYaml> {
        let is_control = |c: char| c.is_control() && !"\t\n\r\u{85}".contains(c);
        if let Some(at) = text.find(|c| is_control(c) || "\u{fffe}\u{ffff}".contains(c)) {
            let line = 1 + text[..at].matches('\n').count();
            let info = format!("control characters are not allowed at position {at}");
            return Err((line, info));
        }
        let mut depth = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
            let line = span.start.line();
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                Event::Scalar(..) | Event::Alias(_) => {}
                Event::DocumentStart(_) if !self.events.is_empty() => {
                    let info = "deserializing from YAML containing more than one document is not supported";
                    return Err((line, info.to_owned()));
                }
                _ => continue,
            }
            not_too_deep(depth, line)?;
            self.events.push((event, span.start));
        }
        match self.events.is_empty() {
            true => Ok(Value::Null),
            false => self.noted(&Place::default(), 1),
        }
    }

    /// Reads the next value, and notes its line.
    fn noted(&mut self, place: &Place, depth: usize) -> Result<Value, NotYaml> {
        let (event, mark) = &self.events[self.next];
        if !self.repeats {
            let raw = match event {
                Event::Scalar(text, ..) => Some(text.to_string()),
                _ => None,
            };
            self.parsed.lines.add(place, mark.line(), raw);
        }
        self.value(place, depth)
    }

    /// Reads the next value, which is as deep as `depth` if it is a collection.
    fn value(&mut self, place: &Place, depth: usize) -> Result<Value, NotYaml> {
        let (event, mark) = self.events[self.next].clone();
        let line = mark.line();
        let (anchor, tag, size) = match &event {
            Event::Scalar(text, _, anchor, tag) => (*anchor, tag, 1 + text.len() / 256),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                not_too_deep(depth, line)?;
                (*anchor, tag, 1)
            }
            Event::Alias(anchor) => {
                let anchored = self.anchors.get(anchor).copied().unwrap_or_default();
                let next = replace(&mut self.next, anchored);
                let repeats = replace(&mut self.repeats, true);
                let value = self.value(place, depth);
                (self.next, self.repeats) = (next + 1, repeats);
                return value.map_err(|(_, info)| (line, info));
            }
            _ => return Ok(Value::Null),
        };
        self.anchors.insert(anchor, self.next);
        self.next += 1;
        self.repeated += usize::from(self.repeats) * size;
        if self.repeated > MOST_REPEATED {
            let info = format!("its aliases stand for more than {MOST_REPEATED} values");
            return Err((line, info));
        }
        let mut tag = tag
            .as_ref()
            .map(|tag| format!("{}{}", tag.handle, tag.suffix));
        if let Some(own) = tag.take_if(|tag| tag.starts_with('!')) {
            let message = format!("the tag `{own}` means nothing here");
            self.fault(place, line, message, Some("remove it"));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let path = place.to_string() + if place.0.is_empty() { "" } else { ": " };
                resolve(&text, style == ScalarStyle::Plain, tag.as_deref()).map_err(|why| {
                    let at = format!("at line {line} column {}", mark.col() + 1);
                    (line, format!("{path}{why} {at}"))
                })
            }
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                while !self.ends() {
                    list.push(self.noted(&place.index(list.len()), depth + 1)?);
                }
                Ok(Value::Array(list))
            }
            _ => self.mapping(place, depth).map(Value::Object),
        }
    }

    fn mapping(&mut self, place: &Place, depth: usize) -> Result<Map<String, Value>, NotYaml> {
        let mut map = Map::new();
        while !self.ends() {
            let line = self.events[self.next].1.line();
            let key = match self.value(place, depth + 1)? {
                Value::String(key) => key,
                key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
                _ => {
                    self.fault(place, line, "a key here is not text".to_owned(), None);
                    self.value(&place.key("?"), depth + 1)?;
                    continue;
                }
            };
            let own = place.key(&key);
            if !self.repeats {
                self.parsed.lines.add(&own, line, None);
            }
            if map.contains_key(&key) {
                self.ambiguous = true;
                let message = "this key stands here twice".to_owned();
                self.fault(&own, line, message, Some("remove one of them"));
            }
            map.insert(key, self.noted(&own, depth + 1)?);
        }
        let (merged, expected) = match map.shift_remove("<<") {
            None => (Vec::new(), ""),
            Some(Value::Array(list)) => (list, "a mapping"),
            Some(one) => (vec![one], "a mapping or list of mappings"),
        };
        for one in merged {
            let Value::Object(fields) = one else {
                let found = if one.is_array() { "sequence" } else { "scalar" };
                let info = format!("expected {expected} for merging, but found {found}");
                return Err((self.parsed.lines.line(&place.key("<<")).unwrap_or(1), info));
            };
            for (key, field) in fields {
                map.entry(key).or_insert(field);
            }
        }
        // A field without a value is absent, as `limits:` with everything under it commented out.
        map.retain(|_, field| !field.is_null());
        Ok(map)
    }

    /// Steps over the end of a collection, if it is next.
    fn ends(&mut self) -> bool {
        let ends = matches!(
            self.events[self.next].0,
            Event::SequenceEnd | Event::MappingEnd
        );
        self.next += usize::from(ends);
        ends
    }

    fn fault(&mut self, place: &Place, line: usize, message: String, hint: Option<&'static str>) {
        // What is wrong behind an alias is reported at its anchor.
        if !self.repeats {
            self.parsed
                .faults
                .push((place.clone(), line, message, hint));
        }
    }
}

fn not_too_deep(depth: usize, line: usize) -> Result<(), NotYaml> {
    match depth > DEEPEST {
        true => Err((line, format!("nested more than {DEEPEST} deep"))),
        false => Ok(()),
    }
}
