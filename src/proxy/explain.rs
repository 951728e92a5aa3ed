//! How a request would be served, for whoever asks before one is sent: the same plan, and why nothing else is in it.

use super::credits;
use super::route::{self, Wanted};
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::access::Step;
use tollgate_config::catalog::Resolved;
use tollgate_control::admin::plan::{
    Asked, Candidate as Tried, Cooling, PassedOver, Place, Planned, Why,
};
use tollgate_failover::{Candidate, Class, Need, Session, Target, Wait};
use tollgate_ledger::KeyKind;
use tollgate_wire::{Endpoint, GatewayError};

/// Returns how a request would be served. What depends on its body is not looked at.
pub fn explain(shared: &Shared, asked: &Asked) -> Planned {
    let endpoint = Endpoint::Generate(asked.surface);
    let wanted = Wanted {
        snapshot: &asked.snapshot,
        key: &asked.key,
        endpoint,
        failover: route::failover(&asked.snapshot, &asked.key),
        // Of keys that share sessions, one session's order is as good as another's.
        session: &|| Session::alone(0),
        wait: &|candidate: &Candidate| wait(shared, asked, candidate),
    };
    let models = asked.models.iter().map(String::as_str);
    let (mut candidates, mut refusal) = match route::planned(&wanted, models) {
        Ok(candidates) => (candidates, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let unpriced = unpriced(shared, asked, &mut candidates, &mut refusal);
    Planned {
        passed_over: passed_over(&wanted, asked, (&candidates, &unpriced), refusal.is_some()),
        candidates: tried(shared, asked, &candidates),
        refusal,
    }
}

/// Takes out what credits cannot pay.
fn unpriced(
    shared: &Shared,
    asked: &Asked,
    candidates: &mut Vec<Candidate>,
    refusal: &mut Option<GatewayError>,
) -> Vec<Candidate> {
    if shared.ledger.is_none() {
        return Vec::new();
    }
    let (configuration, surface) = (asked.key.configuration.as_deref(), asked.surface);
    let mut unpriced = Vec::new();
    let mut first = None;
    candidates.retain(|candidate| {
        let why = credits::unpriced(candidate, configuration, surface);
        let is_priced = why.is_none();
        if !is_priced {
            unpriced.push(candidate.clone());
        }
        first = first.take().or(why);
        is_priced
    });
    if candidates.is_empty() {
        *refusal = refusal.take().or(first);
    }
    unpriced
}

fn tried(shared: &Shared, asked: &Asked, candidates: &[Candidate]) -> Vec<Tried> {
    let (now, account) = (clock::now(), &asked.key.account);
    let one = |candidate: &Candidate| {
        let wait = wait(shared, asked, candidate);
        let provider = shared
            .health
            .breakers
            .until(&candidate.provider.id, account, now);
        let cooling = wait.map(|wait| match wait {
            Wait::Quota(until) => (Cooling::Quota, until),
            Wait::Cooling(until) if provider == Some(until) => (Cooling::Provider, until),
            Wait::Cooling(until) => (Cooling::Key, until),
        });
        Tried {
            place: Place {
                index: candidate.model_index,
                provider: candidate.provider.id.clone(),
                model: candidate.upstream_model.clone(),
                key: Some(candidate.key.clone()),
            },
            surface: candidate.surface,
            cooling,
        }
    };
    candidates.iter().map(one).collect()
}

/// Why a candidate had better be left alone by a request, however short, and until when.
fn wait(shared: &Shared, asked: &Asked, candidate: &Candidate) -> Option<Wait> {
    let class = Class::from(Endpoint::Generate(asked.surface));
    let (account, now) = (&asked.key.account, clock::now());
    let health = &shared.health;
    health.wait(candidate, account, class, at_least, now)
}

/// What a request needs of whose body nothing is known, with nobody before it.
fn at_least() -> (Need, Need) {
    let one = Need {
        requests: 1,
        ..Need::default()
    };
    (one, Need::default())
}

/// All that the models name and that is not tried. `refused`: nothing is, for a reason that is not each one's own.
fn passed_over(
    wanted: &Wanted<'_>,
    asked: &Asked,
    (candidates, unpriced): (&[Candidate], &[Candidate]),
    refused: bool,
) -> Vec<PassedOver> {
    let mut all = Vec::new();
    for (index, requested) in asked.models.iter().enumerate() {
        for found in wanted.named(requested).unwrap_or_default() {
            let place = Place {
                index,
                provider: found.provider.id.clone(),
                model: found.upstream_id.clone(),
                key: None,
            };
            if let Some(why) = as_a_whole(wanted, index, &found) {
                all.push(PassedOver { place, why });
                continue;
            }
            let Some(target) = wanted.target(index, &found) else {
                continue;
            };
            for key in target.user_keys.iter().chain(target.managed_keys) {
                let is = |candidate: &Candidate| {
                    candidate.key.id == key.id
                        && candidate.provider.id == found.provider.id
                        && candidate.upstream_model == found.upstream_id
                };
                if candidates.iter().any(is) {
                    continue;
                }
                let why = if unpriced.iter().any(is) {
                    Why::NoPrice
                } else if !is_in_rule(&target, key.kind, &key.id) {
                    Why::NotInRule
                } else if refused {
                    continue;
                } else if !wanted.failover {
                    Why::FailoverOff
                } else {
                    Why::TooMany
                };
                let key = Some(key.clone());
                let place = Place {
                    key,
                    ..place.clone()
                };
                all.push(PassedOver { place, why });
            }
        }
    }
    all
}

/// Why a provider's model is not tried with any key.
fn as_a_whole(wanted: &Wanted<'_>, index: usize, found: &Resolved) -> Option<Why> {
    let provider = &found.provider.id;
    let configuration = wanted.key.configuration.as_deref();
    if configuration.is_some_and(|configuration| !configuration.allows_provider(provider)) {
        return Some(Why::ProviderNotAllowed);
    }
    if !route::allows(configuration, found) {
        return Some(Why::ModelNotAllowed);
    }
    let Some(target) = wanted.target(index, found) else {
        return Some(Why::NotOffered);
    };
    (target.user_keys.is_empty() && target.managed_keys.is_empty()).then_some(Why::NoKey)
}

/// Whether the rule for the target, if there is one, has the key in a step.
fn is_in_rule(target: &Target<'_>, kind: KeyKind, key: &str) -> bool {
    let has = |step: &Step| {
        let named = step.keys.as_ref();
        step.kind == kind && named.is_none_or(|ids| ids.iter().any(|id| **id == *key))
    };
    target.steps.is_none_or(|steps| steps.iter().any(has))
}
