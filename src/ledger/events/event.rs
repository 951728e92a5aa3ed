//! One attempt, as the usage list shows it.
//!
//! [`Event`] is the one definition of it, over the types of its texts and rates: the proxy borrows them, a journal owns
//! them, a batch of the bank refers to them by their places. The order of the fields is how they are stored. So a field is
//! only ever added at the end of [`Attempt`], and [`ADDED`] counts it; what was stored before ends without it, and has
//! zero, `None` or an empty text there.
//!
//! The JSON form has the fields of the control plane's `AIGatewayUsageEvent`, in `camelCase`, and
//! beyond them: account, surface, outcome, cache-write tokens, latencies, `estimated`, `orphaned`.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};

use super::{EventId, Flag, Flags};
use crate::cost::Sheet;
use crate::{KeyKind, NanoUsd};
use tollgate_base::Timestamp;
use tollgate_wire::report::{Context, Usage};
use tollgate_wire::tags;

/// How often fields were added at the end of [`Attempt`]: each time, batches and journals get a new version.
pub(crate) const ADDED: u8 = 1;

/// One attempt of one client request, over the types of its texts, of its rates, and of the texts that no two requests
/// share. Serializes as it is stored; [`Event::shown`] is the JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<S, R, I = S> {
    /// When the attempt was over (Unix time, ms).
    pub at_ms: u64,
    /// Whose request it was.
    pub request: Request<S, I>,
    /// The provider's own id of the request; empty if it named none, and where the event was made up from a journal.
    pub provider_request_id: I,
    /// What came of it.
    pub attempt: Attempt<S, R>,
}

/// An event that borrows what it says.
pub type UsageEvent<'a> = Event<&'a str, &'a Sheet>;

/// An event that owns what it says.
pub type OwnedEvent = Event<Arc<str>, Arc<Sheet>>;

/// What the attempts of a request share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<S, I = S> {
    /// Who owns the access key, and pays.
    pub account: S,
    /// The access key's id, never its token.
    pub access_key: S,
    /// The request's id, as the client sees it; may be the client's own, so not unique.
    pub id: I,
    /// The name of the API shape that the client called.
    pub surface: S,
}

/// An attempt, but for what its request says: all that a journal keeps of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt<S, R> {
    /// Unique among all events; from [`EventIds`](super::EventIds).
    pub id: EventId,
    /// Who was called.
    pub provider: Named<S>,
    /// The model, by its id as the provider knows it; its name is the id where the catalog does not know it.
    pub model: Named<S>,
    /// The provider key, whose name is its redacted text. Only operators see a managed one.
    pub key: Named<S>,
    /// Its place in its request, from 1.
    pub number: u32,
    /// What is true of it.
    pub flags: Flags,
    /// The provider's HTTP status; 0 if it never answered one.
    pub status: u16,
    /// How it ended, as a label from a fixed set, the same as in metrics.
    pub outcome: S,
    /// The provider's finish reason; empty if it gave none.
    pub stop_reason: S,
    /// What was used, as reported or counted.
    pub usage: Usage,
    /// What was not standard about how it was served.
    pub served: Context,
    /// What is charged for it, at least 0.
    pub cost: NanoUsd,
    /// The rates that it is charged at; `None` if nothing or what was held is charged, or an older version kept none.
    pub sheet: Option<R>,
    /// How long it took.
    pub latency: Latency,
    /// What the client says that its request is for, as `Tags` writes it; `None` if it says nothing.
    pub tags: Option<S>,
}

/// What has an id, and a name for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<S> {
    /// Its id.
    pub id: S,
    /// Its name.
    pub name: S,
}

/// How long an attempt took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// From its start to its commit (ms); `None` if it never committed.
    pub to_commit_ms: Option<u64>,
    /// From its start to its end (ms).
    pub total_ms: u64,
}

