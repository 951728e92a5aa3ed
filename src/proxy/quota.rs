//! Quotas seen ahead: which candidate has room for a request as far as its provider's headers tell, and a short wait for
//! one that will have some.
//!
//! Nothing is refused here: a request that finds no room goes on in the plan's order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use pingora_proxy::Session;

use super::context::{Caller, Planned};
use super::cooldowns::Published;
use super::credits;
use super::gate::{Fault, Gate};
use super::names;
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::access::{AccessKey, least};
use tollgate_config::types::Priority;
use tollgate_failover::headroom::Begun;
use tollgate_failover::queue::{Flow, Place, Queue};
use tollgate_failover::{Candidate, Class, Limits, Need, Scope, Wait};
use tollgate_ledger::estimate::UNLEARNED;
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, Surface};

/// What is left of a quota is told to other replicas as long as this after its request began: it is too old then.
pub const TOLD_FOR: Duration = Duration::from_secs(5);

/// Requests that wait for quota at once, of all accounts; others go on at once.
const WAITING: usize = 1024;

/// A request, as quotas see it.
pub struct Asking<'a> {
    /// What all requests share.
    pub shared: &'a Shared,
    /// Who sends it.
    pub caller: &'a Caller,
    /// What it says.
    pub body: &'a RequestBody,
}

/// A candidate's index, and what was taken of its quota; `None` if nothing was.
pub type Taken = Option<(usize, Begun)>;

/// The client has left, or the process is at its end.
pub struct Gone;

/// Returns how soon a request wants its answer: `x-tollgate-priority: batch` says that nobody waits for it, as its access key's
/// configuration may.
pub fn priority(headers: &HeaderMap, key: &AccessKey) -> Priority {
    let own = key.configuration.as_ref();
    let own = own.map_or_else(Priority::default, |own| own.priority);
    let said = headers.get(&names::X_TOLLGATE_PRIORITY);
    match said.map(|value| value.as_bytes().trim_ascii()) {
        Some(word) if word.eq_ignore_ascii_case(b"batch") => Priority::Batch,
        _ => own,
    }
}

/// Takes note of what an answer's headers say of its key's limits, and lets other replicas know now and then.
pub fn learn<'a>(
    shared: &Shared,
    candidate: &Candidate,
    begun: &Begun,
    header: impl Fn(&str) -> Option<&'a str>,
) {
    let limits = Limits::read(header, clock::wall());
    let (key, model) = (&candidate.key.id, &candidate.upstream_model);
    let headroom = &shared.health.headroom;
    let is_told = headroom.learn(key, model, begun, &limits, clock::now());
    if let Some(teller) = shared.teller.as_ref().filter(|_| is_told) {
        let scope = Scope {
            model: Some(model.clone()),
            class: None,
        };
        teller.publish(Published {
            key: scope.name(key).into(),
            until: begun.at + TOLD_FOR,
            reason: limits.told().into(),
        });
    }
}

