//! The fast local provider: its own process, one thread, answers from bytes prepared beforehand.
//!
//! It answers every `POST` after reading the whole request body, as two request headers ask (headers,
//! because finding them in a long body would cost more than the answer):
//!
//! - without [`EVENTS`]: a chat completion of about 600 bytes with its usage, in one write;
//! - `x-bench-events: N`: a stream of N content events of about 200 bytes, chunked, one write each
//!   as real providers do, and then the finish, usage and `[DONE]` events;
//! - `x-bench-pace-us: X` also: one event every X microseconds instead of as fast as they go.
//!
//! Head, role event and first content event leave in one write: the first event is the first content.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use crate::child::LIFETIME;
use crate::wire::{self, Body};
use crate::{Outcome, child};

/// Request header: how many content events to stream.
pub const EVENTS: &str = "x-bench-events";
/// Request header: microseconds between two events; 0 or absent is no pause.
pub const PACE: &str = "x-bench-pace-us";

/// Requests longer than this are read through a larger buffer.
const SMALL: usize = 16 * 1024;
const LARGE: usize = 256 * 1024;

/// Serves on a free loopback port, which it prints as its first line, until its parent ends.
pub fn run() -> Outcome<()> {
    child::exit_with_parent();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        let answers = Rc::new(Answers::new());
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await?;
                let answers = answers.clone();
                // A connection that a proxy resets is no fault of the provider's.
                tokio::task::spawn_local(async move { serve(stream, &answers).await.is_ok() });
            }
        };
        tokio::time::timeout(LIFETIME, accepting)
            .await
            .unwrap_or(Ok(()))
    })
}

/// What is sent, prepared once.
struct Answers {
    whole: Vec<u8>,
    opening: Vec<u8>,
    event: Vec<u8>,
    ending: Vec<u8>,
}

impl Answers {
    fn new() -> Answers {
        let text = "The quick brown fox jumps over the lazy dog and goes on. ".repeat(4);
        let json = format!(
            r#"{{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":61,"completion_tokens":53,"total_tokens":114,"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}},"system_fingerprint":"fp_bench"}}"#
        );
        let whole = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
        let role = chunk(&delta(
            r#"{"role":"assistant","content":"","refusal":null}"#,
            "null",
        ));
        let event = chunk(&delta(r#"{"content":" token"}"#, "null"));
        let finish = chunk(&delta("{}", r#""stop""#));
        let usage = chunk(
            r#"{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","system_fingerprint":"fp_bench","choices":[],"usage":{"prompt_tokens":61,"completion_tokens":500,"total_tokens":561}}"#,
        );
        let done = chunk("[DONE]");
        Answers {
            whole: whole.into_bytes(),
            opening: format!("{head}{role}{event}").into_bytes(),
            event: event.into_bytes(),
            ending: format!("{finish}{usage}{done}0\r\n\r\n").into_bytes(),
        }
    }
}

/// A completion chunk in OpenAI's shape.
fn delta(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

/// One server-sent event in a chunk of its own.
fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// One connection: whole requests in, answers out, until the other side closes it.
async fn serve(mut stream: TcpStream, answers: &Answers) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; SMALL];
    loop {
        let mut filled = 0;
        let head = loop {
            if let Some(end) = wire::head_end(&buffer[..filled]) {
                break end;
            }
            if filled == buffer.len() {
                return Err("a request head longer than the buffer".into());
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let events = wire::number(&buffer[..head], EVENTS);
        let pace = wire::number(&buffer[..head], PACE);
        let mut body = Body::of(&buffer[..head]);
        let long = !matches!(body, Body::Length(length) if length <= SMALL as u64);
        body.feed(&buffer[head..filled], |_| ());
        if long && buffer.len() < LARGE {
            buffer = vec![0; LARGE];
        }
        while !body.is_done() {
            match stream.read(&mut buffer).await? {
                0 => return Err("the request ended inside its body".into()),
                read => body.feed(&buffer[..read], |_| ()),
            };
        }
        if events == 0 {
            stream.write_all(&answers.whole).await?;
        } else {
            send_events(&mut stream, answers, events, Duration::from_micros(pace)).await?;
        }
    }
}

async fn send_events(
    stream: &mut TcpStream,
    answers: &Answers,
    events: u64,
    pace: Duration,
) -> Outcome<()> {
    stream.write_all(&answers.opening).await?;
    if pace.is_zero() {
        for _ in 1..events {
            stream.write_all(&answers.event).await?;
        }
    } else {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        for _ in 1..events {
            ticks.tick().await;
            stream.write_all(&answers.event).await?;
        }
    }
    stream.write_all(&answers.ending).await?;
    Ok(())
}
