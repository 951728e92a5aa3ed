//! What a journal shows of one account.

use std::collections::BTreeMap;

use super::super::batch::content_of;
use crate::NanoUsd;
use crate::bank::{Holder, Mark};
use crate::events::OwnedEvent;

/// One account.
pub(in crate::till) struct PastAccount {
    /// In whose name.
    pub holder: Holder,
    /// The last number that was marked, or acknowledged; 0 if nothing shows it any more.
    pub marked: u64,
    /// That message's mark.
    pub mark: Mark,
    /// All that was charged until then, if that is known.
    pub total: Option<NanoUsd>,
    /// The marked messages that may not have been applied.
    pub told: BTreeMap<u64, PastMessage>,
    /// What was settled after the last mark.
    pub untold: Vec<PastCharge>,
}

/// A message that was marked.
pub(in crate::till) struct PastMessage {
    pub before: Mark,
    pub mark: Mark,
    pub charges: Vec<PastCharge>,
}

/// A charge, and the budgets that it counts towards.
pub(in crate::till) struct PastCharge {
    pub event: OwnedEvent,
    pub subjects: Vec<String>,
}

impl PastAccount {
    pub(super) fn new(holder: Holder, first: Mark) -> PastAccount {
        PastAccount {
            holder,
            marked: 0,
            mark: first,
            total: (first != Mark::NONE).then_some(NanoUsd::ZERO),
            told: BTreeMap::new(),
            untold: Vec::new(),
        }
    }

    /// Begins anew in another name, as a cache does; what was in messages keeps its order.
    pub(super) fn rename(&mut self, replica: u64, nonce: u64, after: u64) {
        let holder = Holder {
            replica,
            ..self.holder
        };
        let told = self.told.split_off(&after.saturating_add(1));
        let untold = std::mem::take(&mut self.untold);
        *self = PastAccount::new(holder, Mark::first(nonce));
        self.untold = untold;
        for (number, message) in told {
            self.mark_off(number - after, None, message.charges);
        }
    }

    /// A message was marked; `said` is its marks, and the total with it, where the journal has them.
    pub(super) fn mark_off(
        &mut self,
        number: u64,
        said: Option<(Mark, Mark, NanoUsd)>,
        charges: Vec<PastCharge>,
    ) {
        let (before, mark, total) = match said {
            Some((before, mark, total)) => (before, mark, Some(total)),
            None => {
                let total =
                    (self.total).map(|total| NanoUsd::saturating_sum([total, spent(&charges)]));
                (self.mark, self.mark.then(number, content(&charges)), total)
            }
        };
        (self.marked, self.mark, self.total) = (number, mark, total);
        let message = PastMessage {
            before,
            mark,
            charges,
        };
        self.told.insert(number, message);
    }
}

/// What these charges add up to.
pub(in crate::till) fn spent(charges: &[PastCharge]) -> NanoUsd {
    let costs = charges.iter();
    NanoUsd::saturating_sum(costs.map(|charge| charge.event.attempt.cost))
}

/// What distinguishes these charges from others, in any order.
pub(in crate::till) fn content(charges: &[PastCharge]) -> u64 {
    let contents = charges
        .iter()
        .map(|charge| content_of(&charge.event, charge.event.at_ms));
    contents.fold(0, u64::wrapping_add)
}