impl Asking<'_> {
    /// Returns why a candidate had better be left alone by the request, and until when; `None` if there is no reason to.
    pub fn wait(&self, candidate: &Candidate, now: Instant) -> Option<Wait> {
        self.wait_behind(candidate, self.ahead(candidate), now)
    }

    /// Takes off what the request needs of a candidate that it is sent to.
    pub fn begin(&self, candidate: &Candidate, now: Instant) -> Option<Begun> {
        if self.class() == Class::Counting {
            return None;
        }
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        let headroom = &self.shared.health.headroom;
        Some(headroom.begin(key, model, || self.need(candidate), now))
    }

    /// Puts the first candidate that has room before those that have none, and takes off what it needs. If none has, waits
    /// as long as is configured until one has.
    ///
    /// # Errors
    /// If the client left meanwhile, or the process is at its end.
    pub async fn order(&self, session: &mut Session, planned: &mut Planned) -> Result<Taken, Gone> {
        let Some(next) = planned.machine.left().next() else {
            return Ok(None);
        };
        let (now, first) = (clock::now(), &planned.candidates[next]);
        let wait = match self.enter(first, self.ahead(first), now) {
            Ok(begun) => return Ok(begun.map(|begun| (next, begun))),
            Err(wait) => wait,
        };
        let is_late = |index: usize| self.wait(&planned.candidates[index], now).is_some();
        if planned.machine.left().all(is_late) {
            let most = self.caller.timeouts(Some(first)).queue;
            if !most.is_zero() && planned.machine.attempts().is_empty() {
                return self.queue(session, planned, most).await;
            }
        } else if let Wait::Quota(_) = wait {
            let taken = planned.machine.left().find_map(|index| {
                let candidate = &planned.candidates[index];
                let begun = self.enter(candidate, self.ahead(candidate), now).ok()?;
                Some((index, begun))
            });
            if let Some((index, begun)) = taken {
                self.avoided(first);
                planned.machine.prefer(index);
                return Ok(begun.map(|begun| (index, begun)));
            }
        }
        Ok(None)
    }

    /// Counts an attempt that a candidate without quota was spared.
    pub fn avoided(&self, candidate: &Candidate) {
        let metrics = &self.shared.metrics;
        metrics.quota_avoided(metrics.label(&candidate.provider));
    }

    /// Waits for the turn of the request at whichever candidate has room first, and puts that before the others.
    async fn queue(
        &self,
        session: &mut Session,
        planned: &mut Planned,
        most: Duration,
    ) -> Result<Taken, Gone> {
        let (account, shared) = (&self.caller.key.account, self.shared);
        let supply = self.caller.supply(WAITING);
        let Some(_share) = shared.scarce.queued.take(account, 1, supply) else {
            return Ok(None);
        };
        let began = clock::now();
        let by = (began + most).min(planned.machine.deadline());
        let mut place: Option<(usize, Place)> = None;
        loop {
            let now = clock::now();
            let ready = |index: usize| {
                let candidate = &planned.candidates[index];
                let wait = match &place {
                    Some((at, place)) if *at == index => {
                        self.wait_behind(candidate, place.ahead(), now)
                    }
                    _ => self.wait(candidate, now),
                };
                (wait.map_or(now, Wait::until), index)
            };
            let Some((until, index)) = planned.machine.left().map(ready).min() else {
                return Ok(None);
            };
            let candidate = &planned.candidates[index];
            if until <= now {
                let ahead = match &place {
                    Some((at, place)) if *at == index => place.ahead(),
                    _ => self.ahead(candidate),
                };
                // Somebody else may have taken it just now.
                let Ok(begun) = self.enter(candidate, ahead, now) else {
                    continue;
                };
                let own = place.filter(|(at, _)| *at == index);
                own.into_iter().for_each(|(_, place)| place.go());
                let label = shared.metrics.label(&candidate.provider);
                shared
                    .metrics
                    .quota_waited(label, now.duration_since(began));
                planned.machine.prefer(index);
                return Ok(begun.map(|begun| (index, begun)));
            }
            if until > by {
                return Ok(None);
            }
            if place.is_none() {
                let need = self.need(candidate);
                let joined = shared.queue.join(line(candidate), self.flow(), need);
                place = Some((index, joined));
            }
            if !waited(session, &planned.gate, until, now).await {
                return Err(Gone);
            }
        }
    }

    /// Takes off what the request needs of a candidate, unless that had better be left alone.
    fn enter(
        &self,
        candidate: &Candidate,
        ahead: Need,
        now: Instant,
    ) -> Result<Option<Begun>, Wait> {
        let health = &self.shared.health;
        let (account, class) = (&self.caller.key.account, self.class());
        if let Some(until) = health.cooling(candidate, account, class, now) {
            return Err(Wait::Cooling(until));
        }
        if class == Class::Counting {
            return Ok(None);
        }
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        let needs = || (self.need(candidate), ahead);
        let entered = health.headroom.enter(key, model, needs, now);
        entered.map(Some).map_err(Wait::Quota)
    }

    fn wait_behind(&self, candidate: &Candidate, ahead: Need, now: Instant) -> Option<Wait> {
        let account = &self.caller.key.account;
        let needs = || (self.need(candidate), ahead);
        let health = &self.shared.health;
        health.wait(candidate, account, self.class(), needs, now)
    }

    /// What those need who stand before the request if it comes now.
    fn ahead(&self, candidate: &Candidate) -> Need {
        let queue: &Queue = &self.shared.queue;
        queue.ahead(|| line(candidate), || self.flow())
    }

    /// How it shares turns. Who orders slower processing of its provider does not wait for it either.
    fn flow(&self) -> Flow<'_> {
        let key = &self.caller.key;
        Flow {
            account: &key.account,
            weight: key.settings.weight,
            priority: match self.caller.priority {
                Priority::Interactive if self.body.is_batch() => Priority::Batch,
                known => known,
            },
        }
    }

    fn class(&self) -> Class {
        Class::from(self.body.endpoint())
    }

    /// What the request needs of a candidate: its prompt, and the answer that is expected.
    fn need(&self, candidate: &Candidate) -> Need {
        let key = &self.caller.key;
        let most = least(self.body.max_output_tokens(), key.max_output_tokens());
        let answer = match (self.body.endpoint(), &self.shared.ledger) {
            (Endpoint::CountTokens | Endpoint::Generate(Surface::Embeddings), _) => 0,
            (_, Some(ledger)) => credits::expected(ledger, key, candidate, most, credits::now()),
            (_, None) => most.unwrap_or(UNLEARNED).min(UNLEARNED),
        };
        Need {
            requests: 1,
            bytes: self.body.prompt_bound(),
            answer,
        }
    }
}

/// Waits before an attempt: the client is sent comments meanwhile, and noticed if it leaves. False if it has left, or
/// the process is at its end; the gate knows which.
pub async fn waited(session: &mut Session, gate: &Gate, until: Instant, now: Instant) -> bool {
    gate.begin(until, now);
    // Boxed, since it is seldom waited for. Whatever ends it is an error, the end of the wait among them.
    let watch = Box::pin(session.downstream_session.read_body_or_idle(true));
    drop(watch.await);
    !matches!(gate.fault(), Some(Fault::Drain | Fault::ClientGone))
}

fn line(candidate: &Candidate) -> (Arc<str>, Arc<str>) {
    (candidate.key.id.clone(), candidate.upstream_model.clone())
}
