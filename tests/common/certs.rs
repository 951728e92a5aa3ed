//! A certificate authority that lives as long as the test process.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// The authority's certificate.
pub fn ca_pem() -> String {
    authority().pem()
}

/// A certificate for loopback and its key, as PEM.
pub fn leaf_pem() -> (String, String) {
    let (certificate, key) = leaf();
    (certificate.pem(), key.serialize_pem())
}

fn leaf() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let params = CertificateParams::new(names).unwrap();
    (params.signed_by(&key, authority()).unwrap(), key)
}

/// A server for loopback that offers these protocols.
pub fn server(alpn: &[&str]) -> Arc<ServerConfig> {
    let (certificate, key) = leaf();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A client that trusts only the authority, and offers these protocols.
pub fn client(alpn: &[&str]) -> Arc<ClientConfig> {
    client_as(alpn, None)
}

/// A client that also shows a certificate of the authority to whoever asks for one.
pub fn known_client(alpn: &[&str]) -> Arc<ClientConfig> {
    let (certificate, key) = leaf();
    client_as(alpn, Some((&certificate, &key)))
}

/// A client that also shows this certificate to whoever asks for one.
pub fn client_as(alpn: &[&str], own: Option<(&rcgen::Certificate, &KeyPair)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority().der().to_vec()))
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![certificate.der().clone()];
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}
