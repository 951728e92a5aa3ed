//! What sends an attempt that is begun early, and reads its answer into a pipe: as HTTP/1, whatever its provider speaks.

use std::sync::Arc;

use http::uri::{PathAndQuery, Scheme};
use http::{StatusCode, Uri, Version, header};
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::client::HttpSession;
use pingora_error::{ErrorType, OkOrErr as _, OrErr as _, Result};
use pingora_http::{RequestHeader, ResponseHeader};

use super::Ground;
use crate::proxy::beside::{Progress, Seen};
use crate::proxy::chosen::Chosen;
use crate::proxy::context::Attempt;
use crate::proxy::early::{Early, Pipe, Signs};
use crate::proxy::gate::{Answer, Gate, HOLD_BYTES, HOLD_WHOLE, Limits, Pass};
use crate::proxy::outbound::Outgoing;
use crate::proxy::translation::RequestTranslation;
use crate::proxy::worded::worded_aside;
use crate::proxy::{CONNECT_TIMEOUT, answer, dial};
use tollgate_base::clock;
use tollgate_failover::{Candidate, ConnectFailure, Outcome};
use tollgate_wire::coding::Coding;
use tollgate_wire::mask::Masking;
use tollgate_wire::tokens::Observer;

/// What a pipe takes beyond what an answer is looked at before it commits, in bytes.
const SLACK: usize = 64 << 10;

/// Sends the request to a candidate, and reads what comes. Without a connection nothing has begun: then the candidate is
/// tried in its turn, as any other.
pub(super) async fn run(
    ground: Arc<Ground>,
    index: usize,
    candidate: Candidate,
    progress: Arc<Progress>,
) {
    let Some(attempt) = prepared(&ground, index, &candidate).await else {
        return;
    };
    let Some((session, attempt)) = connected(&ground, &candidate, attempt).await else {
        return;
    };
    let most = if ground.whole { HOLD_WHOLE } else { HOLD_BYTES };
    let (reader, pipe) = Pipe::new(most + SLACK);
    let (early, signs) = Early::new(reader);
    let leg = Leg {
        ground: &ground,
        candidate: &candidate,
        progress: &progress,
        signs,
        most,
        heard: 0,
    };
    // The reader hears of any failure by the end of the pipe, as of a connection's.
    if let Err(error) = leg.exchange(session, (attempt, early), pipe).await {
        let id = &ground.request_id;
        log::debug!("request {id}: what was asked of {candidate} early has failed: {error}");
    }
}

/// The attempt, in the candidate's words; `None` if it cannot take the request, or had better be left alone.
async fn prepared(ground: &Ground, index: usize, candidate: &Candidate) -> Option<Attempt> {
    let (caller, body) = (&ground.caller, &ground.body);
    let (aside, key) = (&caller.aside, &caller.key);
    let mut translation = RequestTranslation::default();
    translation.hints = ground.hints;
    if !translation.ready(aside, body, key, index, candidate).await {
        return None;
    }
    let carried = translation.take(index);
    let worded = worded_aside(aside, body, key, candidate, carried).await?;
    let now = clock::now();
    if !ground.shared.health.begin(candidate, &key.account, now) {
        return None;
    }
    let chosen = Chosen {
        index,
        candidate,
        worded,
        begun: ground.asking().begin(candidate, now),
        idle: ground.idle,
    };
    Some(chosen.begins(caller, body, ground.started, ground.trace.is_some(), now))
}

/// A connection of its own: one that was kept might be closed, and nobody would know what was read of the request.
async fn connected(
    ground: &Ground,
    candidate: &Candidate,
    attempt: Attempt,
) -> Option<(HttpSession, Attempt)> {
    let (shared, provider) = (&ground.shared, &candidate.provider);
    let left = attempt.by.saturating_duration_since(attempt.started);
    let patience = left.min(CONNECT_TIMEOUT);
    let found = shared.peers.lookup(provider, attempt.started, patience);
    let addresses = found.await.unwrap_or_default();
    if let Ok(session) = dial::connect(shared, provider, &addresses, attempt.by, |_| {}).await {
        return Some((session, attempt));
    }
    // Nothing is held against the provider: it is asked again in its turn.
    let (account, class) = (&ground.caller.key.account, attempt.endpoint.into());
    let outcome = Outcome::Connect(ConnectFailure::Other);
    shared.learn(candidate, account, class, &outcome, true, clock::now());
    None
}

