//! Price feeds, with the real binary: what they change, what they must not, and what outlives whom.

mod commands;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Script, chat_stop, chat_usage, chat_word};
use crate::common::{PATIENCE, eventually};

/// Part of a feed's address, which may never be written down.
const CREDENTIAL: &str = "feed-credential-5150";

/// The provider `p` with the model `m`, which a managed key pays for and has no price of its own.
async fn upstream(pause: u64) -> Fake {
    Fake::answering(Wire::H1, move |seen| {
        match seen.json()["stream"].as_bool() {
            Some(true) => Script::sse()
                .data(chat_word("one "))
                .wait(pause)
                .data(chat_word("two"))
                .data(chat_stop())
                .data(chat_usage())
                .data("data: [DONE]\n\n"),
            _ => Script::chat(false, "hi"),
        }
    })
    .await
}

fn gateway(upstream: &Fake, feeds: Value) -> Builder {
    let mut p = provider("p", upstream);
    p["keys"] = json!([]);
    p["managed_keys"] = json!([{"id": "house", "value": "HOUSE-KEY"}]);
    p["models"] = json!([{"id": "m"}, {"id": "n", "prices": {"input": 1, "output": 1}}]);
    Gateway::builder().provider(p).config(json!({
        "ledger": {"processing_fee": 0, "flush": "20ms"},
        "timeouts": {"stream_idle": "30s"},
        "catalog": {"feeds": feeds},
    }))
}

/// A feed of our own format with this price of `p:m`.
fn own(price: f64) -> String {
    let prices = json!({"input": price, "output": price});
    json!({"providers": [{"id": "p", "models": [{"id": "m", "prices": prices}]}]}).to_string()
}

/// Puts a file in the place of another one, whole.
fn put(path: &Path, text: &str) {
    let beside = path.with_extension("put");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn text(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|it| String::from_utf8_lossy(it).into_owned())
        .concat()
}

/// What a request for `m` is charged, and where its price comes from; `None` if it has no price.
async fn charged(gateway: &Gateway) -> Option<String> {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let answer = client.ask(&Request::chat(&["p:m"], false)).await;
    if answer.status() == 422 {
        assert_eq!(answer.code(), "ERR_TOLLGATE_3806", "{}", answer.text());
        return None;
    }
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Some(explained(gateway, answer.header("x-request-id").unwrap()).await)
}

