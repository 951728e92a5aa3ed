//! The console, as a browser's requests see it.

mod forms;

use serde_json::json;

use super::help::{ACME, ACME_TOKEN, Api, READER, ROOT, builder, id};
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;
use crate::common::{PATIENCE, TOKEN};

/// Every page that is read.
const PAGES: [&str; 16] = [
    "/",
    "/console/requests",
    "/console/usage",
    "/console/credits",
    "/console/books",
    "/console/alerts",
    "/console/fleet",
    "/console/access-keys",
    "/console/configurations",
    "/console/budgets",
    "/console/providers",
    "/console/catalog",
    "/console/playground",
    "/console/accounts",
    "/console/api-keys",
    "/console/audit-log",
];

const MARKUP: &str = "<script>alert('1')</script>";

/// Somebody with a browser.
struct Browser<'a> {
    api: &'a Api,
    /// As it is sent; empty before the sign-in.
    cookie: String,
    /// What the forms of the session carry.
    form_token: String,
}

async fn ask(api: &Api, request: Request) -> Answer {
    let mut client = Client::connect(Version::H1, api.gateway.admin).await;
    client.ask(&request.without("authorization")).await
}

fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    let escaped = |text: &str| {
        let byte = |byte: u8| format!("%{byte:02X}");
        text.bytes().map(byte).collect::<String>()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    Request::post(path, body)
        .without("content-type")
        .header("content-type", "application/x-www-form-urlencoded")
}

impl<'a> Browser<'a> {
    async fn sign_in(api: &'a Api, key: &str) -> Browser<'a> {
        let answer = ask(api, form("/console/sign-in", &[("key", key)])).await;
        assert_eq!(answer.status(), 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some("/"));
        let set = answer.header("set-cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Secure"), "there is no TLS: {set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        let mut browser = Browser {
            api,
            cookie,
            form_token: String::new(),
        };
        let page = browser.read("/").await.text();
        let (_, rest) = page
            .split_once("name=\"form-token\" value=\"")
            .expect("a form");
        browser.form_token = rest.split('"').next().unwrap().to_owned();
        browser
    }

    async fn read(&self, path: &str) -> Answer {
        ask(self.api, Request::get(path).header("cookie", &self.cookie)).await
    }

    /// The text of a page that is there.
    async fn page(&self, path: &str) -> String {
        let answer = self.read(path).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        answer.text()
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = [fields, &[("form-token", &*self.form_token)]].concat();
        let request = form(path, &fields).header("cookie", &self.cookie);
        ask(self.api, request).await
    }
}

#[tokio::test]
async fn nothing_is_shown_before_the_sign_in_nor_after_the_sign_out() {
    let api = Api::start(builder()).await;
    for path in PAGES {
        let answer = ask(&api, Request::get(path)).await;
        assert_eq!(answer.status(), 303, "{path}");
        let to = answer.header("location").unwrap();
        assert!(to.starts_with("/console/sign-in"), "{path}: {to}");
        assert!(answer.body.is_empty(), "{path}: {}", answer.text());
    }
    let there = ask(&api, Request::get("/console/books?account=acme")).await;
    let to = "/console/sign-in?next=%2Fconsole%2Fbooks%3Faccount%3Dacme";
    assert_eq!(there.header("location"), Some(to));
    let sent = ask(&api, form("/console/accounts", &[("id", "new")])).await;
    assert_eq!(sent.status(), 401);

    let browser = Browser::sign_in(&api, ROOT).await;
    for path in PAGES {
        browser.page(path).await;
    }
    let made_up = format!("tollgate-console={}", "A".repeat(43));
    let request = Request::get("/console/books").header("cookie", &made_up);
    assert_eq!(ask(&api, request).await.status(), 303, "a made-up session");
    let out = browser.send("/console/sign-out", &[]).await;
    assert_eq!(out.header("location"), Some("/console/sign-in"));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(browser.read("/console/books").await.status(), 303);
}

