//! Certificates of our own listeners, which are renewed while the gateway runs, and of clients; and whether connections to
//! providers resume their TLS sessions.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::help::signal;
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::{PATIENCE, certs, eventually};

const KEY: &str = "tests-only-root-key-of-the-admin-api";

/// The certificate that a listener shows to a client that it lets in; why it does not.
async fn shown(
    address: SocketAddr,
    client: &Arc<ClientConfig>,
) -> Result<CertificateDer<'static>, String> {
    let said = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(said)?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(client.clone());
    let mut stream = connector.connect(name, stream).await.map_err(said)?;
    // A client of TLS 1.3 hears only now that it is refused.
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(ask).await.map_err(said)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.map_err(said)?;
    assert_eq!(&answer, b"HTTP/1.1");
    let (_, session) = stream.get_ref();
    Ok(session.peer_certificates().unwrap()[0].clone().into_owned())
}

/// What the proxy and the admin listener show.
async fn both(gateway: &Gateway) -> [CertificateDer<'static>; 2] {
    let client = certs::client(&["http/1.1"]);
    let [proxy, admin] = [gateway.tls.unwrap(), gateway.admin];
    [
        shown(proxy, &client).await.unwrap(),
        shown(admin, &client).await.unwrap(),
    ]
}

#[tokio::test]
async fn renewed_certificates_are_shown_without_a_restart_and_broken_ones_never() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let own = json!({"cert": "{dir}/tls.crt", "key": "{dir}/tls.key"});
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .tls()
        .config(json!({"admin": {"tls": own}}))
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .start()
        .await;
    let first = both(&gateway).await;
    assert_eq!(first[0], first[1], "of the same files");
    let mut kept = Client::connect(Version::TlsH2, gateway.tls.unwrap()).await;
    assert_eq!(kept.ask(&Request::chat(&["m"], false)).await.status(), 200);

    let write = |name: &str, pem: &str| std::fs::write(gateway.path(name), pem).unwrap();
    let ((certificate, key), (_, other)) = (certs::leaf_pem(), certs::leaf_pem());
    write("tls.key", &other);
    signal(&gateway, "HUP");
    let refused = "`cert` and `key` cannot be used together";
    assert!(eventually(PATIENCE, || gateway.output().contains(refused)).await);
    assert_eq!(
        both(&gateway).await,
        first,
        "a broken renewal changes nothing"
    );

    write("tls.crt", &certificate);
    write("tls.key", &key);
    let renewed = || gateway.output().contains("admin.tls: renewed");
    assert!(eventually(PATIENCE, renewed).await, "without a signal");
    let second = both(&gateway).await;
    assert!(second[0] != first[0] && second[0] == second[1]);
    assert_eq!(kept.ask(&Request::chat(&["m"], false)).await.status(), 200);
    assert!(!gateway.output().contains("after a restart"));
}

#[tokio::test]
async fn the_admin_listener_speaks_tls_and_its_cookies_keep_to_it() {
    let own = json!({"cert": "{dir}/tls.crt", "key": "{dir}/tls.key"});
    let gateway = Gateway::builder()
        .config(json!({"admin": {"tls": own}}))
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .start()
        .await;
    for version in [Version::TlsH1, Version::TlsH2] {
        let mut client = Client::connect(version, gateway.admin).await;
        let sign_in = Request::post("/console/sign-in", format!("key={KEY}"))
            .without("content-type")
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = client.ask(&sign_in).await;
        assert_eq!(answer.status(), 303, "{version:?}: {}", answer.text());
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("; Secure"), "{cookie}");
        let keys = Request::get("/api-keys")
            .without("authorization")
            .header("authorization", &format!("Bearer {KEY}"));
        let listed = client.ask(&keys).await.text();
        assert!(
            listed.contains(r#""uri":"https://"#),
            "{version:?}: {listed}"
        );
    }
    let command = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["accounts", "list", "--url"]);
        command.arg(format!("https://{}", gateway.admin)).args(more);
        command.env("TOLLGATE_ADMIN_KEY", KEY).output().unwrap()
    };
    let ca = gateway.path("ca.pem");
    assert!(command(&["--ca", ca.to_str().unwrap()]).status.success());
    let untrusting = command(&[]);
    let said = String::from_utf8(untrusting.stderr).unwrap();
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[tokio::test]
async fn clients_are_let_in_by_their_certificates() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let strange = params.self_signed(&key).unwrap();
    let none = certs::client(&["http/1.1"]);
    let stranger = certs::client_as(&["http/1.1"], Some((&strange, &key)));
    let known = certs::known_client(&["http/1.1"]);
    for (proxy, admin) in [(None, Some("optional")), (Some("optional"), None)] {
        let asks = |auth: Option<&str>| match auth {
            Some(auth) => json!({"client_ca": "{dir}/ca.pem", "client_auth": auth}),
            None => json!({"client_ca": "{dir}/ca.pem"}),
        };
        let own = json!({"cert": "{dir}/tls.crt", "key": "{dir}/tls.key"});
        let gateway = Gateway::builder()
            .tls()
            .config(json!({"proxy": {"tls": asks(proxy)}, "admin": {"tls": own}}))
            .config(json!({"admin": {"tls": asks(admin)}}))
            .start()
            .await;
        for (auth, address) in [(proxy, gateway.tls.unwrap()), (admin, gateway.admin)] {
            let without = shown(address, &none).await;
            assert_eq!(without.is_ok(), auth.is_some(), "{auth:?}: {without:?}");
            assert!(shown(address, &stranger).await.is_err(), "{auth:?}");
            shown(address, &known).await.unwrap();
        }
        for (setting, auth) in [("proxy.tls", proxy), ("admin.tls", admin)] {
            let told = format!("127.0.0.1 was not let in at `{setting}`: ");
            let says = |why: &str| {
                let output = gateway.output();
                let mut told = output.lines().filter(|line| line.contains(&told));
                told.any(|line| line.contains(why))
            };
            let is_told = eventually(PATIENCE, || says("invalid peer certificate")).await;
            assert!(is_told, "{setting}: {}", gateway.output());
            assert_eq!(says("peer sent no certificates"), auth.is_none());
        }
    }
}

