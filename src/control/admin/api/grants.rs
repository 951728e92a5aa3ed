//! Granting credits.
//!
//! Invariant: a grant is the bank's, once per id, and the audit log only records it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::credits::{TAG, bank_error};
use super::money::{CENT, amount, cents_down, usd};
use super::resource::second;
use crate::admin::Context;
use crate::admin::auth;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Body;
use crate::admin::operation::{Operation, post};
use crate::{Action, Audited, ChangeError};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::expiry::Expiry;
use tollgate_config::units::Usd;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Category, Grant, NewGrant};
use tollgate_store::StoreError;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post("/credits/grants", "CreateCreditGrant")
            .tag(&TAG)
            .summary("Grant credits")
            .description(
                "Puts credits into an account, once per `id`: the same request again answers the grant that is there. \
                 A purchase must be at least `ledger.minimum_purchase` (USD 5.00 unless the configuration says \
                 otherwise). Needs an API key for all accounts.",
            )
            .errors(&[Code::Conflict])
            .handler(grant),
    ]
}

/// Credits to grant: `usd` or `amountCents`, and not both.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditGrantCreate {
    /// How much: US dollars, an exact decimal as in `5.00`.
    #[schemars(regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    usd: Option<String>,
    /// How much, in cents.
    #[schemars(range(min = 1))]
    amount_cents: Option<u32>,
    /// Whether somebody paid for them.
    category: Category,
    /// Unique within the account; the grant is given once. Random if absent.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
    )]
    id: Option<String>,
    /// How long the credits may be spent: a duration, as in `365d`, `12h` or `1h30m`, or `never`. Defaults to `365d`.
    #[schemars(length(max = 64))]
    expires_after: Option<String>,
    /// For people.
    #[schemars(length(max = 255))]
    note: Option<String>,
}

/// A grant of credits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditGrant {
    /// Unique within the account.
    id: String,
    /// Whose credits they are.
    account_id: String,
    /// Whether somebody paid for them.
    category: Category,
    /// How much: US dollars, exact.
    usd: String,
    /// How much, in cents, rounded down.
    amount_cents: i64,
    /// When they were granted.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When they expire; null if they never do.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

async fn grant(
    context: Context,
    Body(body): Body<CreditGrantCreate>,
) -> Result<CreditGrant, ApiError> {
    auth::all_accounts(&context.caller)?;
    let bank = context.ledger()?;
    let least = context.control().config().ledger.minimum_purchase;
    let new = checked(&body, least)?;
    let is_new = bank.grant(&context.account, &new).await;
    let is_new = is_new.map_err(|error| lost(&body, &new.id, error))?;
    if is_new {
        // Before anything else that may fail: a repetition is not logged again.
        audit(&context, &new).await;
    }
    let books = bank.books(&context.account).await;
    let books = books.map_err(|error| lost(&body, &new.id, error))?;
    let found = books.grants.iter().find(|grant| grant.id == new.id);
    let found = found.ok_or_else(|| ApiError::internal("a grant is not in the books"))?;
    if !is_new && !is_same(found, &new) {
        return Err(ApiError::conflict(
            "the account has another grant with this id; give this one an id of its own",
        ));
    }
    Ok(shown(&context, found))
}

/// Whether a grant is the one that is asked for once more.
fn is_same(found: &Grant, new: &NewGrant) -> bool {
    let expires = |after: Duration| found.created.saturating_add(after.as_secs());
    (found.amount, &found.note, found.expires)
        == (new.amount, &new.note, new.expires_after.map(expires))
}

/// The grant that is asked for.
///
/// # Errors
/// 422.
fn checked(body: &CreditGrantCreate, least: NanoUsd) -> Result<NewGrant, ApiError> {
    let (field, nanos) = match (&body.usd, body.amount_cents) {
        (Some(usd), None) => {
            let usd: Option<Usd> = usd.parse().ok();
            ("usd", usd.and_then(|usd| usd.micros().checked_mul(1_000)))
        }
        (None, Some(cents)) => ("amountCents", Some(u64::from(cents) * CENT.cast_unsigned())),
        _ => {
            return Err(ApiError::invalid(
                "usd",
                "must be there, or else amountCents, and not both",
            ));
        }
    };
    let amount = amount(nanos).map_err(|what| ApiError::invalid(field, what))?;
    if body.category == Category::Purchase && amount < least {
        let what = format!("must be at least {least} for a purchase (`ledger.minimum_purchase`)");
        return Err(ApiError::invalid(field, what));
    }
    let expiry = match &body.expires_after {
        Some(text) => text.parse().ok(),
        None => Some(Expiry::DEFAULT),
    };
    let in_range = |expiry: &Expiry| {
        let time = expiry.duration();
        time.is_none_or(|time| !time.is_zero() && time <= NewGrant::LONGEST)
    };
    let expiry = expiry.filter(in_range).ok_or_else(|| {
        ApiError::invalid(
            "expiresAfter",
            "must be a duration of at most 36500d, as in 365d or 12h, or `never`",
        )
    })?;
    let words = body.note.as_deref().unwrap_or_default();
    let note = body
        .category
        .note(words)
        .ok_or_else(|| ApiError::invalid("note", "must not begin like the note of a purchase"))?;
    Ok(NewGrant {
        id: match &body.id {
            Some(id) => id.clone(),
            None => id::new("grant_", clock::wall_ms()),
        },
        amount,
        expires_after: expiry.duration(),
        note,
    })
}

