//! Attributes, as OpenTelemetry has them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// The longest text, in bytes.
const LONGEST: usize = 256;

/// Returns an attribute.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Returns an attribute that is a text, or as much of it as is exported.
pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(cut(value).to_owned()))
}

/// Returns as much of a text as is exported: 256 bytes.
pub(super) fn cut(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
