//! The request's body, read whole, once, within bounds of size and time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Version, header};
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::aside::Aside;
use super::context::Caller;
use super::shared::Shared;
use super::shares::{Share, Shares, Supply};
use tollgate_base::clock;
use tollgate_wire::coding::{Coding, Fault};
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, GatewayError};

/// A client must send its body at this rate at least, besides pausing never longer than `read_timeout`.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// Longest body that is read where it came in: some ten thousand bytes a microsecond, as long as they are few and long
/// texts, as prompts are. Every other request of the thread waits meanwhile; to hand it over costs more than that.
const LARGEST: usize = 2 << 20;

/// Most values of such a body, at some ten nanoseconds each.
const MOST_VALUES: usize = 50_000;

/// Most bytes reserved on the strength of a `Content-Length` alone.
const TRUSTED_LENGTH: usize = 1 << 20;

/// Longest time of a body, as a multiple of `read_timeout`, however steadily it comes.
const MOST_PAUSES: u32 = 10;

/// Most that bodies under way come to, as a multiple of `max_body`; those that come in one piece do not count.
pub const MOST_BODIES: usize = 64;

/// Longest target, in bytes: behind a provider's base URL it must still be a URL, which has 64 KiB at most, or the attempt
/// would fail and the provider be blamed.
const LONGEST_TARGET: usize = 32 << 10;

/// Refuses a head of more than `limit` bytes.
pub fn check_head(head: &RequestHeader, limit: usize) -> Result<(), GatewayError> {
    let (target, most) = (head.raw_path().len(), limit.min(LONGEST_TARGET));
    if target > most {
        return Err(GatewayError::target_too_long(most as u64));
    }
    let size: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size + target > limit {
        return Err(GatewayError::head_too_large(limit as u64));
    }
    Ok(())
}

/// Reads the body, and undoes its compression. What is large counts as the account's until the request ends.
pub async fn read(
    shared: &Shared,
    session: &mut Session,
    caller: &Caller,
    has: &mut Vec<Share>,
) -> Result<Bytes, GatewayError> {
    let limits = &caller.snapshot.config.proxy;
    let limit = limits.max_body;
    let length = content_length(session);
    if length.is_some_and(|length| length > limit as u64) {
        session.set_keepalive(None);
        return Err(GatewayError::body_too_large(limit as u64));
    }
    let head = session.req_header();
    let coding = Coding::of(&head.headers).map_err(|_| GatewayError::unsupported_encoding())?;
    let expects = head.headers.get(header::EXPECT);
    let expects = expects.is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    // HTTP/1.0 knows no interim answers (RFC 9110, 10.1.1).
    if expects && head.version != Version::HTTP_10 {
        session
            .write_continue_response()
            .await
            .map_err(|_| GatewayError::request_timeout())?;
    }
    let mut memory = Memory {
        bodies: &shared.scarce.bodies,
        account: &caller.key.account,
        supply: caller.supply(limit.saturating_mul(MOST_BODIES)),
        share: None,
    };
    let bytes = receive(session, length, (limit, limits.read_timeout), &mut memory).await?;
    let bytes = match coding {
        None => bytes,
        Some(coding) => undo(&caller.aside, coding, bytes, limit, &mut memory).await?,
    };
    has.extend(memory.share);
    Ok(bytes)
}

/// Validates a body and finds what routing needs; what that takes long for, away from the proxy's threads.
pub async fn parse(
    aside: &Aside,
    endpoint: Endpoint,
    bytes: Bytes,
) -> Result<RequestBody, GatewayError> {
    if bytes.len() <= LARGEST
        && let Some(parsed) = RequestBody::parse_few(endpoint, &bytes, MOST_VALUES)
    {
        return parsed.map_err(GatewayError::from);
    }
    let parse = move || RequestBody::parse(endpoint, bytes).map_err(GatewayError::from);
    turn(aside, parse).await?
}

/// Does work for a request that was not let in yet.
async fn turn<T: Send + 'static>(
    aside: &Aside,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    aside.has_room()?;
    aside.run(work).await.map_err(|_| GatewayError::internal())
}

