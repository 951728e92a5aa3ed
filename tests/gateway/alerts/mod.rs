//! What operators are alerted to, with the real binary: once, signed, and in the end.

mod smtp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_alerts::{Alert, AlertStore, sign};

use self::smtp::Smtp;
use crate::admin::help::{ACME, Api, builder};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Builder, Gateway, access_key, provider_at};
use crate::common::process::Process;
use crate::common::requests::{Request, from};
use crate::common::script::Script;
use crate::common::{PATIENCE, certs, eventually, free_port};
use crate::fleet;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn taken() -> Script {
    Script::new().length().head(200, &[])
}

fn webhook(to: &Fake) -> Value {
    let url = format!("http://{}/in?token=hidden-5150", to.address);
    json!({"id": "ops", "webhook": {"url": url, "secret": SECRET}})
}

/// A gateway whose tokens are a tenth of a cent, with a budget of half a dollar for each of two keys.
fn gateway(builder: Builder, channels: &[Value]) -> Builder {
    let key = |id: &str| {
        access_key(
            id,
            &json!({"limits": {"budget": {"usd": 0.5, "per": "total"}}}),
        )
    };
    builder.config(json!({
        "demo": {"listen": format!("127.0.0.1:{}", free_port())},
        "ledger": {"processing_fee": 1000, "flush": "50ms"},
        "access_keys": [key("one"), key("two")],
        "alerts": {"every": "1s", "bank_away": "1s", "forecast": 0, "thresholds": [80], "channels": channels},
    }))
}

