//! Requests that cross from the client's API to another one of a candidate's.
//!
//! A body is read into the neutral model at most once, and only if a candidate needs it; it is written for a
//! candidate when its turn comes. A candidate that cannot take the request is no candidate: passing over it
//! is no attempt, and nothing is learned of it. No large body is read or written on the proxy's own threads.

mod job;

use std::sync::Arc;

pub use job::{Carried, target};

use job::{Addressee, Done, Job, Read};

use super::aside::{Aside, LARGE};
use tollgate_config::access::{AccessKey, least};
use tollgate_failover::{Candidate, Machine, Session};
use tollgate_wire::request::RequestBody;
use tollgate_wire::translate::Refusal;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// What is known of a request's translation.
#[derive(Default)]
pub struct RequestTranslation {
    read: Option<Arc<Read>>,
    /// What is ready for the candidate of this index.
    ready: Option<(usize, Carried)>,
    /// Why the first candidate that was passed over was.
    refusal: Option<Refusal>,
    /// Whether candidates can take it, as far as that was found out.
    known: Vec<(Addressee, bool)>,
    /// The candidates that are left have been looked at.
    pruned: bool,
    /// What providers are told for the sake of their prompt caches.
    pub hints: CacheHints,
}

/// What providers are told for the sake of their prompt caches where the client says nothing.
#[derive(Clone, Copy, Default)]
pub struct CacheHints {
    /// Whether they are told anything.
    pub wanted: bool,
    /// The conversation, for those that keep requests of one together.
    pub session: Option<Session>,
}

impl RequestTranslation {
    /// Passes over candidates until one can take the request.
    ///
    /// # Errors
    /// A refusal that names the field at fault, if none can.
    pub async fn prepare(
        &mut self,
        aside: &Aside,
        body: &RequestBody,
        key: &AccessKey,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), GatewayError> {
        let Endpoint::Generate(called) = body.endpoint() else {
            return Ok(());
        };
        let mut passed = 0;
        for candidate in candidates.iter() {
            if candidate.surface == called {
                break;
            }
            let job = self.job(body, key, candidate);
            if job.is_large() {
                aside.has_room()?;
            }
            if let Some(carried) = self.carry(aside, job).await? {
                self.ready = Some((0, carried));
                break;
            }
            passed += 1;
        }
        if passed == candidates.len() {
            return Err(self.refusal(called));
        }
        candidates.drain(..passed);
        Ok(())
    }

    /// Returns whether the candidate of this index can take the request. What crosses is ready for [`Self::take`] then.
    pub async fn ready(
        &mut self,
        aside: &Aside,
        body: &RequestBody,
        key: &AccessKey,
        index: usize,
        candidate: &Candidate,
    ) -> bool {
        let is_ready = self.ready.as_ref().is_some_and(|(of, _)| *of == index);
        if is_ready || candidate.surface == body.endpoint().surface() {
            return true;
        }
        let job = self.job(body, key, candidate);
        // One whose translation panics is passed over; if it is the only one, the client reads of an internal error.
        let carried = self.carry(aside, job).await.ok().flatten();
        self.ready = carried.map(|carried| (index, carried));
        self.ready.is_some()
    }

    /// Returns what is ready for the candidate of this index; `None` if the request reaches it as it is.
    pub fn take(&mut self, index: usize) -> Option<Carried> {
        self.ready
            .take_if(|(of, _)| *of == index)
            .map(|(_, carried)| carried)
    }

    /// Passes over the candidates left that cannot take the request, so that it is known whether an attempt that
    /// has failed with an answer is the last one, whose answer is relayed.
    pub async fn prune(
        &mut self,
        aside: &Aside,
        body: &RequestBody,
        key: &AccessKey,
        candidates: &[Candidate],
        machine: &mut Machine,
    ) {
        if !self.pruned && body.bytes().len() > LARGE {
            let called = body.endpoint().surface();
            let mut left = Vec::new();
            machine.keep(|index| {
                left.push(index);
                true
            });
            for index in left {
                let candidate = &candidates[index];
                if candidate.surface == called {
                    continue;
                }
                let job = self.job(body, key, candidate);
                let told = job.told();
                // What it is found to be is kept, and what was written thrown away: its turn may never come.
                if self.can(&told).is_none() && self.carry(aside, job).await.is_err() {
                    self.known.push((told, false));
                }
            }
        }
        self.prune_known(body, key, candidates, machine);
    }

    /// The same where nobody can wait: of a large body's candidates only those are passed over that are known not
    /// to take it. The others are when their turn comes; without an answer to relay that comes to the same.
    pub fn prune_known(
        &mut self,
        body: &RequestBody,
        key: &AccessKey,
        candidates: &[Candidate],
        machine: &mut Machine,
    ) {
        if self.pruned {
            return;
        }
        let called = body.endpoint().surface();
        let mut all_known = true;
        machine.keep(|index| {
            let candidate = &candidates[index];
            if candidate.surface == called {
                return true;
            }
            let job = self.job(body, key, candidate);
            let told = job.told();
            match self.can(&told) {
                Some(can) => can,
                None if job.is_large() => {
                    all_known = false;
                    true
                }
                None => self.learn(told, job.run()).is_some(),
            }
        });
        self.pruned = all_known;
    }

    /// Returns the refusal when no candidate could take the request, which was made on the API `called`.
    pub fn refusal(&self, called: Surface) -> GatewayError {
        match &self.refusal {
            Some(refusal) => GatewayError::not_carried(refusal, called),
            None => GatewayError::internal(),
        }
    }

    fn job(&self, body: &RequestBody, key: &AccessKey, candidate: &Candidate) -> Job {
        Job {
            called: body.endpoint().surface(),
            bytes: body.bytes().clone(),
            read: self.read.clone(),
            candidate: candidate.clone(),
            hints: self.hints,
            most: most_output(key, candidate),
        }
    }

    fn can(&self, told: &Addressee) -> Option<bool> {
        let known = self.known.iter().find(|(known, _)| known == told);
        known.map(|(_, can)| *can)
    }

    /// Writes the request for a candidate, wherever its size allows it.
    async fn carry(&mut self, aside: &Aside, job: Job) -> Result<Option<Carried>, GatewayError> {
        let told = job.told();
        if self.can(&told) == Some(false) {
            return Ok(None);
        }
        let done = if job.is_large() {
            let done = Box::pin(aside.run(move || job.run())).await;
            done.map_err(|_| GatewayError::internal())?
        } else {
            job.run()
        };
        Ok(self.learn(told, done))
    }

    fn learn(&mut self, told: Addressee, done: Done) -> Option<Carried> {
        self.read.get_or_insert(done.read);
        if self.can(&told).is_none() {
            self.known.push((told, done.carried.is_ok()));
        }
        match done.carried {
            Ok(carried) => Some(carried),
            Err(refusal) => {
                self.refusal = self.refusal.take().or(refusal);
                None
            }
        }
    }
}

/// Returns the most tokens that a candidate's answer may have, if anything limits them.
pub fn most_output(key: &AccessKey, candidate: &Candidate) -> Option<u64> {
    let model = candidate.model.as_deref();
    let model = model.and_then(|model| model.max_output_tokens);
    least(model.filter(|most| *most > 0), key.max_output_tokens())
}
