//! Budgets that access keys share.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, builder, id, ids};

const ITEMS: &str = "aiGatewayBudgets";

#[tokio::test]
async fn a_budget_is_made_changed_shared_and_deleted() {
    let api = Api::start(builder().config(json!({"budgets": [
        {"id": "declared", "name": "Declared", "limits": {"budget": {"usd": 5, "per": "quarter"}}},
        {"id": "others", "account": "acme"},
    ]})))
    .await;
    let budget = json!({"usd": "50.000000", "per": "week", "timeZone": "europe/berlin", "weekStarts": "sunday"});
    let team = json!({
        "name": "Team", "parentId": "declared",
        "limits": {"requestsPerMinute": 5, "budgets": [budget]},
    });
    let made = api.create("/budgets", team).await;
    assert!(id(&made).starts_with("bud_"), "{made}");
    assert_eq!(made["parent"]["name"], "Declared");
    let budget = &made["limits"]["budgets"][0];
    let said = ["per", "timeZone", "weekStarts"].map(|name| budget[name].as_str().unwrap());
    assert_eq!(said, ["week", "Europe/Berlin", "sunday"], "{made}");
    let path = format!("/budgets/{}", id(&made));
    let project = json!({"name": "Project", "parentId": id(&made)});
    let project = id(&api.create("/budgets", project).await);
    let list = api.get("/budgets").await;
    assert_eq!(ids(&list, ITEMS), ["declared", &project, &id(&made)]);
    let changed = api
        .update(&path, json!({"limits": null, "name": "The team"}))
        .await;
    assert_eq!(changed.get("limits"), None, "{changed}");

    let key = api
        .create("/access-keys", json!({"budgetId": project}))
        .await;
    assert_eq!(key["budget"]["name"], "Project");
    let key = format!("/access-keys/{}", id(&key));
    for (whose, by) in [(&path, &project), (&format!("/budgets/{project}"), &key)] {
        let refused = api.expect(409, "DELETE", whose, None).await;
        let by = by.rsplit('/').next().unwrap();
        assert!(refused["msg"].as_str().unwrap().contains(by), "{refused}");
    }
    let freed = api.update(&key, json!({"budgetId": null})).await;
    assert_eq!(freed.get("budget"), None, "{freed}");
    for path in [format!("/budgets/{project}"), path] {
        api.expect(204, "DELETE", &path, None).await;
    }
    api.expect(409, "DELETE", "/budgets/declared", None).await;
}

#[tokio::test]
async fn what_cannot_be_a_budget_is_refused_with_the_field() {
    let api =
        Api::start(builder().config(json!({"budgets": [{"id": "others", "account": "acme"}]})))
            .await;
    let limits = |budgets: Value| json!({"name": "x", "limits": {"budgets": budgets}});
    let zone = |zone: &str| limits(json!([{"usd": "1", "per": "day", "timeZone": zone}]));
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": "x", "parentId": "nobody"}), "parentId"),
        (json!({"name": "x", "parentId": "others"}), "parentId"),
        (zone("Europe/Berln"), "limits.budgets.0.timeZone"),
        (
            limits(json!([{"usd": "1", "per": "month", "weekStarts": "sunday"}])),
            "limits.budgets.0.weekStarts",
        ),
        (
            limits(json!([{"usd": "1", "per": "year"}])),
            "limits.budgets.0.per",
        ),
    ] {
        assert_eq!(
            api.faults("POST", "/budgets", body.clone()).await,
            [field],
            "{body}"
        );
    }
    let post = |body: Value| api.faults("POST", "/access-keys", body);
    assert_eq!(post(json!({"budgetId": "others"})).await, ["budgetId"]);

    // Eight may stand above each other, and none above itself.
    let mut chain: Vec<String> = Vec::new();
    for _ in 0..8 {
        let body = match chain.last() {
            Some(parent) => json!({"name": "below", "parentId": parent}),
            None => json!({"name": "first"}),
        };
        chain.push(id(&api.create("/budgets", body).await));
    }
    let ninth = json!({"name": "8", "parentId": chain[7]});
    assert_eq!(api.faults("POST", "/budgets", ninth).await, ["parentId"]);
    let first = format!("/budgets/{}", chain[0]);
    for below in [&chain[0], &chain[1], &chain[7]] {
        let body = json!({"parentId": below});
        assert_eq!(
            api.faults("PATCH", &first, body).await,
            ["parentId"],
            "{below}"
        );
    }
    let above = id(&api.create("/budgets", json!({"name": "above"})).await);
    let body = json!({"parentId": above});
    assert_eq!(
        api.faults("PATCH", &first, body).await,
        ["parentId"],
        "what is below it would be too deep"
    );

    // Each account sees its own.
    let (status, seen) = api.call(ACME, "GET", "/budgets", None).await;
    assert_eq!(
        (status, ids(&seen, ITEMS)),
        (200, vec!["others".to_owned()])
    );
    assert_eq!(api.call(ACME, "GET", &first, None).await.0, 404);
    let body = Some(json!({"name": "x"}));
    assert_eq!(api.call(READER, "POST", "/budgets", body).await.0, 403);
}