/// An attempt on its way.
struct Leg<'a> {
    ground: &'a Ground,
    candidate: &'a Candidate,
    progress: &'a Progress,
    signs: Signs,
    /// The most that an answer is looked at before it commits, in bytes.
    most: usize,
    /// Bytes of its body that have come.
    heard: usize,
}

impl Leg<'_> {
    /// Sends the request and reads the answer to its end.
    async fn exchange(
        mut self,
        mut session: HttpSession,
        (mut attempt, early): (Attempt, Early),
        mut pipe: Pipe,
    ) -> Result<()> {
        let is_h2 = session.as_http2().is_some();
        let head = self.head(&mut attempt, is_h2)?;
        let left = attempt.by.saturating_duration_since(clock::now());
        session.set_write_timeout(Some(left));
        let body = attempt.body.clone();
        attempt.early = Some(Arc::new(early));
        let bill = &self.ground.bill;
        let payee = bill.beside(self.candidate, attempt.started);
        self.progress.seen.lock().attempt = Some((attempt, payee));
        self.ground.shared.metrics.hedge("started");

        session.write_request_header(Box::new(head)).await?;
        session.write_request_body(body, true).await?;
        if !is_h2 {
            session.finish_request_body().await?;
        }
        self.signs.asked();
        let head = loop {
            session.read_response_header().await?;
            let head = session.response_header();
            let head = head.or_err(ErrorType::ReadError, "an answer has a head")?;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                break head.clone();
            }
        };
        self.look_at_head(&head);
        // One of HTTP/1 without a length may end with its connection.
        pipe.head(&head, !is_h2).await?;
        while let Some(data) = session.read_response_body().await? {
            if data.is_empty() {
                continue;
            }
            self.heard += data.len();
            self.signs.hears(clock::now());
            self.look(HttpTask::Body(Some(data.clone()), false));
            pipe.body(&data).await?;
        }
        self.look(HttpTask::Done);
        pipe.end().await
    }

    /// The head of the request.
    fn head(&self, attempt: &mut Attempt, is_h2: bool) -> Result<RequestHeader> {
        let ground = self.ground;
        let mut client = ground.head.clone();
        client.set_version(if is_h2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        });
        let outgoing = Outgoing {
            shared: &ground.shared,
            called: ground.body.endpoint(),
            candidate: self.candidate,
            request_id: &ground.request_id,
            trace: ground.trace.as_ref(),
        };
        let mut head = outgoing.head(&client, attempt)?;
        if is_h2 {
            head.remove_header(&header::HOST);
            let path = head.uri.path_and_query().cloned();
            let uri = Uri::builder()
                .scheme(Scheme::HTTPS)
                .authority(&*self.candidate.provider.base_url.authority)
                .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")));
            head.set_uri(
                uri.build()
                    .or_err(ErrorType::InvalidHTTPHeader, "a provider's base URL")?,
            );
        }
        Ok(head)
    }

    /// The head of the answer. A success is looked at by a gate of its own.
    fn look_at_head(&self, head: &ResponseHeader) {
        let (ground, now) = (self.ground, clock::now());
        let mut seen = self.progress.seen.lock();
        let Seen { attempt, trial } = &mut *seen;
        let Some((attempt, _)) = attempt else { return };
        answer::note(head, attempt, self.candidate.key.mask());
        let max_body = ground.caller.snapshot.config.proxy.max_body;
        let Ok(coding) = Coding::of(&head.headers) else {
            return;
        };
        if !head.status.is_success() {
            return;
        }
        let looks = answer::looked_at(head, attempt, &ground.body, max_body);
        let looks = looks.unwrap_or_else(|| Answer::Whole(Observer::whole(attempt.endpoint)));
        let limits = Limits {
            open_at: None,
            idle: ground.idle,
            whole: ground.whole,
            keepalive: None,
        };
        let gate = Gate::new(limits, ground.shared.drain.clone(), now);
        let masking = Masking::new(self.candidate.key.mask().clone());
        gate.answering(looks, coding, masking, now);
        *trial = Some(gate);
    }

    /// Some of the answer, before it is adopted: is it as much as commits?
    fn look(&self, task: HttpTask) {
        let seen = self.progress.seen.lock();
        let Some(trial) = &seen.trial else { return };
        if trial.fault().is_some() || trial.committed_at().is_some() {
            return;
        }
        let commits = match trial.pass(vec![task], clock::now()) {
            Pass::Write(_) | Pass::Last(_) | Pass::Translate(_) => true,
            Pass::Hold => trial.committed_at().is_some() || self.heard > self.most,
            Pass::Fail(_) => false,
        };
        if commits {
            self.progress.ready.notify_one();
        }
    }
}
