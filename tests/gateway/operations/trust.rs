//! Providers whose certificate no public authority has signed.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::help::SOON;
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::{certs, eventually};

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// What `openssl req -x509` makes: signed by itself, and an authority by its own account.
fn self_signed(names: &[&str], common: Option<&str>) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if let Some(common) = common {
        params.distinguished_name.push(DnType::CommonName, common);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { certificate, key }
}

/// Speaks TLS as `identity` in front of a provider; the port.
async fn front(identity: &Identity, fake: &Fake) -> u16 {
    let alpn = match fake.wire {
        Wire::TlsH2 => "h2",
        _ => "http/1.1",
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connector = TlsConnector::from(certs::client(&[alpn]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = fake.address;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else {
                    return;
                };
                let far = TcpStream::connect(behind).await.unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let mut far = connector.connect(name, far).await.unwrap();
                tokio::io::copy_bidirectional(&mut near, &mut far)
                    .await
                    .ok();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_is_known_by_the_certificate_that_its_provider_names() {
    let own = self_signed(&["localhost", "127.0.0.1"], None);
    let common = self_signed(&[], Some("localhost"));
    let other = self_signed(&["localhost", "127.0.0.1"], None);
    let elsewhere = self_signed(&["models.example"], None);
    let dir = tempfile::tempdir().unwrap();
    let pem = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let with_others = format!(
        "# ours\n{}{}",
        other.certificate.pem(),
        own.certificate.pem()
    );
    for wire in [Wire::TlsH1, Wire::TlsH2] {
        let fake = Fake::good(wire, "hello").await;
        let mut providers = Vec::new();
        for (id, identity, host, ca, _) in [
            ("by-name", &own, "localhost", own.certificate.pem(), true),
            ("by-address", &own, "127.0.0.1", own.certificate.pem(), true),
            ("with-others", &own, "localhost", with_others.clone(), true),
            (
                "common-name",
                &common,
                "localhost",
                common.certificate.pem(),
                true,
            ),
            ("another", &other, "localhost", own.certificate.pem(), false),
            (
                "for-elsewhere",
                &elsewhere,
                "localhost",
                elsewhere.certificate.pem(),
                false,
            ),
            ("its-authority-s", &own, "localhost", certs::ca_pem(), false),
        ] {
            let port = front(identity, &fake).await;
            let mut provider = provider_at(id, &format!("https://{host}:{port}/v1"));
            provider["ca"] = json!(pem(&format!("{id}.pem"), &ca));
            providers.push(provider);
        }
        let unnamed = front(&own, &fake).await;
        providers.push(provider_at(
            "unnamed",
            &format!("https://localhost:{unnamed}/v1"),
        ));
        let mut builder = Gateway::builder();
        for provider in providers {
            builder = builder.provider(provider);
        }
        let gateway = builder.start().await;
        let mut client = Client::connect(Version::H1, gateway.address).await;
        for id in ["by-name", "by-address", "with-others", "common-name"] {
            for stream in [false, true] {
                let answer = client
                    .ask(&Request::chat(&[&format!("{id}:m")], stream))
                    .await;
                assert_eq!(answer.status(), 200, "{wire:?} {id}: {}", answer.text());
            }
        }
        let served = fake.count();
        for (id, why) in [
            ("another", "presents another certificate"),
            ("for-elsewhere", "nor, for this host, its own"),
            ("its-authority-s", "fails: invalid peer certificate: "),
            ("unnamed", "name its certificate"),
        ] {
            for _ in 0..2 {
                let mut client = Client::connect(Version::H1, gateway.address).await;
                let answer = client
                    .ask(&Request::chat(&[&format!("{id}:m")], false))
                    .await;
                let told = (answer.status(), answer.code());
                assert_eq!(told, (502, "ERR_TOLLGATE_3800".to_owned()), "{wire:?} {id}");
            }
            let said = |line: &&str| line.contains(&format!("the provider {id} at"));
            let lines = || {
                let output = gateway.output();
                let lines: Vec<String> = output.lines().filter(said).map(str::to_owned).collect();
                lines
            };
            assert!(
                eventually(SOON, || !lines().is_empty()).await,
                "{}",
                gateway.output()
            );
            let lines = lines();
            assert_eq!(lines.len(), 1, "now and then only: {lines:?}");
            assert!(lines[0].contains(why), "{wire:?}: {lines:?}");
        }
        assert_eq!(fake.count(), served, "{wire:?}: no request left");
    }
}

/// What no connection could be made for was recorded as a success, and nothing came after it.
#[tokio::test]
async fn a_provider_whose_certificates_cannot_be_read_is_followed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    // It is PEM, and no certificate.
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, pem).unwrap();
    let good = Fake::good(Wire::TlsH1, "hello").await;
    let mut broken = provider_at("broken", &good.base_url());
    broken["ca"] = json!(file);
    let gateway = Gateway::builder()
        .provider(broken)
        .fake("good", &good)
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let models = ["broken:m", "good:m"];
    let answer = client.ask(&Request::chat(&models, false)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-provider"), Some("good"));
    assert_eq!(answer.header("x-tollgate-attempts"), Some("2"));
    let answer = client.ask(&Request::chat(&models[..1], false)).await;
    let told = (answer.status(), answer.code());
    assert_eq!(told, (502, "ERR_TOLLGATE_3800".to_owned()));
    assert_eq!(good.count(), 1);
}
