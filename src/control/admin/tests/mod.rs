//! The listener over real sockets.

mod document;
mod requests;
mod slow;
mod things;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde_json::Value;

use super::open::EXPOSITION;
use super::*;
use crate::Control;
use tollgate_config::secrets::{Role, token};
use tollgate_config::{ApiKey, types};

/// The process around the listener: it counts what was answered, and drains when the test says so.
#[derive(Default)]
struct Around {
    answered: Mutex<BTreeMap<String, u32>>,
    draining: AtomicBool,
}

impl Process for Around {
    fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Relaxed) {
            Readiness::NotReady(vec!["draining".to_owned()])
        } else {
            Readiness::Ready
        }
    }

    fn metrics(&self, _: bool) -> String {
        let answered = self.answered.lock();
        answered
            .iter()
            .map(|(what, count)| format!("{what} {count}\n"))
            .collect()
    }

    fn answered(&self, operation: &'static str, status: u16) {
        *self
            .answered
            .lock()
            .entry(format!("{operation} {status}"))
            .or_default() += 1;
    }

    fn cooling(&self) -> Vec<CoolingKey> {
        Vec::new()
    }

    fn plan(&self, _: &plan::Asked) -> plan::Planned {
        plan::Planned::default()
    }

    fn health(&self) -> health::Healths {
        health::Healths::default()
    }

    fn replica(&self) -> fleet::Replica {
        fleet::Replica::default()
    }

    fn probe(&self, _: &health::Trial) -> Vec<health::Tried> {
        Vec::new()
    }

    fn upgrade(&self) -> Result<u32, String> {
        Err("there is no program".to_owned())
    }

    fn converse(&self, _: &chat::Chat) -> Result<chat::Answered, String> {
        Err("there is no proxy".to_owned())
    }
}

/// What the listener answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The published shape of an error, whole.
    fn error(&self) -> (u16, String, Value) {
        let mut json = self.json();
        assert_eq!(json["statusCode"], self.status, "{}", self.body);
        assert!(json["msg"].is_string(), "{}", self.body);
        assert_eq!(json.as_object().unwrap().len(), 4, "{}", self.body);
        let code = json["errorCode"].as_str().unwrap().to_owned();
        (self.status, code, json["details"].take())
    }
}

/// A listener with callers named after their roles; their tokens are their names.
struct Listener {
    address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Listener {
    async fn start() -> Listener {
        Listener::with(&["full", "read-only", "usage-only", "acme"]).await
    }

    async fn with(callers: &[&str]) -> Listener {
        let accounts = "accounts: [{ id: acme }, { id: one }, { id: two }]";
        let mut config = tollgate_config::parse(accounts, &|_| None).unwrap();
        config.admin.api_keys = callers.iter().map(|name| caller(name)).collect();
        let control = Arc::new(Control::new(Arc::new(config), None));
        let state = AdminState::new(control, Arc::new(Around::default()), None);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let mut operations = api::operations();
            operations.extend(things::operations());
            let table = table::Table::new(operations).unwrap();
            let stopped = async {
                stopped.await.ok();
            };
            serve_table(listener, state, table, stopped).await.unwrap();
        });
        Listener {
            address,
            _stop: stop,
        }
    }

    async fn send(&self, request: hyper::http::request::Builder, body: &str) -> Answer {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn request(&self, method: &str, path: &str, key: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {key}"))
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path, "full"), "").await
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = self.request(method, path, "full");
        self.send(request.header("content-type", "application/json"), body)
            .await
    }
}

fn caller(name: &str) -> ApiKey {
    ApiKey {
        id: name.to_owned(),
        spec: types::ApiKey {
            role: Some(match name {
                "read-only" => Role::ReadOnly,
                "usage-only" => Role::UsageOnly,
                _ => Role::Full,
            }),
            account: (name == "acme").then(|| name.to_owned()),
            ..types::ApiKey::default()
        },
        digest: token::digest(name),
    }
}

#[tokio::test]
async fn says_how_the_process_is_and_stops_when_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let process = Arc::new(Around::default());
    let config = tollgate_config::parse("admin: {}", &|_| None).unwrap();
    let control = Arc::new(Control::new(Arc::new(config), None));
    let state = AdminState::new(control, process.clone(), None);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, state, async {
        stopped.await.ok();
    }));
    let (unused, _) = tokio::sync::oneshot::channel();
    let listener = Listener {
        address,
        _stop: unused,
    };

    let ready = listener.get("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (200, r#"{"status":"ready"}"#));
    process.draining.store(true, Ordering::Relaxed);
    let ready = listener.get("/readyz").await;
    assert_eq!(
        ready.status, 503,
        "a draining gateway wants no new requests"
    );
    assert_eq!(ready.header("content-type"), "application/json");
    assert_eq!(
        ready.body,
        r#"{"status":"not ready","reasons":["draining"]}"#
    );
    let healthy = listener.get("/healthz").await;
    assert_eq!(healthy.status, 200, "a draining gateway lives");
    let metrics = listener.get("/metrics").await;
    assert_eq!(
        (metrics.status, metrics.header("content-type")),
        (200, EXPOSITION)
    );
    assert!(metrics.body.contains("none 503 1\n"), "{}", metrics.body);
    let index = listener.get("/reference").await;
    assert!(index.status == 200 && index.body.contains("/metrics"));

    stop.send(()).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), server)
        .await
        .expect("it stops when told")
        .unwrap()
        .unwrap();
}
