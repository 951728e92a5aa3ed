//! Whether the turns of a request refer to what its provider keeps.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::request::scan::unescape;
use crate::{Surface, skip};

/// Whether any object says so, however its keys are written and however often. What a client's own tools were called
/// with is none of the provider's business.
pub(super) fn refers(json: &[u8]) -> bool {
    let mut found = false;
    let read = Walk(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(json));
    // What cannot be read could say anything.
    found || read.is_err()
}

/// Whether turns point to what the provider keeps by a member that clients have for other things, too. Looked for where its
/// name stands, or might in escapes.
pub(super) fn names(surface: Surface, key: &str, turns: &[u8], is_doubtful: bool) -> bool {
    static ID: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"id\""));
    static AUDIO: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"audio\""));
    let may = |name: &Finder<'_>| is_doubtful || name.find(turns).is_some();
    let is_list = turns.first() == Some(&b'[');
    match (surface, key) {
        _ if !is_list => false,
        (Surface::Responses, "input") => may(&ID) && names_an_item(turns),
        (Surface::ChatCompletions, "messages") => may(&AUDIO) && names_sound(turns),
        _ => false,
    }
}

/// Whether an item of a list is nothing but an id: a reference, whose type may be left out.
fn names_an_item(json: &[u8]) -> bool {
    let says = ["type", "role", "content"];
    any(json, |item| {
        last(item, "id").is_some() && says.iter().all(|name| last(item, name).is_none())
    })
}

/// Whether a message of a chat points to sound that the provider keeps.
fn names_sound(json: &[u8]) -> bool {
    any(json, |message| {
        last(message, "audio").is_some_and(|sound| {
            let mut members = Vec::new();
            object(sound, 0, &mut members).is_err() || last(&members, "id").is_some()
        })
    })
}

type Members<'j> = Vec<(Cow<'j, str>, &'j [u8])>;

/// Whether any object of a list is such a one, given its own members; what is no list of objects could be. Passes over
/// what they hold, which may be megabytes.
fn any(json: &[u8], is_such: impl Fn(&Members<'_>) -> bool) -> bool {
    let mut found = false;
    let mut members = Vec::new();
    let read = skip::array(json, 0, |at| {
        members.clear();
        let end = object(json, at, &mut members)?;
        found |= is_such(&members);
        Ok(end)
    });
    found || read.is_err()
}

fn object<'j>(json: &'j [u8], at: usize, members: &mut Members<'j>) -> Result<usize, skip::Fault> {
    skip::object(json, at, |key, at| {
        let end = skip::value(json, at)?;
        members.push((key_of(key), &json[at..end]));
        Ok(end)
    })
}

/// A member that is not null; of those that stand twice, the last one, as providers read them.
fn last<'j>(members: &Members<'j>, name: &str) -> Option<&'j [u8]> {
    let found = members.iter().rfind(|(key, _)| key == name);
    found
        .map(|(_, value)| *value)
        .filter(|value| *value != b"null")
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

/// What a key says that stands between its quotes.
pub(super) fn key_of(written: &[u8]) -> Cow<'_, str> {
    if written.contains(&b'\\') {
        let quoted = [b"\"", written, b"\""].concat();
        return Cow::Owned(unescape(&quoted).into_owned());
    }
    String::from_utf8_lossy(written)
}
