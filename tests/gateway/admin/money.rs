//! Credits: balance, transactions, grants; and whether the books balance.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;

const GRANTS: &str = "/credits/grants";
const ACME_GRANTS: &str = "/credits/grants?accountId=acme";

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(|s| &**s).collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn credits_are_granted_once_and_shown() {
    let api = Api::start(builder()).await;
    let balance = api.get("/credits/balance").await;
    assert_eq!(balance, json!({"balanceCents": 100_000}));

    let purchase = json!({
        "usd": "5.00", "category": "purchase", "id": "invoice-1", "expiresAfter": "never", "note": "paid 3 March",
    });
    let made = api.create(ACME_GRANTS, purchase.clone()).await;
    for (field, value) in [
        ("id", json!("invoice-1")),
        ("accountId", json!("acme")),
        ("category", json!("purchase")),
        ("usd", json!("5.00")),
        ("amountCents", json!(500)),
        ("expiresAt", Value::Null),
        ("note", json!("paid 3 March")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let again = api.create(ACME_GRANTS, purchase.clone()).await;
    assert_eq!(again, made, "an id is granted once");
    let mut shorter = purchase;
    shorter["expiresAfter"] = json!("1h");
    api.expect(409, "POST", ACME_GRANTS, Some(shorter)).await;
    let other = json!({"usd": "6.00", "category": "purchase", "id": "invoice-1"});
    let refused = api.expect(409, "POST", ACME_GRANTS, Some(other)).await;
    assert_eq!(refused["errorCode"], "ERR_TOLLGATE_4090");
    let present = json!({"amountCents": 1, "category": "promotional", "expiresAfter": "1h"});
    let present = api.create(ACME_GRANTS, present).await;
    assert!(present["id"].as_str().unwrap().starts_with("grant_"));
    assert!(present["expiresAt"].is_string(), "{present}");

    let (status, balance) = api.call(ACME, "GET", "/credits/balance", None).await;
    assert_eq!((status, balance), (200, json!({"balanceCents": 100_501})));
    let (_, list) = api.call(ACME, "GET", "/credits/transactions", None).await;
    assert_eq!(fields(&list), ["items"]);
    let items = list["items"].as_array().unwrap();
    let shown: Vec<Value> = items
        .iter()
        .map(|item| json!([item["type"], item["category"], item["amountCents"]]))
        .collect();
    assert_eq!(
        shown,
        [
            json!(["credits", "promotional", 1]),
            json!(["credits", "purchase", 500]),
            json!(["credits", "promotional", 100_000]),
        ]
    );
    for item in items {
        let published = ["amountCents", "category", "createdAt", "expiresAt", "type"];
        assert_eq!(fields(item), published);
    }

    let log = api.get("/audit-log?kind=credit-grant").await;
    let log = log["auditLog"].as_array().unwrap();
    assert_eq!(log.len(), 2, "a repetition is no grant: {log:?}");
    assert_eq!(log[1]["resourceId"], "invoice-1");
    assert_eq!(log[1]["action"], "grant");
    assert_eq!(log[1]["accountId"], "acme");
    assert_eq!(log[1]["after"]["usd"], "5.00");
    assert_eq!(log[1]["after"]["note"], "paid 3 March");
    let shown = api
        .gateway
        .command(&["credits", "transactions", "--account", "acme"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("[purchase] paid 3 March"), "{shown}");
}

#[tokio::test]
async fn who_may_grant_and_what() {
    let api = Api::start(builder().config(json!({"ledger": {"minimum_purchase": 7.5}}))).await;
    let good = json!({"usd": "7.50", "category": "purchase"});
    for (key, code) in [(ACME, "ERR_TOLLGATE_4031"), (READER, "ERR_TOLLGATE_4030")] {
        let (status, answer) = api.call(key, "POST", GRANTS, Some(good.clone())).await;
        assert_eq!((status, &answer["errorCode"]), (403, &json!(code)));
    }
    api.create(GRANTS, good).await;
    for (body, faults) in [
        (json!({"usd": "7.499999", "category": "purchase"}), ["usd"]),
        (
            json!({"amountCents": 749, "category": "purchase"}),
            ["amountCents"],
        ),
        (
            json!({"amountCents": 0, "category": "promotional"}),
            ["amountCents"],
        ),
        (json!({"usd": "10"}), ["category"]),
        (json!({"usd": "10", "category": "gift"}), ["category"]),
        (json!({"usd": 10, "category": "purchase"}), ["usd"]),
        (
            json!({"usd": "10", "amountCents": 1000, "category": "purchase"}),
            ["usd"],
        ),
        (json!({"category": "purchase"}), ["usd"]),
        (
            json!({"usd": "10", "category": "purchase", "expiresAfter": "1y"}),
            ["expiresAfter"],
        ),
        (
            json!({"usd": "10", "category": "purchase", "id": "a b"}),
            ["id"],
        ),
        (
            json!({"usd": "10", "category": "purchase", "currency": "EUR"}),
            ["currency"],
        ),
    ] {
        assert_eq!(
            api.faults("POST", GRANTS, body.clone()).await,
            faults,
            "{body}"
        );
    }
    let unknown = "/credits/grants?accountId=nobody";
    let body = json!({"usd": "10", "category": "purchase"});
    let refused = api.expect(404, "POST", unknown, Some(body)).await;
    assert!(
        refused["msg"].as_str().unwrap().contains("/accounts"),
        "{refused}"
    );

    let session = json!({"amount": 500});
    let refused = api
        .expect(501, "POST", "/credits/checkout-session", Some(session))
        .await;
    assert!(
        refused["msg"].as_str().unwrap().contains("/credits/grants"),
        "{refused}"
    );
    let faults = api
        .faults("POST", "/credits/checkout-session", json!({"amount": 0}))
        .await;
    assert_eq!(faults, ["amount"]);
}

#[tokio::test]
async fn charges_are_a_preview_of_the_month_and_the_books_balance() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let builder = builder()
        .fake("f", &fake)
        // 10 tokens an answer: 20 cents.
        .config(json!({"ledger": {"processing_fee": 20_000, "flush": "50ms"}}));
    let api = Api::start(builder).await;
    assert_eq!(api.chat("f:m").await, 200);
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    while api.get("/credits/balance").await["balanceCents"] != 99_980 {
        assert!(
            tollgate_base::clock::now() < end,
            "the balance does not sink"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let list = api.get("/credits/transactions").await;
    let preview = &list["items"][0];
    let published = [
        "amountDueCents",
        "amountPaidCents",
        "amountRemainingCents",
        "appliedCreditsCents",
        "createdAt",
        "periodEnd",
        "periodStart",
        "totalCents",
        "type",
    ];
    assert_eq!(fields(preview), published);
    assert_eq!(preview["type"], "usageInvoicePreview");
    assert_eq!(preview["totalCents"], 20);
    assert_eq!(preview["appliedCreditsCents"], 20);
    assert_eq!(preview["amountDueCents"], 0);

    let report = api.get("/ledger/verification").await;
    assert_eq!(report["balanced"], true, "{report}");
    let accounts = report["accounts"].as_array().unwrap();
    let ids: Vec<&Value> = accounts.iter().map(|one| &one["accountId"]).collect();
    assert_eq!(ids, ["acme", "default"]);
    let page = api.get("/ledger/verification?limit=1").await;
    assert_eq!(page["accounts"], json!([accounts[0]]));
    let next = page["nextPageUri"].as_str().unwrap();
    let (_, next) = next.split_once("/ledger").unwrap();
    let rest = api.get(&format!("/ledger{next}")).await;
    assert_eq!(rest["accounts"], json!([accounts[1]]));
    assert_eq!(rest.get("nextPageUri"), None);
    let first = &accounts[1]["equations"][0];
    assert_eq!(
        first["equation"],
        "granted = spent + expired + free + allotments"
    );
    assert_eq!(
        (&first["left"], &first["right"]),
        (&json!("1000.00"), &json!("1000.00"))
    );
    let last = &accounts[1]["equations"][4];
    assert_eq!(
        (&last["left"], &last["balanced"]),
        (&json!("0.20"), &json!(true))
    );
    let (_, own) = api.call(ACME, "GET", "/ledger/verification", None).await;
    assert_eq!(own["accounts"].as_array().unwrap().len(), 1, "{own}");
    let (status, _) = api
        .call(ACME, "GET", "/ledger/verification?accountId=default", None)
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn without_a_ledger_it_says_what_to_set() {
    let api = Api::start(builder().config(json!({"ledger": {"credits": "off"}}))).await;
    let grant = json!({"usd": "5", "category": "promotional"});
    let refused = api.expect(501, "POST", GRANTS, Some(grant)).await;
    assert!(
        refused["msg"].as_str().unwrap().contains("ledger.credits"),
        "{refused}"
    );
    for path in [
        "/credits/balance",
        "/credits/transactions",
        "/ledger/verification",
        "/usage?startTime=2026-01-01T00:00:00Z",
        "/usage/overview?startTime=2026-01-01T00:00:00Z",
    ] {
        api.expect(501, "GET", path, None).await;
        let request = Request {
            method: "HEAD",
            ..Request::get(path)
                .without("authorization")
                .header("authorization", &format!("Bearer {ROOT}"))
        };
        let mut client = Client::connect(Version::H1, api.gateway.admin).await;
        assert_eq!(client.begin(&request).await.unwrap().status, 501, "{path}");
    }
}
