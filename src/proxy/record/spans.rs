//! Its trace: the spans of the request and of its attempts.

use std::time::Instant;

use pingora_proxy::Session;

use super::Record;
use crate::metrics::traces::{Attempt, Fate, Request};
use tollgate_wire::Endpoint;

impl Record<'_> {
    /// Its trace, if it is one of those that are exported.
    pub fn trace(&self, session: &Session) {
        let (Some(traces), Some(trace)) = (&self.shared.traces, &self.ctx.trace) else {
            return;
        };
        let ctx = self.ctx;
        let head = session.req_header();
        let path = head.uri.path();
        let key = ctx.caller.as_ref().map(|caller| &caller.key);
        let took = self.now.duration_since(ctx.started);
        let mut request = Request {
            trace,
            headers: &head.headers,
            ended: self.wall,
            took,
            method: head.method.as_str(),
            path,
            is_route: path == "/v1/models" || Endpoint::of_path(path).is_some(),
            tls: session.digest().is_some_and(|of| of.ssl_digest.is_some()),
            endpoint: ctx.endpoint,
            request_id: &ctx.request_id,
            caller: key.map(|key| {
                let configuration = key.configuration.as_ref();
                let configuration = configuration.map(|configuration| &*configuration.id);
                (&*key.id, &*key.account, configuration)
            }),
            model: ctx.received.as_ref().map(|received| received.body.model()),
            streams: self.streams(),
            status: ctx.answered.status,
            error: ctx.answered.code,
            client_gone: ctx.answered.client_gone,
            idempotency: ctx.answered.idempotency,
            overhead: ctx.answered.overhead,
            to_commit: self.to_commit(),
            attempts: Vec::new(),
        };
        let answered = request.to_commit.filter(|_| request.streams);
        let fate = Fate {
            is_error: request.failed() || (key.is_some() && request.status >= 400),
            attempts: ctx.past.len(),
            waited: answered.unwrap_or(took),
        };
        if traces.wants(trace, &fate) {
            request.attempts = self.traced();
            traces.write(&request);
            if let Some(route) = self.last_route() {
                route.exemplify(trace, took, answered, self.wall);
            }
        }
    }

    fn traced(&self) -> Vec<Attempt<'_>> {
        let ctx = self.ctx;
        let (Some(planned), Some(received)) = (&ctx.planned, &ctx.received) else {
            return Vec::new();
        };
        let before_end = |at: Instant| self.now.saturating_duration_since(at);
        let committed = planned.gate.committed_at().filter(|_| self.streams());
        let closed = planned.bill.closed();
        let mut free = received.at;
        let past = ctx.past.iter().enumerate();
        past.map(|(index, past)| {
            let attempt = self.attempt(planned, index, past);
            let waited = past.started.saturating_duration_since(free);
            free = past.ended;
            let first_chunk = committed.filter(|at| attempt.is_last && *at >= past.started);
            Attempt {
                span: past.span,
                candidate: attempt.candidate,
                began: before_end(past.started),
                ended: before_end(past.ended),
                waited,
                first_chunk: first_chunk.map(|at| at.duration_since(past.started)),
                status: past.status,
                outcome: past.outcome.as_ref(),
                observer: past.observer.as_ref(),
                provider_request_id: past.provider_request_id.as_deref(),
                usage: attempt.settled.as_ref().map(|settled| settled.usage),
                estimated: attempt.settled.is_some_and(|settled| settled.estimated),
                assumed: attempt.is_last && closed.as_ref().is_some_and(|closed| closed.assumed),
                cost: attempt.cost,
            }
        })
        .collect()
    }
}
