//! What came and went: grants, and the usage of each month.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::money::{cents, cents_down};
use super::resource::second;
use super::resource::time;
use tollgate_base::time::{civil, days};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Books, Category, Day, Rollup};
use tollgate_store::StoreError;

/// What came and went.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CreditTransactionList {
    /// Credit transactions, ordered newest first.
    items: Vec<CreditTransactionItem>,
}

/// Something that came or went.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum CreditTransactionItem {
    Credits(CreditTransactionCredits),
    UsageInvoice(CreditTransactionUsageInvoice),
    UsageInvoicePreview(CreditTransactionUsageInvoicePreview),
}

/// Credits that were granted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditTransactionCredits {
    /// The type of transaction.
    #[schemars(extend("enum" = ["credits"]))]
    r#type: &'static str,
    /// Amount of credits granted in cents.
    amount_cents: u64,
    /// Credit grant category.
    category: Category,
    /// When the credit grant expires. Null if the grant does not expire.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// When this transaction occurred.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
}

/// The usage of a month that is over.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditTransactionUsageInvoice {
    /// The type of transaction.
    #[schemars(extend("enum" = ["usageInvoice"]))]
    r#type: &'static str,
    /// There is no invoice to look at: always null.
    #[schemars(extend("format" = "uri"))]
    invoice_url: Option<String>,
    #[serde(flatten)]
    usage: MonthsUsage,
}

/// The usage of the current month so far.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreditTransactionUsageInvoicePreview {
    /// The type of transaction.
    #[schemars(extend("enum" = ["usageInvoicePreview"]))]
    r#type: &'static str,
    #[serde(flatten)]
    usage: MonthsUsage,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MonthsUsage {
    /// When this transaction occurred: the end of the month, or now.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// Start of the billing period.
    #[schemars(extend("format" = "date-time"))]
    period_start: String,
    /// End of the billing period.
    #[schemars(extend("format" = "date-time"))]
    period_end: String,
    /// What was charged, rounded half up.
    total_cents: i64,
    /// Amount of credits applied (total minus amount due).
    applied_credits_cents: i64,
    /// What was spent beyond all grants, the newest usage first.
    amount_due_cents: i64,
    /// Amount paid other than with credits: always 0.
    amount_paid_cents: i64,
    /// Amount still owed; the next grant pays it.
    amount_remaining_cents: i64,
}

/// What came and went in an account, newest first.
///
/// # Errors
/// When the bank does not answer.
pub(super) async fn transactions(
    bank: &dyn Bank,
    account: &str,
    now_ms: u64,
) -> Result<CreditTransactionList, StoreError> {
    let books = bank.books(account).await?;
    let rollups = bank
        .rollups_by_model(account, Day(0), Day(u32::MAX))
        .await?;
    Ok(listed(&books, rollups.iter(), now_ms))
}

