//! Whom a provider with a `ca` file is taken for.
//!
//! rustls takes the file's certificates for authorities, and no server that presents one of them itself: neither the
//! self-signed one that `openssl req -x509` makes, which calls itself an authority, nor one whose issuer is not in the
//! file. Whoever names such a certificate means the server by it. Its connections are made without rustls judging the
//! certificate, and judged here before a byte of a request leaves: it must be the very one of the file, name the host,
//! and be in its time. That the server has its key is what the handshake proves either way.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use pingora_error::{Error, ErrorType, Result};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use tollgate_base::clock;

/// What a `ca` file says of one host.
pub struct Trust {
    /// Its certificates, as authorities.
    pub authorities: Arc<CaType>,
    /// Those of them that are the host's own and that no authority vouches for.
    own: Vec<Own>,
}

/// A certificate that a server presents itself.
struct Own {
    digest: [u8; 32],
    /// From when to when it holds, in seconds since 1970.
    from: i64,
    until: i64,
}

impl Trust {
    /// Reads a `ca` file's text for the server at `host`. What of it is no certificate is passed over.
    ///
    /// # Errors
    /// If there is none in it.
    pub fn read(pem: &str, host: &str) -> Result<Trust> {
        let mut roots = RootCertStore::empty();
        let found =
            CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(std::result::Result::ok);
        let usable = |der: &CertificateDer<'_>| {
            X509Certificate::from_der(der).is_ok() && roots.add(der.clone()).is_ok()
        };
        let found: Vec<CertificateDer<'_>> = found.filter(usable).collect();
        if found.is_empty() {
            let message = "the provider's `ca` file holds no certificate";
            return Err(Error::explain(ErrorType::InvalidCert, message));
        }
        // Each has been read once, so that it can be read again.
        let wrapped = found.iter();
        let wrapped = wrapped.map(|der| WrappedX509::new(der.to_vec(), parse_x509));
        let authorities: Arc<CaType> = wrapped.collect::<Vec<_>>().into();
        Ok(Trust {
            authorities,
            own: own(&found, roots, host),
        })
    }

    /// Returns whether a server is known by its own certificate, and rustls is not to judge it.
    pub fn is_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Judges the certificate that such a server has presented, by its SHA-256.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, presented: &[u8]) -> std::result::Result<(), &'static str> {
        let mut own = self.own.iter();
        let Some(own) = own.find(|own| own.digest == presented) else {
            return Err(
                "the server presents another certificate than the one that `ca` has for its host",
            );
        };
        let now = i64::try_from(clock::unix().as_secs()).unwrap_or(i64::MAX);
        match (own.from..=own.until).contains(&now) {
            true => Ok(()),
            false => Err("the certificate that `ca` has for the server's host is not in its time"),
        }
    }
}

/// The certificates that are the host's own, unless authorities vouch for one of them.
fn own(all: &[CertificateDer<'_>], roots: RootCertStore, host: &str) -> Vec<Own> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from(host)) else {
        return Vec::new();
    };
    let mut own = Vec::new();
    for der in all {
        let Ok((_, read)) = X509Certificate::from_der(der) else {
            continue;
        };
        if !names(der, &read, &name, host) {
            continue;
        }
        let at = UnixTime::since_unix_epoch(judged_at(&read));
        let vouched = verifier.verify_server_cert(der, &[], &name, &[], at);
        if vouched.is_ok() {
            return Vec::new();
        }
        own.push(Own {
            digest: Sha256::digest(der).into(),
            from: read.validity().not_before.timestamp(),
            until: read.validity().not_after.timestamp(),
        });
    }
    own
}

/// When, since 1970, an authority has to vouch for a certificate: now or, before and after its time, at its beginning or
/// end, since who vouched for one that is over vouches for the one that follows it. One that is its own issuer vouches
/// for no other.
fn judged_at(read: &X509Certificate<'_>) -> Duration {
    let now = clock::unix();
    if read.issuer().as_raw() == read.subject().as_raw() {
        return now;
    }
    let since_1970 = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let validity = read.validity();
    let from = since_1970(validity.not_before.timestamp());
    let until = since_1970(validity.not_after.timestamp());
    now.max(from).min(until)
}

