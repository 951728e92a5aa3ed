//! Content that is a text mostly, and a list of parts sometimes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Raw, Text};

/// A text, or content parts instead, which are read only where they are needed.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Text(Text<'a>),
    /// The members of the only part.
    Part(Vec<(Text<'a>, &'a RawValue)>),
    List(Vec<&'a RawValue>),
}

impl Default for Content<'_> {
    fn default() -> Self {
        Content::Text(Text::default())
    }
}

impl Content<'_> {
    /// Hands on its text; of parts their texts joined, as a [`Text`] has them.
    pub(crate) fn text<R>(&self, take: impl FnOnce(&Text<'_>) -> R) -> R {
        match self {
            Content::Text(text) => take(text),
            Content::Part(members) => {
                let is_text = |(key, _): &&(Text<'_>, &RawValue)| Text::is_key(&key.0);
                let text = members.iter().rfind(is_text);
                take(&text.map(|(_, json)| text_in(json)).unwrap_or_default())
            }
            Content::List(list) => {
                let all: String = list.iter().map(|json| text_in(json).0).collect();
                take(&Text(all.into()))
            }
        }
    }

    /// Returns it as the arguments of a call: JSON as a text, or as it is; of a list of texts or of content parts, their
    /// texts.
    pub(crate) fn arguments(&self) -> Cow<'_, str> {
        match self {
            Content::Text(text) => (&*text.0).into(),
            Content::Part(members) => Value::Object(map_of(members)).to_string().into(),
            Content::List(list) => {
                let list: Vec<Value> = list.iter().map(|json| Raw::of(json).read()).collect();
                let is_text = |value: &Value| value.is_string() || value.get("text").is_some();
                match list.iter().all(is_text) {
                    true => list.iter().map(text_of).collect(),
                    false => Value::Array(list).to_string().into(),
                }
            }
        }
    }

    /// Hands on its parts, texts among them.
    pub(crate) fn each(&self, mut part: impl FnMut(Piece<'_>)) {
        match self {
            Content::Text(text) => part(Piece::Text(&text.0)),
            Content::Part(members) => part(Piece::Part(&map_of(members))),
            Content::List(list) => {
                for json in list {
                    match Raw::of(json).read::<Value>() {
                        Value::String(text) => part(Piece::Text(&text)),
                        Value::Object(map) => part(Piece::Part(&map)),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn text_in<'a>(json: &'a RawValue) -> Text<'a> {
    Raw::of(json).read()
}

fn map_of(members: &[(Text<'_>, &RawValue)]) -> Map<String, Value> {
    let value = |(key, json): &(Text<'_>, &RawValue)| (key.0.to_string(), Raw::of(json).read());
    members.iter().map(value).collect()
}

/// One of several pieces of content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Part(&'a Map<String, Value>),
}

impl Piece<'_> {
    /// Its text, wherever it has it.
    pub(crate) fn text(self) -> String {
        match self {
            Piece::Text(text) => text.to_owned(),
            Piece::Part(part) => text_of(&Value::Object(part.clone())),
        }
    }
}

/// The text of a content part, wherever it has it; of a list all of them.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect(),
        Value::Object(map) => {
            let texts = [
                "text",
                "thinking",
                "reasoning",
                "refusal",
                "summary",
                "content",
            ];
            let text = texts.iter().filter_map(|key| map.get(*key)).map(text_of);
            text.into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        }
        _ => String::new(),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Any<'a> {
            type Value = Content<'a>;
            scalars_are_default!();
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Content<'a>, E> {
                Ok(Content::Text(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Content<'a>, E> {
                Ok(Content::Text(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content<'a>, A::Error> {
                let mut all = Vec::new();
                while let Some(json) = list.next_element()? {
                    all.push(json);
                }
                Ok(Content::List(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'a>, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Content::Part(all))
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}
