//! The request's body, read whole, once, within bounds of size and time.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Version, header};
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use tollgate_base::clock;
use tollgate_wire::GatewayError;

/// A client must send its body at this rate at least, besides pausing never longer than `read_timeout`.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024;

/// Most bytes reserved on the strength of a `Content-Length` alone.
const TRUSTED_LENGTH: usize = 1 << 20;

/// Most that a zstd frame may make us remember, as a power of two: 8 MiB, what RFC 9659 allows on the web.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Refuses a head of more than `limit` bytes.
pub fn check_head(head: &RequestHeader, limit: usize) -> Result<(), GatewayError> {
    let target = head.raw_path().len();
    if target > limit {
        return Err(GatewayError::target_too_long(limit as u64));
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

/// Reads the body, and undoes its content encoding.
pub async fn read(
    session: &mut Session,
    limit: usize,
    pause: Duration,
) -> Result<Bytes, GatewayError> {
    let length = content_length(session);
    if length.is_some_and(|length| length > limit as u64) {
        session.set_keepalive(None);
        return Err(GatewayError::body_too_large(limit as u64));
    }
    let encoding = encoding(session)?;
    let head = session.req_header();
    let expects = head.headers.get(header::EXPECT);
    let expects = expects.is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    // HTTP/1.0 knows no interim answers (RFC 9110, 10.1.1).
    if expects && head.version != Version::HTTP_10 {
        session
            .write_continue_response()
            .await
            .map_err(|_| GatewayError::request_timeout())?;
    }
    let raw = receive(session, length, limit, pause).await?;
    match encoding {
        None => Ok(raw),
        Some(encoding) => tokio::task::spawn_blocking(move || encoding.decode(&raw, limit))
            .await
            .map_err(|_| GatewayError::internal())?,
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
    limit: usize,
    pause: Duration,
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
        let allowed = pause + Duration::from_secs(received as u64 / SLOWEST_BYTES_PER_SECOND);
        if clock::now().duration_since(started) > allowed {
            session.set_keepalive(None);
            return Err(GatewayError::request_timeout());
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

/// Content encodings that clients really use.
#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
    Zstd,
}

fn encoding(session: &Session) -> Result<Option<Encoding>, GatewayError> {
    let Some(value) = session.req_header().headers.get(header::CONTENT_ENCODING) else {
        return Ok(None);
    };
    match value
        .to_str()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "deflate" => Ok(Some(Encoding::Deflate)),
        "zstd" => Ok(Some(Encoding::Zstd)),
        _ => Err(GatewayError::unsupported_encoding()),
    }
}

impl Encoding {
    /// Decompresses at most `limit` bytes, however small the compressed form is.
    fn decode(self, raw: &[u8], limit: usize) -> Result<Bytes, GatewayError> {
        let broken = |_| GatewayError::unsupported_encoding();
        let mut out = Vec::new();
        let most = limit as u64 + 1;
        match self {
            Encoding::Gzip => flate2::read::MultiGzDecoder::new(raw)
                .take(most)
                .read_to_end(&mut out)
                .map_err(broken)?,
            Encoding::Deflate => flate2::read::ZlibDecoder::new(raw)
                .take(most)
                .read_to_end(&mut out)
                .map_err(broken)?,
            Encoding::Zstd => {
                let mut decoder = zstd::Decoder::new(raw).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                decoder.take(most).read_to_end(&mut out).map_err(broken)?
            }
        };
        if out.len() > limit {
            return Err(GatewayError::body_too_large(limit as u64));
        }
        Ok(out.into())
    }
}