/// Of nothing: all is zero, or empty.
impl<S: Default, R> Default for Attempt<S, R> {
    fn default() -> Self {
        Attempt {
            id: EventId::default(),
            provider: Named::default(),
            model: Named::default(),
            key: Named::default(),
            number: 0,
            flags: Flags::default(),
            status: 0,
            outcome: S::default(),
            stop_reason: S::default(),
            usage: Usage::default(),
            served: Context::STANDARD,
            cost: NanoUsd::ZERO,
            sheet: None,
            latency: Latency::default(),
            tags: None,
        }
    }
}

impl<S, R> Attempt<S, R> {
    /// Returns whether this is true of it.
    pub fn is(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }

    /// Sets a flag, if it is true.
    pub fn mark(&mut self, flag: Flag, is_true: bool) {
        self.flags = self.flags.with(flag, is_true);
    }

    /// Returns who pays the provider.
    pub fn key_kind(&self) -> KeyKind {
        if self.is(Flag::Managed) {
            KeyKind::Managed
        } else {
            KeyKind::User
        }
    }
}

impl<S, R, I> Event<S, R, I> {
    /// Makes the same event of other types: calls `text` for each text in the order of the fields, `sheet` for the rates,
    /// and `id` for the texts that no two requests share.
    ///
    /// # Errors
    /// The first error of those.
    pub(super) fn try_map<'a, T, Q, J, E>(
        &'a self,
        mut text: impl FnMut(&'a S) -> Result<T, E>,
        sheet: impl FnOnce(&'a R) -> Result<Q, E>,
        mut id: impl FnMut(&'a I) -> Result<J, E>,
    ) -> Result<Event<T, Q, J>, E> {
        let (request, attempt) = (&self.request, &self.attempt);
        let request = Request {
            account: text(&request.account)?,
            access_key: text(&request.access_key)?,
            id: id(&request.id)?,
            surface: text(&request.surface)?,
        };
        let mut named = |named: &'a Named<S>| -> Result<Named<T>, E> {
            Ok(Named {
                id: text(&named.id)?,
                name: text(&named.name)?,
            })
        };
        let attempt = Attempt {
            id: attempt.id,
            provider: named(&attempt.provider)?,
            model: named(&attempt.model)?,
            key: named(&attempt.key)?,
            number: attempt.number,
            flags: attempt.flags,
            status: attempt.status,
            outcome: text(&attempt.outcome)?,
            stop_reason: text(&attempt.stop_reason)?,
            usage: attempt.usage,
            served: attempt.served.clone(),
            cost: attempt.cost,
            sheet: attempt.sheet.as_ref().map(sheet).transpose()?,
            latency: attempt.latency,
            tags: attempt.tags.as_ref().map(&mut text).transpose()?,
        };
        Ok(Event {
            at_ms: self.at_ms,
            request,
            provider_request_id: id(&self.provider_request_id)?,
            attempt,
        })
    }
}

impl<S: Borrow<str>, R: Borrow<Sheet>> Event<S, R> {
    /// Returns the same event, borrowed.
    pub fn borrowed(&self) -> UsageEvent<'_> {
        fn text<S: Borrow<str>>(text: &S) -> Result<&str, Infallible> {
            Ok(text.borrow())
        }
        let Ok(event) = self.try_map(text, |sheet| Ok(sheet.borrow()), text);
        event
    }

    /// Returns the same event, with what it says copied.
    pub fn owned(&self) -> OwnedEvent {
        fn text<S: Borrow<str>>(text: &S) -> Result<Arc<str>, Infallible> {
            Ok(text.borrow().into())
        }
        let sheet = |sheet: &R| Ok(Arc::new(sheet.borrow().clone()));
        let Ok(event) = self.try_map(text, sheet, text);
        event
    }
}

