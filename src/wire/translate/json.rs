//! Reading JSON objects member by member, so that what is left over is known too.

use serde_json::{Map, Value};

use super::Refusal;

/// An object whose members are taken out one by one.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// The object that a whole body is.
    pub(super) fn body(body: &[u8]) -> Result<Fields, Refusal> {
        let map = serde_json::from_slice(body)
            .map_err(|_| Refusal::new("body", "it is not a JSON object that can be translated"))?;
        Ok(Fields {
            map,
            path: String::new(),
        })
    }

    /// `value` as an object.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Fields, Refusal> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Fields { map, path }),
            _ => Err(Refusal::new(path, "expected an object")),
        }
    }

    /// Where a member is.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A refusal of a member.
    pub(super) fn refuse<T>(&self, key: &str, why: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal::new(self.path(key), why))
    }

    /// A member, unless it is absent or null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Copies of some members, unless they are absent or null.
    pub(super) fn copies(&self, keys: &[&str]) -> Map<String, Value> {
        let said = |key: &&str| {
            let value = self.map.get(*key).filter(|value| !value.is_null())?;
            Some(((*key).to_owned(), value.clone()))
        };
        keys.iter().filter_map(said).collect()
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.refuse(key, "expected a string"),
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, key: &str) -> Result<String, Refusal> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => self.refuse(key, "it is missing"),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => self.refuse(key, "expected a boolean"),
        }
    }

    /// A count.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => self.refuse(key, "expected a positive integer"),
            },
        }
    }

    /// A number.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => self.refuse(key, "expected a number"),
            },
        }
    }

    /// A list.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Value>, Refusal> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => self.refuse(key, "expected an array"),
        }
    }

    /// An object in it.
    pub(super) fn object(&mut self, key: &str) -> Result<Option<Fields>, Refusal> {
        let path = self.path(key);
        self.take(key)
            .map(|value| Fields::of(value, path))
            .transpose()
    }

    /// An object in it, as it is.
    pub(super) fn map(&mut self, key: &str) -> Result<Option<Map<String, Value>>, Refusal> {
        Ok(self.object(key)?.map(|fields| fields.map))
    }

    /// Puts a member in, or back.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    /// What is left, as JSON.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.map)
    }

    /// The names of members that nobody took and that say something.
    pub(super) fn rest(self) -> Vec<String> {
        let says = |value: &Value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        };
        self.map
            .into_iter()
            .filter(|(_, value)| says(value))
            .map(|(name, _)| name)
            .collect()
    }
}

/// Puts a member into an object, if there is one to put.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

/// The JSON of an object, as bytes.
pub(super) fn bytes(map: Map<String, Value>) -> Vec<u8> {
    Value::Object(map).to_string().into_bytes()
}

/// The text of a member, empty if there is none.
pub(super) fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
