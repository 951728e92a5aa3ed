//! Credits: what an account has, and what came and went.
//!
//! Cents are rounded for people; the bank counts nano-dollars.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::money::cents_down;
use super::transactions::{CreditTransactionList, transactions};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Body;
use crate::admin::operation::{Needs, Operation, Tag, get, post};
use tollgate_base::clock;
use tollgate_config::Credits;
use tollgate_ledger::bank::Bank;
use tollgate_store::StoreError;

pub(super) const TAG: Tag = Tag {
    name: "AI Gateway Credits",
    description: "What an account has, what came and went, and granting more.",
    one: "a grant of credits",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/credits/transactions", "GetCreditTransactions")
            .tag(&TAG)
            .summary("List credit transactions")
            .description(
                "Grants of credits, and the usage of each month (UTC), newest first. A closed month is a `usageInvoice` \
                 without a URL; the current one is a `usageInvoicePreview`. What is due is what was spent beyond all \
                 grants, the newest usage first; the next grant pays it.",
            )
            .errors(&[Code::NotImplemented])
            .handler(list),
        get("/credits/balance", "GetCreditBalance")
            .tag(&TAG)
            .summary("Get credit balance")
            .description(
                "What the account can still spend: all that is granted and neither spent nor expired, also where a \
                 gateway has borrowed it to admit requests. Negative if more was spent than was granted. It is known \
                 about a second after a request has ended.",
            )
            .needs(Needs::Usage)
            .errors(&[Code::NotImplemented])
            .handler(balance),
        post("/credits/checkout-session", "CreateCheckoutSession")
            .tag(&TAG)
            .summary("Create a checkout session")
            .description("Always answered 501: a gateway sells nothing. Credits are granted at `/credits/grants`.")
            .status(axum::http::StatusCode::OK)
            .handler(checkout),
    ]
}

impl Context {
    /// Where money is.
    ///
    /// # Errors
    /// 501 without a ledger.
    pub(super) fn ledger(&self) -> Result<Arc<dyn Bank>, ApiError> {
        let off = self.control().config().ledger.credits == Credits::Off;
        self.state
            .bank()
            .filter(|_| !off)
            .cloned()
            .ok_or_else(|| ApiError::not_implemented("this gateway has no ledger; set `ledger.credits` to `enforced` or `metered`, and restart it"))
    }
}

/// What the bank's refusal is to a client.
pub(super) fn bank_error(error: StoreError) -> ApiError {
    match error {
        StoreError::Away(why) => ApiError::store_away(why),
        StoreError::Refused(why) | StoreError::Corrupt(why) => ApiError::internal(why),
    }
}

/// What an account has.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditBalance {
    /// Current credit balance in cents, rounded down.
    balance_cents: i64,
}

/// What somebody would buy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CheckoutSessionCreate {
    /// Amount in cents to purchase. Must be a positive integer.
    #[schemars(range(min = 1))]
    #[expect(dead_code, reason = "it is checked, and nothing is sold")]
    amount: i64,
}

/// Where somebody would buy it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "nothing is sold; clients know the shape")]
struct CheckoutSession {
    /// The checkout session ID.
    session_id: String,
    /// The hosted checkout URL to redirect the user to.
    #[schemars(extend("format" = "uri"))]
    session_url: String,
}

async fn balance(context: Context) -> Result<CreditBalance, ApiError> {
    let books = context.ledger()?.books(&context.account).await;
    let books = books.map_err(bank_error)?;
    // What is free is negative by the debt.
    Ok(CreditBalance {
        balance_cents: cents_down(books.free + books.lent()),
    })
}

async fn list(context: Context) -> Result<CreditTransactionList, ApiError> {
    let bank = context.ledger()?;
    let list = transactions(&*bank, &context.account, clock::wall_ms()).await;
    list.map_err(bank_error)
}

async fn checkout(
    _: Context,
    Body(_): Body<CheckoutSessionCreate>,
) -> Result<CheckoutSession, ApiError> {
    Err(ApiError::not_implemented(
        "this gateway sells no credits: grant them with `POST /credits/grants`, or with `tollgate credits grant`",
    ))
}
