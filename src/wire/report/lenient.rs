//! JSON shapes that take what they understand and pass over the rest.
//!
//! A provider's answer is looked at, not judged: a `null` where an object belongs, a number where a
//! text belongs or a list nobody has heard of must not cost the rest of the chunk. Every type here
//! accepts any JSON value, borrows where it can, and allocates only for escaped text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Implements the visits that yield the default for JSON values of the wrong type.
macro_rules! otherwise_default {
    ($($visit:ident($type:ty)),*) => { $(
        fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    )* };
}

macro_rules! unit_is_default {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

/// The same for what most types have no use for.
macro_rules! scalars_are_default {
    () => {
        otherwise_default!(
            visit_bool(bool),
            visit_i64(i64),
            visit_u64(u64),
            visit_f64(f64)
        );
        unit_is_default!();
    };
}

mod content;
mod raw;

pub(crate) use content::{Content, Piece};
pub(crate) use raw::{Raw, normalised, object, parse};

fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// An object, or `None` for any other JSON.
#[derive(Debug)]
pub(crate) struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Maybe(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Maybe<T>;
            scalars_are_default!();
            otherwise_default!(visit_str(&str));
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Maybe<T>, A::Error> {
                skip_list(list).map(|()| Maybe(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Maybe<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|value| Maybe(Some(value)))
            }
        }
        deserializer.deserialize_any(Object(PhantomData))
    }
}

/// A list whose first element needs no allocation, or its only element; absent for any other JSON.
#[derive(Debug)]
pub(crate) struct Few<T> {
    /// Whether there is a list at all.
    pub present: bool,
    pub first: Option<T>,
    pub rest: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few {
            present: false,
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<T> Few<Maybe<T>> {
    /// The elements that are objects.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first
            .iter()
            .chain(&self.rest)
            .filter_map(|element| element.0.as_ref())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Few<T>;
            scalars_are_default!();
            otherwise_default!(visit_str(&str));
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut few = Few {
                    present: true,
                    first: list.next_element()?,
                    rest: Vec::new(),
                };
                while let Some(element) = list.next_element()? {
                    few.rest.push(element);
                }
                Ok(few)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Few<T>, A::Error> {
                let only = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Few {
                    present: true,
                    first: Some(only),
                    rest: Vec::new(),
                })
            }
        }
        deserializer.deserialize_any(List(PhantomData))
    }
}

/// A text; of a list of content parts their texts joined; empty for any other JSON.
#[derive(Debug, Default)]
pub(crate) struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// Whether a content part has its text under this key.
    fn is_key(key: &str) -> bool {
        matches!(key, "text" | "thinking")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text unless it is empty.
    pub(crate) fn some(&self) -> Option<&str> {
        (!self.is_empty()).then_some(&*self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Words<'a> {
            type Value = Text<'a>;
            scalars_are_default!();
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text<'a>, A::Error> {
                let mut all = String::new();
                while let Some(part) = list.next_element::<Text<'de>>()? {
                    all.push_str(&part.0);
                }
                Ok(Text(Cow::Owned(all)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'a>, A::Error> {
                let mut all = Text::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match Text::is_key(&key.0) {
                        true => all = map.next_value()?,
                        false => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(Words(PhantomData))
    }
}

/// A whole number, in quotes or not; none for any other JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Index(pub Option<u64>);

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl<'de> Visitor<'de> for Number {
            type Value = Index;
            unit_is_default!();
            otherwise_default!(visit_bool(bool), visit_i64(i64), visit_f64(f64));
            fn visit_u64<E: Error>(self, number: u64) -> Result<Index, E> {
                Ok(Index(Some(number)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Index, E> {
                Ok(Index(text.trim().parse().ok()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Index, A::Error> {
                skip_list(list).map(|()| Index(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Index, A::Error> {
                skip_map(map).map(|()| Index(None))
            }
        }
        deserializer.deserialize_any(Number)
    }
}
