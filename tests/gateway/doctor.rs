//! `tollgate doctor`, beside real gateways, a real `redis-server` and scripted providers.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::certs;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::process::Process;
use crate::common::script::Script;
use serde_json::{Value, json};

/// Runs it in a directory; returns its exit code and what it found.
fn doctor(dir: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["doctor", "--json"])
        .args(arguments)
        .current_dir(dir)
        .env_remove("TOLLGATE_CONFIG")
        .env_remove("TOLLGATE_ADMIN_KEY")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("KEY-"), "a credential: {text}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{said}"));
    (output.status.code(), value)
}

fn write(dir: &Path, config: &Value) -> String {
    let file = dir.join("tollgate.yaml");
    fs::write(&file, config.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The level of the finding of an area whose words contain these.
fn level<'v>(found: &'v Value, area: &str, words: &str) -> &'v str {
    let all = found["findings"].as_array().unwrap();
    let one = all
        .iter()
        .find(|one| one["area"] == area && one["what"].as_str().unwrap().contains(words));
    let one = one.unwrap_or_else(|| panic!("nothing about {area} says {words}: {found:#}"));
    let advice = one["advice"].as_str().unwrap_or_default();
    assert_eq!(
        one["level"] == "ok",
        advice.is_empty(),
        "what is wrong says what to do: {one}"
    );
    one["level"].as_str().unwrap()
}

#[test]
fn faults_of_a_configuration_are_findings_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tollgate.yaml");
    fs::write(&file, "proxy:\n  threds: 2\n").unwrap();
    let (code, found) = doctor(dir.path(), &["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert_eq!(
        level(
            &found,
            "config",
            "tollgate.yaml:2: proxy.threds: unknown field"
        ),
        "error"
    );
    assert_eq!(
        (&found["level"], &found["errors"]),
        (&json!("error"), &json!(1))
    );
}

#[test]
fn this_machine_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = certs::leaf_pem();
    for (name, text) in [
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("file", &String::new()),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let tls = json!({"listen": ["127.0.0.1:8443"], "cert": "tls.crt", "key": "tls.key"});
    let config = json!({
        "proxy": {"tls": tls},
        "ledger": {"sqlite": {"path": "data/money.db"}, "journal": "data/journal"},
    });
    let file = write(dir.path(), &config);
    let (code, found) = doctor(dir.path(), &["--config", &file]);
    assert_eq!(code, Some(0), "{found:#}");
    assert_eq!(level(&found, "config", "is valid"), "ok");
    level(&found, "certificate", "of the proxy");
    level(&found, "journal", "data/journal can be written");
    level(&found, "files", "a process may open");
    assert_eq!(level(&found, "sqlite", "is made by the first start"), "ok");
    assert!(!dir.path().join("data").exists(), "nothing is made");
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_str().unwrap().contains("doctor")),
        "nothing is left: {left:?}"
    );

    // A file where the journal's directory should be.
    let config =
        json!({"ledger": {"sqlite": {"path": "data/money.db"}, "journal": "file/journal"}});
    let file = write(dir.path(), &config);
    let (code, found) = doctor(dir.path(), &["--config", &file]);
    assert_eq!(code, Some(1), "{found:#}");
    assert_eq!(
        level(&found, "journal", "file/journal cannot be written"),
        "error"
    );
}

