//! Which requests are the same.

use std::time::Duration;

use http::HeaderMap;
use pingora_http::RequestHeader;
use sha2::{Digest as _, Sha256};

use super::Retries;
use super::kept::Keeping;
use super::recording::MOST;
use crate::proxy::aside::LARGE;
use crate::proxy::context::Context;
use crate::proxy::names;
use crate::proxy::shares::Supply;
use tollgate_base::random;
use tollgate_config::secrets::token::to_hex;
use tollgate_config::units::Span;
use tollgate_store::Ticket;
use tollgate_wire::{Endpoint, GatewayError};

/// The longest key, in bytes; as long as others take.
const LONGEST: usize = 255;

/// A request that may be the same as another one.
pub(super) struct Asked {
    /// Its name; of requests without a key, that of their body.
    pub ticket: Ticket,
    /// How its answer is kept; `None` if its client has no key for it.
    pub keeping: Option<Keeping>,
    /// The bytes of recordings.
    pub supply: Supply,
    /// Whether an SDK sends it again.
    pub is_retry: bool,
}

impl Asked {
    /// Looks at a request that was received; `None` if it stands for itself.
    pub(super) async fn of(
        retries: &Retries,
        head: &RequestHeader,
        ctx: &Context,
    ) -> Result<Option<Asked>, GatewayError> {
        let (Some(caller), Some(received), Some(Endpoint::Generate(_))) =
            (&ctx.caller, &ctx.received, ctx.endpoint)
        else {
            return Ok(None);
        };
        let Some(allowed) = caller
            .key
            .configuration
            .as_ref()
            .map(|own| &own.idempotency)
        else {
            return Ok(None);
        };
        let key = match allowed.store {
            Some(_) => key(&head.headers)?,
            None => None,
        };
        if key.is_none() && allowed.join_retries != Some(true) {
            return Ok(None);
        }
        let keeping = match (key, &retries.claims) {
            (None, _) => None,
            (Some(_), None) => return Err(GatewayError::idempotency_unreachable()),
            (Some(_), Some(claims)) => {
                let config = &caller.snapshot.config;
                Some(Keeping {
                    claims: claims.clone(),
                    secrets: config.secrets.clone(),
                    aside: caller.aside.clone(),
                    time: allowed.store.map_or(Duration::ZERO, Span::duration),
                    bounds: config.kept_answers,
                })
            }
        };
        let (path, body) = (head.raw_path().to_vec(), received.body.bytes().clone());
        let is_large = body.len() > LARGE;
        // With the key in it, who reads the store cannot tell what was asked by trying.
        let salt = key.unwrap_or_default().to_vec();
        let work = move || digest(&[&salt, &path, &body]);
        let of = match is_large {
            true => caller.aside.run(work).await,
            false => Ok(work()),
        };
        let of = of.map_err(|_| GatewayError::internal())?;
        let (account, access_key) = (&caller.key.account, caller.key.id.as_bytes());
        let name = match key {
            Some(key) => digest(&[b"key", account.as_bytes(), access_key, key]),
            None => digest(&[b"body", account.as_bytes(), access_key, of.as_bytes()]),
        };
        Ok(Some(Asked {
            ticket: Ticket {
                account: account.clone(),
                name,
                of,
                number: random::bits64(),
            },
            keeping,
            supply: caller.supply(MOST),
            is_retry: is_retry(&head.headers),
        }))
    }
}

/// The client's own name for the request.
fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, GatewayError> {
    let mut all = headers.get_all(&names::IDEMPOTENCY_KEY).iter();
    let Some(key) = all.next() else {
        return Ok(None);
    };
    let key = key.as_bytes();
    let fine = (1..=LONGEST).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if !fine || all.next().is_some() {
        return Err(GatewayError::idempotency_malformed(LONGEST));
    }
    Ok(Some(key))
}

/// OpenAI's and Anthropic's SDKs count how often they have sent a request before.
fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get(&names::X_STAINLESS_RETRY_COUNT);
    let count = count.and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
    count.is_some_and(|count| count > 0)
}

/// SHA-256 of parts, each behind its length, in hexadecimal digits.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    to_hex(&hash.finalize().into())
}
