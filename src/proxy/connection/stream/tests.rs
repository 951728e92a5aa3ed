use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A client that reads nothing, and its connection here.
async fn deaf() -> (TcpStream, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let inner = pingora_core::protocols::l4::stream::Stream::from(accepted.unwrap().0);
    let connection = Connection::new(Box::new(inner), Duration::from_millis(50));
    (client.unwrap(), connection)
}

/// The proxy went on with a connection that had been given up, and asked a clock that had run out: it panicked, the request
/// had no line in the log and was charged as an orphan.
#[tokio::test]
async fn one_that_was_given_up_fails_as_often_as_it_is_asked() {
    let (_client, mut connection) = deaf().await;
    let much = vec![0; 1 << 20];
    let given_up = loop {
        if let Err(error) = connection.write_all(&much).await {
            break error;
        }
    };
    assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
    for _ in 0..3 {
        let again = connection.write_all(&much).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::TimedOut);
        connection.flush().await.ok();
    }
    for _ in 0..3 {
        connection.shutdown().await.ok();
        assert!(connection.write_all(&much).await.is_err());
    }
}

/// Who may still be sending is listened to for a second, and then not again.
#[tokio::test]
async fn one_that_is_shut_down_may_be_shut_down_again() {
    let (_client, mut connection) = deaf().await;
    for _ in 0..3 {
        connection.shutdown().await.unwrap();
    }
}
