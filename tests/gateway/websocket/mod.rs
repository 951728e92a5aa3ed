//! Responses over WebSocket: the real binary between a WebSocket client and scripted providers.

mod hostile;
mod lanes;
mod money;
mod opening;
mod stopping;
mod turns;
mod upstream;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::http::Request as Handshake;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Builder, Gateway};
use crate::common::script::{Gate, Script};
use crate::common::{PATIENCE, TOKEN};

/// A client's WebSocket.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// With the tests' access key.
    async fn open(gateway: &Gateway) -> Socket {
        let authorization = format!("Bearer {TOKEN}");
        let opened = Socket::try_open(gateway, &[("authorization", &authorization)]).await;
        opened
            .map_err(|(status, body)| format!("{status}: {body}"))
            .unwrap()
            .0
    }

    /// With these headers; what is answered instead, if it is not agreed to.
    async fn try_open(
        gateway: &Gateway,
        headers: &[(&str, &str)],
    ) -> Result<(Socket, Response), (u16, String)> {
        let mut handshake = Handshake::get(format!("ws://{}/v1/responses", gateway.address))
            .header("host", gateway.address.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        for (name, value) in headers {
            handshake = handshake.header(*name, *value);
        }
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        match tokio_tungstenite::client_async(handshake.body(()).unwrap(), stream).await {
            Ok((socket, response)) => Ok((Socket(socket), response)),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(other) => panic!("{other}"),
        }
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Asks for a response of `p:m`, with more members.
    async fn create(&mut self, more: Value) {
        let mut event = json!({"type": "response.create", "model": "p:m", "store": false});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        self.send(Message::text(event.to_string())).await;
    }

    /// The next message that is no ping; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            let next = timeout(PATIENCE, self.0.next()).await;
            match next.expect("a message in time") {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next event.
    async fn hear(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no event: {other:?}"),
        }
    }

    /// The events until a response ends, or fails.
    async fn turn(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.hear().await);
            let kind = kind(&events[events.len() - 1]);
            if ["response.completed", "response.failed", "error"].contains(&kind) {
                return events;
            }
        }
    }

    /// Asks, and waits for the end of the response; its id.
    async fn completed(&mut self, more: Value) -> String {
        self.create(more).await;
        let events = self.turn().await;
        let last = &events[events.len() - 1];
        assert_eq!(kind(last), "response.completed", "{last}");
        last["response"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for what fails; the error event.
    async fn refused(&mut self, more: Value) -> Value {
        self.create(more).await;
        let event = self.turn().await.pop().unwrap();
        assert_eq!(kind(&event), "error", "{event}");
        event
    }

    /// Reads to the end; the code that it was closed with.
    async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(message) = self.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
        code
    }
}

/// An event's `type`.
fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

/// An error event's status and code.
fn failure(event: &Value) -> (u64, &str) {
    let code = event["error"]["code"].as_str().unwrap_or_default();
    (event["status"].as_u64().unwrap_or_default(), code)
}

/// A provider whose `n`th response is `resp_n`, says `answer n`, and reports 7 and 3 tokens.
async fn provider() -> Fake {
    let count = AtomicUsize::new(0);
    Fake::answering(Wire::H1, move |_| {
        response(count.fetch_add(1, Ordering::Relaxed) + 1)
    })
    .await
}

/// A provider that says some of each answer and the rest when the gate is open.
async fn gated(gate: Gate) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::answering(Wire::H1, move |_: &Seen| {
        gated_response(count.fetch_add(1, Ordering::Relaxed) + 1, &gate)
    })
    .await
}

fn gated_response(number: usize, gate: &Gate) -> Script {
    let mut script = Script::sse();
    for (at, event) in events(number).into_iter().enumerate() {
        if at == 2 {
            script = script.then(crate::common::script::Act::Gate(gate.clone()));
        }
        script = script.data(event);
    }
    script
}

fn response(number: usize) -> Script {
    events(number)
        .into_iter()
        .fold(Script::sse(), |script, event| script.data(event))
}

/// The item of the `n`th response.
fn item(number: usize) -> Value {
    json!({"type": "message", "id": format!("msg_{number}"), "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": format!("answer {number}"), "annotations": []}]})
}

/// What its stream says: created, a text, its item, completed.
fn events(number: usize) -> Vec<String> {
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": format!("resp_{number}"), "object": "response", "created_at": 1, "status": status, "model": "m",
            "output": output, "usage": usage})
    };
    let usage = json!({"input_tokens": 7, "output_tokens": 3, "total_tokens": 10});
    [
        json!({"type": "response.created", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
            "item_id": format!("msg_{number}"), "delta": format!("answer {number}")}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(number)}),
        json!({"type": "response.completed", "response": response("completed", json!([item(number)]), usage)}),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", kind(&event))
    })
    .collect()
}

/// A gateway in front of the provider `p`, with patience.
fn builder(fake: &Fake) -> Builder {
    let patient = json!({"timeouts": {"per_request": "50s", "stream_idle": "50s"}});
    Gateway::builder().config(patient).fake("p", fake)
}

/// What a user says.
fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

/// The gauge of open sockets.
fn open_sockets(gateway: &Gateway) -> String {
    let metrics = gateway.admin_get("/metrics");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("tollgate_websockets_open "));
    line.unwrap_or_default().to_owned()
}