fn listed<'a>(
    books: &Books,
    rollups: impl Iterator<Item = &'a Rollup>,
    now_ms: u64,
) -> CreditTransactionList {
    let mut items: Vec<(u64, CreditTransactionItem)> = Vec::new();
    // Grants are there in the order of their creation; of two of one second, the last one comes first.
    for grant in books.grants.iter().rev() {
        let (category, _) = Category::of(&grant.note);
        let item = CreditTransactionItem::Credits(CreditTransactionCredits {
            r#type: "credits",
            amount_cents: u64::try_from(cents_down(grant.amount)).unwrap_or(0),
            category,
            expires_at: grant.expires.and_then(second),
            created_at: second(grant.created).unwrap_or_default(),
        });
        items.push((grant.created.saturating_mul(1_000), item));
    }
    let mut months: BTreeMap<(u64, u64), NanoUsd> = BTreeMap::new();
    for rollup in rollups {
        let (year, month, _) = civil(rollup.day.0.into());
        *months.entry((year, month)).or_default() += rollup.cost;
    }
    let mut owed = books.debt;
    for ((year, month), charged) in months.into_iter().rev() {
        let due = owed.min(charged).or_zero();
        owed -= due;
        items.push(usage(year, month, charged, due, now_ms));
    }
    items.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    CreditTransactionList {
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}

fn usage(
    year: u64,
    month: u64,
    charged: NanoUsd,
    due: NanoUsd,
    now_ms: u64,
) -> (u64, CreditTransactionItem) {
    let first_ms = |year, month| {
        let days = u64::try_from(days(year, month, 1)).unwrap_or(0);
        days * 86_400_000
    };
    let start = first_ms(year, month);
    let end = match month {
        12 => first_ms(year + 1, 1),
        _ => first_ms(year, month + 1),
    };
    let at_ms = end.min(now_ms);
    let (total, due) = (cents(charged), cents(due));
    let usage = MonthsUsage {
        created_at: time(at_ms),
        period_start: time(start),
        period_end: time(end),
        total_cents: total,
        applied_credits_cents: total - due,
        amount_due_cents: due,
        amount_paid_cents: 0,
        amount_remaining_cents: due,
    };
    let item = if end <= now_ms {
        CreditTransactionItem::UsageInvoice(CreditTransactionUsageInvoice {
            r#type: "usageInvoice",
            invoice_url: None,
            usage,
        })
    } else {
        CreditTransactionItem::UsageInvoicePreview(CreditTransactionUsageInvoicePreview {
            r#type: "usageInvoicePreview",
            usage,
        })
    };
    (at_ms, item)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use tollgate_ledger::bank::Grant;

    fn rollup(day: u32, cost: i64) -> Rollup {
        Rollup {
            day: Day(day),
            access_key: "a".into(),
            provider: "p".into(),
            model: "m".into(),
            requests: 1,
            cost: NanoUsd(cost),
            ..Rollup::default()
        }
    }

    #[test]
    fn months_are_closed_or_current_and_debt_is_of_the_newest() {
        let grant = |id: &str, note: &str, created, expires| Grant {
            id: id.to_owned(),
            amount: NanoUsd(1_000_000_000),
            remaining: NanoUsd::ZERO,
            expired: NanoUsd::ZERO,
            created,
            expires,
            note: note.to_owned(),
        };
        let books = Books {
            debt: NanoUsd(700_000_000),
            grants: vec![
                grant("one", "", 100, Some(200)),
                grant("two", "[purchase] paid", 100, None),
            ],
            ..Books::default()
        };
        // 2025-12-31, 2026-01-01, 2026-01-31 and 2026-02-01
        let rollups = [
            rollup(20_453, 1_204_999_999),
            rollup(20_454, 300_000_000),
            rollup(20_484, 300_000_000),
            rollup(20_485, 200_000_000),
        ];
        let now_ms = 20_485 * 86_400_000 + 5;
        let list = serde_json::to_value(listed(&books, rollups.iter(), now_ms)).unwrap();
        let items = list["items"].as_array().unwrap();
        let picked: Vec<Value> = items
            .iter()
            .map(|item| {
                json!([
                    item["type"],
                    item["createdAt"],
                    item["category"],
                    item["totalCents"],
                    item["appliedCreditsCents"],
                    item["amountDueCents"],
                ])
            })
            .collect();
        assert_eq!(
            picked,
            [
                json!([
                    "usageInvoicePreview",
                    "2026-02-01T00:00:00.005Z",
                    null,
                    20,
                    0,
                    20
                ]),
                json!(["usageInvoice", "2026-02-01T00:00:00.000Z", null, 60, 10, 50]),
                json!([
                    "usageInvoice",
                    "2026-01-01T00:00:00.000Z",
                    null,
                    120,
                    120,
                    0
                ]),
                json!([
                    "credits",
                    "1970-01-01T00:01:40.000Z",
                    "purchase",
                    null,
                    null,
                    null
                ]),
                json!([
                    "credits",
                    "1970-01-01T00:01:40.000Z",
                    "promotional",
                    null,
                    null,
                    null
                ]),
            ]
        );
        assert_eq!(items[0]["periodEnd"], "2026-03-01T00:00:00.000Z");
        assert_eq!(items[0].get("invoiceUrl"), None);
        assert_eq!(items[1]["periodStart"], "2026-01-01T00:00:00.000Z");
        assert_eq!(items[1].get("invoiceUrl"), Some(&Value::Null));
        assert_eq!(items[3]["expiresAt"], Value::Null);
        assert_eq!(items[4]["expiresAt"], "1970-01-01T00:03:20.000Z");
    }
}
