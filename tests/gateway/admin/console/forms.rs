//! The console's forms: what was typed, what is wrong with it, and what it makes.

use super::*;

#[tokio::test]
async fn a_refused_form_says_why_at_its_field_and_keeps_what_was_typed() {
    let api = Api::start(builder()).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let fields = [
        ("name", "Shop"),
        ("limits.requestsPerMinute", "many"),
        ("budget.month", "1.2.3"),
    ];
    let answer = browser.send("/console/access-keys", &fields).await;
    assert_eq!(answer.status(), 422);
    let text = answer.text();
    for (name, value) in fields {
        assert!(text.contains(&format!("value=\"{value}\"")), "{name}");
    }
    for name in ["limits.requestsPerMinute", "budget.month"] {
        assert!(
            text.contains(&format!("id=\"{name}-fault\"")),
            "{name}: {text}"
        );
    }
    let grant = [
        ("usd", "5"),
        ("category", "promotional"),
        ("expiresAfter", "1d"),
        ("id", "once"),
    ];
    for _ in 0..2 {
        let answer = browser.send("/console/credits", &grant).await;
        assert_eq!(
            answer.header("location"),
            Some("/console/credits?done=granted")
        );
    }
    let balance = api.get("/credits/balance").await;
    assert_eq!(balance["balanceCents"], 100_500, "it was given once");
}

#[tokio::test]
async fn budgets_have_a_calendar_and_tags_have_budgets() {
    let api = Api::start(builder()).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let configuration = [
        ("name", "Web"),
        ("calendar.week.timeZone", "Mars/Olympus"),
        ("budget.week", "7"),
        ("tag.0.name", "customer"),
        ("tag.0.usd", "5"),
        ("tag.0.per", "month"),
        ("tag.2.name", "Team"),
        ("tag.2.usd", "3"),
        ("tag.2.per", "day"),
        ("tag.5.name", "customer"),
        ("tag.5.usd", "1"),
        ("tag.5.per", "day"),
        ("tag.5.timeZone", "Europe/Berlin!"),
    ];
    let answer = browser
        .send("/console/configurations", &configuration)
        .await;
    let text = answer.text();
    assert_eq!(answer.status(), 422, "{text}");
    for (name, value) in configuration
        .iter()
        .filter(|(name, _)| !name.ends_with(".per"))
    {
        assert!(text.contains(&format!("value=\"{value}\"")), "{name}");
    }
    for name in ["calendar.week.timeZone", "tag.2.name", "tag.5.timeZone"] {
        assert!(
            text.contains(&format!("id=\"{name}-fault\"")),
            "{name}: {text}"
        );
    }
    let good = [
        ("name", "Web"),
        ("budget.week", "7"),
        ("calendar.week.timeZone", "Europe/Berlin"),
        ("calendar.week.weekStarts", "sunday"),
        ("tag.0.name", "customer"),
        ("tag.0.usd", "5"),
        ("tag.0.per", "month"),
    ];
    let answer = browser.send("/console/configurations", &good).await;
    let page = answer.header("location").expect("it is made");
    let page = page.split('?').next().unwrap().to_owned();
    // The page's form sends what it shows.
    let text = browser.page(&page).await;
    for value in ["Europe/Berlin", "customer", "7", "5"] {
        assert!(
            text.contains(&format!("value=\"{value}\"")),
            "{value}: {text}"
        );
    }
    assert!(text.contains("a month for each customer"), "{text}");
    let id = page.rsplit('/').next().unwrap();
    let made = api.get(&format!("/access-key-configurations/{id}")).await;
    let week =
        json!([{"usd": "7", "per": "week", "timeZone": "Europe/Berlin", "weekStarts": "sunday"}]);
    assert_eq!(made["limits"]["budgets"], week);
    let tags = json!({"customer": [{"usd": "5", "per": "month"}]});
    assert_eq!(made["limits"]["tags"], tags);
}

#[tokio::test]
async fn how_requests_are_served_is_edited_and_cleared() {
    let api = Api::start(builder()).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let bad = [
        ("name", "Web"),
        ("retry.same", "4"),
        ("hedge.budgetPercent", "101"),
    ];
    let answer = browser.send("/console/configurations", &bad).await;
    let text = answer.text();
    for (name, value) in &bad[1..] {
        assert!(text.contains(&format!("value=\"{value}\"")), "{name}");
        assert!(
            text.contains(&format!("id=\"{name}-fault\"")),
            "{name}: {text}"
        );
    }
    let good = [
        ("name", "Web"),
        ("failover", "false"),
        ("stopOn", "content_filter"),
        ("retry.most", "5s"),
        ("hedge.atLeast", "250ms"),
        ("commit", "whole"),
        ("priority", "batch"),
        ("idempotency.store", "24h"),
        ("idempotency.joinRetries", "true"),
    ];
    let answer = browser.send("/console/configurations", &good).await;
    let page = answer.header("location").expect("it is made");
    let page = page.split('?').next().unwrap().to_owned();
    let text = browser.page(&page).await;
    for value in [
        "value=\"5s\"",
        "value=\"250ms\"",
        "value=\"24h0m0s\"",
        "value=\"whole\" selected",
        "value=\"batch\" selected",
    ] {
        assert!(text.contains(value), "{value}: {text}");
    }
    let id = page.rsplit('/').next().unwrap();
    let path = format!("/access-key-configurations/{id}");
    let made = api.get(&path).await;
    assert_eq!(
        (&made["failover"], &made["stopOn"]),
        (&json!(false), &json!(["content_filter"]))
    );
    let want = json!({"store": "24h0m0s", "joinRetries": true});
    assert_eq!(
        (&made["idempotency"], &made["hedge"]),
        (&want, &json!({"atLeast": "250ms"}))
    );
    browser.send(&page, &[("name", "Web")]).await;
    let cleared = api.get(&path).await;
    for member in [
        "failover",
        "stopOn",
        "retry",
        "hedge",
        "commit",
        "priority",
        "idempotency",
    ] {
        assert!(cleared.get(member).is_none(), "{member}: {cleared}");
    }
}