/// Whether a certificate is for the host: by its alternative names or, without any, by its common name, as OpenSSL has
/// it.
fn names(
    der: &CertificateDer<'_>,
    read: &X509Certificate<'_>,
    name: &ServerName<'_>,
    host: &str,
) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(der) else {
        return false;
    };
    if verify_server_name(&parsed, name).is_ok() {
        return true;
    }
    let is_host = |common: &str| common.eq_ignore_ascii_case(host);
    let mut common = read.subject().iter_common_name();
    matches!(read.subject_alternative_name(), Ok(None))
        && common.any(|common| common.as_str().is_ok_and(is_host))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateParams::new(names).unwrap()
    }

    fn self_signed(params: CertificateParams) -> rcgen::Certificate {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    fn judged(pem: &str, host: &str, presented: &rcgen::Certificate) -> Option<bool> {
        let trust = Trust::read(pem, host).unwrap();
        let digest = Sha256::digest(presented.der());
        trust.is_own().then(|| trust.judge(&digest).is_ok())
    }

    #[test]
    fn a_server_may_be_known_by_its_own_certificate() {
        let mut authority = params(&["localhost", "127.0.0.1"]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let other = self_signed(authority.clone());
        let mut common = params(&[]);
        common.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        common
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        let mut over = authority.clone();
        over.not_after = rcgen::date_time_ymd(2020, 1, 1);
        over.not_before = rcgen::date_time_ymd(2019, 1, 1);
        for (what, params, expected) in [
            ("one that calls itself an authority", authority, true),
            ("one with a common name only", common, true),
            ("one whose time is over", over, false),
        ] {
            let own = self_signed(params);
            let pem = format!("a comment\n{}{}", other.pem(), own.pem());
            assert_eq!(judged(&pem, "localhost", &own), Some(expected), "{what}");
            assert_eq!(
                judged(&own.pem(), "elsewhere", &own),
                None,
                "{what}: rustls judges"
            );
            let pem = own.pem();
            assert_eq!(
                judged(&pem, "localhost", &other),
                Some(false),
                "{what}: another"
            );
        }
        // Authorities vouch for what they have signed, also where it stands beside them.
        let mut house = params(&[]);
        house.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        house.distinguished_name.push(DnType::CommonName, "house");
        let house =
            rcgen::CertifiedIssuer::self_signed(house, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params(&["localhost"]).signed_by(&key, &house).unwrap();
        let chain = format!("{}{}", leaf.pem(), house.pem());
        assert_eq!(judged(&chain, "localhost", &leaf), None);
        assert_eq!(judged(&leaf.pem(), "localhost", &leaf), Some(true), "alone");
        // And for the one that follows it, whether its time is over or has not come.
        for years in [2019..2020, 2090..2091] {
            let mut old = params(&["localhost"]);
            old.not_before = rcgen::date_time_ymd(years.start, 1, 1);
            old.not_after = rcgen::date_time_ymd(years.end, 1, 1);
            let old = old.signed_by(&key, &house).unwrap();
            let chain = format!("{}{}", old.pem(), house.pem());
            assert_eq!(judged(&chain, "localhost", &leaf), None, "{years:?}");
            assert_eq!(judged(&old.pem(), "localhost", &old), Some(false));
            let own = format!("{}{}", old.pem(), other.pem());
            assert_eq!(judged(&own, "localhost", &other), Some(true));
        }
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        let good = self_signed(params(&["localhost"])).pem();
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Trust::read(&format!("{bad}{good}"), "localhost").is_ok());
        for nothing in [bad, "", "-----BEGIN CERTIFICATE-----"] {
            assert!(Trust::read(nothing, "localhost").is_err(), "{nothing:?}");
        }
    }
}
