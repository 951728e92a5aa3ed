//! No attempt will follow, and the client has no whole answer: the last word to it.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use pingora_proxy::{FailToProxy, Session};

use super::context::{Context, PastAttempt, Planned};
use super::gate::{Fault, Phase};
use super::shared::Shared;
use super::{local, reply, settle};
use tollgate_base::clock;
use tollgate_failover::{Candidate, Ending, Outcome};
use tollgate_wire::error::{Attempt as Line, Code};
use tollgate_wire::report::StreamFailure;
use tollgate_wire::stop::{Stopped, stop};
use tollgate_wire::tokens::Observer;
use tollgate_wire::translate;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// What an HTTP/2 connection is given to write out a stream's last words.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// What nginx logs when the client closed its connection.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Pingora's `fail_to_proxy`.
pub async fn say(shared: &Shared, session: &mut Session, ctx: &mut Context) -> FailToProxy {
    let Some(planned) = &mut ctx.planned else {
        return over(CLIENT_CLOSED_REQUEST);
    };
    if let Some(unwrap) = planned.unwrap.take() {
        ctx.answered.client_gone |= unwrap.restore(&mut session.downstream_session);
    }
    // Pingora gives up the connection after a failure; the client shall know.
    session.set_keepalive(None);
    if let Some(caller) = &ctx.caller {
        session.set_write_timeout(Some(caller.snapshot.config.proxy.read_timeout));
    }
    let (phase, fault) = (planned.gate.phase(), planned.gate.fault());
    if planned.gate.is_delivered() {
        if fault != Some(Fault::ClientGone) && !ctx.answered.client_gone {
            // Whatever became of the provider's connection: the answer has come to its end.
            drop(end(session).await);
        }
        return over(StatusCode::OK.as_u16());
    }
    let ours = matches!(fault, Some(Fault::Drain | Fault::CutOff));
    let heard = |past: &PastAttempt| past.outcome == Some(Outcome::ClientGone);
    let left = fault == Some(Fault::ClientGone) || ctx.past.last().is_some_and(heard);
    if left && !ours {
        ctx.answered.client_gone = true;
        return over(CLIENT_CLOSED_REQUEST);
    }
    if phase == Phase::Committed {
        // What the client has of the answer is paid for before it hears the last of it.
        settle::settle(ctx).await;
    }
    if fault == Some(Fault::CutOff) {
        if cut_off(session, ctx).await.is_err() {
            ctx.answered.client_gone = true;
        }
        shared.metrics.error(Code::OutOfCredits.code());
        return over(ctx.answered.status);
    }
    if let Some(counted) = counted(ctx, phase, fault.as_ref()).await {
        let spoken = match counted {
            Ok(body) => reply::json(session, ctx, StatusCode::OK, body).await,
            Err(error) => reply::refusal(session, ctx, &error).await,
        };
        ctx.answered.client_gone |= spoken.is_err();
        return over(ctx.answered.status);
    }
    // The client has read of the provider's own failure.
    let told = phase == Phase::Committed
        && matches!(fault, Some(Fault::Answer(StreamFailure::ErrorEvent { .. })));
    let Verdict { error, relayed } = verdict(ctx, fault);
    let spoken = match phase {
        Phase::Held => match relayed {
            Some((status, body)) => reply::json(session, ctx, status, body).await,
            None => reply::refusal(session, ctx, &error).await,
        },
        Phase::Opened | Phase::Committed => say_in_stream(session, ctx, &error, told).await,
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

/// Our own count of a prompt's tokens, where no provider has made one.
async fn counted(
    ctx: &Context,
    phase: Phase,
    fault: Option<&Fault>,
) -> Option<Result<Bytes, GatewayError>> {
    let (caller, received, planned, last) = (
        ctx.caller.as_ref()?,
        ctx.received.as_ref()?,
        ctx.planned.as_ref()?,
        ctx.past.last()?,
    );
    let counts = ctx.endpoint == Some(Endpoint::CountTokens) && phase == Phase::Held;
    if !counts || fault == Some(&Fault::Drain) {
        return None;
    }
    let model = &planned.candidates[last.candidate].upstream_model;
    Some(local::count(&caller.aside, model, &received.body).await)
}

/// What to answer the client.
struct Verdict {
    error: GatewayError,
    /// What is sent in its stead where nothing was said yet: the provider's words.
    relayed: Option<(StatusCode, Bytes)>,
}

impl From<GatewayError> for Verdict {
    fn from(error: GatewayError) -> Verdict {
        Verdict {
            error,
            relayed: None,
        }
    }
}

fn verdict(ctx: &Context, fault: Option<Fault>) -> Verdict {
    let (Some(endpoint), Some(caller), Some(planned)) = (ctx.endpoint, &ctx.caller, &ctx.planned)
    else {
        return GatewayError::internal().into();
    };
    let (past, ending) = (&*ctx.past, planned.machine.ending());
    let last = past.last().map(|past| &planned.candidates[past.candidate]);
    if fault == Some(Fault::Drain) {
        return GatewayError::shutting_down().into();
    }
    if past.is_empty() && ending == Ending::AllFailed {
        return ctx.translation.refusal(endpoint.surface()).into();
    }
    if planned.gate.phase() == Phase::Committed {
        let provider = last.map_or("", |last| &last.provider.id);
        return match fault {
            Some(Fault::Idle) => {
                GatewayError::stream_idle(provider, caller.timeouts(last).stream_idle)
            }
            _ => GatewayError::stream_broken(provider),
        }
        .into();
    }
    match ending {
        Ending::TotalTimeout => {
            let total = caller.timeouts(planned.candidates.first()).total;
            GatewayError::timed_out(total).into()
        }
        Ending::Unreachable => {
            let named = last.map(|last| (&*last.provider.id, &*last.upstream_model));
            let (provider, model) = named.unwrap_or_default();
            let reason = past.last().map(in_words).unwrap_or_default();
            GatewayError::unreachable(provider, model, &reason).into()
        }
        Ending::RelayLast { retry_after } => match fault {
            Some(Fault::Answer(failure @ StreamFailure::ErrorEvent { .. })) => {
                relayed(ctx, failure, last)
            }
            // Its body broke off, so there is nothing to relay.
            _ => {
                let error = all_failed(planned, past);
                match retry_after {
                    Some(wait) => error.with_retry_after(wait).into(),
                    None => error.into(),
                }
            }
        },
        Ending::AllFailed | Ending::Stopped => all_failed(planned, past).into(),
    }
}

/// What the last provider said in a stream that was held back, without the credential that it was sent.
fn relayed(ctx: &Context, failure: StreamFailure, last: Option<&Candidate>) -> Verdict {
    let mut body = translate::failure_body(ctx.dialect, &failure, &ctx.request_id);
    let (status, mut message) = match failure {
        StreamFailure::ErrorEvent {
            status, message, ..
        } => (status, message.into_bytes()),
        StreamFailure::Malformed => (502, Vec::new()),
    };
    if let Some(last) = last {
        last.key.mask().whole(&mut body);
        last.key.mask().whole(&mut message);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let message = String::from_utf8_lossy(&message);
    Verdict {
        error: GatewayError::new(Code::AllFailed, message),
        relayed: Some((status, body.into())),
    }
}

fn all_failed(planned: &Planned, past: &[PastAttempt]) -> GatewayError {
    let outcomes: Vec<String> = past.iter().map(in_words).collect();
    let line = |(past, outcome)| {
        let (past, outcome): (&PastAttempt, &String) = (past, outcome);
        let candidate = &planned.candidates[past.candidate];
        Line {
            provider: &candidate.provider.id,
            model: &candidate.upstream_model,
            outcome,
        }
    };
    GatewayError::all_failed(past.iter().zip(&outcomes).map(line))
}

/// How an attempt ended, in a few words.
fn in_words(past: &PastAttempt) -> String {
    let outcome = past.outcome.as_ref();
    outcome.map(ToString::to_string).unwrap_or_default()
}

/// The credits are gone: the stream ends as at a token limit, cleanly.
async fn cut_off(session: &mut Session, ctx: &mut Context) -> pingora_error::Result<()> {
    ctx.answered.code = Some(Code::OutOfCredits.code());
    ctx.answered.status = StatusCode::OK.as_u16();
    let (Some(endpoint), Some(received), Some(planned)) =
        (ctx.endpoint, &ctx.received, &ctx.planned)
    else {
        return Ok(());
    };
    let observer = ctx.past.last().and_then(|past| past.observer.as_ref());
    let used = planned.bill.closed().and_then(|closed| closed.settled);
    let usage = used.map(|settled| settled.usage).unwrap_or_default();
    let bytes = match planned.gate.take_translator() {
        Some(translator) => translator.cut(usage),
        None => stop(
            endpoint.surface(),
            &Stopped {
                id: observer.and_then(Observer::id).unwrap_or(&ctx.request_id),
                model: observer.and_then(Observer::model).unwrap_or_default(),
                created: clock::unix().as_secs(),
                open_block: observer.and_then(Observer::open_block),
                number: planned.gate.next_number(),
                input: usage.input(),
                output: usage.output(),
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

/// The end of a body of which all was written.
async fn end(session: &mut Session) -> pingora_error::Result<()> {
    write_pending(session).await?;
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

/// After the client got `200`: an error event in its dialect, unless it was sent already (`told`), and no clean end.
pub async fn say_in_stream(
    session: &mut Session,
    ctx: &mut Context,
    error: &GatewayError,
    told: bool,
) -> pingora_error::Result<()> {
    ctx.answered.code = Some(error.code.code());
    ctx.answered.status = StatusCode::OK.as_u16();
    let streaming = ctx
        .received
        .as_ref()
        .is_some_and(|received| received.body.stream());
    let Some(endpoint) = ctx.endpoint.filter(|_| streaming) else {
        return Ok(());
    };
    write_pending(session).await?;
    if !told {
        write_error(session, ctx, error, endpoint.surface()).await?;
    }
    if session.is_http2() {
        // The reset that follows throws away what its connection has not written yet.
        tokio::time::sleep(BEFORE_RESET).await;
    }
    Ok(())
}

async fn write_error(
    session: &mut Session,
    ctx: &Context,
    error: &GatewayError,
    surface: Surface,
) -> pingora_error::Result<()> {
    let sequence = match (surface, &ctx.planned) {
        (Surface::Responses, Some(planned)) => planned.gate.next_number(),
        _ => 0, // only Responses number their events
    };
    let event = error.stream_event(surface, &ctx.request_id, sequence);
    let mut bytes = BytesMut::with_capacity(2 + event.len());
    // Whatever the provider left unfinished ends here, so that the event stands by itself.
    bytes.put_slice(b"\n\n");
    bytes.put_slice(&event);
    session
        .downstream_session
        .write_response_body(bytes.freeze(), false)
        .await
}
