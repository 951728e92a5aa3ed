//! What is recorded of a request that has ended: metrics, a line in the access log.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pingora_proxy::Session;

use super::context::{Context, PastAttempt, Planned};
use super::count;
use super::shared::Shared;
use crate::metrics::access_log::{Attempt as Line, Entry};
use crate::metrics::{RouteMetrics, StatusClass};
use tollgate_base::{Timestamp, clock};
use tollgate_failover::{Candidate, Outcome};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::estimate::Answers;
use tollgate_wire::Endpoint;
use tollgate_wire::report::Usage;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::Settled;

mod spans;

/// A request that has ended, and what it came to.
pub struct Record<'a> {
    pub shared: &'a Shared,
    pub ctx: &'a Context,
    /// What its last attempt used; `None` if that is nothing.
    pub settled: Option<Settled>,
    /// What its last attempt cost.
    pub cost: NanoUsd,
    /// When it ended.
    pub now: Instant,
    /// The same, by the wall clock.
    pub wall: SystemTime,
}

/// One attempt of it.
struct Attempt<'a> {
    past: &'a PastAttempt,
    candidate: &'a Candidate,
    is_last: bool,
    settled: Option<Settled>,
    cost: NanoUsd,
}

impl Record<'_> {
    /// Its metrics.
    pub fn attempts(&self) {
        let (shared, ctx) = (self.shared, self.ctx);
        let Some(planned) = &ctx.planned else {
            self.unrouted();
            return;
        };
        let (Some(caller), Some(endpoint)) = (&ctx.caller, ctx.endpoint) else {
            return;
        };
        for (index, past) in ctx.past.iter().enumerate() {
            let attempt = self.attempt(planned, index, past);
            self.measure(planned, endpoint, &attempt);
            let Some(ledger) = &shared.ledger else {
                continue;
            };
            // An answer that broke off says nothing of how long answers are.
            if let (Some(settled), None) = (&attempt.settled, &past.outcome) {
                let answers = Answers {
                    account: &caller.key.account,
                    access_key: &caller.key.id,
                    provider: &attempt.candidate.provider.id,
                    model: attempt.candidate.known_model(),
                };
                let one = settled.usage.output().div_ceil(planned.bill.answers());
                let at = clock::unix_ms(self.wall) / 1_000;
                ledger.estimates.learn(&answers, one, at);
            }
        }
    }

    /// The metrics of a request that was answered before it was planned.
    fn unrouted(&self) {
        let (metrics, ctx) = (&self.shared.metrics, self.ctx);
        if ctx.answered.status == 0 {
            return;
        }
        let surface = ctx.endpoint.map(Endpoint::surface);
        metrics.unrouted(surface, StatusClass::of(ctx.answered.status));
        if let Some(code) = ctx.answered.code {
            metrics.error(code);
        }
    }

    fn attempt<'a>(
        &self,
        planned: &'a Planned,
        index: usize,
        past: &'a PastAttempt,
    ) -> Attempt<'a> {
        let is_last = index + 1 == self.ctx.past.len();
        // What an earlier one cost is the house's.
        let (settled, cost) = if is_last {
            (self.settled.clone(), self.cost)
        } else {
            let reported = || past.observer.as_ref().and_then(count::reported);
            (past.settled.clone().or_else(reported), NanoUsd::ZERO)
        };
        Attempt {
            past,
            candidate: &planned.candidates[past.candidate],
            is_last,
            settled,
            cost,
        }
    }

    fn route(&self, candidate: &Candidate, endpoint: Endpoint) -> Arc<RouteMetrics> {
        let metrics = &self.shared.metrics;
        let model = candidate.model.as_ref().map(|model| &model.id);
        metrics.route(
            metrics.label(&candidate.provider),
            model.filter(|_| !candidate.provider.is_tenants()),
            endpoint.surface(),
        )
    }

    /// The metrics of the last attempt's route, which the request's are.
    fn last_route(&self) -> Option<Arc<RouteMetrics>> {
        let (planned, last) = (self.ctx.planned.as_ref()?, self.ctx.past.last()?);
        let candidate = &planned.candidates[last.candidate];
        Some(self.route(candidate, self.ctx.endpoint?))
    }

    fn measure(&self, planned: &Planned, endpoint: Endpoint, attempt: &Attempt<'_>) {
        let route = self.route(attempt.candidate, endpoint);
        route.attempt(label(attempt.past));
        if let Some(settled) = &attempt.settled {
            route.usage(&settled.usage, !settled.estimated);
        }
        route.cost(attempt.cost);
        if attempt.is_last && planned.bill.closed().is_some_and(|closed| closed.assumed) {
            route.assumed();
        }
        if attempt.is_last {
            self.measure_answer(planned, &route);
        }
    }

    fn measure_answer(&self, planned: &Planned, route: &RouteMetrics) {
        let (ctx, now) = (self.ctx, self.now);
        let status = StatusClass::of(ctx.answered.status);
        route.request(status, now.duration_since(ctx.started));
        let Some(committed) = planned.gate.committed_at().filter(|_| self.streams()) else {
            return;
        };
        route.first_token(committed.duration_since(ctx.started));
        if let Some(settled) = &self.settled {
            route.pace(now.duration_since(committed), settled.usage.output());
        }
    }

    /// Its line in the access log.
    pub fn log(&self, session: &Session) {
        let ctx = self.ctx;
        let head = session.req_header();
        let total = self.now.duration_since(ctx.started);
        let lines = self.lines();
        let key = ctx.caller.as_ref().map(|caller| &caller.key);
        let configuration = key.and_then(|key| key.configuration.as_ref());
        let body = ctx.received.as_ref().map(|received| &received.body);
        let surface = ctx.endpoint.map(Endpoint::surface);
        if let Some(surface) = surface.filter(|_| !lines.is_empty()) {
            self.shared.metrics.overhead(surface, ctx.answered.overhead);
        }
        let used = self.settled.as_ref().map(|settled| settled.usage);
        let address = session.client_addr().and_then(|address| address.as_inet());
        self.shared.access_log.write(&Entry {
            time: Timestamp(self.wall.checked_sub(total).unwrap_or(self.wall)),
            request_id: &ctx.request_id,
            trace_id: ctx.trace.map(|trace| trace.id),
            access_key: key.map(|key| &*key.id),
            account: key.map(|key| &*key.account),
            configuration: configuration.map(|configuration| &*configuration.id),
            method: head.method.as_str(),
            path: head.uri.path(),
            surface,
            requested_model: body.map(RequestBody::model),
            provider: lines.last().map(|line| line.provider),
            model: lines.last().map(|line| line.model),
            attempts: &lines,
            status: Some(ctx.answered.status).filter(|status| *status > 0),
            error: ctx.answered.code,
            stream: self.streams(),
            bytes_in: body.map_or(0, |body| body.bytes().len() as u64),
            bytes_out: session.body_bytes_sent() as u64,
            tokens: used.filter(|usage| *usage != Usage::default()),
            estimated: self
                .settled
                .as_ref()
                .is_some_and(|settled| settled.estimated),
            to_commit: self.to_commit(),
            total,
            client_ip: address.map(|address| address.ip()),
            client_gone: ctx.answered.client_gone,
            idempotency: ctx.answered.idempotency,
        });
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let Some(planned) = &self.ctx.planned else {
            return Vec::new();
        };
        let past = self.ctx.past.iter();
        past.map(|past| {
            let candidate = &planned.candidates[past.candidate];
            Line {
                provider: &candidate.provider.id,
                model: &candidate.upstream_model,
                outcome: label(past),
                provider_request_id: past.provider_request_id.as_deref(),
            }
        })
        .collect()
    }

    fn streams(&self) -> bool {
        let received = self.ctx.received.as_ref();
        received.is_some_and(|received| received.body.stream())
    }

    fn to_commit(&self) -> Option<Duration> {
        let committed = self.ctx.planned.as_ref()?.gate.committed_at()?;
        Some(committed.duration_since(self.ctx.started))
    }
}

fn label(past: &PastAttempt) -> &'static str {
    past.outcome.as_ref().map_or("ok", Outcome::label)
}
