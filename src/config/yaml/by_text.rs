//! Values that are written as text, or as a bare number: how serde and JSON Schema see them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};

/// Why a value with a unit was refused; says what is wrong and how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub(super) String);

/// Reads a unit from a string, or from a YAML number by its shortest decimal text.
pub(super) struct UnitVisitor<T> {
    pub expecting: &'static str,
    pub of: std::marker::PhantomData<T>,
}

impl<T: FromStr<Err = UnitError>> Visitor<'_> for UnitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        // Rust prints the shortest decimal that reads back as the same float: what the operator wrote, for
        // every literal of at most 15 digits.
        self.visit_str(&number.to_string())
    }
}

/// Serde and JSON Schema by way of text.
macro_rules! by_text {
    ($type:ident, $expecting:literal, $schema:expr) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::yaml::by_text::UnitVisitor {
                    expecting: $expecting,
                    of: std::marker::PhantomData,
                })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}
pub(super) use by_text;