#[tokio::test]
async fn a_redis_that_would_lose_money_is_an_error() {
    let redis = Process::start(&["--save", "", "--appendonly", "no"]);
    let dir = tempfile::tempdir().unwrap();
    let ledger = json!({"bank": "redis", "redis": {"url": redis.url()}, "journal": "journal"});
    let file = write(dir.path(), &json!({"ledger": ledger}));
    let look = || doctor(dir.path(), &["--config", &file]);
    let (code, found) = look();
    assert_eq!(code, Some(1), "{found:#}");
    level(&found, "redis", "the server is ");
    assert_eq!(level(&found, "redis", "it keeps nothing"), "error");
    assert_eq!(level(&found, "redis", "noeviction"), "ok");
    assert_eq!(level(&found, "clock", "ms apart"), "ok");

    let set = |name: &str, value: &str| redis.ask::<String>(&["CONFIG", "SET", name, value]);
    set("save", "3600 1");
    assert_eq!(level(&look().1, "redis", "snapshots only"), "warning");
    set("appendonly", "yes");
    let (code, found) = look();
    assert_eq!(
        (code, level(&found, "redis", "writes each change down")),
        (Some(0), "ok"),
        "{found:#}"
    );
    set("maxmemory", "100mb");
    set("maxmemory-policy", "allkeys-lru");
    let (code, found) = look();
    assert_eq!(
        (code, level(&found, "redis", "may be evicted")),
        (Some(1), "error")
    );

    drop(redis);
    let (code, found) = look();
    assert_eq!(code, Some(1));
    assert!(
        found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["area"] == "redis" && one["level"] == "error")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_are_called_once_with_each_key_and_only_when_asked() {
    let good = Fake::start(Wire::H1, Script::json(200, &json!({"data": []}))).await;
    let bad = Fake::start(Wire::H1, Script::error(401, "no")).await;
    let none = Fake::start(Wire::H1, Script::error(404, "no")).await;
    let mut keyless = provider_at("keyless", &none.base_url());
    keyless["auth"] = json!("none");
    keyless["keys"] = json!([]);
    let mut messages = provider_at("good", &good.base_url());
    messages["surfaces"] = json!(["anthropic/messages"]);
    let away = provider_at("away", &Fake::refused());
    let config = json!({
        "ledger": {"credits": "off"},
        "providers": [messages, provider_at("bad", &bad.base_url()), keyless, away],
    });
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &config);
    let look = |more: &[&str]| doctor(dir.path(), &[&["--config", &file], more].concat());
    let (code, _) = look(&[]);
    assert_eq!(
        (code, good.count() + bad.count()),
        (Some(0), 0),
        "nobody is called"
    );

    let (code, found) = tokio::task::block_in_place(|| look(&["--probe"]));
    assert_eq!(code, Some(1), "{found:#}");
    assert_eq!(
        level(
            &found,
            "providers",
            "good answers 200 to GET /models with the key good-key"
        ),
        "ok"
    );
    assert_eq!(level(&found, "providers", "bad answers 401"), "error");
    assert_eq!(level(&found, "providers", "keyless answers 404"), "ok");
    assert_eq!(
        level(&found, "providers", "away cannot be reached"),
        "error"
    );
    let seen = good.seen();
    assert_eq!(
        (seen.len(), seen[0].header("x-api-key")),
        (1, Some("KEY-good"))
    );
    assert_eq!(
        bad.seen()[0].header("authorization"),
        Some("Bearer KEY-bad")
    );
    assert_eq!(none.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_running_gateway_is_asked() {
    let key = "an-admin-key-of-the-tests-0123456789";
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder()
        .fake("p", &fake)
        .env("TOLLGATE_ADMIN_KEY", key)
        .start()
        .await;
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://{}", gateway.admin);
    let (code, found) = doctor(dir.path(), &["--url", &url, "--key", key]);
    assert_eq!(code, Some(0), "{found:#}");
    for (area, words) in [
        ("health", "lives"),
        ("health", "wants requests"),
        ("files", "files"),
        ("version", "it is "),
        ("config", "was loaded"),
        ("books", "balance"),
        ("snapshot", "has read keys"),
    ] {
        assert_eq!(level(&found, area, words), "ok");
    }
    let (code, found) = doctor(dir.path(), &["--url", &url]);
    assert_eq!(
        (code, level(&found, "books", "without an API key")),
        (Some(0), "warning")
    );
    let (code, found) = doctor(
        dir.path(),
        &["--url", &url, "--key", "another-key-that-is-not-known-here"],
    );
    assert_eq!(
        (code, found["level"].as_str()),
        (Some(1), Some("error")),
        "{found:#}"
    );

    // The next configuration has a fault: it keeps what it has, and says so.
    fs::write(gateway.path("tollgate.yaml"), "proxy: { threds: 1 }").unwrap();
    crate::common::gateway::signal(gateway.pid(), "HUP");
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    loop {
        let (code, found) = doctor(dir.path(), &["--url", &url, "--key", key]);
        if code == Some(1) {
            assert_eq!(level(&found, "config", "was refused"), "error");
            break;
        }
        assert!(
            tollgate_base::clock::now() < end,
            "it says that its configuration was refused"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (code, found) = doctor(dir.path(), &["--url", "http://127.0.0.1:9"]);
    assert_eq!(
        (code, level(&found, "health", "cannot be reached")),
        (Some(1), "error")
    );
}
