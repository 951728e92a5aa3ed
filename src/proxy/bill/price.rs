//! What candidates charge.

use tollgate_failover::Candidate;
use tollgate_ledger::cost::Terms;
use tollgate_ledger::{KeyKind, NanoUsd};
use tollgate_wire::report::{Context, Usage};

/// What is paid for an answer of this candidate. A managed key whose model is in no catalog has no price.
pub(super) fn terms(candidate: &Candidate, fee: u64, at: u64) -> Terms<'_> {
    let managed = candidate.key.kind == KeyKind::Managed;
    let model = candidate.model.as_ref().filter(|_| managed);
    Terms {
        prices: model.map(|model| &model.prices),
        at,
        fee,
    }
}

/// Returns the most that a candidate would charge for this usage, served as usual or as asked; `None` if its price is
/// not known.
pub fn quote(
    candidate: &Candidate,
    usage: &Usage,
    asked: &Context,
    fee: u64,
    at: u64,
) -> Option<NanoUsd> {
    if candidate.key.kind == KeyKind::Managed && candidate.model.is_none() {
        return None;
    }
    terms(candidate, fee, at).most(usage, asked).ok()
}
