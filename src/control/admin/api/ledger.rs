//! Whether the books balance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::money::usd;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Operation, Scope, Tag, get};
use tollgate_ledger::bank::{Law, Verified, verify};

const TAG: Tag = Tag {
    name: "Ledger",
    description: "Whether the books balance.",
    one: "an account",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/ledger/verification", "GetLedgerVerification")
            .tag(&TAG)
            .summary("Verify the ledger")
            .description(
                "Both sides of every equation of every account's books, or of those of the one that is named, in US dollars, exact; the same as `tollgate \
                 ledger verify`. An API key for one account sees that account.",
            )
            .scope(Scope::Every)
            .errors(&[Code::NotImplemented])
            .handler(verification),
    ]
}

/// Whether the books balance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LedgerVerification {
    /// URI of this verification.
    uri: String,
    /// URI of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_uri: Option<String>,
    /// Whether every equation of every account of the page holds.
    balanced: bool,
    /// Each account that ever had a grant or a request, sorted by id.
    accounts: Vec<VerifiedAccount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VerificationQuery {
    /// Cursor from a previous response's `nextPageUri`. Pass to fetch the next page.
    #[schemars(length(max = 200))]
    cursor: Option<String>,
    /// Maximum number of accounts to verify and return. Defaults to all of them.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
}

/// An account's books.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedAccount {
    /// The account.
    account_id: String,
    /// Whether every equation holds.
    balanced: bool,
    /// What must be equal.
    equations: Vec<LedgerEquation>,
}

/// Two amounts that must be equal, in US dollars, exact.
#[derive(Debug, Serialize, JsonSchema)]
struct LedgerEquation {
    /// In words, as in `granted = spent + expired + free + allotments`.
    equation: &'static str,
    /// What its left side comes to.
    left: String,
    /// What its right side comes to.
    right: String,
    /// Whether they are equal.
    balanced: bool,
}

async fn verification(
    context: Context,
    Query(query): Query<VerificationQuery>,
) -> Result<LedgerVerification, ApiError> {
    let bank = context.ledger()?;
    let mut accounts = bank.accounts().await.map_err(bank_error)?;
    if let Some(only) = &context.only {
        accounts.retain(|account| **account == **only);
    }
    if let Some(cursor) = query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        accounts.retain(|account| **account > *cursor);
    }
    let limit = query.limit.map_or(usize::MAX, usize::from);
    let last = limit.checked_sub(1).and_then(|last| accounts.get(last));
    let next = last.filter(|_| accounts.len() > limit);
    let next_page_uri = next.map(|last| context.here_with("cursor", last));
    accounts.truncate(limit);
    let all = verify(&*bank, accounts).await.map_err(bank_error)?;
    let equation = |law: Law| LedgerEquation {
        equation: law.name,
        left: usd(law.left),
        right: usd(law.right),
        balanced: law.holds(),
    };
    let shown = |one: &Verified| VerifiedAccount {
        account_id: one.account.clone(),
        balanced: one.balanced(),
        equations: one.laws.into_iter().map(equation).collect(),
    };
    Ok(LedgerVerification {
        uri: context.here(),
        next_page_uri,
        balanced: all.iter().all(Verified::balanced),
        accounts: all.iter().map(shown).collect(),
    })
}