/// Asks as long as the budget of a key allows it.
async fn use_up(gateway: &Gateway, key: &str) {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let body = json!({"model": "demo:echo", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
    let request = from(key, Request::post("/v1/chat/completions", body.to_string()));
    for _ in 0..1_000 {
        let answer = client.ask(&request).await;
        match answer.status() {
            200 => {}
            429 => return,
            // So many ask for the last of it that the bank's word is late.
            503 => assert_eq!(answer.code(), "ERR_TOLLGATE_3814", "{}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    panic!("the budget of {key} does not end");
}

/// What came, once there is so much of it.
async fn came(to: &Fake, count: usize) -> Vec<Seen> {
    let is = eventually(PATIENCE, || to.seen().len() >= count).await;
    assert!(is, "{} came, not {count}", to.seen().len());
    to.seen()
}

/// What the command lists.
fn listed(gateway: &Gateway) -> Value {
    let output = gateway.command(&["alerts", "list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn data(seen: &Seen) -> Value {
    seen.json()["data"].clone()
}

fn metric(gateway: &Gateway, series: &str) -> u64 {
    let text = gateway.admin_get("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn a_threshold_is_told_once_signed_and_again_until_it_is_taken() {
    let takes = Arc::new(AtomicBool::new(false));
    let taking = takes.clone();
    let to = Fake::answering(Wire::H1, move |_| match taking.load(Ordering::Relaxed) {
        true => taken(),
        false => {
            let busy = Script::new().length().head(503, &[("retry-after", "1")]);
            busy.data("hidden\nwords")
        }
    })
    .await;
    let mut gateway = gateway(Gateway::builder(), &[webhook(&to)]).start().await;
    use_up(&gateway, "one").await;
    let first = came(&to, 1).await.remove(0);
    let alert = data(&first);
    assert_eq!(first.json()["type"], "alert.budget");
    assert_eq!(alert["event"], "budget");
    assert_eq!(alert["account"], "default");
    assert_eq!(alert["subject"], "key:one/budget_total");
    assert_eq!(alert["facts"]["percent"], "80");
    let title = alert["title"].as_str().unwrap();
    assert_eq!(title, "Budget of access key `one`: 80% of $0.50 is used");
    let id = first.header("webhook-id").unwrap();
    assert_eq!(alert["id"], id);
    let unix = first.header("webhook-timestamp").unwrap().parse().unwrap();
    let body = std::str::from_utf8(&first.body).unwrap();
    let signed = sign(SECRET, id, unix, body);
    assert_eq!(first.header("webhook-signature"), Some(&*signed.signature));

    let refused = || listed(&gateway)[0]["deliveries"][0]["said"] != "";
    assert!(eventually(PATIENCE, refused).await, "it is noted");
    // What was not taken is sent after a restart as well, and nothing else is.
    gateway.kill();
    let tries = to.seen().len() + 1;
    takes.store(true, Ordering::Relaxed);
    gateway.restart().await;
    let second = came(&to, tries).await.pop().unwrap();
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("webhook-id"), Some(id));
    use_up(&gateway, "two").await;
    let third = came(&to, tries + 1).await.pop().unwrap();
    assert_eq!(data(&third)["subject"], "key:two/budget_total");
    assert_eq!(
        metric(&gateway, "tollgate_alerts_total{event=\"budget\"}"),
        1
    );

    let settled = || {
        let sent = "tollgate_alert_deliveries_total{channel=\"ops\",outcome=\"sent\"}";
        metric(&gateway, sent) == 2
    };
    assert!(eventually(PATIENCE, settled).await, "both are sent");
    let listed = listed(&gateway);
    assert_eq!(listed[1]["id"], id);
    assert_eq!(listed[1]["deliveries"][0]["state"], "sent");
    let noted = listed[1]["deliveries"][0]["tries"].as_u64().unwrap();
    // A try is noted before it is made, and the gateway may have been killed in between.
    assert!((2..=tries as u64 + 1).contains(&noted), "{noted}");
    assert!(
        !gateway.output().contains("hidden-5150"),
        "{}",
        gateway.output()
    );
    assert!(!gateway.output().contains(SECRET), "{}", gateway.output());
}

#[tokio::test]
async fn of_four_replicas_one_tells_and_another_follows_it() {
    let redis = Process::start(&[]);
    let to = Fake::start(Wire::H1, taken()).await;
    let mut replicas = Vec::new();
    for _ in 0..4 {
        let builder = gateway(fleet::replica(&redis), &[webhook(&to)]);
        replicas.push(builder.start().await);
    }
    let each = replicas.iter().map(|replica| use_up(replica, "one"));
    futures::future::join_all(each).await;
    came(&to, 1).await;
    let raised = |replica: &Gateway| metric(replica, "tollgate_alerts_total{event=\"budget\"}");
    let leads = replicas.iter().position(|replica| raised(replica) == 1);
    replicas.remove(leads.unwrap()).kill();
    use_up(&replicas[0], "two").await;
    let all = came(&to, 2).await;
    let subjects: Vec<Value> = all
        .iter()
        .map(|seen| data(seen)["subject"].clone())
        .collect();
    assert_eq!(subjects, ["key:one/budget_total", "key:two/budget_total"]);
    let others: u64 = replicas.iter().map(raised).sum();
    assert_eq!(others, 1, "of three that are left");

    // A bank that is away is told by whoever notices it.
    redis.signal("STOP");
    let last = came(&to, 3).await.remove(2).json();
    redis.signal("CONT");
    assert_eq!(last["type"], "alert.bank", "{last}");
    let banks = || {
        let listed = listed(&replicas[0]);
        let all = listed.as_array().unwrap().iter();
        all.filter(|alert| alert["event"] == "bank").count()
    };
    assert!(eventually(PATIENCE, || banks() > 0).await, "it is listed");
    assert_eq!(banks(), 1, "once for all three");
}

// Commands are waited for while the channels answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_channel_gets_what_it_wants_to_hear_of() {
    let (chat, mail) = (Fake::start(Wire::H1, taken()).await, Smtp::start().await);
    let deaf = Fake::start(Wire::H1, taken()).await;
    let channels = [
        json!({"id": "chat", "slack": {"url": format!("http://{}/T0/hidden-5150", chat.address)}}),
        json!({"id": "mail", "events": ["breaker"], "email": {
            "host": "localhost", "port": mail.address.port(), "username": "tollgate", "password": "hidden-5150",
            "from": "tollgate@example.com", "to": ["ops@example.com", "dev@example.com"],
        }}),
        json!({"id": "deaf", "events": ["budget"], "slack": {"url": format!("http://{}/", deaf.address)}}),
    ];
    let dead = format!("http://127.0.0.1:{}/v1", free_port());
    // What the system trusts.
    let folder = tempfile::tempdir().unwrap();
    let authorities = folder.path().join("ca.pem");
    std::fs::write(&authorities, certs::ca_pem()).unwrap();
    let gateway = gateway(Gateway::builder(), &channels)
        .env("SSL_CERT_FILE", authorities.to_str().unwrap())
        .provider(provider_at("dead", &dead))
        .start()
        .await;
    for _ in 0..5 {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        let answer = client
            .ask(&from("one", Request::chat(&["dead:m"], false)))
            .await;
        assert_eq!(answer.status(), 502, "{}", answer.text());
    }
    let text = came(&chat, 1).await[0].json()["text"].clone();
    let text = text.as_str().unwrap();
    assert!(
        text.starts_with("*The breaker of provider `dead` is open*\n"),
        "{text}"
    );
    let is = eventually(PATIENCE, || !mail.mails().is_empty()).await;
    assert!(is, "no mail: {}", gateway.output());
    let (said, text) = mail.mails().remove(0);
    let said = said.join("\n");
    for words in [
        "MAIL FROM:<tollgate@example.com>",
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<dev@example.com>",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        text.contains("Subject: [Tollgate] The breaker of provider `dead` is open"),
        "{text}"
    );
    assert!(text.contains("about: provider:dead"), "{text}");
    assert!(deaf.seen().is_empty(), "it wants to hear of budgets only");

    // The command tries each channel, and says what came back.
    let tried = gateway.command(&["alerts", "test"]);
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{said}");
    assert_eq!(said.matches(": sent: it answers 2").count(), 3, "{said}");
    assert!(
        said.contains("mail: sent: it answers 250: queued as 1"),
        "{said}"
    );
    drop(deaf);
    let tried = gateway.command(&["alerts", "test", "deaf"]);
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(
        !tried.status.success() && said.starts_with("deaf: not sent: "),
        "{said}"
    );
    let tried = gateway.command(&["alerts", "test", "nobody"]);
    let said = String::from_utf8_lossy(&tried.stderr);
    assert!(
        said.contains("there is no channel `nobody`; there are chat, mail, deaf"),
        "{said}"
    );
}

#[tokio::test]
async fn the_admin_api_lists_alerts_and_a_tenant_sees_its_own() {
    let api = Api::start(builder()).await;
    let store = AlertStore::on(&api.gateway.database());
    let markup = "<script>alert('1')</script>";
    for (name, account) in [("a", Some("acme")), ("b", Some("default")), ("c", None)] {
        let mut alert = Alert::new("budget", name, markup.to_owned(), "more".to_owned());
        alert.account = account.map(str::to_owned);
        if account.is_none() {
            alert.event = "breaker".to_owned();
        }
        let later = store.now_ms() + 60_000;
        let raised = store
            .raise(&[name.to_owned()], later, &alert, &["ops".to_owned()])
            .await;
        assert!(matches!(raised, Ok(Some(_))), "{raised:?}");
    }
    let subjects = |answer: &Value| -> Vec<String> {
        let alerts = answer["alerts"].as_array().unwrap();
        let subjects = alerts
            .iter()
            .map(|one| one["subject"].as_str().unwrap().to_owned());
        subjects.collect()
    };
    let all = api.get("/alerts").await;
    assert_eq!(subjects(&all), ["c", "b", "a"]);
    assert_eq!(all["alerts"][0]["deliveries"][0]["state"], "waiting");
    assert_eq!(subjects(&api.get("/alerts?event=budget").await), ["b", "a"]);
    let first = api.get("/alerts?limit=2").await;
    assert_eq!(subjects(&first), ["c", "b"]);
    let next = first["nextPageUri"].as_str().unwrap();
    let next = &next[next.find("/alerts").unwrap()..];
    assert_eq!(subjects(&api.get(next).await), ["a"]);
    let (status, own) = api.call(ACME, "GET", "/alerts", None).await;
    assert_eq!((status, subjects(&own)), (200, vec!["a".to_owned()]));
    assert_eq!(
        own["alerts"][0].get("deliveries"),
        None,
        "channels are the operator's"
    );
    let (status, _) = api.call(ACME, "GET", "/alerts?before=x", None).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_channel_that_is_down_holds_up_nobody() {
    let silent = Fake::start(Wire::H1, Script::new().silence()).await;
    let to = Fake::start(Wire::H1, taken()).await;
    let url = format!("http://{}/", silent.address);
    let channels = [json!({"id": "down", "slack": {"url": url}}), webhook(&to)];
    let mut gateway = gateway(Gateway::builder(), &channels).start().await;
    use_up(&gateway, "one").await;
    came(&silent, 1).await;
    came(&to, 1).await;
    use_up(&gateway, "two").await;
    came(&to, 2).await;
    assert_eq!(silent.seen().len(), 1, "one after another");
    let begun = tollgate_base::clock::now();
    gateway.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it waits for no channel"
    );
}
