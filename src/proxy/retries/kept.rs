//! Answers in the store: claimed, kept sealed, and read again.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::recording::Head;
use crate::proxy::aside::Aside;
use tollgate_base::Secret;
use tollgate_config::secrets::{Keyring, Sealed};
use tollgate_store::{Bounds, Claims, StoreError, Ticket};

/// How long a claim outlives its process.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// What is kept of an answer that is too long.
const SPENT: &str = "";

/// How and for how long answers are kept.
#[derive(Clone)]
pub(super) struct Keeping {
    pub claims: Claims,
    pub secrets: Keyring,
    pub aside: Aside,
    pub time: Duration,
    pub bounds: Bounds,
}

/// A name that this request has in the store; its lease is prolonged until this is dropped.
pub(super) struct Claim {
    keeping: Keeping,
    ticket: Ticket,
    /// Whether the store has, or may have, an answer.
    kept: bool,
    prolonging: AbortHandle,
}

/// An answer as it is kept.
pub(super) struct Answer {
    pub head: Head,
    pub body: Bytes,
}

impl Claim {
    pub(super) fn new(keeping: Keeping, ticket: Ticket) -> Claim {
        let (claims, held) = (keeping.claims.clone(), ticket.clone());
        let prolong = async move {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                if let Err(error) = claims.hold(&held, LEASE).await {
                    log::debug!("an idempotency key's claim is not prolonged: {error}");
                }
            }
        };
        Claim {
            keeping,
            ticket,
            kept: false,
            prolonging: tokio::spawn(prolong).abort_handle(),
        }
    }

    /// Keeps an answer, if it is a success; without a body, that there was one.
    pub(super) async fn keep(&mut self, head: Head, body: Option<Vec<u8>>) {
        if self.kept || !head.status.is_success() {
            return;
        }
        let Keeping {
            secrets,
            aside,
            time,
            bounds,
            ..
        } = self.keeping.clone();
        let context = context(&self.ticket);
        let seal = move || {
            let text = written(&head, body?)?;
            let sealed = secrets.seal_bound(&text, &context);
            let sealed = sealed.map_err(|error| log::error!("an answer cannot be kept: {error}"));
            sealed.ok()
        };
        let sealed = aside.run(seal).await.ok().flatten();
        let fits = |sealed: &&Sealed| {
            u64::try_from(sealed.as_str().len()).is_ok_and(|size| size < bounds.bytes)
        };
        let value = sealed.as_ref().filter(fits).map_or(SPENT, Sealed::as_str);
        let kept = self
            .keeping
            .claims
            .keep(&self.ticket, value, time, bounds)
            .await;
        // What may be kept must not be released.
        self.kept = !matches!(kept, Ok(false));
        match kept {
            Ok(true) => {}
            Ok(false) => {
                log::warn!("an idempotency key's claim had lapsed: its answer is not kept")
            }
            Err(error) => log::warn!("the answer to an idempotency key may not be kept: {error}"),
        }
    }

    /// Returns what lets go of the name; `None` if its answer is kept.
    pub(super) fn release(self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (claims, ticket) = (self.keeping.claims.clone(), self.ticket.clone());
        (!self.kept).then_some(async move {
            if let Err(error) = claims.hold(&ticket, Duration::ZERO).await {
                log::debug!("an idempotency key is free when its lease ends: {error}");
            }
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.prolonging.abort();
    }
}

/// What an answer is sealed for: it opens in no other place.
fn context(ticket: &Ticket) -> String {
    format!("answer/{}/{}", ticket.account, ticket.name)
}

/// An answer as text; `None` if it is none.
fn written(head: &Head, body: Vec<u8>) -> Option<Secret> {
    let body = String::from_utf8(body).ok()?;
    let headers = head.headers.iter();
    let headers: Vec<(&str, &str)> = headers
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let text = json!({"status": head.status.as_u16(), "headers": headers, "body": body});
    Some(Secret::new(text.to_string()))
}

fn read(text: &Secret) -> Option<Answer> {
    let mut answer: Value = serde_json::from_str(text.expose()).ok()?;
    let status = u16::try_from(answer["status"].as_u64()?).ok()?;
    let headers = answer["headers"].as_array()?.iter();
    let headers = headers.map(|pair| {
        let name = HeaderName::from_bytes(pair[0].as_str()?.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(pair[1].as_str()?).ok()?))
    });
    let head = Head {
        status: StatusCode::from_u16(status).ok()?,
        headers: headers.collect::<Option<_>>()?,
    };
    let Value::String(body) = answer["body"].take() else {
        return None;
    };
    Some(Answer {
        head,
        body: body.into(),
    })
}

/// Opens what was kept; `None` if that is no answer.
pub(super) async fn open(keeping: &Keeping, ticket: &Ticket, value: String) -> Option<Answer> {
    if value == SPENT {
        return None;
    }
    let (secrets, context) = (keeping.secrets.clone(), context(ticket));
    let open = move || {
        let sealed = Sealed::try_from(value).map_err(|error| error.to_string())?;
        let text = secrets.open(&sealed, &context);
        let text = text.map_err(|error| error.to_string())?;
        read(&text).ok_or_else(|| "it is no answer".to_owned())
    };
    let opened = keeping.aside.run(open).await;
    let opened = opened.unwrap_or_else(|_| Err("a fault of the gateway".to_owned()));
    opened
        .map_err(|error| log::warn!("a kept answer cannot be read: {error}"))
        .ok()
}

/// What to say of a store that does not answer.
pub(super) fn told(error: &StoreError) {
    match error {
        StoreError::Away(error) => log::debug!("an idempotency key cannot be claimed: {error}"),
        error => log::error!("an idempotency key cannot be claimed: {error}"),
    }
}
