//! A field of a partial update: absent keeps, `null` clears, anything else replaces.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// Marks a schema that keeps its `null` in [`super::schema`].
pub(super) const NULLABLE: &str = "x-nullable";

/// A field of a partial update. It needs `#[serde(default)]`, on itself or on its struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    /// Keep what there is.
    #[default]
    Absent,
    /// Clear it.
    Null,
    /// Replace it.
    Value(T),
}

impl<T> Patch<T> {
    /// Applies the update to an optional field.
    pub(crate) fn apply<U: From<T>>(self, field: &mut Option<U>) {
        match self {
            Patch::Absent => {}
            Patch::Null => *field = None,
            Patch::Value(value) => *field = Some(value.into()),
        }
    }

    /// The same with another type inside.
    ///
    /// # Errors
    ///
    /// Those of `map`.
    pub(crate) fn try_map<U, E>(self, map: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(value) => Patch::Value(map(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Patch::Null,
            Some(value) => Patch::Value(value),
        })
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Patch<{}>", T::schema_id()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Option::<T>::json_schema(generator);
        schema.insert(NULLABLE.to_owned(), true.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Update {
        name: Patch<String>,
    }

    #[test]
    fn absent_keeps_null_clears_and_a_value_replaces() {
        for (json, after) in [
            ("{}", Some("old")),
            (r#"{"name":null}"#, None),
            (r#"{"name":"new"}"#, Some("new")),
        ] {
            let update: Update = serde_json::from_str(json).unwrap();
            let mut name = Some("old".to_owned());
            update.name.apply(&mut name);
            assert_eq!(name.as_deref(), after, "{json}");
        }
    }
}
