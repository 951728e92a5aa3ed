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
