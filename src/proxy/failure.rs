//! An attempt has failed: what that means, and whether another one follows.

use pingora_core::protocols::Digest;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use super::context::{Attempt, Context};
use super::gate::{Fault, Gate, Phase};
use super::shared::Shared;
use super::{attempt, dial};
use tollgate_base::clock;
use tollgate_config::catalog::{ErrorCause, Provider};
use tollgate_failover::cause::Asked;
use tollgate_failover::{ConnectFailure, Outcome, ProviderError, Step};
use tollgate_wire::report::StreamFailure;

/// Pooled connections that one attempt may find closed before it counts as failed.
const MOST_STALE: u8 = 3;

/// Pingora's `fail_to_connect`.
pub fn connecting(shared: &Shared, ctx: &mut Context, error: Box<Error>) -> Box<Error> {
    let outcome = Outcome::Connect(dial::failure(&error));
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
    // What was begun early was judged before it was sent.
    let early = |attempt: &Attempt| attempt.early.is_some();
    let Some(provider) = provider(ctx)
        .filter(|provider| provider.ca.is_some() && !ctx.attempt.as_ref().is_some_and(early))
    else {
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
    let fault = planned.gate.fault();
    if planned.gate.phase() == Phase::Committed {
        planned.machine.commit();
        // The client has all of its answer: what is left of the body, or of the client, changes nothing.
        if planned.gate.is_delivered() {
            error.set_retry(false);
            return error;
        }
    } else if fault.is_none()
        && attempt.status.is_none()
        && *error.esource() == ErrorSource::Upstream
        && attempt.stale < MOST_STALE
        && is_unread(&planned.gate, attempt, &mut error, reused)
    {
        attempt.stale += 1;
        return again(error);
    }
    let judged = planned.gate.judged();
    let seen = Seen {
        decided: judged.or(attempt.outcome.take()),
        answered: attempt.status.is_some(),
        alive: planned.gate.is_alive(),
    };
    let candidate = &planned.candidates[attempt.candidate];
    let outcome = outcome(fault, seen, &error, |told, status| {
        let asked = Asked {
            model: &candidate.upstream_model,
            body: &attempt.body,
        };
        told.cause(status, &candidate.provider.error_rules, asked)
    });
    let is_asked = is_asked(attempt, session.upstream_body_bytes_sent());
    conclude(shared, ctx, error, outcome, is_asked)
}

/// Whether the provider cannot have read the request: it had closed a connection that was kept, or says that it took no
/// notice of it. Whatever else happens to a request that was written is an attempt, since it may have been carried out.
fn is_unread(gate: &Gate, attempt: &Attempt, error: &mut Error, reused: bool) -> bool {
    if attempt.http2 {
        // Refused streams, connections that go away, providers that want HTTP/1. An answer that is no HTTP/2 comes
        // from one that has read something.
        error.retry.decide_reuse(false);
        return error.retry() && *error.etype() != ErrorType::InvalidH2;
    }
    // An error without a word of the connection's end comes from writing the head.
    let written_too_late = *error.etype() == ErrorType::WriteError;
    reused && gate.is_unread().unwrap_or(written_too_late)
}

/// What was seen of an attempt that has ended.
struct Seen {
    /// What its head, or an error's body, said.
    decided: Option<Outcome>,
    /// There was a head.
    answered: bool,
    /// There was some of a body.
    alive: bool,
}

/// Whether the provider has the whole request; `written` is what was written of its body over HTTP/1. Over HTTP/2 a
/// client that leaves is noticed only when all of it is written.
fn is_asked(attempt: &Attempt, written: Option<usize>) -> bool {
    if let Some(early) = &attempt.early {
        return early.is_asked();
    }
    let all = written.is_some_and(|bytes| bytes >= attempt.body.len());
    attempt.status.is_some() || attempt.http2 || all
}

/// What it means that an attempt ended so. `cause` finds what an error event is about.
fn outcome(
    fault: Option<Fault>,
    seen: Seen,
    error: &Error,
    cause: impl Fn(&ProviderError, u16) -> Option<ErrorCause>,
) -> Outcome {
    match (fault, seen.decided) {
        (Some(Fault::ClientGone), _) => Outcome::ClientGone,
        (Some(Fault::Drain), _) => Outcome::Drained,
        (Some(Fault::CutOff), _) => Outcome::CutOff,
        (Some(Fault::Overtaken), _) => Outcome::Cancelled,
        (_, Some(decided)) => decided,
        (Some(Fault::Attempt), _) if !seen.alive => Outcome::Silent,
        (Some(Fault::Attempt | Fault::Idle), _) => Outcome::Timeout,
        (Some(Fault::Answer(StreamFailure::Malformed)), _) => Outcome::Malformed,
        (
            Some(Fault::Answer(StreamFailure::ErrorEvent {
                status,
                kind,
                message,
            })),
            _,
        ) => Outcome::ErrorEvent {
            status: Some(status),
            cause: cause(&ProviderError::event(&kind, &message), status),
            kind,
        },
        (Some(Fault::Empty | Fault::Truncated | Fault::Refused), _) => Outcome::Broken,
        (None, None) if *error.esource() == ErrorSource::Downstream => Outcome::ClientGone,
        (None, None) if *error.etype() == ErrorType::WriteTimedout => Outcome::Timeout,
        (None, None) if seen.answered => Outcome::Broken,
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
