//! Clients that do what none should, or nearly none does.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::common::eventually;
use crate::common::script::Act;

/// A masked frame of a client; the mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

const TEXT: u8 = 0x1;
const CONTINUED: u8 = 0x0;
const LAST: u8 = 0x80;

impl Socket {
    async fn raw(&mut self, bytes: &[u8]) {
        // It may have been closed by then.
        self.0.get_mut().write_all(bytes).await.ok();
    }
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_socket_with_the_code_for_it() {
    let fake = provider().await;
    let small = json!({"proxy": {"max_body": "4KiB"}});
    let gateway = builder(&fake).config(small).start().await;
    let event = br#"{"type":"response.create"}"#;
    let fragment = vec![b' '; 3 << 10];
    let endless: Vec<u8> = (0..8)
        .flat_map(|index| frame(if index == 0 { TEXT } else { CONTINUED }, &fragment))
        .collect();
    // The length alone, of a frame that never comes.
    let claimed = [
        &[LAST | TEXT, 0x80 | 127][..],
        &(1_u64 << 40).to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    for (what, bytes, code) in [
        ("garbage", b"GET / HTTP/1.1\r\n".repeat(20), 1002),
        (
            "compressed, which was not agreed to",
            frame(LAST | 0x40 | TEXT, event),
            1002,
        ),
        ("not masked", [&[LAST | TEXT, 26][..], event].concat(), 1002),
        (
            "a fragment of nothing",
            frame(LAST | CONTINUED, event),
            1002,
        ),
        ("a long ping", frame(LAST | 0x9, &[b'x'; 126]), 1002),
        ("binary", frame(LAST | 0x2, event), 1003),
        ("not UTF-8", frame(LAST | TEXT, b"\xff\xfe"), 1007),
        ("too long", frame(LAST | TEXT, &vec![b' '; 5 << 10]), 1009),
        ("longer than anything", claimed, 1009),
        ("too long in fragments", endless, 1009),
    ] {
        let mut socket = Socket::open(&gateway).await;
        socket.raw(&bytes).await;
        assert_eq!(socket.closed().await, Some(code), "{what}");
    }
    assert_eq!(fake.count(), 0);
    let mut socket = Socket::open(&gateway).await;
    socket.completed(json!({"input": "hi"})).await;
}

#[tokio::test]
async fn fragments_pings_and_early_messages_are_understood() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    let event = json!({"type": "response.create", "model": "p:m", "input": "grüß"}).to_string();
    let (start, rest) = event.as_bytes().split_at(event.find('ü').unwrap() + 1);
    let bytes = [
        frame(TEXT, start),
        frame(LAST | 0x9, b"in between"),
        frame(CONTINUED, b""),
        frame(LAST | CONTINUED, rest),
    ];
    for byte in bytes.concat() {
        socket.raw(&[byte]).await;
    }
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|event| kind(event) != "response.completed")
    {
        match socket.next().await.unwrap() {
            Message::Text(text) => told.push(serde_json::from_str::<Value>(&text).unwrap()),
            Message::Pong(payload) => assert_eq!(&payload[..], b"in between"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fake.seen()[0].json()["input"], "grüß");
    // Events that are longer than a frame of ours come whole.
    let long = "x".repeat(100_000);
    let text = long.clone();
    let chatty = Fake::answering(Wire::H1, move |_| {
        let mut all = events(1);
        all[1] = all[1].replace("\"delta\":\"answer 1\"", &format!("\"delta\":\"{text}\""));
        all.into_iter()
            .fold(Script::sse(), |script, event| script.data(event))
    });
    let chatty = chatty.await;
    let gateway = builder(&chatty).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket.create(json!({"input": "x".repeat(600_000)})).await;
    let told = socket.turn().await;
    assert_eq!(told[1]["delta"], long.as_str());
    assert_eq!(
        chatty.seen()[0].json()["input"].as_str().unwrap().len(),
        600_000
    );
}

/// Messages that never become whole take no more memory than large bodies do.
#[tokio::test]
async fn what_is_gathered_for_all_sockets_is_bounded() {
    let fake = provider().await;
    // Large bodies take 16 MiB at most.
    let small = json!({"proxy": {"max_body": "256KiB"}});
    let gateway = builder(&fake).config(small).start().await;
    let part = frame(LAST | TEXT, &vec![b' '; 250 << 10]);
    let mut sockets = Vec::new();
    for _ in 0..100 {
        let mut socket = Socket::open(&gateway).await;
        // All but the last byte.
        socket.raw(&part[..part.len() - 1]).await;
        sockets.push(socket);
    }
    let mut refused = None;
    let end = tollgate_base::clock::now() + PATIENCE;
    while refused.is_none() && tollgate_base::clock::now() < end {
        for socket in &mut sockets {
            let next = timeout(Duration::from_millis(2), socket.0.next()).await;
            if let Ok(Some(Ok(Message::Close(frame)))) = next {
                refused = frame.map(|frame| u16::from(frame.code));
            }
        }
    }
    assert_eq!(refused, Some(1013), "one of them at least");
    drop(sockets);
    assert!(eventually(PATIENCE, || open_sockets(&gateway).ends_with(" 0")).await);
    let mut socket = Socket::open(&gateway).await;
    socket
        .completed(json!({"input": "x".repeat(200 << 10)}))
        .await;
}

/// Its provider is not read for it without end, and it does not keep its turn.
#[tokio::test]
async fn who_never_reads_is_given_up() {
    let delta = events(1)[1].replace("answer 1", &"x".repeat(10_000));
    let forever = Script::sse()
        .data(events(1)[0].clone())
        .then(Act::Forever(delta.into(), Duration::from_micros(100)));
    let fake = Fake::start(Wire::H1, forever).await;
    let impatient = json!({"proxy": {"read_timeout": "500ms"}, "ledger": {"usage_grace": "0s"}});
    let gateway = builder(&fake).config(impatient).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket.create(json!({"input": "hi"})).await;
    let given_up = || fake.seen().first().is_some_and(|seen| seen.gone.is_some());
    assert!(eventually(PATIENCE, given_up).await);
    let gone = || open_sockets(&gateway).ends_with(" 0");
    assert!(eventually(PATIENCE, gone).await);
    drop(socket);
}

/// Each is an event of its own, and none is anybody's fault but theirs.
#[tokio::test]
async fn thousands_of_events_that_ask_for_nothing_are_answered_one_by_one() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let (mut sink, mut source) = Socket::open(&gateway).await.0.split();
    let count = 5_000;
    let sending = async {
        for _ in 0..count {
            sink.feed(Message::text("{}")).await.unwrap();
            sink.feed(Message::Ping(Default::default())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let reading = async {
        let mut errors = 0;
        while errors < count {
            match timeout(PATIENCE, source.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
            {
                Message::Text(_) => errors += 1,
                Message::Pong(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(sending, reading);
    assert_eq!(fake.count(), 0);
}

/// What a lane may not have wait is refused there and then; each turn is told once how it has ended.
#[tokio::test]
async fn a_thousand_turns_at_once_are_each_served_or_refused() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let (mut sink, mut source) = Socket::open(&gateway).await.0.split();
    let count = 1_000;
    let sending = async {
        for turn in 0..count {
            let event = json!({"type": "response.create", "model": "p:m", "store": false, "input": "hi",
                "stream_id": (turn % 32).to_string()});
            sink.feed(Message::text(event.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let reading = async {
        let (mut served, mut refused) = (0, 0);
        while served + refused < count {
            let message = timeout(PATIENCE, source.next()).await.unwrap().unwrap();
            let Message::Text(text) = message.unwrap() else {
                continue;
            };
            let event: Value = serde_json::from_str(&text).unwrap();
            match kind(&event) {
                "response.completed" => served += 1,
                "error" => {
                    assert_eq!(failure(&event), (429, "websocket_queue_full"));
                    refused += 1;
                }
                _ => {}
            }
        }
        served
    };
    let ((), served) = tokio::join!(sending, reading);
    assert!(served >= 32, "as many as may run and wait: {served}");
    assert_eq!(fake.count(), served);
}

/// Who says nothing whole is as idle as who says nothing.
#[tokio::test]
async fn a_message_that_never_ends_keeps_no_socket() {
    let fake = provider().await;
    let short = json!({"proxy": {"websocket": {"idle": "300ms"}}});
    let gateway = builder(&fake).config(short).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket.raw(&frame(TEXT, b"{")).await;
    let nothing = [frame(CONTINUED, b""), frame(LAST | 0x9, b"")].concat();
    let nothing = nothing.repeat(50);
    let mut code = None;
    let end = tollgate_base::clock::now() + PATIENCE;
    while code.is_none() && tollgate_base::clock::now() < end {
        socket.raw(&nothing).await;
        while let Ok(Some(Ok(message))) = timeout(Duration::from_millis(1), socket.0.next()).await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| u16::from(frame.code));
            }
        }
    }
    assert_eq!(code, Some(1000));
    assert_eq!(fake.count(), 0);
}