async fn explained(gateway: &Gateway, request: &str) -> String {
    let end = tollgate_base::clock::now() + PATIENCE;
    loop {
        let output = gateway.command(&["usage", "explain", request]);
        if output.status.success() {
            return text(&output);
        }
        assert!(tollgate_base::clock::now() < end, "{}", text(&output));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a request is charged so much: US dollars, of the fake's 10 tokens.
async fn charges(gateway: &Gateway, usd: &str) -> String {
    let end = tollgate_base::clock::now() + PATIENCE;
    loop {
        let said = charged(gateway).await;
        match said {
            Some(said) if said.contains(usd) => return said,
            other => assert!(
                tollgate_base::clock::now() < end,
                "{usd} is not in {other:?}\n{}",
                gateway.output()
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn metric(gateway: &Gateway, name: &str, feed: &str) -> Option<f64> {
    let line = format!("tollgate_catalog_feed_{name}{{feed=\"{feed}\"}} ");
    let metrics = gateway.admin_get("/metrics");
    metrics
        .lines()
        .find_map(|it| it.strip_prefix(&line)?.parse().ok())
}

async fn told(gateway: &Gateway, what: &str) {
    let told = eventually(PATIENCE, || gateway.output().contains(what)).await;
    assert!(told, "{what} is not in {}", gateway.output());
}

#[tokio::test]
async fn a_feed_is_taken_in_while_requests_run_and_each_pays_what_held_when_it_came() {
    let upstream = upstream(6_000).await;
    let feeds = json!([{"id": "prices", "file": "prices.json", "format": "tollgate"}]);
    let gateway = gateway(&upstream, feeds).start().await;
    told(&gateway, "the price feed `prices` changes nothing: ").await;
    assert_eq!(charged(&gateway).await, None, "nobody knows its price");
    put(&gateway.path("prices.json"), &own(1.0));
    let said = charges(&gateway, "0.00001").await;
    assert!(said.contains("feed prices 20"), "{said}");

    let mut client = Client::connect(Version::H1, gateway.address).await;
    let head = client.begin(&Request::chat(&["p:m"], true)).await.unwrap();
    let id = head.header("x-request-id").unwrap().to_owned();
    put(&gateway.path("prices.json"), &own(8.0));
    charges(&gateway, "0.00008").await;
    let answer = client.finish(head, tollgate_base::clock::now()).await;
    assert!(answer.clean, "{}", answer.text());
    let said = explained(&gateway, &id).await;
    assert!(
        said.contains("0.00001"),
        "it began before the new price: {said}"
    );

    let shown = text(&gateway.command(&["catalog", "show", "p:m"]));
    assert!(shown.contains("[1] feed prices 20"), "{shown}");
    assert_eq!(metric(&gateway, "models", "prices"), Some(1.0));
    assert_eq!(metric(&gateway, "held_back", "prices"), Some(0.0));
    assert!(metric(&gateway, "last_success_timestamp_seconds", "prices") > Some(1e9));
}

/// A publisher of LiteLLM's format, with this price of `p:m` in US dollars per million tokens.
async fn publisher(price: Arc<AtomicU64>) -> Fake {
    Fake::answering(Wire::H1, move |_| {
        let price = format!("{}e-6", price.load(Ordering::Relaxed));
        let price: Value = serde_json::from_str(&price).unwrap();
        let model = json!({"litellm_provider": "p", "input_cost_per_token": price, "output_cost_per_token": price});
        Script::json(200, &json!({"p/m": model}))
    })
    .await
}

// Commands ask the publisher, too.
#[tokio::test(flavor = "multi_thread")]
async fn wild_prices_wait_to_be_accepted_and_what_holds_outlives_gateway_and_feed() {
    let upstream = upstream(0).await;
    let price = Arc::new(AtomicU64::new(1));
    let publisher = publisher(price.clone()).await;
    let url = format!(
        "http://{}/prices.json?token={CREDENTIAL}",
        publisher.address
    );
    let mut gateway = gateway(
        &upstream,
        json!([{"url": url, "format": "litellm", "refresh": "1m"}]),
    )
    .start()
    .await;
    charges(&gateway, "0.00001").await;

    price.store(100, Ordering::Relaxed);
    gateway.stop().await;
    gateway.restart().await;
    told(&gateway, "new prices of 1 models are held back").await;
    assert!(
        gateway
            .output()
            .contains(": p:m; see `tollgate catalog diff`"),
        "{}",
        gateway.output()
    );
    assert_eq!(metric(&gateway, "held_back", "litellm"), Some(1.0));
    charges(&gateway, "0.00001").await;

    let diff = gateway.command(&["catalog", "diff"]);
    let said = text(&diff);
    assert_eq!(diff.status.code(), Some(1), "{said}");
    for line in [
        ["p:m", "input", "1", "100", "held"],
        ["p:m", "output", "1", "100", "held"],
    ] {
        let found = said.lines().any(|said| {
            line.iter()
                .all(|word| said.split_whitespace().any(|it| it == *word))
        });
        assert!(found, "{line:?}: {said}");
    }
    assert!(
        said.contains("litellm: 0 models would change, 1 would be held back"),
        "{said}"
    );
    let none = gateway.command(&["catalog", "accept", "--feed", "litellm", "p:n"]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));
    let accepted = gateway.command(&["catalog", "accept", "p:m"]);
    assert_eq!(
        (accepted.status.code(), &*text(&accepted)),
        (Some(0), "litellm: p:m taken in\n")
    );
    charges(&gateway, "0.001").await;
    assert!(
        eventually(PATIENCE, || metric(&gateway, "held_back", "litellm")
            == Some(0.0))
        .await
    );
    assert_eq!(gateway.command(&["catalog", "diff"]).status.code(), Some(0));

    let address = publisher.address;
    drop(publisher);
    gateway.kill();
    gateway.restart().await;
    charges(&gateway, "0.001").await;
    told(
        &gateway,
        &format!("the price feed `litellm` changes nothing: http://{address}/prices.json: "),
    )
    .await;
    assert!(metric(&gateway, "failures_total", "litellm") >= Some(1.0));
    let diff = gateway.command(&["catalog", "diff", "--feed", "litellm"]);
    assert_eq!(diff.status.code(), Some(2), "{}", text(&diff));
    for said in [
        gateway.output(),
        text(&diff),
        text(&gateway.command(&["check"])),
    ] {
        assert!(!said.contains(CREDENTIAL), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_feed_changes_nothing_and_says_why() {
    let upstream = upstream(0).await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("good"), own(1.0)).unwrap();
    for (to, link) in [
        ("good", "mounted"),
        ("directory", "link"),
        ("/dev/zero", "zero"),
        ("absent", "dangling"),
    ] {
        symlink(at(to), at(link)).unwrap();
    }
    assert!(
        Command::new("mkfifo")
            .arg(at("pipe"))
            .status()
            .unwrap()
            .success()
    );
    fs::create_dir(at("directory")).unwrap();
    let large = fs::File::create(at("large")).unwrap();
    large.set_len(200 << 20).unwrap();
    fs::write(at("latin"), b"{\"\xe9\": 1}").unwrap();
    fs::write(at("page"), "<html><body>Sign in</body></html>").unwrap();
    fs::write(at("cut"), &own(2.0)[..40]).unwrap();
    fs::write(at("tiny"), own(1e-30)).unwrap();
    let elsewhere = Script::new()
        .head(302, &[("location", "http://169.254.169.254/")])
        .data("");
    let elsewhere = Fake::start(Wire::H1, elsewhere).await;
    let cases = [
        ("link", "tollgate", "it is not a regular file"),
        ("zero", "tollgate", "it is not a regular file"),
        ("dangling", "tollgate", "No such file"),
        ("pipe", "litellm", "it is not a regular file"),
        ("directory", "litellm", "it is not a regular file"),
        ("large", "genai-prices", "it is larger than 64 MiB"),
        ("latin", "litellm", "line 1: it is not UTF-8"),
        ("page", "models.dev", "it is no JSON but a page"),
        ("cut", "genai-prices", "it is not JSON: EOF"),
        ("tiny", "tollgate", "providers[0].models[0].prices.input: "),
        ("absent", "litellm", "No such file"),
        ("good", "litellm", "is it of the format `litellm`?"),
    ];
    let mut feeds = vec![json!({"id": "base", "file": at("mounted"), "format": "tollgate"})];
    feeds.extend(cases.iter().map(
        |(file, format, _)| json!({"id": format!("x-{file}"), "file": at(file), "format": format}),
    ));
    let urls = [
        (
            "x-302",
            format!("http://{}/", elsewhere.address),
            "it answers 302: redirects are not followed",
        ),
        (
            "x-nobody",
            "http://127.0.0.1:1/".to_owned(),
            "it cannot be fetched",
        ),
    ];
    feeds.extend(
        urls.iter()
            .map(|(id, url, _)| json!({"id": id, "url": url, "format": "litellm"})),
    );
    let gateway = gateway(&upstream, json!(feeds)).start().await;
    charges(&gateway, "0.00001").await;
    let files = cases
        .iter()
        .map(|(file, _, why)| (format!("x-{file}"), *why));
    let urls = urls.iter().map(|(id, _, why)| ((*id).to_owned(), *why));
    for (id, why) in files.chain(urls) {
        let begins = format!("the price feed `{id}` changes nothing: ");
        told(&gateway, &begins).await;
        let output = gateway.output();
        let lines: Vec<&str> = output
            .lines()
            .filter(|line| line.contains(&begins))
            .collect();
        assert!(
            lines.len() == 1 && lines[0].contains(why),
            "{why}: {lines:?}"
        );
        assert_eq!(metric(&gateway, "failures_total", &id), Some(1.0), "{id}");
        assert!(!gateway.path(&format!("data/feeds/{id}.tsv")).exists());
    }
    // And the one that was good, when it is not any more.
    let kept = fs::read(gateway.path("data/feeds/base.tsv")).unwrap();
    put(&at("good"), "{}");
    told(&gateway, "the price feed `base` changes nothing: ").await;
    assert_eq!(fs::read(gateway.path("data/feeds/base.tsv")).unwrap(), kept);
    charges(&gateway, "0.00001").await;
}

#[tokio::test]
async fn what_is_kept_is_not_believed_when_it_was_spoilt() {
    let upstream = upstream(0).await;
    let feeds = json!([{"id": "prices", "file": "prices.json", "format": "tollgate"}]);
    let mut gateway = gateway(&upstream, feeds).start().await;
    put(&gateway.path("prices.json"), &own(1.0));
    charges(&gateway, "0.00001").await;
    let kept = gateway.path("data/feeds/prices.tsv");
    let good = fs::read_to_string(&kept).unwrap();
    put(&kept, &good.replace("input=1", "input=1e-30"));
    told(
        &gateway,
        "configuration not reloaded, the one in force is kept",
    )
    .await;
    told(
        &gateway,
        "data/feeds/prices.tsv: what is kept of the price feed `prices`: line 3: `input=1e-30`",
    )
    .await;
    charges(&gateway, "0.00001").await;

    fs::remove_file(gateway.path("prices.json")).unwrap();
    gateway.stop().await;
    gateway.restart().await;
    assert_eq!(charged(&gateway).await, None, "a start goes on without it");
    put(&gateway.path("prices.json"), &own(1.0));
    charges(&gateway, "0.00001").await;

    // Through a link nothing is read, and nothing is written.
    gateway.stop().await;
    fs::write(gateway.path("victim"), "mine").unwrap();
    fs::remove_file(&kept).unwrap();
    symlink(gateway.path("victim"), &kept).unwrap();
    gateway.restart().await;
    charges(&gateway, "0.00001").await;
    assert_eq!(fs::read_to_string(gateway.path("victim")).unwrap(), "mine");
    assert!(!fs::symlink_metadata(&kept).unwrap().is_symlink());
}
