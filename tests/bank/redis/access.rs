//! TLS, passwords, permissions: what works, and what is said where it does not.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tollgate_base::Secret;
use tollgate_store::StoreError;
use tollgate_store::redis::{Address, RedisSettings, Topology};

use super::topologies::{address, open, settings};
use crate::contract::new_grant;
use crate::process::{Process, free_port};

const PASSWORD: &str = "correct-horse-battery-staple";

/// What the bank says when it is away.
async fn excuse(settings: &RedisSettings) -> String {
    match open(settings).grant("a", &new_grant("g", 1, None)).await {
        Err(StoreError::Away(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn works(settings: &RedisSettings) {
    let bank = open(settings);
    assert_eq!(bank.grant("a", &new_grant("g", 5, None)).await, Ok(true));
    assert_eq!(bank.accounts().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_password_is_asked_for_and_never_shown() {
    let server = Process::start(&["--requirepass", PASSWORD]);
    let without = settings(Topology::Single(address(&server.url())));
    let error = excuse(&without).await;
    assert!(error.contains("wants a password"), "{error}");
    let with = |password: &str| RedisSettings {
        password: Some(Secret::new(password)),
        ..without.clone()
    };
    let wrong = with("a-wrong-password-that-is-long-enough");
    let error = excuse(&wrong).await;
    assert!(
        error.contains("does not accept this user and password"),
        "{error}"
    );
    assert!(
        !error.contains("wrong-password") && !format!("{wrong:?}").contains("wrong-password-that"),
        "{error}"
    );
    works(&with(PASSWORD)).await;
}

#[tokio::test]
async fn users_and_databases() {
    let server = Process::start(&[]);
    let rule = format!(
        "SETUSER ledger on >{PASSWORD} ~team:* ~{{team}}:* +@scripting +@read +@write +@connection +time"
    );
    let words: Vec<&str> = std::iter::once("ACL").chain(rule.split(' ')).collect();
    server.ask::<()>(&words);
    let user = RedisSettings {
        username: Some("ledger".to_owned()),
        password: Some(Secret::new(PASSWORD)),
        prefix: "team".to_owned(),
        ..settings(Topology::Single(address(&server.url())))
    };
    works(&user).await;
    let error = excuse(&RedisSettings {
        prefix: "other".to_owned(),
        ..user.clone()
    })
    .await;
    assert!(error.contains("permit"), "{error}");
    let second = RedisSettings {
        database: 1,
        ..user
    };
    works(&second).await;
}

/// An authority's certificate, and a server's for loopback, as files.
struct Certificates {
    _dir: TempDir,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn certificates() -> Certificates {
    let dir = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let write = |name: &str, pem: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    Certificates {
        ca: write("ca.pem", authority.pem()),
        certificate: write("leaf.pem", leaf.pem()),
        key: write("key.pem", key.serialize_pem()),
        _dir: dir,
    }
}

/// What `openssl req -x509` makes: signed by itself, and an authority by its own account.
fn self_signed() -> Certificates {
    let dir = tempfile::tempdir().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = dir.path().join("own.pem");
    std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    let file = dir.path().join("key.pem");
    std::fs::write(&file, key.serialize_pem()).unwrap();
    Certificates {
        ca: certificate.clone(),
        certificate,
        key: file,
        _dir: dir,
    }
}

#[tokio::test]
async fn tls_with_an_authority_of_its_own() {
    tls(certificates(), certificates()).await;
}

#[tokio::test]
async fn tls_with_a_certificate_that_signs_itself() {
    tls(self_signed(), self_signed()).await;
}

async fn tls(right: Certificates, wrong: Certificates) {
    let port = free_port();
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let server = Process::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &text(&right.certificate),
        "--tls-key-file",
        &text(&right.key),
        "--tls-ca-cert-file",
        &text(&right.ca),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        PASSWORD,
    ]);
    let with = |ca: Option<&PathBuf>| RedisSettings {
        ca: ca.cloned(),
        password: Some(Secret::new(PASSWORD)),
        tls: true,
        ..settings(Topology::Single(Address::new("localhost", port)))
    };
    works(&with(Some(&right.ca))).await;
    for ca in [Some(&wrong.ca), None] {
        let error = excuse(&with(ca)).await;
        assert!(error.contains("certificate"), "{error}");
    }
    let plain = RedisSettings {
        topology: Topology::Single(Address::new("localhost", server.port)),
        timeout: std::time::Duration::from_secs(1),
        ..with(Some(&right.ca))
    };
    let error = excuse(&plain).await;
    assert!(error.contains("does it speak TLS?"), "{error}");
}
