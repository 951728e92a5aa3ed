//! Connections that say nothing.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::house::{Bank, House, ORDINARY, repeatedly};
use crate::common::requests::Request;

/// A connection from any address of this machine, on which any bytes can be sent.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects.
    pub async fn connect(to: SocketAddr, from: [u8; 4]) -> Raw {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    /// Sends, if anybody still reads.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).await);
    }

    /// What arrives until nothing does for so long, or the end.
    pub async fn read(&mut self, silence: Duration) -> String {
        let mut all = Vec::new();
        while let Ok(Ok(1..)) = tokio::time::timeout(silence, self.0.read_buf(&mut all)).await {}
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Whether the peer ends the connection within `time`.
    pub async fn is_ended(&mut self, time: Duration) -> bool {
        let mut all = Vec::new();
        let end = async { while let Ok(1..) = self.0.read_buf(&mut all).await {} };
        tokio::time::timeout(time, end).await.is_ok()
    }
}

/// What a client begins with that never goes on.
const BEGINNINGS: [&[u8]; 4] = [
    b"",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: ",
    // A TLS record that announces a hello of 512 bytes.
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_give_way_and_end() {
    let house = House::open(Bank::Sqlite, |builder| {
        builder.tls().config(
            json!({"proxy": {"max_connections": 60, "read_timeout": "2s", "keepalive": "2s"}}),
        )
    })
    .await;
    let (plain, tls) = (house.gateway.address, house.gateway.tls.unwrap());
    let attack = async {
        let mut held = Vec::new();
        for index in 0..400 {
            let (to, begins) = match index % 5 {
                0 | 1 => (tls, BEGINNINGS[2]),
                2 => (plain, BEGINNINGS[0]),
                3 => (plain, BEGINNINGS[1]),
                _ => (plain, BEGINNINGS[3]),
            };
            let mut raw = Raw::connect(to, [127, 0, 0, 2]).await;
            raw.send(begins).await;
            held.push(raw);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        held
    };
    let ordinary = repeatedly(2, Duration::from_millis(1500), |place| {
        let house = &house;
        async move {
            let status = house
                .ask(ORDINARY[place], Request::chat(&["f:m"], false))
                .await;
            assert_eq!(status, Ok(200), "a new connection each time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (held, ()) = house
        .withstands(async { tokio::join!(attack, ordinary) })
        .await;
    // Each has its time and no more.
    let ends = held
        .into_iter()
        .map(|mut raw| async move { raw.is_ended(Duration::from_secs(20)).await });
    let ended = futures::future::join_all(ends).await;
    assert!(ended.iter().all(|ended| *ended), "{ended:?}");
    let output = house.gateway.output();
    assert!(!output.contains("ERROR"), "{output}");
}
