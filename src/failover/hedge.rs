//! How many extra requests there may be: a share of those that are made anyway. Pure.
//!
//! Invariant: of a configuration's requests no larger share is begun beside others than its percentage.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What one extra request takes; each request earns its configuration's percentage of it.
const ONE: u32 = 100;

/// How many extra requests may be saved up.
const MOST_SAVED: u32 = 10 * ONE;

/// Configurations that are remembered; then all begin anew, with nothing saved.
const MOST: usize = 4096;

/// What configurations have saved for extra requests.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<Arc<str>, u32>>);

impl Budgets {
    /// A request of this configuration is made, of whose requests so many per cent may be made twice.
    pub fn earn(&self, configuration: &Arc<str>, percent: u32) {
        let mut saved = self.0.lock();
        if let Some(own) = saved.get_mut(configuration) {
            *own = own.saturating_add(percent).min(MOST_SAVED);
            return;
        }
        if saved.len() >= MOST {
            saved.clear();
        }
        saved.insert(configuration.clone(), percent.min(MOST_SAVED));
    }

    /// Takes what an extra request needs; false if that is not there.
    pub fn spend(&self, configuration: &str) -> bool {
        let mut saved = self.0.lock();
        match saved.get_mut(configuration) {
            Some(own) if *own >= ONE => {
                *own -= ONE;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_larger_share_is_made_twice(percent in 1u32..=100, spends in prop::collection::vec(any::<bool>(), 1..400)) {
            let budgets = Budgets::default();
            let own: Arc<str> = "a".into();
            let (mut requests, mut extra) = (0u32, 0u32);
            for spend in spends {
                budgets.earn(&own, percent);
                requests += 1;
                prop_assert!(!budgets.spend("b"), "nobody spends what another has saved");
                extra += u32::from(spend && budgets.spend(&own));
                prop_assert!(extra * 100 <= requests * percent);
            }
        }
    }

    #[test]
    fn what_is_saved_has_an_end() {
        let budgets = Budgets::default();
        let own: Arc<str> = "a".into();
        for _ in 0..10_000 {
            budgets.earn(&own, 7);
        }
        assert_eq!((0..100).filter(|_| budgets.spend(&own)).count(), 10);
        for id in 0..2 * MOST {
            budgets.earn(&id.to_string().into(), 1);
        }
        assert!(budgets.0.lock().len() <= MOST);
    }
}
