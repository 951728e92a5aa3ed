//! JSON of strangers, walked without building it: every member once, every number as it is written.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most bytes of what a fault quotes.
const QUOTED: usize = 80;

/// A value, of which so far only the syntax was looked at.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// The whole of a text.
    ///
    /// # Errors
    /// When it is not JSON, with its line.
    pub(super) fn parse(text: &'a str) -> Result<Json<'a>, String> {
        if text.trim_start().starts_with('<') {
            return Err("it is no JSON but a page, as servers give out with errors".to_owned());
        }
        let raw = serde_json::from_str(text);
        raw.map(Json)
            .map_err(|error| format!("it is not JSON: {error}"))
    }

    /// Hands over the members of an object. What `each` refuses is reported with its key.
    ///
    /// # Errors
    /// When it is no object, or has a key twice.
    pub(super) fn members(
        self,
        mut each: impl FnMut(&str, Json<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        if !self.0.get().starts_with('{') {
            return Err(format!("{} stands where an object belongs", self.kind()));
        }
        let mut seen = HashSet::new();
        self.walk(|key, value| {
            if !seen.insert(key.to_owned()) {
                return Err(format!("{}: it stands there twice", quoted(key)));
            }
            each(key, value).map_err(|fault| format!("{}: {fault}", quoted(key)))
        })
    }

    /// Hands over the elements of a list.
    ///
    /// # Errors
    /// When it is no list.
    pub(super) fn elements(
        self,
        mut each: impl FnMut(Json<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        if !self.0.get().starts_with('[') {
            return Err(format!("{} stands where a list belongs", self.kind()));
        }
        self.walk(|_, value| each(value))
    }

    fn walk(self, each: impl FnMut(&str, Json<'a>) -> Result<(), String>) -> Result<(), String> {
        let mut fault = None;
        let walk = Walk {
            each,
            fault: &mut fault,
        };
        let mut reader = serde_json::Deserializer::from_str(self.0.get());
        let walked = reader.deserialize_any(walk);
        match (fault, walked) {
            (Some(fault), _) => Err(fault),
            (None, walked) => walked.map_err(|error| error.to_string()),
        }
    }

    /// The member of an object.
    ///
    /// # Errors
    /// As [`Json::members`].
    pub(super) fn member(self, name: &str) -> Result<Option<Json<'a>>, String> {
        let mut found = None;
        self.members(|key, value| {
            if key == name && !value.is_null() {
                found = Some(value);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// A text.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn text(self) -> Result<String, String> {
        let text = serde_json::from_str(self.0.get());
        text.map_err(|_| format!("{} stands where a text belongs", self.kind()))
    }

    /// A number, as it is written.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn number(self) -> Result<&'a str, String> {
        let text = self.0.get();
        match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Ok(text),
            _ => Err(format!("{} stands where a number belongs", self.kind())),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn whole(self) -> Result<u64, String> {
        let text = self.number()?;
        let digits = text.strip_suffix(".0").unwrap_or(text);
        digits
            .parse()
            .map_err(|_| format!("{} is not a whole number", quoted(text)))
    }

    pub(super) fn is_null(self) -> bool {
        self.0.get() == "null"
    }

    pub(super) fn is_object(self) -> bool {
        self.0.get().starts_with('{')
    }

    pub(super) fn is_list(self) -> bool {
        self.0.get().starts_with('[')
    }

    fn kind(self) -> &'static str {
        match self.0.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "a truth value",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

/// Somebody else's text, short and on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut end = text.len().min(QUOTED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", text[..end].escape_debug())
}

/// Goes over a container; remembers what was refused.
struct Walk<'f, F> {
    each: F,
    fault: &'f mut Option<String>,
}

impl<'de, F: FnMut(&str, Json<'de>) -> Result<(), String>> Walk<'_, F> {
    fn hand<E: serde::de::Error>(&mut self, key: &str, value: &'de RawValue) -> Result<(), E> {
        (self.each)(key, Json(value)).map_err(|fault| {
            *self.fault = Some(fault);
            E::custom("refused")
        })
    }
}

impl<'de, F: FnMut(&str, Json<'de>) -> Result<(), String>> Visitor<'de> for Walk<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?;
            self.hand::<A::Error>(&key, value)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<&RawValue>()? {
            self.hand::<A::Error>("", value)?;
        }
        Ok(())
    }
}
