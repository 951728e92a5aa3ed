//! A request that is sent again gets the answer of the first one: of one that is under way from its beginning and then as
//! it leaves, of one that is over as it was kept. It has a place among the requests under way, and costs nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Version, header};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::asked::Asked;
use super::kept::{Answer, Claim, LEASE, open, told};
use super::recording::{End, Head, Listener};
use super::{Retries, Turn};
use crate::proxy::context::Context;
use crate::proxy::gate::is_stream;
use crate::proxy::opening::{COMMENT, name_request};
use crate::proxy::shared::Shared;
use crate::proxy::{admit, last_word, names};
use tollgate_base::clock;
use tollgate_store::Claimed;
use tollgate_wire::GatewayError;

/// An SDK that sends a request again does so within this time.
const SOON: Duration = Duration::from_secs(2 * 60);

/// When who asks for what is under way elsewhere may ask again.
const AGAIN: Duration = Duration::from_secs(2);

/// How a request begins.
pub enum Begun {
    /// As any other; with a turn, what becomes of it is recorded.
    Runs(Option<Turn>),
    /// It has another one's answer.
    Answered,
    /// It has some of another one's answer, and gets no more.
    Broken(Box<Error>),
}

/// What a request was found to be.
enum Found {
    /// The first of its kind, or one that stands for itself.
    Runs(Option<Turn>),
    UnderWay(Listener),
    Kept(Answer),
}

/// Begins a request that was received.
///
/// # Errors
/// If its client's name for it means another one, or one that cannot be answered again now.
pub async fn begin(
    shared: &Shared,
    session: &mut Session,
    ctx: &mut Context,
) -> Result<Begun, GatewayError> {
    let Some(asked) = Asked::of(&shared.retries, session.req_header(), ctx).await? else {
        return Ok(Begun::Runs(None));
    };
    loop {
        let found = asked.find(&shared.retries).await?;
        let had = ctx.has.len();
        if let (Found::UnderWay(_) | Found::Kept(_), Some(caller)) = (&found, &ctx.caller) {
            admit::place(shared, caller, &mut ctx.has)?;
        }
        let answered = match found {
            Found::Runs(turn) => return Ok(Begun::Runs(turn)),
            Found::UnderWay(listener) => join(session, ctx, listener).await,
            Found::Kept(answer) => replay(session, ctx, answer).await.map(|()| true),
        };
        if let Some(how) = ctx.answered.idempotency {
            shared.metrics.answered_again(how);
        }
        match answered {
            Ok(true) => return Ok(Begun::Answered),
            // The first one has failed before anything was said.
            Ok(false) => ctx.has.truncate(had),
            Err(error) => {
                ctx.answered.client_gone |=
                    *error.esource() == pingora_error::ErrorSource::Downstream;
                return Ok(Begun::Broken(error));
            }
        }
    }
}

impl Asked {
    async fn find(&self, retries: &Arc<Retries>) -> Result<Found, GatewayError> {
        let (ticket, now) = (&self.ticket, clock::now());
        let mut turn = match retries.enter(ticket, self.supply, now) {
            Ok(turn) => turn,
            Err(first) if first.of != ticket.of => return Err(GatewayError::idempotency_reused()),
            Err(first) => {
                let again = self.is_retry && now.saturating_duration_since(first.began) < SOON;
                let listener = (self.keeping.is_some() || again).then(|| Listener::of(first));
                return match (listener.flatten(), &self.keeping) {
                    (Some(listener), _) => Ok(Found::UnderWay(listener)),
                    (None, Some(_)) => Err(GatewayError::idempotency_in_use(AGAIN)),
                    (None, None) => Ok(Found::Runs(None)),
                };
            }
        };
        let Some(keeping) = &self.keeping else {
            return Ok(Found::Runs(Some(turn)));
        };
        match keeping.claims.claim(ticket, LEASE).await {
            Ok(Claimed::Yes) => {
                turn.claim = Some(Claim::new(keeping.clone(), ticket.clone()));
                Ok(Found::Runs(Some(turn)))
            }
            Ok(Claimed::Busy) => Err(GatewayError::idempotency_in_use(AGAIN)),
            Ok(Claimed::Differs) => Err(GatewayError::idempotency_reused()),
            Ok(Claimed::Kept(value)) => {
                let answer = open(keeping, ticket, value).await;
                let answer = answer.ok_or_else(GatewayError::idempotency_spent)?;
                Ok(Found::Kept(answer))
            }
            Err(error) => {
                told(&error);
                Err(GatewayError::idempotency_unreachable())
            }
        }
    }
}

