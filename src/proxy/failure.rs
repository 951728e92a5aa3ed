//! An attempt has failed: what it means, what follows, and the last word when nothing does.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};

use super::context::{Context, PastAttempt};
use super::flight::{Fault, Phase};
use super::shared::Shared;
use super::{attempt, reply, settle};
use tollgate_base::clock;
use tollgate_failover::{ConnectFailure, Ending, Outcome, Step};
use tollgate_wire::error::{Attempt as Line, Code};
use tollgate_wire::report::StreamFailure;
use tollgate_wire::stop::{Stopped, stop};
use tollgate_wire::tokens::Tap;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Dead pooled connections that one attempt may meet before it counts as failed.
const MOST_STALE: u8 = 3;

/// What an HTTP/2 connection is given to write out a stream's last words.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// What nginx logs when the client closed its connection.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Pingora's `fail_to_connect`.
pub fn connecting(shared: &Shared, ctx: &mut Context, error: Box<Error>) -> Box<Error> {
    let outcome = Outcome::Connect(match error.etype() {
        ErrorType::ConnectRefused => ConnectFailure::Refused,
        ErrorType::ConnectNoRoute => ConnectFailure::Unreachable,
        ErrorType::ConnectTimedout => ConnectFailure::Timeout,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => ConnectFailure::Tls,
        _ => ConnectFailure::Other,
    });
    // A name may have more addresses, and they are all the same candidate.
    if let Some(attempt) = &mut ctx.attempt
        && attempt.addresses.len() > 1
        && clock::now() < attempt.by
    {
        attempt.addresses.pop();
        return again(error);
    }
    conclude(shared, ctx, error, outcome)
}

/// Pingora's `error_while_proxy`.
pub fn proxying(
    shared: &Shared,
    ctx: &mut Context,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    let (Some(planned), Some(attempt)) = (&mut ctx.planned, &mut ctx.attempt) else {
        error.set_retry(false);
        return error;
    };
    let fault = planned.flight.fault();
    if planned.flight.phase() == Phase::Committed {
        planned.machine.commit();
    } else if fault.is_none()
        && attempt.status.is_none()
        && *error.esource() == ErrorSource::Upstream
        && attempt.stale < MOST_STALE
    {
        // The provider had closed a pooled connection, or asks for another one; it has not seen this request.
        error.retry.decide_reuse(reused);
        // Pingora says so for what it reads, not for a write that came just after the close.
        let written_too_late = reused && *error.etype() == ErrorType::WriteError;
        if error.retry() || written_too_late {
            attempt.stale += 1;
            return again(error);
        }
    }
    let outcome = match (fault, attempt.outcome.take()) {
        (Some(Fault::ClientGone | Fault::Drain | Fault::CutOff), _) => Outcome::ClientGone,
        (_, Some(decided)) => decided,
        (Some(Fault::Attempt | Fault::Total | Fault::Idle), _) => Outcome::Timeout,
        (Some(Fault::Answer(StreamFailure::Malformed)), _) => Outcome::Malformed,
        (Some(Fault::Answer(StreamFailure::ErrorEvent { status, kind, .. })), _) => {
            Outcome::ErrorEvent {
                status: Some(status),
                kind,
            }
        }
        (Some(Fault::Empty | Fault::Truncated), _) => Outcome::Broken,
        (None, None) if *error.esource() == ErrorSource::Downstream => Outcome::ClientGone,
        (None, None) if *error.etype() == ErrorType::WriteTimedout => Outcome::Timeout,
        (None, None) if attempt.status.is_some() => Outcome::Broken,
        (None, None) => Outcome::Reset,
    };
    conclude(shared, ctx, error, outcome)
}

fn again(mut error: Box<Error>) -> Box<Error> {
    error.set_retry(true);
    error
}

/// Ends the attempt; the error says whether Pingora shall ask for another one.
fn conclude(
    shared: &Shared,
    ctx: &mut Context,
    mut error: Box<Error>,
    outcome: Outcome,
) -> Box<Error> {
    let Some(attempt) = ctx.attempt.take() else {
        error.set_retry(false);
        return error;
    };
    let step = attempt::end(shared, ctx, &attempt, outcome);
    error.set_retry(step == Step::Next);
    error
}