impl<S: Borrow<str>, R> Event<S, R> {
    /// Returns what the JSON form says.
    pub fn shown(&self) -> Shown<'_> {
        let (request, attempt) = (&self.request, &self.attempt);
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms));
        let (key_source, key) = match attempt.key_kind() {
            KeyKind::User => ("user", Some(&attempt.key)),
            KeyKind::Managed => ("managed", None),
        };
        Shown {
            id: attempt.id.to_string(),
            event_time: Timestamp(time.unwrap_or(UNIX_EPOCH)),
            request_id: request.id.borrow(),
            access_key_id: request.access_key.borrow(),
            account: request.account.borrow(),
            surface: request.surface.borrow(),
            provider: attempt.provider.id.borrow(),
            provider_display_name: attempt.provider.name.borrow(),
            model: attempt.model.id.borrow(),
            model_display_name: attempt.model.name.borrow(),
            attempt_number: attempt.number,
            is_final_attempt: attempt.is(Flag::Final),
            status_code: attempt.status,
            outcome: attempt.outcome.borrow(),
            timed_out: attempt.is(Flag::TimedOut),
            is_error: attempt.is(Flag::Error),
            is_streaming: attempt.is(Flag::Streaming),
            stop_reason: attempt.stop_reason.borrow(),
            input_tokens: attempt.usage.input(),
            output_tokens: attempt.usage.output(),
            cache_read_tokens: attempt.usage.cached_read(),
            cache_write_tokens: attempt.usage.cache_write(),
            reasoning_tokens: attempt.usage.reasoning(),
            total_cost: dollars(attempt.cost.0),
            key_source,
            provider_key_id: key.map(|key| key.id.borrow()),
            provider_key_display_name: key.map(|key| key.name.borrow()),
            estimated: attempt.is(Flag::Estimated),
            orphaned: attempt.is(Flag::Orphaned),
            latency_to_commit_ms: attempt.latency.to_commit_ms,
            latency_ms: attempt.latency.total_ms,
            units: attempt.usage,
            served: &attempt.served,
            assumed: attempt.is(Flag::Assumed),
            held: attempt.is(Flag::Held),
            provider_request_id: self.provider_request_id.borrow(),
            tags: attempt.tags().collect(),
        }
    }
}

impl<S: Borrow<str>, R> Attempt<S, R> {
    /// Returns its tags, each name with its value.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.tags.as_ref().map(|tags| -> &str { tags.borrow() });
        tags::pairs(text.unwrap_or_default())
    }
}

/// The JSON form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    id: String,
    event_time: Timestamp,
    request_id: &'a str,
    access_key_id: &'a str,
    account: &'a str,
    surface: &'a str,
    provider: &'a str,
    provider_display_name: &'a str,
    model: &'a str,
    model_display_name: &'a str,
    attempt_number: u32,
    is_final_attempt: bool,
    status_code: u16,
    outcome: &'a str,
    timed_out: bool,
    is_error: bool,
    is_streaming: bool,
    stop_reason: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    total_cost: String,
    key_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key_display_name: Option<&'a str>,
    estimated: bool,
    orphaned: bool,
    latency_to_commit_ms: Option<u64>,
    latency_ms: u64,
    /// Everything that was used, each unit once.
    #[serde(serialize_with = "by_name")]
    units: Usage,
    /// How it was served, as far as its price depends on it.
    served: &'a Context,
    assumed: bool,
    held: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider_request_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'a str, &'a str>,
}

fn by_name<S: Serializer>(usage: &Usage, serializer: S) -> Result<S::Ok, S::Error> {
    let units = usage.units();
    serializer.collect_map(units.map(|(unit, quantity)| (unit.name(), quantity)))
}

/// Nano-dollars as a decimal string with five places, rounded half away from zero.
pub fn dollars(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let units = (nanos.unsigned_abs() + 5_000) / 10_000;
    let sign = if units == 0 { "" } else { sign };
    format!("{sign}{}.{:05}", units / 100_000, units % 100_000)
}

#[cfg(test)]
pub(super) mod tests;
