//! Whether the books balance.

use schemars::JsonSchema;
use serde::Serialize;

use super::credits::bank_error;
use super::money::usd;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
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
struct LedgerVerification {
    /// URI of this verification.
    uri: String,
    /// Whether every equation of every account holds.
    balanced: bool,
    /// Each account that ever had a grant or a request, sorted by id.
    accounts: Vec<VerifiedAccount>,
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

async fn verification(context: Context) -> Result<LedgerVerification, ApiError> {
    let bank = context.ledger()?;
    let mut accounts = bank.accounts().await.map_err(bank_error)?;
    if let Some(only) = &context.only {
        accounts.retain(|account| **account == **only);
    }
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
        balanced: all.iter().all(Verified::balanced),
        accounts: all.iter().map(shown).collect(),
    })
}
