//! The requests that are sent: chat bodies of an exact length whose text looks like prompts do.
//!
//! Keys stand in the order in which the OpenAI SDK for Python writes them, so `model` comes after the
//! messages and a reader must pass over all of them. Text is made of words, punctuation, line breaks,
//! quotes and some letters outside ASCII, always the same, so two runs send the same bytes.

use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request as Handshake;
use tollgate_wire::Surface;

use crate::Outcome;
use crate::provider::{EVENTS, PACE, UNCOUNTED};

/// A streamed answer to ask for.
#[derive(Clone, Copy)]
pub struct Events {
    /// Content events.
    pub count: u64,
    /// Microseconds between two; 0 is as fast as they go.
    pub pace_us: u64,
}

/// What answer is asked for.
#[derive(Clone, Copy)]
pub enum Asked {
    /// One at once.
    Whole,
    /// The same without usage.
    Uncounted,
    /// A stream.
    Stream(Events),
}

/// The longest single message.
const MESSAGE: usize = 32 * 1024;

/// A whole request, head and body, whose body is `length` bytes (at least 300, and 400 for each tool).
pub fn request(token: &str, model: &str, length: usize, tools: usize, asked: Asked) -> Vec<u8> {
    let length = length.max(300 + 400 * tools);
    let body = body(model, length, tools, matches!(asked, Asked::Stream(_)));
    let asked = match asked {
        Asked::Whole => String::new(),
        Asked::Uncounted => format!("{UNCOUNTED}: 1\r\n"),
        Asked::Stream(Events { count, pace_us }) => {
            format!("{EVENTS}: {count}\r\n{PACE}: {pace_us}\r\n")
        }
    };
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nAuthorization: Bearer {token}\r\n{asked}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}

/// A request with more headers, each with its line end.
pub fn with_headers(request: &[u8], headers: &str) -> Vec<u8> {
    let line = request.iter().position(|&byte| byte == b'\n');
    let (first, rest) = request.split_at(line.map_or(0, |at| at + 1));
    [first, headers.as_bytes(), rest].concat()
}

/// A request for a stream on a surface; its body has some 300 bytes.
pub fn request_on(surface: Surface, token: &str, model: &str, events: Events) -> Vec<u8> {
    if !matches!(surface, Surface::Messages | Surface::Responses) {
        return request(token, model, 300, 0, Asked::Stream(events));
    }
    let text = short_text();
    let (path, agent, key, body) = match surface {
        Surface::Messages => (
            "messages",
            "Anthropic/Python 0.70.0\r\nanthropic-version: 2023-06-01",
            format!("x-api-key: {token}"),
            format!(
                r#"{{"max_tokens":1024,"messages":[{{"role":"user","content":"{text}"}}],"model":"{model}","stream":true}}"#
            ),
        ),
        _ => (
            "responses",
            "OpenAI/Python 2.0.0",
            format!("Authorization: Bearer {token}"),
            format!(
                r#"{{"input":[{{"role":"user","content":"{text}"}}],"model":"{model}","stream":true}}"#
            ),
        ),
    };
    let Events { count, pace_us } = events;
    format!(
        "POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\nUser-Agent: {agent}\r\n{key}\r\n{EVENTS}: {count}\r\n{PACE}: {pace_us}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A WebSocket's handshake, and the event that asks for what [`request_on`] asks of Responses: the body with a `type`.
pub fn websocket(token: &str, model: &str, events: Events) -> Outcome<(Handshake<()>, Vec<u8>)> {
    let handshake = Handshake::get("ws://127.0.0.1/v1/responses")
        .header("host", "127.0.0.1")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("user-agent", "OpenAI/Python 2.0.0")
        .header("authorization", format!("Bearer {token}"))
        .header(EVENTS, events.count)
        .header(PACE, events.pace_us);
    let text = short_text();
    let event = format!(
        r#"{{"type":"response.create","input":[{{"role":"user","content":"{text}"}}],"model":"{model}"}}"#
    );
    Ok((handshake.body(())?, event.into_bytes()))
}

fn short_text() -> String {
    let mut text = String::new();
    Text::default().append(&mut text, 200);
    text
}

/// As agents declare them.
fn declared(tools: usize) -> String {
    let tool = |number| {
        format!(
            r#"{{"type":"function","function":{{"name":"tool_{number}","description":"Reads a file of the project and returns the lines that were asked for.","parameters":{{"type":"object","properties":{{"path":{{"type":"string","description":"Relative to the project"}},"from":{{"type":"integer"}},"to":{{"type":"integer"}}}},"required":["path"]}}}}}}"#
        )
    };
    let all: Vec<String> = (0..tools).map(tool).collect();
    format!(r#","tools":[{}]"#, all.join(","))
}

fn body(model: &str, length: usize, tools: usize, stream: bool) -> String {
    let tools = if tools == 0 {
        String::new()
    } else {
        declared(tools)
    };
    let stream = if stream { r#","stream":true"# } else { "" };
    let tail = format!(r#"],"model":"{model}","temperature":0.2{stream}{tools}}}"#);
    let mut text = Text::default();
    let mut body = String::with_capacity(length);
    body.push_str(r#"{"messages":["#);
    for role in ["user", "assistant"].into_iter().cycle() {
        let open = format!(r#"{{"role":"{role}","content":""#);
        let fixed = open.len() + r#""}"#.len();
        let room = length.saturating_sub(body.len() + tail.len() + fixed);
        // A rest too short for a message of its own goes into this one.
        let last = room < MESSAGE + 256;
        let content = if last { room } else { MESSAGE };
        body.push_str(&open);
        text.append(&mut body, content);
        body.push_str(r#""}"#);
        if last {
            break;
        }
        body.push(',');
    }
    body.push_str(&tail);
    body
}

/// An endless text, already escaped for JSON.
#[derive(Default)]
struct Text {
    state: u64,
}

impl Text {
    /// Appends exactly `length` bytes.
    fn append(&mut self, to: &mut String, length: usize) {
        const PIECES: [&str; 24] = [
            "the ",
            "request ",
            "of ",
            "a ",
            "gateway ",
            "returns ",
            "and ",
            "please ",
            "summarise ",
            "this ",
            "document, ",
            "which ",
            "was ",
            "written ",
            "in ",
            "1998. ",
            "However, ",
            r#"\"quoted\" "#,
            r"\n",
            r"\n\n    if value ",
            "== 42: return ",
            "naïve ",
            "— über ",
            "function(x) { } ",
        ];
        let end = to.len() + length;
        loop {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from((self.state >> 33) % PIECES.len() as u64).unwrap_or(0);
            let piece = PIECES[pick];
            if to.len() + piece.len() > end {
                break;
            }
            to.push_str(piece);
        }
        while to.len() < end {
            to.push('.');
        }
    }
}