async fn undo(
    aside: &Aside,
    coding: Coding,
    bytes: Bytes,
    limit: usize,
    memory: &mut Memory<'_>,
) -> Result<Bytes, GatewayError> {
    let undone = turn(aside, move || coding.undo(&bytes, limit)).await?;
    let undone = undone.map_err(|fault| match fault {
        Fault::TooLong => GatewayError::body_too_large(limit as u64),
        Fault::Broken => GatewayError::unsupported_encoding(),
    })?;
    memory.grow(undone.len())?;
    Ok(undone)
}

/// What large bodies take of what there is for all accounts.
struct Memory<'a> {
    bodies: &'a Arc<Shares>,
    account: &'a Arc<str>,
    supply: Supply,
    share: Option<Share>,
}

impl Memory<'_> {
    /// So many bytes more.
    fn grow(&mut self, bytes: usize) -> Result<(), GatewayError> {
        let grows = match &mut self.share {
            Some(share) => share.grow(bytes, self.supply),
            None => {
                self.share = self.bodies.take(self.account, bytes, self.supply);
                self.share.is_some()
            }
        };
        grows.then_some(()).ok_or_else(GatewayError::overloaded)
    }
}

fn content_length(session: &Session) -> Option<u64> {
    session
        .req_header()
        .headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

async fn receive(
    session: &mut Session,
    length: Option<u64>,
    (limit, pause): (usize, Duration),
    memory: &mut Memory<'_>,
) -> Result<Bytes, GatewayError> {
    let first = piece(session, pause).await?.unwrap_or_default();
    // Most bodies come in one piece and are never copied.
    if first.len() <= limit && session.downstream_session.is_body_done() {
        return Ok(first);
    }
    let started = clock::now();
    let expected = length
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or_default();
    let mut whole = BytesMut::with_capacity(expected.min(TRUSTED_LENGTH).max(first.len()));
    let mut next = Some(first);
    while let Some(piece) = next {
        let received = whole.len() + piece.len();
        if received > limit {
            session.set_keepalive(None);
            return Err(GatewayError::body_too_large(limit as u64));
        }
        let slowly = pause + Duration::from_secs(received as u64 / SLOWEST_BYTES_PER_SECOND);
        let allowed = slowly.min(pause * MOST_PAUSES);
        if clock::now().duration_since(started) > allowed {
            session.set_keepalive(None);
            return Err(GatewayError::request_timeout());
        }
        if let Err(refusal) = memory.grow(piece.len()) {
            session.set_keepalive(None);
            return Err(refusal);
        }
        whole.extend_from_slice(&piece);
        next = self::piece(session, pause).await?;
    }
    Ok(whole.freeze())
}

/// The next piece; `None` at the end of the body.
async fn piece(session: &mut Session, pause: Duration) -> Result<Option<Bytes>, GatewayError> {
    let read = session.downstream_session.read_request_body();
    let refusal = match pingora_timeout::timeout(pause, read).await {
        Ok(Ok(piece)) => return Ok(piece),
        Ok(Err(error)) => unreadable(&error),
        Err(_) => GatewayError::request_timeout(),
    };
    session.set_keepalive(None);
    Err(refusal)
}

/// A body that is not what its framing says. To send it again is of no use, as 408 would ask SDKs to.
fn unreadable(error: &Error) -> GatewayError {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData) => {
            let why = cause.map(ToString::to_string).unwrap_or_default();
            GatewayError::malformed(&format!("the body cannot be understood: {why}"))
        }
        _ if *error.etype() == ErrorType::ReadTimedout => GatewayError::request_timeout(),
        _ => GatewayError::malformed("the body ended before it was whole"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_wire::error::Code;

    #[test]
    fn a_target_is_refused_that_would_be_too_long_for_a_provider() {
        let checked = |length: usize, limit: usize| {
            let target = format!("/{}", "x".repeat(length - 1));
            let head = RequestHeader::build("POST", target.as_bytes(), None).unwrap();
            check_head(&head, limit).map_err(|refusal| refusal.code)
        };
        for limit in [64 << 10, 1 << 20] {
            assert_eq!(checked(LONGEST_TARGET, limit), Ok(()));
            let refused = checked(LONGEST_TARGET + 1, limit);
            assert_eq!(refused, Err(Code::TargetTooLong), "of {limit}");
        }
        assert_eq!(checked(1001, 1000), Err(Code::TargetTooLong));
    }
}
