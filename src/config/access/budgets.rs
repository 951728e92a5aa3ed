//! Budgets that access keys share, each part of another one or of none. Pure.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::limits;
use crate::yaml::types;
use crate::yaml::{DEEPEST, lineage};
use tollgate_ledger::bank::Limit;

/// A shared budget, as it is written.
#[derive(Clone, Debug)]
pub struct WrittenBudget<'a> {
    /// Unique.
    pub id: &'a str,
    /// For people.
    pub name: Option<&'a str>,
    /// Whose it is; of no meaning in one that a newer gateway has written.
    pub account: &'a str,
    /// The one that it is part of.
    pub parent: Option<&'a str>,
    /// What may be used over time.
    pub limits: Cow<'a, types::RateLimits>,
    /// Whether it says what only a newer gateway understands, so that what counts towards it is refused.
    pub newer: bool,
}

impl<'a> From<&'a types::SharedBudget> for WrittenBudget<'a> {
    fn from(budget: &'a types::SharedBudget) -> Self {
        WrittenBudget {
            id: &budget.id,
            name: budget.name.as_deref(),
            account: budget.account(),
            parent: budget.parent.as_deref(),
            limits: Cow::Borrowed(&budget.limits),
            newer: false,
        }
    }
}

/// A shared budget, as requests meet it.
#[derive(Clone, Debug)]
pub struct SharedBudget {
    /// For people.
    pub name: Option<String>,
    /// The account that it is for.
    pub account: Arc<str>,
    /// Its own limits, and those of all above it.
    pub limits: Arc<[Limit]>,
    /// Whether it, or one above it, holds something that only a newer gateway understands.
    pub newer: bool,
}

/// Shared budgets by their ids.
pub(super) type Budgets = HashMap<Arc<str>, SharedBudget>;

/// All of them. One that does not stand below others of its account, as it says, is left out: nothing must come to be
/// free because what limits it is gone.
pub(super) fn budgets(written: &[WrittenBudget<'_>]) -> Budgets {
    let by_id: HashMap<&str, &WrittenBudget<'_>> =
        written.iter().map(|budget| (budget.id, budget)).collect();
    let of = |budget: &WrittenBudget<'_>| {
        let parent = |id: &str| by_id.get(id)?.parent;
        let ids = lineage(budget.id, parent).ok()?;
        let mut own = SharedBudget {
            name: budget.name.map(str::to_owned),
            account: budget.account.into(),
            limits: Arc::default(),
            newer: false,
        };
        let mut all = Vec::with_capacity(DEEPEST);
        for id in ids {
            let above = by_id.get(id)?;
            if above.account != budget.account && !above.newer {
                return None;
            }
            own.newer |= above.newer;
            all.extend_from_slice(&limits::of(&format!("{BUDGET}{id}"), &above.limits));
        }
        own.limits = all.into();
        Some((Arc::from(budget.id), own))
    };
    written.iter().filter_map(of).collect()
}

/// What the subjects of shared budgets' meters begin with.
pub(super) const BUDGET: &str = "budget:";
