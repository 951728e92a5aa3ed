//! Budgets that access keys share: of projects, teams, organisations.
//!
//! Invariant: each is part of one of the same account or of none, never of itself, and no more than [`DEEPEST`] stand
//! above each other.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crud::Named;
use super::limits::RateLimits;
use super::managed::{Change, Managed, NoFilter, Seen, Shown};
use super::resource::Labels;
use super::words::{Words, words};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::Tag;
use crate::admin::page::page;
use crate::admin::patch::Patch;
use crate::resource::{AccessKey, SharedBudget};
use crate::{Draft, View};
use tollgate_config::{DEEPEST, NoLineage, lineage};

page! { "A page of budgets." AIGatewayBudgetList { ai_gateway_budgets: Shown<SharedBudget> } }

/// A budget, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Sent {
    #[serde(flatten)]
    labels: Labels,
    /// ID of the budget that it is part of: what it uses counts there, too.
    parent_id: Patch<String>,
    /// What may be used over time by all access keys and budgets that are part of it. An object replaces all limits.
    limits: Patch<RateLimits>,
}

/// A budget.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    /// The budget that it is part of, or null.
    parent: Option<Named>,
    /// What may be used over time, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<RateLimits>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

impl Managed for SharedBudget {
    type Sent = Sent;
    type Own = Own;
    type List = AIGatewayBudgetList;
    type Filter = NoFilter;

    const TAG: &'static Tag = &Tag {
        name: "AI Gateway Budgets",
        description: "Manage what access keys may use together: of projects, teams and organisations.",
        one: "an AI Gateway budget",
    };
    const WORDS: &'static Words = words!(
        "budgets", "AIGatewayBudget", "an" "AI Gateway budget", "budget",
        [
            "",
            "Access keys become part of it by `budgetId`, other budgets by `parentId`; at most 8 stand above each other. \
             A request counts towards all of them at once, and is refused by the innermost that is used up.",
            "",
            "Omit a field to leave it unchanged; send null to clear it.",
            "Refused while an access key or another budget is part of it.",
        ]
    );
    const REQUIRED: &'static [&'static str] = &["name"];
    const IS_NAMED: bool = true;
    const ERRORS: [&'static [Code]; 3] = [&[], &[], &[Code::InUse]];

    fn apply(
        &mut self,
        sent: &Sent,
        change: &Change<'_, Self>,
        _: &mut Draft,
    ) -> Result<(), ApiError> {
        sent.labels.apply(&mut self.meta);
        if let Patch::Value(parent) = &sent.parent_id {
            stands_below(change, parent)?;
        }
        sent.parent_id.clone().apply(&mut self.parent);
        let limits = |limits: RateLimits| limits.checked("limits", &self.limits);
        let limits = sent.limits.clone().try_map(limits)?;
        limits.set(&mut self.limits);
        Ok(())
    }

    fn leave(&self, change: &Change<'_, Self>, _: &mut Draft) -> Result<(), ApiError> {
        let view = change.known.view;
        let mut keys = view.all::<AccessKey>();
        let key = keys.find(|key| key.resource.limits.shared.as_deref() == Some(change.id));
        let mut budgets = view.all::<SharedBudget>();
        let below = budgets.find(|one| one.resource.parent.as_deref() == Some(change.id));
        let key = key.map(|key| format!("the access key {}", key.id));
        match key.or_else(|| below.map(|below| format!("the budget {}", below.id))) {
            Some(by) => Err(ApiError::in_use(Self::WORDS.what, &by)),
            None => Ok(()),
        }
    }

    fn own(&self, context: &Context, view: View<'_>, _: Seen) -> Own {
        let parent = self.parent.as_deref();
        Own {
            parent: parent.map(|id| context.named::<SharedBudget>(view, id)),
            limits: RateLimits::shown(&self.limits),
            account_id: context.other_account(&self.meta),
        }
    }
}

/// Sees that a budget that something is to be part of is the account's.
pub(super) fn owned(
    context: &Context,
    view: View<'_>,
    field: &str,
    id: &str,
) -> Result<(), ApiError> {
    match view.get::<SharedBudget>(id) {
        Some(found) if context.owns(&found.resource.meta) => Ok(()),
        _ => Err(ApiError::invalid(field, "names no budget of the account")),
    }
}

/// Sees that a budget may become part of `parent`, with all that is part of it.
fn stands_below(change: &Change<'_, SharedBudget>, parent: &str) -> Result<(), ApiError> {
    const FIELD: &str = "parentId";
    let (context, view) = (change.known.context, change.known.view);
    owned(context, view, FIELD, parent)?;
    let all: Vec<_> = view.all::<SharedBudget>().collect();
    let others = all
        .iter()
        .map(|one| (&*one.id, one.resource.parent.as_deref()));
    let mut parents: HashMap<&str, Option<&str>> = others.collect();
    parents.insert(change.id, Some(parent));
    let faults = parents.keys().filter_map(|id| {
        let parent = |id: &str| parents.get(id).copied().flatten();
        lineage(id, parent).err()
    });
    let fault = faults.max_by_key(|fault| *fault == NoLineage::Circle);
    match fault {
        None => Ok(()),
        Some(NoLineage::Circle) => Err(ApiError::invalid(FIELD, "makes it a part of itself")),
        Some(NoLineage::TooDeep) => Err(ApiError::invalid(
            FIELD,
            format!("would make more than {DEEPEST} budgets above each other"),
        )),
    }
}