/// Pingora's `fail_to_proxy`: no attempt will follow.
pub async fn last_word(shared: &Shared, session: &mut Session, ctx: &mut Context) -> FailToProxy {
    let Some(planned) = &mut ctx.planned else {
        return over(CLIENT_CLOSED_REQUEST);
    };
    if let Some(unwrap) = planned.unwrap.take() {
        unwrap.restore(&mut session.downstream_session);
    }
    // Pingora gives up the connection after a failure; the client shall know.
    session.set_keepalive(None);
    if let Some(caller) = &ctx.caller {
        session.set_write_timeout(Some(caller.snapshot.config.proxy.read_timeout));
    }
    let (phase, fault) = (planned.flight.phase(), planned.flight.fault());
    let ours = matches!(fault, Some(Fault::Drain | Fault::CutOff));
    let heard = |past: &PastAttempt| past.outcome == Some(Outcome::ClientGone);
    let left = fault == Some(Fault::ClientGone) || ctx.past.last().is_some_and(heard);
    if left && !ours {
        ctx.answered.client_gone = true;
        return over(CLIENT_CLOSED_REQUEST);
    }
    if phase == Phase::Committed {
        // What the client has of the answer is paid for before it hears the last of it.
        settle::settle(shared, ctx).await;
    }
    if fault == Some(Fault::CutOff) {
        if cut_off(session, ctx).await.is_err() {
            ctx.answered.client_gone = true;
        }
        shared.metrics.error(Code::OutOfCredits.code());
        return over(ctx.answered.status);
    }
    let (error, provider_body) = verdict(ctx, fault);
    let spoken = match phase {
        Phase::Held => match provider_body {
            Some((status, body)) => reply::json(session, ctx, status, body).await,
            None => reply::refusal(session, ctx, &error).await,
        },
        Phase::Opened | Phase::Committed => say_in_stream(session, ctx, &error).await,
    };
    if spoken.is_err() {
        ctx.answered.client_gone = true;
    }
    shared.metrics.error(error.code.code());
    over(ctx.answered.status)
}

fn over(status: u16) -> FailToProxy {
    FailToProxy {
        error_code: status,
        can_reuse_downstream: false,
    }
}

/// What to tell the client: our own error, or what the provider said in a stream that was held back.
fn verdict(
    ctx: &Context,
    fault: Option<Fault>,
) -> (GatewayError, Option<(http::StatusCode, Bytes)>) {
    let (Some(planned), Some(caller)) = (&ctx.planned, &ctx.caller) else {
        return (GatewayError::internal(), None);
    };
    let name = |index: usize| {
        let candidate = &planned.candidates[index];
        (&*candidate.provider.id, &*candidate.upstream_model)
    };
    let last = ctx
        .past
        .last()
        .map(|past| name(past.candidate))
        .unwrap_or_default();
    let timeouts = caller.timeouts(
        ctx.past
            .last()
            .and_then(|past| planned.candidates.get(past.candidate)),
    );
    if fault == Some(Fault::Drain) {
        return (GatewayError::shutting_down(), None);
    }
    if ctx.past.is_empty() && planned.machine.ending() == Ending::AllFailed {
        let refused = |endpoint: Endpoint| ctx.crossing.refusal(endpoint.surface());
        let error = ctx.endpoint.map_or_else(GatewayError::internal, refused);
        return (error, None);
    }
    if planned.flight.phase() == Phase::Committed {
        return match fault {
            Some(Fault::Idle) => (
                GatewayError::stream_idle(last.0, timeouts.stream_idle),
                None,
            ),
            _ => (GatewayError::stream_broken(last.0), None),
        };
    }
    let lines: Vec<(usize, String)> = ctx
        .past
        .iter()
        .map(|past| {
            (
                past.candidate,
                past.outcome
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            )
        })
        .collect();
    let all_failed = || {
        GatewayError::all_failed(lines.iter().map(|(candidate, outcome)| {
            let (provider, model) = name(*candidate);
            Line {
                provider,
                model,
                outcome,
            }
        }))
    };
    match planned.machine.ending() {
        Ending::TotalTimeout => (
            GatewayError::timed_out(caller.timeouts(planned.candidates.first()).total),
            None,
        ),
        Ending::Unreachable => {
            let reason = lines
                .last()
                .map(|(_, outcome)| outcome.as_str())
                .unwrap_or_default();
            (GatewayError::unreachable(last.0, last.1, reason), None)
        }
        Ending::RelayLast { retry_after } => match fault {
            Some(Fault::Answer(StreamFailure::ErrorEvent {
                status,
                kind,
                message,
            })) => {
                let status =
                    http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
                let spoken = ctx.past.last().map(|past| past.dialect);
                let (dialect, id) = (ctx.dialect, &ctx.request_id);
                let body = reply::provider_error(spoken, dialect, status, (&kind, &message), id);
                (
                    GatewayError::new(Code::AllFailed, message),
                    Some((status, body)),
                )
            }
            // Its body broke off, so there is nothing to relay.
            _ => {
                let error = all_failed();
                (
                    retry_after.map_or(error.clone(), |wait| error.with_retry_after(wait)),
                    None,
                )
            }
        },
        Ending::AllFailed | Ending::Stopped => (all_failed(), None),
    }
}

