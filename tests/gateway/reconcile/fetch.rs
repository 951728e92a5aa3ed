//! Reports that are fetched.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::common::fake::{Seen, Wire};
use crate::common::script::{Act, Script};

/// A key that may be seen nowhere.
const ADMIN: &str = "sk-admin-NeverSeenAnywhere0123456789";

/// An API that answers these pages: by path, one bucket a page.
async fn api(pages: Vec<(&'static str, Value)>) -> Fake {
    Fake::answering(Wire::TlsH1, move |seen| answer(seen, &pages)).await
}

fn answer(seen: &Seen, pages: &[(&'static str, Value)]) -> Script {
    let authorized = seen.header("authorization") == Some(&format!("Bearer {ADMIN}"))
        || seen.header("x-api-key") == Some(ADMIN);
    if !authorized {
        let said = seen.header("authorization").unwrap_or_default();
        return Script::error(401, &format!("Incorrect API key provided: {said}"));
    }
    let (path, query) = seen.path.split_once('?').unwrap();
    let Some((_, page)) = pages.iter().find(|(own, _)| *own == path) else {
        let empty =
            json!({"object": "page", "data": all_days(), "has_more": false, "next_page": null});
        return Script::json(200, &empty);
    };
    let buckets = page["data"].as_array().unwrap();
    let number = query
        .split('&')
        .find_map(|one| one.strip_prefix("page=page_"))
        .map_or(0, |number| number.parse().unwrap());
    let mut own = page.clone();
    own["data"] = json!([buckets[number]]);
    if number + 1 < buckets.len() {
        own["has_more"] = json!(true);
        own["next_page"] = json!(format!("page_{}", number + 1));
    }
    Script::json(200, &own)
}

/// Buckets in which nothing was used.
fn all_days() -> Vec<Value> {
    let days = Days::around_now();
    (days.from..days.to)
        .step_by(86_400)
        .map(|day| json!({"object": "bucket", "start_time": day, "end_time": day + DAY, "results": []}))
        .collect()
}

/// The address of an API, without the part that providers' base URLs have.
fn url(api: &Fake) -> String {
    format!("https://{}", api.address)
}

/// `tollgate reconcile --fetch` with more arguments.
fn fetched(gateway: &Gateway, provider: &str, url: &str, more: &[&str]) -> Output {
    let days = Days::around_now();
    let (first, last) = (days.first(), days.last());
    let ca = gateway.path("ca.pem");
    let mut args = vec![
        "reconcile",
        "--provider",
        provider,
        "--from",
        &first,
        "--to",
        &last,
        "--fetch",
        "--url",
        url,
        "--ca",
        ca.to_str().unwrap(),
    ];
    args.extend(more);
    let output = gateway.command(&args);
    assert!(
        !said(&output).contains(ADMIN),
        "the key is said: {}",
        said(&output)
    );
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_fetched_page_by_page_with_an_admin_key() {
    let (vendor, fake) = Vendor::start().await;
    let gateway = gateway(&fake).env("ACME_ADMIN", ADMIN).start().await;
    traffic(&[&gateway], &vendor, 30).await;
    let days = Days::around_now();
    let [costs, usage] = vendor.openai(Billing::HONEST, days.span());
    let openai = api(vec![
        ("/v1/organization/costs", costs),
        ("/v1/organization/usage/completions", usage),
    ])
    .await;
    let more = ["--api", "openai", "--key-env", "ACME_ADMIN"];
    let output = fetched(&gateway, "acme", &url(&openai), &more);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let asked = openai.seen();
    let costs: Vec<&str> = asked
        .iter()
        .map(|seen| seen.path.as_str())
        .filter(|path| path.starts_with("/v1/organization/costs?"))
        .collect();
    assert_eq!(costs.len(), 3, "a day a page: {costs:?}");
    assert!(
        costs[0].contains(&format!("start_time={}&end_time={}", days.from, days.to))
            && costs[0].contains("group_by=line_item")
            && costs[0].contains("group_by=api_key_id"),
        "{costs:?}"
    );

    let [costs, usage] = vendor.anthropic(Billing::HONEST, days.span());
    let anthropic = api(vec![
        ("/v1/organizations/cost_report", costs),
        ("/v1/organizations/usage_report/messages", usage),
    ])
    .await;
    let key = gateway.path("admin.key");
    std::fs::write(&key, format!("{ADMIN}\n")).unwrap();
    let more = ["--api", "anthropic", "--key-file", key.to_str().unwrap()];
    let output = fetched(&gateway, "claudia", &url(&anthropic), &more);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let asked = anthropic.seen();
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("anthropic-version") == Some("2023-06-01"))
    );
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_fetched_says_why_and_never_the_key() {
    let (_vendor, fake) = Vendor::start().await;
    let gateway = gateway(&fake)
        .env("ACME_ADMIN", ADMIN)
        .env("WRONG_ADMIN", "sk-wrong-NeverSeenEither")
        .start()
        .await;
    let plain = Fake::good(Wire::H1, "hello").await;
    let strict = api(Vec::new()).await;
    let moved = Fake::start(
        Wire::TlsH1,
        Script::new()
            .length()
            .head(302, &[("location", "https://example.com/")]),
    )
    .await;
    let endless = Fake::answering(Wire::TlsH1, |_| {
        Script::json(
            200,
            &json!({"object": "page", "data": [], "has_more": true, "next_page": "page_x"}),
        )
    })
    .await;
    let words = Fake::start(
        Wire::TlsH1,
        Script::new().length().head(200, &[]).data("hello"),
    )
    .await;
    let cut = Fake::start(Wire::TlsH1, Script::new().then(Act::Cut)).await;
    let acme = ["--api", "openai", "--key-env", "ACME_ADMIN"];
    let base = |fake: &Fake| url(fake);
    for (url, more, expected) in [
        (
            format!("http://{}", plain.address),
            &acme[..],
            "is not https",
        ),
        (
            base(&strict),
            &["--api", "openai"][..],
            "set OPENAI_ADMIN_KEY",
        ),
        (
            base(&strict),
            &["--key-env", "ACME_ADMIN"][..],
            "Say --api openai or --api anthropic",
        ),
        (
            base(&strict),
            &["--api", "openai", "--key-env", "WRONG_ADMIN"][..],
            "answers 401",
        ),
        (
            base(&strict),
            &["--api", "openai", "--key-file", "nowhere"][..],
            "cannot be read from nowhere",
        ),
        (base(&moved), &acme[..], "answers 302"),
        (base(&endless), &acme[..], "does not say which"),
        (base(&words), &acme[..], "the answer is no page of a report"),
        (base(&cut), &acme[..], "it cannot be fetched"),
    ] {
        let output = fetched(&gateway, "acme", &url, more);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "expected {expected}: {said}");
        assert!(!said.contains("NeverSeenEither"), "{said}");
    }
    assert_eq!(plain.count(), 0, "no key goes over plain http");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_busy_is_asked_again() {
    let (vendor, fake) = Vendor::start().await;
    let gateway = gateway(&fake).env("OPENAI_ADMIN_KEY", ADMIN).start().await;
    traffic(&[&gateway], &vendor, 3).await;
    let days = Days::around_now();
    let [costs, usage] = vendor.openai(Billing::HONEST, days.span());
    let pages = vec![
        ("/v1/organization/costs", costs),
        ("/v1/organization/usage/completions", usage),
    ];
    let asked = AtomicUsize::new(0);
    let busy = Fake::answering(Wire::TlsH1, move |seen| {
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Script::error_with(429, "slowly", &[("retry-after", "0")]),
            1 => Script::error_with(503, "soon", &[("retry-after", "0")]),
            _ => answer(seen, &pages),
        }
    })
    .await;
    let output = fetched(&gateway, "acme", &url(&busy), &["--api", "openai"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("answers 429; again in 0 s"),
        "{}",
        said(&output)
    );
}
