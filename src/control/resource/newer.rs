//! What a newer gateway has written and this one does not know: kept where it stands, and written back with it.
//!
//! Invariant: a form that is read and written again has every member and every word that it had.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The members of an object that are not known here. Most objects have none, so that is one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest(Option<Box<Map<String, Value>>>);

impl Rest {
    /// Whether none of them says anything: what is `null` is not set.
    pub(crate) fn is_silent(&self) -> bool {
        self.0
            .iter()
            .flat_map(|all| all.values())
            .all(Value::is_null)
    }
}

impl Serialize for Rest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().flat_map(|all| all.iter()))
    }
}

impl<'de> Deserialize<'de> for Rest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Map::deserialize(deserializer)?;
        Ok(Rest((!all.is_empty()).then(|| Box::new(all))))
    }
}

/// A choice that newer gateways may know more of. Each place where one is used says what becomes of those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Open<T> {
    /// One that is known here.
    Known(T),
    /// Another one, as it is written.
    Newer(Box<Value>),
}

impl<T> Open<T> {
    /// The choice, if it is known here.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Open::Known(choice) => Some(choice),
            Open::Newer(_) => None,
        }
    }

    /// The same with another type inside.
    pub(crate) fn map<U>(&self, map: impl FnOnce(&T) -> U) -> Open<U> {
        match self {
            Open::Known(choice) => Open::Known(map(choice)),
            Open::Newer(other) => Open::Newer(other.clone()),
        }
    }
}

impl<T> From<T> for Open<T> {
    fn from(choice: T) -> Self {
        Open::Known(choice)
    }
}

impl<T: Default> Default for Open<T> {
    fn default() -> Self {
        Open::Known(T::default())
    }
}

/// What is published is what is known here.
impl<T: JsonSchema> JsonSchema for Open<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
