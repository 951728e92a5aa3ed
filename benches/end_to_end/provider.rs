//! The fast local provider: its own process, one thread, answers from bytes prepared beforehand.
//!
//! It answers every `POST` after reading the whole request body, in the shape of the path's surface (`answers.rs`), as
//! two request headers ask (headers, because finding them in a long body would cost more than the answer):
//!
//! - without [`EVENTS`]: an answer of about 600 bytes with its usage (Responses: twice that), in one write;
//! - `x-bench-uncounted: 1`: the same without its usage;
//! - `x-bench-events: N`: a stream of N content events, chunked, one write each as real providers do, and then
//!   the events that end it;
//! - `x-bench-pace-us: X` also: one event every X microseconds instead of as fast as they go.
//!
//! Head, opening events and first content event leave in one write: the first event is the first content.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use tollgate_wire::Surface;

use crate::answers::Answers;
use crate::child::LIFETIME;
use crate::wire::{self, Body};
use crate::{Outcome, child};

/// Request header: how many content events to stream.
pub const EVENTS: &str = "x-bench-events";
/// Request header: 1 is an answer without usage.
pub const UNCOUNTED: &str = "x-bench-uncounted";
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
        let answers = Rc::new(Surfaces::new());
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

/// What is sent on each surface.
struct Surfaces {
    chat: Answers,
    messages: Answers,
    responses: Answers,
}

impl Surfaces {
    fn new() -> Surfaces {
        Surfaces {
            chat: Answers::of(Surface::ChatCompletions),
            messages: Answers::of(Surface::Messages),
            responses: Answers::of(Surface::Responses),
        }
    }

    /// By the path that a request's head names.
    fn asked(&self, head: &[u8]) -> &Answers {
        if head.starts_with(b"POST /v1/messages") {
            &self.messages
        } else if head.starts_with(b"POST /v1/responses") {
            &self.responses
        } else {
            &self.chat
        }
    }
}

/// One connection: whole requests in, answers out, until the other side closes it.
async fn serve(mut stream: TcpStream, surfaces: &Surfaces) -> Outcome<()> {
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
        let uncounted = wire::number(&buffer[..head], UNCOUNTED) > 0;
        let answers = surfaces.asked(&buffer[..head]);
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
        if events == 0 && uncounted {
            stream.write_all(&answers.uncounted).await?;
        } else if events == 0 {
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
        for at in 1..events {
            stream.write_all(answers.event(at)).await?;
        }
    } else {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        for at in 1..events {
            ticks.tick().await;
            stream.write_all(answers.event(at)).await?;
        }
    }
    stream.write_all(&answers.ending).await?;
    Ok(())
}
