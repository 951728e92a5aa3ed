//! A configuration that changes under a running gateway.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::{Value, json};

use super::help::{SOON, answers, signal, slow_words};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, sha256};
use crate::common::requests::Request;
use crate::common::script::Script;
use crate::common::{TOKEN, eventually, sse};

/// How soon a change must be in force; what the machine's other work takes comes on top.
const PROMPT: Duration = Duration::from_secs(5);

fn with(token: &str) -> Request {
    Request::get("/v1/models")
        .without("authorization")
        .header("authorization", &format!("Bearer {token}"))
}

/// The running configuration with these access keys instead.
fn text(gateway: &Gateway, tokens: &[&str]) -> String {
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(gateway.path("tollgate.yaml")).unwrap()).unwrap();
    let keys = tokens
        .iter()
        .map(|token| json!({"id": token.split('-').nth(1), "sha256": sha256(token)}));
    config["access_keys"] = keys.collect();
    serde_json::to_string_pretty(&config).unwrap()
}

async fn only(gateway: &Gateway, good: &str, bad: &str, how: &str) {
    assert!(
        answers(gateway.address, &with(good), 200, PROMPT).await,
        "{how}: the new key works"
    );
    assert!(
        answers(gateway.address, &with(bad), 401, PROMPT).await,
        "{how}: the removed key is refused"
    );
}

#[tokio::test]
async fn every_way_to_change_the_file_is_noticed_and_a_running_stream_goes_on() {
    let fake = Fake::answering(Wire::H1, |seen| match seen.json()["stream"].as_bool() {
        Some(true) => slow_words(24, 250),
        _ => Script::chat(false, "hi"),
    })
    .await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let other = TOKEN.replace("tg-test-", "tg-other-");
    let (test, other) = (TOKEN, other.as_str());
    let file = gateway.path("tollgate.yaml");
    let mut stream = Client::connect(Version::H1, gateway.address).await;
    let head = stream.begin(&Request::chat(&["m"], true)).await.unwrap();

    fs::write(&file, text(&gateway, &[other])).unwrap();
    only(&gateway, other, test, "written in place").await;

    fs::write(gateway.path("new.yaml"), text(&gateway, &[test])).unwrap();
    fs::rename(gateway.path("new.yaml"), &file).unwrap();
    only(&gateway, test, other, "renamed over").await;

    // As a Kubernetes config map is mounted: tollgate.yaml -> mounted/tollgate.yaml, mounted -> v1.
    for (version, token) in [("v1", test), ("v2", other), ("v3", test)] {
        fs::create_dir(gateway.path(version)).unwrap();
        fs::write(
            gateway.path(version).join("tollgate.yaml"),
            text(&gateway, &[token]),
        )
        .unwrap();
    }
    symlink("v1", gateway.path("mounted")).unwrap();
    symlink("mounted/tollgate.yaml", gateway.path("link")).unwrap();
    fs::rename(gateway.path("link"), &file).unwrap();
    for (version, good, bad) in [("v2", other, test), ("v3", test, other)] {
        symlink(version, gateway.path("mounted.new")).unwrap();
        fs::rename(gateway.path("mounted.new"), gateway.path("mounted")).unwrap();
        only(&gateway, good, bad, "symlink swapped").await;
    }

    let answer = stream.finish(head, tollgate_base::clock::now()).await;
    assert!(
        answer.clean,
        "the stream outlives its key: {}",
        answer.text()
    );
    assert!(
        sse::chat_text(&answer.body).ends_with("w23 "),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_faulty_file_changes_nothing_but_is_told_and_counted() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let good = fs::read_to_string(gateway.path("tollgate.yaml")).unwrap();
    let line = good
        .lines()
        .position(|line| line.contains("\"per_request\""))
        .unwrap()
        + 1;
    let bad = good.replace("\"per_request\": \"700ms\"", "\"per_request\": \"soon\"");
    assert_ne!(good, bad);
    fs::write(gateway.path("tollgate.yaml"), bad).unwrap();
    signal(&gateway, "HUP");
    let told = format!("tollgate.yaml:{line}");
    assert!(
        eventually(SOON, || gateway.output().contains(&told)).await,
        "{told} is not in {}",
        gateway.output()
    );
    let metrics = gateway.admin_get("/metrics");
    assert!(
        metrics.contains("tollgate_config_last_reload_successful 0"),
        "{metrics}"
    );
    assert!(
        metrics.contains("tollgate_config_reloads_total{result=\"error\"}"),
        "{metrics}"
    );
    assert!(answers(gateway.address, &Request::chat(&["m"], false), 200, SOON).await);
    fs::write(gateway.path("tollgate.yaml"), good).unwrap();
    let mended = || {
        gateway
            .admin_get("/metrics")
            .contains("tollgate_config_last_reload_successful 1")
    };
    assert!(eventually(SOON, mended).await);
}

#[tokio::test]
async fn a_rotated_access_log_is_opened_anew_at_sighup() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let lines = |name: &str| {
        fs::read_to_string(gateway.path(name))
            .unwrap_or_default()
            .lines()
            .count()
    };
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let ask = Request::chat(&["m"], false);
    client.ask(&ask).await;
    assert!(eventually(SOON, || lines("access.log") == 1).await);
    fs::rename(gateway.path("access.log"), gateway.path("access.log.1")).unwrap();
    client.ask(&ask).await;
    assert!(
        eventually(SOON, || lines("access.log.1") == 2).await,
        "until it is told"
    );
    signal(&gateway, "HUP");
    assert!(eventually(SOON, || gateway.path("access.log").exists()).await);
    client.ask(&ask).await;
    assert!(
        eventually(SOON, || lines("access.log") == 1).await,
        "after it was told"
    );
    assert_eq!(lines("access.log.1"), 2, "no line is lost or doubled");
}
