//! Whether the turns of a request refer to what its provider keeps.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Whether any object says so, however its keys are written and however often. What a client's own tools were called
/// with is none of the provider's business.
pub(super) fn refers(json: &[u8]) -> bool {
    let mut found = false;
    let read = Walk(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(json));
    // What cannot be read could say anything.
    found || read.is_err()
}

/// Whether an item of a list is nothing but an id: a reference, whose type may be left out.
pub(super) fn names_an_item(json: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Item {
        id: Option<IgnoredAny>,
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
        role: Option<IgnoredAny>,
        content: Option<IgnoredAny>,
    }
    if json.first() != Some(&b'[') || memchr::memmem::find(json, b"id").is_none() {
        return false;
    }
    match serde_json::from_slice::<Vec<Item>>(json) {
        Ok(items) => items.iter().any(|item| {
            let says = item.kind.is_some() || item.role.is_some() || item.content.is_some();
            item.id.is_some() && !says
        }),
        // Members that stand twice, or what is no object: it could be one.
        Err(_) => true,
    }
}

/// Whether a message of a chat points to sound that the provider keeps.
pub(super) fn names_sound(json: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Message {
        audio: Option<Sound>,
    }
    #[derive(serde::Deserialize)]
    struct Sound {
        id: Option<IgnoredAny>,
    }
    let may = |word: &[u8]| memchr::memmem::find(json, word).is_some();
    if !may(b"\"audio\"") && !may(b"\\u00") {
        return false;
    }
    match serde_json::from_slice::<Vec<Message>>(json) {
        Ok(messages) => messages.iter().any(|message| {
            message
                .audio
                .as_ref()
                .is_some_and(|sound| sound.id.is_some())
        }),
        // Members that stand twice, or of another kind: it could be one.
        Err(_) => true,
    }
}

/// Whether a container or an environment is one that is there already, or is given files that are.
pub(super) fn is_kept(value: &[u8]) -> bool {
    match serde_json::from_slice::<Value>(value) {
        Ok(Value::String(id)) => id != "auto",
        Ok(Value::Object(object)) => {
            let names = ["container_id", "file_ids", "skills"];
            names
                .iter()
                .any(|name| object.get(*name).is_some_and(|it| !it.is_null()))
        }
        _ => false,
    }
}

/// Whether the two digits of an escape stand for what names are made of.
pub(super) fn is_letter(digits: &[u8]) -> bool {
    let digits = digits
        .get(..2)
        .and_then(|two| std::str::from_utf8(two).ok());
    let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| code.is_ascii_alphanumeric() || code == b'_')
}

struct Walk<'f>(&'f mut bool);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "file_id" | "file_ids" => *self.0 |= !map.next_value::<Value>()?.is_null(),
                "type" => {
                    let kind = map.next_value::<Value>()?;
                    *self.0 |= matches!(kind.as_str(), Some("item_reference" | "container_upload"));
                }
                "input" | "arguments" => drop(map.next_value::<IgnoredAny>()?),
                _ => map.next_value_seed(Walk(self.0))?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
