//! A mail server that takes everything, over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::common::certs;

/// What was said before a mail, and the mail.
type Mail = (Vec<String>, String);

/// Mails that came.
pub struct Smtp {
    pub address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Smtp {
    pub async fn start() -> Smtp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        let acceptor = TlsAcceptor::from(certs::server(&[]));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, acceptor) = (kept.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let stream = accept(&acceptor, stream).await;
                    if let Some(mail) = take(stream).await {
                        kept.lock().push(mail);
                    }
                });
            }
        });
        Smtp { address, mails }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().clone()
    }
}

async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    acceptor.accept(stream).await.ok()
}

async fn take(stream: Option<TlsStream<TcpStream>>) -> Option<Mail> {
    let (read, mut write) = tokio::io::split(stream?);
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 tests\r\n").await.ok()?;
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let answer: &[u8] = match line.split([' ', ':']).next()? {
            "EHLO" => b"250-tests\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 well\r\n",
            "DATA" => break,
            _ => b"250 well\r\n",
        };
        said.push(line);
        write.write_all(answer).await.ok()?;
    }
    write.write_all(b"354 go on\r\n").await.ok()?;
    let mut mail = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        if line == "." {
            write.write_all(b"250 queued as 1\r\n").await.ok()?;
            return Some((said, mail));
        }
        mail.push_str(&line);
        mail.push('\n');
    }
    None
}