/// Sends an answer that is under way. Returns whether there was one.
async fn join(session: &mut Session, ctx: &mut Context, mut first: Listener) -> Result<bool> {
    let (mut sent, mut comments, mut streams) = (0, 0, None);
    loop {
        let heard = first.hear(sent);
        if streams.is_none() {
            let Some(head) = heard.head.filter(|_| heard.end != Some(End::Broken)) else {
                if heard.end.is_some() {
                    first.until_free().await;
                    return Ok(false);
                }
                listen(session, &mut first).await?;
                continue;
            };
            let kind = head.headers.get(header::CONTENT_TYPE);
            streams = Some(kind.is_some_and(|kind| is_stream(kind.as_bytes())));
            let length = heard.end.map(|_| heard.data.len());
            begin_answer(session, ctx, &head, length).await?;
        }
        if !heard.data.is_empty() {
            sent += heard.data.len();
            comments = 0;
            session.write_response_body(Some(heard.data), false).await?;
        }
        match heard.end {
            Some(End::Whole) => {
                session.write_response_body(None, true).await?;
                return Ok(true);
            }
            Some(End::Broken) => {
                let error = GatewayError::stream_broken("the first request's provider");
                if streams == Some(true) {
                    last_word::say_in_stream(session, ctx, &error, false).await?;
                }
                return Err(Error::explain(
                    ErrorType::ConnectionClosed,
                    "the first request's answer broke off",
                ));
            }
            None if heard.comments > comments => {
                comments = heard.comments;
                let comment = Bytes::from_static(COMMENT);
                session.write_response_body(Some(comment), false).await?;
            }
            None => {}
        }
        listen(session, &mut first).await?;
    }
}

/// Waits until there may be more of an answer, or its client leaves.
async fn listen(session: &mut Session, first: &mut Listener) -> Result<()> {
    tokio::select! {
        biased;
        () = first.changed() => Ok(()),
        gone = session.downstream_session.read_body_or_idle(true) => {
            let more = "the client sent more than its request";
            Err(gone.err().unwrap_or_else(|| Error::explain(ErrorType::ConnectionClosed, more)).into_down())
        }
    }
}

/// Sends an answer that was kept.
async fn replay(session: &mut Session, ctx: &mut Context, answer: Answer) -> Result<()> {
    let length = Some(answer.body.len());
    begin_answer(session, ctx, &answer.head, length).await?;
    session.write_response_body(Some(answer.body), true).await
}

/// Sends the head; the length is that of an answer that is over.
async fn begin_answer(
    session: &mut Session,
    ctx: &mut Context,
    first: &Head,
    length: Option<usize>,
) -> Result<()> {
    let how = length.map_or("joined", |_| "replayed");
    let mut head = ResponseHeader::build(first.status, Some(first.headers.len() + 8))?;
    for (name, value) in &first.headers {
        head.append_header(name, value)?;
    }
    name_request(&mut head, ctx.dialect, &ctx.request_id)?;
    for (name, value) in &ctx.cors {
        head.insert_header(name, value)?;
    }
    head.insert_header(&names::X_TOLLGATE_IDEMPOTENCY, how)?;
    match length {
        Some(length) => head.insert_header(header::CONTENT_LENGTH, length.to_string())?,
        // The end of its connection ends the body for a client of HTTP/1.0.
        None if session.req_header().version == Version::HTTP_10 => {}
        None => head.insert_header(header::TRANSFER_ENCODING, "chunked")?,
    }
    ctx.answered.status = first.status.as_u16();
    ctx.answered.idempotency = Some(how);
    session.write_response_header(Box::new(head), false).await
}
