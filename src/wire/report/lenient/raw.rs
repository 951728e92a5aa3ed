//! JSON that is read where it is needed, and once more where its form is in the way.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Maybe;

/// JSON that is read where it is needed; `None` if it is missing or `null`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raw<'a>(pub Option<&'a [u8]>);

impl<'a> Raw<'a> {
    pub(crate) fn of(json: &'a RawValue) -> Raw<'a> {
        Raw(Some(json.get().as_bytes()))
    }

    /// Reads it as what it should be; the default if it is missing, or something else.
    pub(crate) fn read<T: Deserialize<'a> + Default>(self) -> T {
        let read = |json| serde_json::from_slice(json).ok();
        self.0.and_then(read).unwrap_or_default()
    }

    /// Whether it is a list, or an element without its list.
    pub(crate) fn is_list(self) -> bool {
        matches!(self.0, Some([b'[' | b'{', ..]))
    }

    /// Whether it is a list of something, or an element without its list.
    pub(crate) fn has_elements(self) -> bool {
        match self.0 {
            Some([b'[', rest @ ..]) => rest.trim_ascii_start() != b"]",
            _ => self.is_list(),
        }
    }

    /// Returns a list as it is written.
    pub(crate) fn list(self) -> Option<&'a str> {
        let list = self.0.filter(|json| json.first() == Some(&b'['))?;
        std::str::from_utf8(list).ok()
    }

    /// Returns the elements of a list, or the only one without its list.
    pub(crate) fn elements(self) -> Vec<Raw<'a>> {
        match self.0 {
            Some([b'{', ..]) => vec![self],
            _ => self
                .read::<Vec<&RawValue>>()
                .into_iter()
                .map(Raw::of)
                .collect(),
        }
    }

    /// Hands it to a reader, as [`object`] does.
    pub(crate) fn object(self, read: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>) {
        if let Some(json) = self.0 {
            object(json, read);
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<&RawValue>::deserialize(deserializer)?;
        Ok(Raw(raw.map(|raw| raw.get().as_bytes())))
    }
}

/// Hands JSON to a reader, and once more [`normalised`] if it stumbles over the JSON's form.
pub(crate) fn object(json: &[u8], read: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>) {
    if let Err(fault) = read(json)
        && let Some(json) = normalised(json, &fault)
    {
        // What it still stumbles over says nothing that is understood.
        drop(read(&json));
    }
}

/// Parses an object; `None` for other JSON.
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<Option<T>> {
    serde_json::from_slice::<Maybe<T>>(json).map(|object| object.0)
}

/// Returns the same JSON with every key given once, the last one winning; `None` if that does not help.
pub(crate) fn normalised(json: &[u8], fault: &serde_json::Error) -> Option<Vec<u8>> {
    if !fault.is_data() {
        return None;
    }
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_vec(&value).ok()
}