#[tokio::test]
async fn a_health_check_needs_no_key_whatever_the_listener_speaks() {
    let own = json!({"cert": "{dir}/tls.crt", "key": "{dir}/tls.key"});
    let asks =
        json!({"cert": "{dir}/tls.crt", "key": "{dir}/tls.key", "client_ca": "{dir}/ca.pem"});
    let shows = ["--client-cert", "tls.crt", "--client-key", "tls.key"];
    let lives = r#"{"status":"ok"}"#;
    let unseen = "lives, and lets nobody in without a certificate";
    for (tls, said) in [(json!({}), lives), (own, lives), (asks, unseen)] {
        let mut builder = Gateway::builder();
        if tls != json!({}) {
            builder = builder.config(json!({"admin": {"tls": tls}}));
        }
        let mut gateway = builder.start().await;
        let health = |gateway: &Gateway, more: &[&str]| {
            let done = gateway.command(&[&["health"], more].concat());
            let said = String::from_utf8(done.stdout).unwrap();
            (done.status.code().unwrap(), said)
        };
        let (code, answer) = health(&gateway, &[]);
        assert!(code == 0 && answer.contains(said), "{code}: {answer}");
        let (code, answer) = health(&gateway, &["--ready"]);
        assert_eq!(code == 0, said == lives, "{answer}");
        let (code, answer) = health(&gateway, &[&["--ready"], &shows[..]].concat());
        assert!(code == 0 && answer.contains("ready"), "{code}: {answer}");
        // A file that would be refused, with the same listener.
        let file = gateway.path("tollgate.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen('{', "{\"no_such_section\": 1,", 1)).unwrap();
        assert_eq!(gateway.command(&["check"]).status.code(), Some(1));
        assert_eq!(health(&gateway, &[]).0, 0);
        gateway.kill();
        assert_eq!(health(&gateway, &[]).0, 1);
    }
}

/// A provider that closes each connection after its answer, and the count of sessions that were resumed.
async fn forgetful() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let resumed = Arc::new(AtomicUsize::new(0));
    let count = resumed.clone();
    let acceptor = TlsAcceptor::from(certs::server(&["http/1.1"]));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let mut asked = Vec::new();
            while memchr::memmem::find(&asked, b"\r\n\r\n{").is_none() {
                if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let body = r#"{"object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    });
    (port, resumed)
}

#[tokio::test]
async fn a_new_connection_to_a_provider_resumes_the_session_of_an_earlier_one() {
    let (port, resumed) = forgetful().await;
    let gateway = Gateway::builder()
        .provider(provider_at("p", &format!("https://localhost:{port}/v1")))
        .config(json!({"proxy": {"threads": 1}}))
        // The system's authorities, as it were.
        .env("SSL_CERT_FILE", "ca.pem")
        .start()
        .await;
    for _ in 0..4 {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        let answer = client.ask(&Request::chat(&["m"], false)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(resumed.load(Ordering::Relaxed), 3, "all but the first");
}
