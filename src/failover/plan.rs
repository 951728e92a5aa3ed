//! The plan: candidates in the order in which they are tried.
//!
//! Models in the order the request lists them; for each model the routing rule's steps in order; for
//! each step its keys in order, or in the session's order if the step leaves the choice to it; without a rule the
//! account's own keys, then managed ones. Then those without quota for the request move behind the others, in their order,
//! and those that are cooling down to the end, ordered by how soon they end, so that a session is back with its key when
//! that has ended. Nothing is dropped for it.
//!
//! Invariant: a plan never holds the same (provider, upstream model, key) twice, and all candidates of
//! one (provider, upstream model) carry the same `model_index`.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::session::Session;
use tollgate_config::access::{ProviderKey, Step};
use tollgate_config::catalog::{Model, Provider};
use tollgate_config::types::KeySelection;
use tollgate_ledger::KeyKind;
use tollgate_wire::Surface;

/// The longest plan. A request may list any number of models; what goes beyond this is not tried.
/// Whatever bounds retries elsewhere must not be smaller.
pub(crate) const MAX_CANDIDATES: usize = 256;

static OTHER_MODEL: LazyLock<Arc<str>> = LazyLock::new(|| tollgate_ledger::OTHER.into());

/// A (model, provider, provider key) that may serve a request.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Whom to call.
    pub provider: Arc<Provider>,
    /// What the catalog knows of the model; `None` for one that is passed through.
    pub model: Option<Arc<Model>>,
    /// The model id as the provider knows it.
    pub upstream_model: Arc<str>,
    /// The credential.
    pub key: Arc<ProviderKey>,
    /// The API to call it on, unless the request turns out to need another one of its.
    pub surface: Surface,
    /// The model's place in the request: 0 is `model`, then `models` in order. A model listed twice
    /// has its first place.
    pub model_index: usize,
}

/// A model of the request as the caller resolved it, with the keys that may serve it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Whom to call.
    pub provider: &'a Arc<Provider>,
    /// What the catalog knows of the model.
    pub model: Option<&'a Arc<Model>>,
    /// The model id as the provider knows it.
    pub upstream_model: &'a Arc<str>,
    /// The API to call it on.
    pub surface: Surface,
    /// The model's place in the request: 0 is `model`, then `models` in order. Targets that share it
    /// are one model to `Verdict::NextModel`.
    pub model_index: usize,
    /// The account's own keys for the provider, in their configured order.
    pub user_keys: &'a [Arc<ProviderKey>],
    /// The operator's keys for the provider, in their configured order.
    pub managed_keys: &'a [Arc<ProviderKey>],
    /// The steps of the routing rule for the model, or else for its provider; `None` without a rule.
    pub steps: Option<&'a [Step]>,
}

impl Candidate {
    /// Whether both are the same (provider, upstream model, key). A key is its provider's and stands in a snapshot once, so
    /// that its address tells: every candidate is compared with all before it.
    pub(crate) fn same_as(&self, other: &Candidate) -> bool {
        Arc::ptr_eq(&self.key, &other.key) && self.upstream_model == other.upstream_model
    }

    /// Returns whether the same usage costs the same on both.
    pub fn priced_as(&self, other: &Candidate) -> bool {
        Arc::ptr_eq(&self.provider, &other.provider)
            && self.upstream_model == other.upstream_model
            && self.key.kind == other.key.kind
            && self.surface == other.surface
    }

    /// Returns the model in what is kept for long, and so must not be whatever callers write: its id, if the catalog
    /// knows it.
    pub fn known_model(&self) -> &Arc<str> {
        match &self.model {
            Some(_) => &self.upstream_model,
            None => &OTHER_MODEL,
        }
    }

    /// Returns whether it can be called on `surface`.
    pub fn offers(&self, surface: Surface) -> bool {
        let own = self
            .model
            .as_ref()
            .and_then(|model| model.surfaces.as_ref());
        own.unwrap_or(&self.provider.surfaces).contains(&surface)
    }
}

/// `openai gpt-4o`: what may be said about a candidate to anyone.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.provider.id)?;
        // The id of a model that is passed through is whatever the client wrote.
        let shown = |c: &char| !c.is_control();
        self.upstream_model
            .chars()
            .filter(shown)
            .take(128)
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// Why a candidate comes late, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// What its provider's limits have left is not enough for the request.
    Quota(Instant),
    /// It cools down, or its provider cannot be reached.
    Cooling(Instant),
}

impl Wait {
    /// Returns when it is over.
    pub fn until(self) -> Instant {
        match self {
            Wait::Quota(until) | Wait::Cooling(until) => until,
        }
    }

    /// Its place among those that come late: quotas are estimates, so that the plan's order is worth more.
    fn place(self) -> Option<Instant> {
        match self {
            Wait::Quota(_) => None,
            Wait::Cooling(until) => Some(until),
        }
    }
}

/// Which of several keys is tried first.
pub struct Selection<'a> {
    /// How keys are chosen without a rule, and in a step that neither says so nor names its keys.
    pub otherwise: KeySelection,
    /// The session of the request; asked for only where it decides something, which may be more than once.
    pub session: &'a dyn Fn() -> Session,
}

impl Selection<'_> {
    /// Keys in their order, whatever the session, unless a step says otherwise.
    pub const ORDERED: Selection<'static> = Selection {
        otherwise: KeySelection::Ordered,
        session: &|| Session::alone(0),
    };
}