/// What to say when the grant was not given, or nobody knows whether it was.
fn lost(body: &CreditGrantCreate, id: &str, error: StoreError) -> ApiError {
    let why = match error {
        StoreError::Away(why) => why,
        // Of what is asked for, the bank alone knows whether the account's books have room for it.
        StoreError::Refused(why) => return ApiError::conflict(why),
        error @ StoreError::Corrupt(_) => return bank_error(error),
    };
    log::warn!("admin API: the bank cannot be used: {why}");
    let again = match body.id {
        Some(_) => "repeat the request".to_owned(),
        // It is ours, not the client's.
        None => format!("repeat the request with the id `{id}`"),
    };
    let msg =
        format!("the bank does not answer, and may have the grant: {again}, which grants it once");
    ApiError::new(Code::StoreAway, msg).retry_after(1)
}

/// Tells the audit log. The credits are given, whatever becomes of it.
async fn audit(context: &Context, new: &NewGrant) {
    let (category, note) = Category::of(&new.note);
    let entry = Audited {
        actor: context.actor(),
        action: Action::Grant.into(),
        kind: "credit-grant".to_owned(),
        id: new.id.clone(),
        account: context.account.to_string(),
        before: serde_json::Value::Null,
        after: json!({
            "usd": usd(new.amount),
            "category": category,
            "expiresAfterSeconds": new.expires_after.map(|time| time.as_secs()),
            "note": note,
        }),
    };
    let told = context.control().change(|_, draft| {
        draft.audit(&entry);
        Ok::<(), ()>(())
    });
    let account = &context.account;
    log::info!("account `{account}`: granted {} (`{}`)", new.amount, new.id);
    match told.await {
        // Without a store there is no audit log.
        Ok(()) | Err(ChangeError::NoStore | ChangeError::Decided(())) => {}
        Err(error) => log::error!(
            "the grant `{}` to the account `{account}` by {} is missing in the audit log: {error:?}",
            new.id,
            entry.actor.id
        ),
    }
}

fn shown(context: &Context, grant: &Grant) -> CreditGrant {
    let (category, note) = Category::of(&grant.note);
    CreditGrant {
        id: grant.id.clone(),
        account_id: context.account.to_string(),
        category,
        usd: usd(grant.amount),
        amount_cents: cents_down(grant.amount),
        created_at: second(grant.created).unwrap_or_default(),
        expires_at: grant.expires.and_then(second),
        note: Some(note.to_owned()).filter(|note| !note.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn a_grant_is_another_one_if_it_ends_at_another_time() {
        let grant = |expires_after: Option<u64>| NewGrant {
            id: "a".to_owned(),
            amount: NanoUsd(7),
            expires_after: expires_after.map(Duration::from_secs),
            note: String::new(),
        };
        let found = |expires: Option<u64>| Grant {
            id: "a".to_owned(),
            amount: NanoUsd(7),
            remaining: NanoUsd::ZERO,
            expired: NanoUsd::ZERO,
            created: 100,
            expires,
            note: String::new(),
        };
        for (stored, asked, same) in [
            (Some(160), Some(60), true),
            (Some(160), Some(61), false),
            (Some(160), None, false),
            (None, None, true),
            (None, Some(60), false),
        ] {
            assert_eq!(
                is_same(&found(stored), &grant(asked)),
                same,
                "{stored:?} {asked:?}"
            );
        }
    }

    #[test]
    fn what_the_books_have_no_room_for_is_a_conflict() {
        let body = json!({"usd": "1", "category": "promotional"});
        let body: CreditGrantCreate = serde_json::from_value(body).unwrap();
        let error = StoreError::Refused("more than can be counted".to_owned());
        let answer = lost(&body, "a", error).into_response();
        assert_eq!(answer.status(), 409);
    }

    #[test]
    fn what_may_be_granted() {
        let least = NanoUsd(5 * NanoUsd::DOLLAR.0);
        let check = |json: serde_json::Value| {
            let body: CreditGrantCreate = serde_json::from_value(json).unwrap();
            checked(&body, least)
        };
        let new = check(json!({"usd": "5.00", "category": "purchase", "note": "paid", "id": "a"}));
        let new = new.unwrap();
        assert_eq!((new.id.as_str(), new.amount), ("a", least));
        assert_eq!(new.expires_after, Expiry::DEFAULT.duration());
        assert_eq!(Category::of(&new.note), (Category::Purchase, "paid"));
        let new =
            check(json!({"amountCents": 1, "category": "promotional", "expiresAfter": "never"}));
        let new = new.unwrap();
        assert!(new.id.starts_with("grant_"), "{}", new.id);
        assert_eq!((new.amount, new.expires_after), (NanoUsd(CENT), None));
        for (json, why) in [
            (json!({"category": "purchase"}), "nothing"),
            (
                json!({"usd": "5", "amountCents": 500, "category": "purchase"}),
                "both",
            ),
            (
                json!({"usd": "4.999999", "category": "purchase"}),
                "below the minimum",
            ),
            (
                json!({"amountCents": 499, "category": "purchase"}),
                "below the minimum",
            ),
            (json!({"usd": "0", "category": "promotional"}), "zero"),
            (
                json!({"usd": "9000000.000001", "category": "promotional"}),
                "too much",
            ),
            (
                json!({"usd": "1", "category": "promotional", "expiresAfter": "0s"}),
                "at once",
            ),
            (
                json!({"usd": "1", "category": "promotional", "expiresAfter": "1y"}),
                "no duration",
            ),
            (
                json!({"usd": "1", "category": "promotional", "expiresAfter": "36501d"}),
                "too long",
            ),
            (
                json!({"usd": "1", "category": "promotional", "note": "[purchase] x"}),
                "a false note",
            ),
        ] {
            let error = check(json).expect_err(why);
            assert!(error.to_string().contains("not valid"), "{why}: {error}");
        }
    }
}