/// The credits are gone: the stream ends as at a token limit, cleanly.
async fn cut_off(session: &mut Session, ctx: &mut Context) -> pingora_error::Result<()> {
    ctx.answered.code = Some(Code::OutOfCredits.code());
    ctx.answered.status = http::StatusCode::OK.as_u16();
    let (Some(endpoint), Some(received), Some(planned)) =
        (ctx.endpoint, &ctx.received, &ctx.planned)
    else {
        return Ok(());
    };
    let tap = ctx.past.last().and_then(|past| past.tap.as_ref());
    let used = planned.tab.closed().and_then(|closed| closed.settled);
    let usage = used.map(|settled| settled.usage).unwrap_or_default();
    let bytes = match planned.flight.take_translator() {
        Some(translator) => translator.cut(usage),
        None => stop(
            endpoint.surface(),
            &Stopped {
                id: tap.and_then(Tap::id).unwrap_or(&ctx.request_id),
                model: tap.and_then(Tap::model).unwrap_or_default(),
                created: clock::unix().as_secs(),
                open_block: tap.and_then(Tap::open_block),
                input: usage.input,
                output: usage.output,
                wants_usage: received.body.wants_usage_chunk(),
            },
        ),
    };
    write_pending(session).await?;
    session
        .downstream_session
        .write_response_body(bytes, true)
        .await?;
    session.downstream_session.finish_body().await
}

/// What an interrupted write began.
async fn write_pending(session: &mut Session) -> pingora_error::Result<()> {
    let downstream = &mut session.downstream_session;
    while downstream.has_pending_downstream_proxy_tasks() {
        downstream.write_downstream_proxy_tasks().await?;
    }
    Ok(())
}

/// After the client was told `200`: an error event in its dialect, and no clean end.
async fn say_in_stream(
    session: &mut Session,
    ctx: &mut Context,
    error: &GatewayError,
) -> pingora_error::Result<()> {
    ctx.answered.code = Some(error.code.code());
    ctx.answered.status = http::StatusCode::OK.as_u16();
    let streaming = ctx
        .received
        .as_ref()
        .is_some_and(|received| received.body.stream());
    let Some(endpoint) = ctx.endpoint.filter(|_| streaming) else {
        return Ok(());
    };
    write_pending(session).await?;
    let sequence = match (endpoint.surface(), &ctx.planned) {
        (Surface::Responses, Some(planned)) => planned.flight.next_number(),
        _ => 0, // only Responses number their events
    };
    let event = error.stream_event(endpoint.surface(), &ctx.request_id, sequence);
    let mut bytes = BytesMut::with_capacity(2 + event.len());
    // Whatever the provider left unfinished ends here, so that the event stands by itself.
    bytes.put_slice(b"\n\n");
    bytes.put_slice(&event);
    session
        .downstream_session
        .write_response_body(bytes.freeze(), false)
        .await?;
    if session.is_http2() {
        // The reset that follows throws away what its connection has not written yet.
        tokio::time::sleep(BEFORE_RESET).await;
    }
    Ok(())
}
