//! TLS of our own listeners: what is shown to clients, and what is asked of them.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use super::Checker;
use crate::yaml::document::beside;
use crate::yaml::place::Place;
use crate::yaml::types::{self, ClientAuth};
use crate::yaml::valid::{Identity, Tls};

/// What a listener offers, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the YAML says, but for addresses.
struct Written<'a> {
    cert: &'a Path,
    key: &'a Path,
    client_ca: Option<&'a Path>,
    client_auth: Option<ClientAuth>,
}

impl Checker<'_> {
    pub(super) fn tls(&mut self, place: &Place, tls: &types::Tls) -> Option<Tls> {
        let listen = self.addresses(&place.key("listen"), &tls.listen);
        if tls.listen.is_empty() {
            self.fault(&place.key("listen"), "there is nothing to listen on", None);
        }
        let written = Written {
            cert: &tls.cert,
            key: &tls.key,
            client_ca: tls.client_ca.as_deref(),
            client_auth: tls.client_auth,
        };
        let identity = self.identity(place, &written)?;
        Some(Tls { listen, identity })
    }

    pub(super) fn admin_tls(&mut self, place: &Place, tls: &types::AdminTls) -> Option<Identity> {
        let written = Written {
            cert: &tls.cert,
            key: &tls.key,
            client_ca: tls.client_ca.as_deref(),
            client_auth: tls.client_auth,
        };
        self.identity(place, &written)
    }

    fn identity(&mut self, place: &Place, written: &Written<'_>) -> Option<Identity> {
        let at = |key: &str| place.key(key);
        let path = |checker: &Self, key: &str, file: &Path| {
            beside(checker.merged.file_of(&place.key(key)), file)
        };
        if written.client_auth.is_some() && written.client_ca.is_none() {
            let hint =
                "add `client_ca`, the PEM file of the authorities that sign clients' certificates";
            let message = "clients are not asked for certificates: there is no `client_ca`";
            self.fault(&at("client_auth"), message, Some(hint.to_owned()));
        }
        let cert = path(self, "cert", written.cert);
        let key = path(self, "key", written.key);
        let client_ca = written.client_ca.map(|ca| path(self, "client_ca", ca));
        let chain = self.pem(&at("cert"), &cert, "a certificate", has_certificate);
        let private = self.pem(&at("key"), &key, "a private key", |pem| {
            PrivateKeyDer::from_pem_slice(pem).is_ok()
        });
        let authorities = match &client_ca {
            Some(ca) => Some(self.pem(&at("client_ca"), ca, "a certificate", has_certificate)?),
            None => None,
        };
        let (chain, private) = chain.zip(private)?;
        let client_auth = written.client_auth.unwrap_or_default();
        let mut digest = Sha256::new();
        for content in [Some(&chain), Some(&private), authorities.as_ref()] {
            digest.update(Sha256::digest(content.map_or(&[][..], Vec::as_slice)));
        }
        digest.update([u8::from(client_auth == ClientAuth::Optional)]);
        let clients = authorities.as_deref().map(|pem| (pem, client_auth));
        match server(&chain, &private, clients) {
            Ok(server) => Some(Identity {
                cert,
                client_ca,
                server: Arc::new(server),
                digest: digest.finalize().into(),
            }),
            Err(Unusable::Pair(error)) => {
                let hint = "`cert` is the chain with the server's own first, `key` is its key";
                let message = format!("`cert` and `key` cannot be used together: {error}");
                self.fault(place, message, Some(hint.to_owned()));
                None
            }
            Err(Unusable::Authorities(error)) => {
                let message = format!("no client's certificate can be checked by it: {error}");
                let hint = "give the certificates of the authorities, and no others";
                self.fault(&at("client_ca"), message, Some(hint.to_owned()));
                None
            }
        }
    }
}

/// Whether PEM text holds at least one certificate, and nothing that looks like one and is not.
pub(super) fn has_certificate(pem: &[u8]) -> bool {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.is_ok_and(|certificates| !certificates.is_empty())
}

/// Why no server can be made.
enum Unusable {
    Pair(String),
    Authorities(String),
}

/// The server of a chain and a key, and of the authorities of its clients.
fn server(
    chain: &[u8],
    key: &[u8],
    clients: Option<(&[u8], ClientAuth)>,
) -> Result<ServerConfig, Unusable> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pair = |error: &dyn std::fmt::Display| Unusable::Pair(error.to_string());
    let theirs = |error: &dyn std::fmt::Display| Unusable::Authorities(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| pair(&error))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((pem, auth)) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| theirs(&error))?;
                roots.add(certificate).map_err(|error| theirs(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| theirs(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| pair(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| pair(&error))?;
    let server = builder.with_single_cert(chain, key);
    let mut server = server.map_err(|error| pair(&error))?;
    server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(server)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::yaml::load;

    #[test]
    fn what_cannot_ask_clients_for_certificates_is_a_fault_at_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("ours.pem"), "not PEM").unwrap();
        for (ca, auth, told) in [
            (
                "client_ca: missing.pem",
                "",
                ":5: proxy.tls.client_ca: the file",
            ),
            ("client_ca: ours.pem", "", "does not hold a certificate"),
            ("", "client_auth: required", "there is no `client_ca`"),
            ("", "client_auth: always", "client_auth"),
        ] {
            let yaml = format!(
                "proxy:\n  tls:\n    listen: ['127.0.0.1:1']\n    cert: ours.pem\n    {ca}\n    key: ours.pem\n    {auth}\n"
            );
            fs::write(at("t.yaml"), yaml).unwrap();
            let faults = load(&at("t.yaml"), &|_: &str| None)
                .unwrap_err()
                .to_string();
            assert!(faults.contains(told), "{faults}");
        }
    }
}
