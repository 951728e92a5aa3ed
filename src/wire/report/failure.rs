//! What goes wrong inside an answer whose status said 200.
//!
//! Every dialect's error object is read into one value with the HTTP status that says the same, so
//! that an error inside a stream moves on, cools down or is relayed as that status would be.

use serde::Deserialize;

use super::floor_boundary;
use super::lenient::{Code, Maybe, Text};

/// A failure that a provider reports, or shows, inside its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFailure {
    /// The provider says so, in its dialect's error event or error body.
    ErrorEvent {
        /// The HTTP status that says the same, 400 to 599: 529 for `overloaded_error`, 429 for
        /// `rate_limit_error` and `insufficient_quota`, 500 where nothing better is known.
        status: u16,
        /// The provider's own name for it (`code`, else `type`), at most 128 bytes.
        kind: String,
        /// The provider's own words, at most 4 KiB.
        message: String,
    },
    /// What came is not what the dialect allows: data that is no JSON.
    Malformed,
}

/// An error object: `{"type", "code", "message"}`, or a bare text.
#[derive(Debug, Default)]
pub(crate) struct Fault<'a> {
    object: Maybe<Body<'a>>,
    text: Option<Text<'a>>,
}

/// The fields of an error, wherever they stand.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Body<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub code: Code<'a>,
    #[serde(borrow)]
    pub status: Code<'a>,
    #[serde(borrow)]
    pub message: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fault<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::MapAccessDeserializer;
        use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
        struct Either<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Either<'a> {
            type Value = Fault<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any JSON")
            }
            fn visit_unit<E: Error>(self) -> Result<Fault<'a>, E> {
                Ok(Fault::default())
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Fault<'a>, E> {
                Ok(Fault::default())
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Fault<'a>, E> {
                Ok(Fault::default())
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Fault<'a>, E> {
                Ok(Fault::default())
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Fault<'a>, E> {
                Ok(Fault::default())
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Fault<'a>, E> {
                Ok(Fault {
                    text: Some(Text(text.to_owned().into())),
                    ..Fault::default()
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fault<'a>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Fault::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault<'a>, A::Error> {
                let object = Maybe(Some(Body::deserialize(MapAccessDeserializer::new(map))?));
                Ok(Fault { object, text: None })
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

impl Fault<'_> {
    /// The failure, if the object says anything; an empty or null error is none.
    pub(crate) fn failure(&self) -> Option<StreamFailure> {
        if let Some(text) = &self.text {
            return text.some().map(|text| event(500, "error", text));
        }
        self.object.0.as_ref()?.failure()
    }
}

impl Body<'_> {
    /// The failure, if any of the fields is there.
    pub(crate) fn failure(&self) -> Option<StreamFailure> {
        let kind = self.kind.some();
        let (name, number) = match &self.code {
            Code::Text(code) => (Some(&**code), code.parse().ok()),
            Code::Number(code) => (None, Some(*code)),
            Code::None => (None, None),
        };
        let name = name.filter(|name| !name.is_empty());
        if kind.is_none() && name.is_none() && number.is_none() && self.message.is_empty() {
            return None;
        }
        let given = match &self.status {
            Code::Number(status) => Some(*status),
            _ => None,
        };
        let status = (name.and_then(status_of))
            .or_else(|| number.or(given).and_then(as_status))
            .or_else(|| kind.and_then(status_of))
            .unwrap_or(500);
        let kind = name
            .filter(|_| number.is_none())
            .or(kind)
            .unwrap_or("error");
        Some(event(status, kind, &self.message.0))
    }
}

/// An error event with its texts held to their limits.
pub(crate) fn event(status: u16, kind: &str, message: &str) -> StreamFailure {
    let cut = |text: &str, most: usize| text[..floor_boundary(text, most)].to_owned();
    StreamFailure::ErrorEvent {
        status,
        kind: cut(kind, 128),
        message: cut(message, 4096),
    }
}

fn as_status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (400..600).contains(status))
}

/// The HTTP status of an error's name, from the error references of Anthropic and OpenAI and from
/// what compatible providers send.
fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "invalid_request_error"
        | "context_length_exceeded"
        | "invalid_prompt"
        | "content_filter"
        | "content_policy_violation"
        | "BadRequestError"
        | "invalid_value" => 400,
        "authentication_error" | "invalid_api_key" | "invalid_authentication_error" => 401,
        "billing_error" | "billing_not_active" | "insufficient_balance" => 402,
        "permission_error" | "permission_denied" | "unsupported_country_region_territory" => 403,
        "not_found_error" | "model_not_found" | "NotFoundError" => 404,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "too_many_requests"
        | "rate_limit"
        | "requests"
        | "tokens"
        | "engine_overloaded_error"
        | "exceeded_current_quota_error" => 429,
        "api_error"
        | "server_error"
        | "internal_server_error"
        | "internal_error"
        | "InternalServerError" => 500,
        "bad_gateway" | "upstream_error" => 502,
        "service_unavailable"
        | "service_unavailable_error"
        | "server_is_overloaded"
        | "slow_down"
        | "model_overloaded"
        | "server_overloaded" => 503,
        "timeout_error" | "timeout" | "gateway_timeout" => 504,
        "overloaded_error" | "overloaded" => 529,
        _ => return None,
    })
}