#[tokio::test]
async fn wrong_keys_are_told_and_throttled_and_a_right_one_is_served() {
    let api = Api::start(builder()).await;
    let try_key = async |key: &str| ask(&api, form("/console/sign-in", &[("key", key)])).await;
    for turn in 0..10 {
        let answer = try_key("wrong").await;
        assert_eq!(answer.status(), 401, "{turn}");
        assert!(answer.text().contains("This API key is unknown"));
        assert!(!answer.text().contains("wrong"), "nothing is echoed");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(try_key("wrong").await.status(), 429);
    Browser::sign_in(&api, ROOT).await;
    let long = "x".repeat(9_000);
    assert_eq!(try_key(&long).await.status(), 413);
    for next in ["https://evil.example", "//evil.example", "/docs"] {
        let answer = ask(
            &api,
            form("/console/sign-in", &[("key", ROOT), ("next", next)]),
        )
        .await;
        assert_eq!(answer.header("location"), Some("/"), "{next}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_key() {
    let api = Api::start(builder()).await;
    let made = api.create("/api-keys", json!({"name": "ann"})).await;
    let ann = Browser::sign_in(&api, made["token"].as_str().unwrap()).await;
    ann.page("/console/access-keys").await;
    let path = format!("/api-keys/{}", id(&made));
    api.update(&path, json!({"role": "read-only"})).await;
    let answer = ann.send("/console/access-keys", &[("name", "x")]).await;
    assert_eq!(answer.status(), 403, "its role is that of now");
    api.expect(204, "DELETE", &path, None).await;
    assert_eq!(ann.read("/console/access-keys").await.status(), 303);
}

#[tokio::test]
async fn a_form_needs_its_sessions_token_and_its_own_site() {
    let api = Api::start(builder()).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let other = Browser::sign_in(&api, ROOT).await;
    let with = |token: &str| {
        form(
            "/console/access-keys",
            &[("name", "forged"), ("form-token", token)],
        )
        .header("cookie", &browser.cookie)
    };
    for token in ["", "x", &other.form_token] {
        assert_eq!(ask(&api, with(token)).await.status(), 403, "{token:?}");
    }
    let good = || with(&browser.form_token);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = ask(&api, good().header(name, value)).await;
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let json = Request::post("/console/access-keys", "{}").header("cookie", &browser.cookie);
    assert_eq!(ask(&api, json).await.status(), 415);
    let none = api.get("/access-keys").await;
    assert!(!none.to_string().contains("forged"), "{none}");
    let origin = format!("http://{}", api.gateway.admin);
    let answer = ask(&api, good().header("origin", &origin)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.text().contains("tg-"), "the token, once");
}

#[tokio::test]
async fn pages_carry_a_policy_and_are_only_read() {
    let api = Api::start(builder()).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let answer = browser.read("/").await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'));
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for path in PAGES {
        let text = browser.page(path).await;
        for inline in ["style=", "<style", "onclick", "javascript:", "//cdn"] {
            assert!(!text.contains(inline), "{path}: {inline}");
        }
        assert!(!text.contains("<script>"), "{path}");
    }
    for (method, path, status) in [
        ("PUT", "/console/books", 405),
        ("DELETE", "/console/access-keys", 405),
        ("GET", "/console/nothing", 404),
        ("GET", "/console/books/more", 404),
        ("GET", "/console/requests/req_nobody", 404),
        ("GET", "/console/access-keys/nobody", 404),
        ("GET", "/console/catalog/nobody:nothing", 404),
        ("GET", "/console/assets/nothing.js", 404),
        ("GET", "/console/sign-out", 405),
        ("GET", "/console", 303),
    ] {
        let request = Request {
            method,
            ..Request::get(path).header("cookie", &browser.cookie)
        };
        let answer = ask(&api, request).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        let is_page = answer.header("content-type") == Some("text/html; charset=utf-8");
        assert!(is_page || status == 303, "{method} {path}");
    }
    assert_eq!(browser.send("/console/books", &[]).await.status(), 405);
    for (name, kind) in [
        ("console.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let path = format!("/console/assets/{name}");
        let answer = ask(&api, Request::get(&path)).await;
        assert_eq!(
            (answer.status(), answer.header("content-type")),
            (200, Some(kind))
        );
    }
    let reference = ask(&api, Request::get("/reference")).await;
    assert!(reference.text().contains("/openapi.json"));
}

#[tokio::test]
async fn what_a_role_may_not_do_is_not_offered_and_not_done() {
    let api = Api::start(builder()).await;
    let reader = Browser::sign_in(&api, READER).await;
    for path in PAGES {
        let text = reader.page(path).await;
        // The sign-out is a form.
        assert_eq!(text.matches("method=\"post\"").count(), 1, "{path}");
    }
    for path in [
        "access-keys",
        "api-keys",
        "accounts",
        "credits",
        "providers",
    ] {
        let answer = reader
            .send(&format!("/console/{path}"), &[("id", "x")])
            .await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    let made = api
        .create("/api-keys", json!({"name": "bill", "role": "usage-only"}))
        .await;
    let bill = Browser::sign_in(&api, made["token"].as_str().unwrap()).await;
    for path in PAGES {
        let all = [
            "/",
            "/console/requests",
            "/console/usage",
            "/console/credits",
        ];
        let offered = all.contains(&path);
        let status = bill.read(path).await.status();
        assert_eq!(status, if offered { 200 } else { 403 }, "{path}");
    }
    let text = bill.page("/").await;
    assert!(!text.contains("/console/books"), "the menu has what it may");
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another_on_any_page() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let config = json!({"ledger": {"flush": "20ms"}});
    let api = Api::start(builder().fake("good", &fake).config(config)).await;
    for secret in ["theirs-one", "theirs-two"] {
        api.create("/access-keys", json!({"name": secret})).await;
        api.create("/api-keys", json!({"name": secret})).await;
    }
    let configuration = json!({"name": "theirs-three"});
    let made = api
        .create("/access-key-configurations", configuration)
        .await;
    assert_eq!(api.chat("good:m").await, 200);
    let tenant = Browser::sign_in(&api, ACME).await;
    for path in PAGES {
        let answer = tenant.read(path).await;
        let of_all = ["/console/accounts", "/console/fleet"].contains(&path);
        let expected = if of_all { 403 } else { 200 };
        assert_eq!(answer.status(), expected, "{path}");
        let text = answer.text();
        for theirs in ["theirs", &*id(&made), "good-key", "default"] {
            assert!(!text.contains(theirs), "{path} tells {theirs}");
        }
    }
    let path = format!("/console/configurations/{}", id(&made));
    assert_eq!(tenant.read(&path).await.status(), 404);
    for path in PAGES.iter().filter(|path| !path.contains("/catalog")) {
        let other = tenant.read(&format!("{path}?account=default")).await;
        assert_eq!(other.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn markup_and_secrets_stay_out_of_pages() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let builder = builder()
        .fake("good", &fake)
        .config(json!({"ledger": {"flush": "20ms"}}));
    let api = Api::start(builder).await;
    let named = json!({"name": MARKUP, "description": MARKUP, "metadata": MARKUP});
    api.create("/access-keys", named.clone()).await;
    api.create("/api-keys", named.clone()).await;
    api.create("/accounts", named).await;
    let secret = "sk-of-nobody-0123456789-of-nobody";
    let body = json!({"providerId": "openai", "name": MARKUP, "value": secret});
    api.create("/provider-keys", body).await;
    let model = format!("good:{MARKUP}");
    let request = Request::chat(&[&model], false)
        .header("user-agent", MARKUP)
        .header("x-request-id", "seen");
    api.ask(&request).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let end = tollgate_base::clock::now() + PATIENCE;
    while !browser.page("/console/requests").await.contains("good:") {
        assert!(tollgate_base::clock::now() < end, "the request is listed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let escaped: String = MARKUP.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut pages: Vec<String> = PAGES.map(str::to_owned).to_vec();
    pages.push(format!("/console/requests?model={escaped}&key={escaped}"));
    pages.push(format!("/console/catalog?search={escaped}"));
    pages.push(format!("/?period={escaped}&done={escaped}"));
    let mut seen = 0;
    for path in &pages {
        let text = browser.page(path).await;
        assert!(!text.contains("<script>alert"), "{path}");
        seen += text.matches("&lt;script&gt;").count();
        for secret in [secret, TOKEN, ACME_TOKEN, ROOT, "KEY-good"] {
            assert!(!text.contains(secret), "{path} tells {secret}");
        }
    }
    assert!(seen > 5, "it is shown as text: {seen}");
}

#[tokio::test]
async fn a_chat_goes_through_the_proxy_and_its_token_is_not_shown_again() {
    let fake = Fake::good(Wire::H1, "<b>good</b> day").await;
    let api = Api::start(builder().fake("good", &fake)).await;
    let browser = Browser::sign_in(&api, ROOT).await;
    let path = "/console/playground";
    let fields = [
        ("access-token", TOKEN),
        ("model", "good:m"),
        ("prompt", "Hello"),
    ];
    let answer = browser.send(path, &fields).await;
    let text = answer.text();
    assert_eq!(answer.status(), 200, "{text}");
    assert!(text.contains("&lt;b&gt;good&lt;/b&gt; day"), "{text}");
    assert!(
        text.contains("x-tollgate-provider") && !text.contains(TOKEN),
        "{text}"
    );
    let seen = fake.seen().remove(0);
    assert_eq!(seen.json()["messages"][0]["content"], "Hello");
    assert_eq!(seen.header("authorization"), Some("Bearer KEY-good"));

    let before = r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#;
    let more = [&fields[..], &[("history", before)]].concat();
    let streamed = browser
        .send(&format!("{path}?stream=1"), &more)
        .await
        .text();
    let (head, rest) = streamed.split_once('\n').unwrap();
    let head: serde_json::Value = serde_json::from_str(head).unwrap();
    assert_eq!(head["status"], 200);
    assert!(
        rest.contains("data: {") && rest.contains("[DONE]"),
        "{rest}"
    );
    assert_eq!(
        fake.seen()[1].json()["messages"].as_array().unwrap().len(),
        3
    );

    let wrong = [("access-token", "tg-x"), fields[1], fields[2]];
    let answer = browser.send(path, &wrong).await.text();
    assert!(
        answer.contains("class=\"fault\""),
        "the proxy's refusal: {answer}"
    );
    let less = browser.send(path, &[fields[0], ("model", "good:m")]).await;
    assert_eq!(less.status(), 422);
    assert!(less.text().contains("prompt-fault") && !less.text().contains(TOKEN));
    let reader = Browser::sign_in(&api, READER).await;
    assert_eq!(reader.send(path, &fields).await.status(), 403);
    assert_eq!(fake.count(), 2);
}