/// Returns the candidates of a request, in order; at most `MAX_CANDIDATES`, empty if no target has a key.
///
/// `wait` says why a candidate had better be left alone, and until when; it is asked of each once at most, in order. With
/// `failover` off the plan is the first candidate, cooling or not: another model or key is what the caller declined.
pub fn plan(
    targets: &[Target<'_>],
    selection: &Selection<'_>,
    wait: impl Fn(&Candidate) -> Option<Wait>,
    now: Instant,
    failover: bool,
) -> Vec<Candidate> {
    let most = if failover { MAX_CANDIDATES } else { 1 };
    let mut builder = Builder {
        selection,
        plan: Vec::new(),
        most,
    };
    for target in targets {
        if builder.full() {
            break;
        }
        builder.add_target(target);
    }
    if failover {
        late_last(builder.plan, |candidate| {
            wait(candidate).filter(|wait| wait.until() > now)
        })
    } else {
        builder.plan
    }
}

/// Moves late candidates to the end, those that cool down last and the soonest of them first, and keeps the order of all
/// others. When nothing is late, which is the ordinary case, nothing is moved or allocated.
fn late_last(
    mut plan: Vec<Candidate>,
    wait: impl Fn(&Candidate) -> Option<Wait>,
) -> Vec<Candidate> {
    let mut waits = plan.iter().map(&wait).enumerate();
    let found = waits.find_map(|(at, wait)| Some((at, wait?)));
    let Some((first, why)) = found else {
        return plan;
    };
    let mut rest = plan.split_off(first).into_iter();
    let mut late: Vec<(Wait, Candidate)> = rest.next().map(|one| (why, one)).into_iter().collect();
    for candidate in rest {
        match wait(&candidate) {
            Some(why) => late.push((why, candidate)),
            None => plan.push(candidate),
        }
    }
    late.sort_by_key(|(why, _)| why.place());
    plan.extend(late.into_iter().map(|(_, candidate)| candidate));
    plan
}

/// Collects candidates, each once.
struct Builder<'a> {
    selection: &'a Selection<'a>,
    plan: Vec<Candidate>,
    most: usize,
}

impl Builder<'_> {
    fn full(&self) -> bool {
        self.plan.len() >= self.most
    }

    /// The target's candidates: its steps in order, each step's keys in order.
    fn add_target(&mut self, target: &Target<'_>) {
        let model_index = self.first_place(target).unwrap_or(target.model_index);
        let of_kind = |kind| match kind {
            KeyKind::User => target.user_keys,
            KeyKind::Managed => target.managed_keys,
        };
        let Some(steps) = target.steps else {
            for keys in [target.user_keys, target.managed_keys] {
                self.add_keys(target, model_index, keys, None);
            }
            return;
        };
        for step in steps {
            self.add_keys(target, model_index, of_kind(step.kind), Some(step));
        }
    }

    /// The keys that a step names, in its order or in the session's; without a step all of them.
    fn add_keys(
        &mut self,
        target: &Target<'_>,
        model_index: usize,
        keys: &[Arc<ProviderKey>],
        step: Option<&Step>,
    ) {
        let names = step.and_then(|step| step.keys.as_deref());
        // An order that is written is meant.
        let otherwise = names.map_or(self.selection.otherwise, |_| KeySelection::Ordered);
        let selection = step.and_then(|step| step.selection);
        let session = match selection.unwrap_or(otherwise) {
            KeySelection::Session if names.map_or(keys.len(), <[_]>::len) > 1 => {
                Some((self.selection.session)())
            }
            KeySelection::Session | KeySelection::Ordered => None,
        };
        let named = |ids: &'_ [Arc<str>]| -> Vec<&Arc<ProviderKey>> {
            let found = ids.iter().map(|id| keys.iter().find(|key| key.id == *id));
            found.flatten().collect()
        };
        match (names, session) {
            (None, None) => self.add_all(target, model_index, keys),
            (names, session) => {
                let mut chosen = names.map_or_else(|| keys.iter().collect(), named);
                if let Some(session) = session {
                    session.sort(&mut chosen, |key| (&*key.id, weight(step, &key.id)));
                }
                self.add_all(target, model_index, chosen);
            }
        }
    }

    fn add_all<'k>(
        &mut self,
        target: &Target<'_>,
        model_index: usize,
        keys: impl IntoIterator<Item = &'k Arc<ProviderKey>>,
    ) {
        for key in keys {
            if self.full() {
                return;
            }
            self.add(Candidate {
                provider: target.provider.clone(),
                model: target.model.cloned(),
                upstream_model: target.upstream_model.clone(),
                key: key.clone(),
                surface: target.surface,
                model_index,
            });
        }
    }

    fn add(&mut self, candidate: Candidate) {
        if !self.plan.iter().any(|earlier| earlier.same_as(&candidate)) {
            self.plan.push(candidate);
        }
    }

    /// The `model_index` under which the target's model is in the plan already.
    fn first_place(&self, target: &Target<'_>) -> Option<usize> {
        let same = |c: &&Candidate| {
            c.upstream_model == *target.upstream_model && c.provider.id == target.provider.id
        };
        self.plan.iter().find(same).map(|c| c.model_index)
    }
}

/// A key's share of the sessions among the step's keys.
fn weight(step: Option<&Step>, key: &str) -> u32 {
    let weights = step.map_or(&[][..], |step| &*step.weights);
    let own = weights.iter().find(|(id, _)| **id == *key);
    own.map_or(1, |(_, weight)| *weight)
}

#[cfg(test)]
mod tests;
