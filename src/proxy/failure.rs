//! An attempt has failed: what that means, and whether another one follows.

use pingora_core::protocols::Digest;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use super::attempt;
use super::context::{Attempt, Context};
use super::flight::{Fault, Phase};
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::catalog::Provider;
use tollgate_failover::{ConnectFailure, Outcome, Step};
use tollgate_wire::report::StreamFailure;

/// Dead pooled connections that one attempt may meet before it counts as failed.
const MOST_STALE: u8 = 3;

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
    if outcome == Outcome::Connect(ConnectFailure::Tls)
        && let Some(provider) = provider(ctx)
    {
        shared.peers.tell(provider, &error);
    }
    // A name may have more addresses, and they are all the same candidate.
    if let Some(attempt) = &mut ctx.attempt
        && attempt.addresses.len() > 1
        && clock::now() < attempt.by
    {
        attempt.addresses.pop();
        return again(error);
    }
    conclude(shared, ctx, error, outcome, false)
}

/// The provider of the attempt under way.
fn provider(ctx: &Context) -> Option<&Provider> {
    let (planned, attempt) = (ctx.planned.as_ref()?, ctx.attempt.as_ref()?);
    Some(&planned.candidates[attempt.candidate].provider)
}

/// Pingora's `connected_to_upstream`. A server that presents the wrong certificate fails the attempt.
pub fn presented(shared: &Shared, ctx: &mut Context, digest: Option<&Digest>) -> Result<()> {
    let Some(provider) = provider(ctx).filter(|provider| provider.ca.is_some()) else {
        return Ok(());
    };
    let presented = digest.and_then(|digest| digest.ssl_digest.as_ref());
    let presented = presented.map_or(&[][..], |digest| &digest.cert_digest);
    let judged = shared.peers.judge(provider, presented);
    if let Err(error) = &judged {
        shared.peers.tell(provider, error);
        if let Some(attempt) = &mut ctx.attempt {
            attempt.outcome = Some(Outcome::Connect(ConnectFailure::Tls));
        }
    }
    judged
}

/// Pingora's `error_while_proxy`.
pub fn proxying(
    shared: &Shared,
    session: &Session,
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
    let (decided, answered) = (attempt.outcome.take(), attempt.status.is_some());
    let outcome = outcome(fault, decided, &error, answered);
    let is_asked = is_asked(attempt, session.upstream_body_bytes_sent());
    conclude(shared, ctx, error, outcome, is_asked)
}

/// Whether the provider has the whole request; `written` is what was written of its body over HTTP/1. Over HTTP/2 a
/// client that leaves is noticed only when all of it is written.
fn is_asked(attempt: &Attempt, written: Option<usize>) -> bool {
    let all = written.is_some_and(|bytes| bytes >= attempt.body.len());
    attempt.status.is_some() || attempt.http2 || all
}

/// What it means that an attempt ended so. `decided` is what its head said already, `answered` whether there was one.
fn outcome(
    fault: Option<Fault>,
    decided: Option<Outcome>,
    error: &Error,
    answered: bool,
) -> Outcome {
    match (fault, decided) {
        (Some(Fault::ClientGone), _) => Outcome::ClientGone,
        (Some(Fault::Drain), _) => Outcome::Drained,
        (Some(Fault::CutOff), _) => Outcome::CutOff,
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
        (None, None) if answered => Outcome::Broken,
        (None, None) => Outcome::Reset,
    }
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
    is_asked: bool,
) -> Box<Error> {
    let Some(attempt) = ctx.attempt.take() else {
        error.set_retry(false);
        return error;
    };
    let step = attempt::end(shared, ctx, &attempt, outcome, is_asked);
    error.set_retry(step == Step::Next);
    error
}
