//! The way of a request, one refusal after the other.

use serde_json::json;

use super::Listener;

#[tokio::test]
async fn the_catalog_is_listed_page_by_page() {
    let listener = Listener::start().await;
    let first = listener
        .get("/catalog/models?limit=2&provider=openai")
        .await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("content-type"), "application/json");
    let base = format!("http://{}", listener.address);
    let mut page = first.json();
    assert_eq!(page["uri"], format!("{base}/catalog/models"));
    let mut ids = Vec::new();
    loop {
        for model in page["models"].as_array().unwrap() {
            ids.push(model["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["nextPageUri"].as_str() else {
            break;
        };
        let path = next.strip_prefix(&base).expect("absolute, here");
        assert!(
            path.contains("limit=2") && path.contains("provider=openai"),
            "{path}"
        );
        page = listener.get(path).await.json();
    }
    assert!(page["nextPageUri"].is_null(), "null on the last page");
    assert!(
        ids.len() > 2 && ids.is_sorted_by(|one, next| one > next),
        "{ids:?}"
    );
    assert!(ids.iter().all(|id| id.starts_with("openai:")), "{ids:?}");

    let model = listener
        .get("/catalog/models/groq:openai%2Fgpt-oss-20b")
        .await;
    assert_eq!(model.status, 200, "{}", model.body);
    let model = model.json();
    assert_eq!(
        model["uri"],
        format!("{base}/catalog/models/groq:openai%2Fgpt-oss-20b")
    );
    assert_eq!(model["prices"]["cachedRead"], "0.0375");
    assert!(model["prices"]["cacheWrite"].is_null(), "unknown, not zero");
    let missing = listener.get("/catalog/models/groq:nothing").await;
    assert_eq!(
        missing.error(),
        (404, "ERR_TOLLGATE_4040".to_owned(), json!({}))
    );
    let provider = listener.get("/catalog/providers/groq").await.json();
    assert_eq!(
        (&provider["id"], &provider["builtIn"]),
        (&json!("groq"), &json!(true))
    );
    let providers = listener.get("/catalog/providers").await.json();
    assert_eq!(providers["providers"].as_array().unwrap().len(), 11);
}

#[tokio::test]
async fn keys_are_needed_and_roles_hold() {
    let listener = Listener::start().await;
    let send = async |method: &str, path: &str, key: &str| {
        let answer = listener.send(listener.request(method, path, key), "").await;
        (
            answer.status,
            answer.json()["errorCode"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let unknown = listener
        .send(listener.request("GET", "/things", "wrong"), "")
        .await;
    assert_eq!(unknown.error().1, "ERR_TOLLGATE_4010");
    assert_eq!(unknown.header("www-authenticate"), "Bearer");
    for (method, path, key, expected) in [
        ("GET", "/things", "full", (200, "")),
        ("GET", "/things", "read-only", (200, "")),
        ("GET", "/things", "usage-only", (403, "ERR_TOLLGATE_4030")),
        ("GET", "/usage-of-things", "usage-only", (200, "")),
        ("POST", "/things", "read-only", (403, "ERR_TOLLGATE_4030")),
        (
            "POST",
            "/things/t_1/rotate",
            "read-only",
            (403, "ERR_TOLLGATE_4030"),
        ),
        ("GET", "/everybody", "acme", (403, "ERR_TOLLGATE_4031")),
        ("GET", "/everybody", "full", (200, "")),
        (
            "GET",
            "/things?accountId=other",
            "acme",
            (403, "ERR_TOLLGATE_4031"),
        ),
        ("GET", "/things?accountId=acme", "acme", (200, "")),
        (
            "GET",
            "/things?accountId=a&accountId=b",
            "full",
            (422, "ERR_TOLLGATE_4220"),
        ),
        (
            "GET",
            "/catalog/models?accountId=a",
            "full",
            (422, "ERR_TOLLGATE_4220"),
        ),
        (
            "POST",
            "/things/t_1/rotate",
            "full",
            (501, "ERR_TOLLGATE_4501"),
        ),
    ] {
        let (status, code) = send(method, path, key).await;
        assert_eq!((status, &*code), expected, "{key}: {method} {path}");
    }
    for (query, header, key, account) in [
        ("", None, "full", "default"),
        ("?accountId=one", None, "full", "one"),
        ("", Some("two"), "full", "two"),
        ("?accountId=one", Some("one"), "full", "one"),
        ("", None, "acme", "acme"),
    ] {
        let mut request = listener.request("GET", &format!("/usage-of-things{query}"), key);
        if let Some(header) = header {
            request = request.header("x-tollgate-account", header);
        }
        let answer = listener.send(request, "").await.json();
        assert_eq!(answer["account"], account, "{query} {header:?} {key}");
    }
}

#[tokio::test]
async fn without_any_key_it_says_how_to_set_one() {
    let listener = Listener::with(&[]).await;
    let answer = listener.get("/things").await;
    assert_eq!(answer.error().0, 401);
    assert!(
        answer.body.contains("TOLLGATE_ADMIN_KEY"),
        "{}",
        answer.body
    );
    for _ in 0..20 {
        assert_eq!(
            listener.get("/things").await.status,
            401,
            "nobody guesses a key"
        );
    }
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let listener = Listener::start().await;
    for guess in 0..10 {
        let request = listener.request("GET", "/things", &format!("guess-{guess}"));
        assert_eq!(listener.send(request, "").await.status, 401);
    }
    let request = listener.request("GET", "/things", "guess-10");
    let refused = listener.send(request, "").await;
    assert_eq!(refused.error().1, "ERR_TOLLGATE_4290");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(listener.get("/things").await.status, 200, "a right key");
    assert_eq!(listener.get("/healthz").await.status, 200, "probes go on");
}

#[tokio::test]
async fn bodies_are_checked_whole() {
    let listener = Listener::start().await;
    let created = listener.json("POST", "/things", r#"{"name":"new"}"#).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        created.json()["uri"],
        format!("http://{}/things/t_1", listener.address)
    );

    let secret = "sk-planted-secret";
    for (body, status, details) in [
        ("{".to_owned(), 400, json!({})),
        (format!("{{\"name\":\"{secret}"), 400, json!({})),
        (String::new(), 400, json!({})),
        ("[]".to_owned(), 422, json!({"body": "must be an object"})),
        ("{}".to_owned(), 422, json!({"name": "is required"})),
        (
            format!(r#"{{"name":"{secret}","extra":1}}"#),
            422,
            json!({"name": "must have at most 5 characters", "extra": "is not a field here; the fields are name, secret"}),
        ),
        (
            r#"{"name":null}"#.to_owned(),
            422,
            json!({"name": "must be a string"}),
        ),
        (
            r#"{"name":"a","secret":null}"#.to_owned(),
            422,
            json!({"secret": "must be a string"}),
        ),
        (
            format!(r#"{{"name":"a","secret":"{secret}"}}"#),
            422,
            json!({"secret": "must have the format ipv4"}),
        ),
        (r#"{"name":"taken"}"#.to_owned(), 409, json!({})),
    ] {
        let answer = listener.json("POST", "/things", &body).await;
        let (got, _, said) = answer.error();
        assert_eq!((got, said), (status, details), "{body}");
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(
        listener.json("POST", "/things", &large).await.error().0,
        413
    );
    let plain = listener
        .request("POST", "/things", "full")
        .header("content-type", "text/plain");
    assert_eq!(listener.send(plain, r#"{"name":"a"}"#).await.error().0, 415);
    let zipped = listener
        .request("POST", "/things", "full")
        .header("content-type", "application/json; charset=utf-8")
        .header("content-encoding", "gzip");
    assert_eq!(
        listener.send(zipped, r#"{"name":"a"}"#).await.error().0,
        415
    );
}

#[tokio::test]
async fn a_patch_keeps_clears_and_replaces() {
    let listener = Listener::start().await;
    for (body, name) in [
        ("{}", json!("old")),
        (r#"{"name":null}"#, json!(null)),
        (r#"{"name":"new"}"#, json!("new")),
    ] {
        let answer = listener.json("PATCH", "/things/t_1", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["name"], name, "{body}");
    }
}

#[tokio::test]
async fn every_refusal_has_the_published_shape() {
    let listener = Listener::start().await;
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "4041"),
        ("GET", "/things/", 404, "4041"),
        ("DELETE", "/things", 405, "4050"),
        ("POST", "/healthz", 405, "4050"),
        ("DELETE", "/things/x", 404, "4040"),
        ("DELETE", "/things/used", 409, "4091"),
        ("DELETE", "/things/declared", 409, "4092"),
        ("DELETE", "/things/%ff", 400, "4000"),
        ("GET", "/things?limit=0", 422, "4220"),
        ("GET", "/things?limit=101", 422, "4220"),
        ("GET", "/things?limit=many", 422, "4220"),
        ("GET", "/things?limit=1&limit=2", 422, "4220"),
        ("GET", "/things?lmit=1", 422, "4220"),
        ("GET", "/things?beforeId=%ff", 400, "4000"),
        ("GET", "/panics", 500, "4500"),
    ] {
        let answer = listener
            .send(listener.request(method, path, "full"), "")
            .await;
        let (got, said, _) = answer.error();
        assert_eq!(
            (got, &*said),
            (status, &*format!("ERR_TOLLGATE_{code}")),
            "{method} {path}"
        );
        assert!(!answer.body.contains("secret"), "{}", answer.body);
        assert!(
            answer.header("x-request-id").starts_with("req_"),
            "{method} {path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        if status == 405 {
            assert!(answer.header("allow").contains(if path == "/things" {
                "POST"
            } else {
                "GET"
            }));
        }
    }
    let limit = listener.get("/things?limit=101&x=1").await.error().2;
    assert_eq!(limit["limit"], "must be at most 100");
    assert_eq!(
        limit["x"],
        "is not a field here; the fields are beforeId, limit"
    );
    let gone = listener
        .send(listener.request("DELETE", "/things/t_1", "full"), "")
        .await;
    assert_eq!((gone.status, &*gone.body), (204, ""));
}

#[tokio::test]
async fn head_answers_as_get_without_a_body_and_requests_are_counted() {
    let listener = Listener::start().await;
    for (path, status) in [
        ("/things", 200),
        ("/catalog/models/x:y", 404),
        ("/nothing", 404),
    ] {
        let head = listener
            .send(listener.request("HEAD", path, "full"), "")
            .await;
        assert_eq!((head.status, &*head.body), (status, ""), "{path}");
    }
    let metrics = listener.get("/metrics").await.body;
    for line in [
        "ListThings 200 1\n",
        "GetCatalogModel 404 1\n",
        "none 404 1\n",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
