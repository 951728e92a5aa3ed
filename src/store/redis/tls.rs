//! Which authorities `rediss://` trusts: a file's, else the system's, else (a minimal container) the bundled ones. A
//! certificate of the file may also be the server's own, self-signed or of another authority: rustls takes none such, and
//! whoever names it means the server by it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::StoreError;

/// The client's side of TLS; reads the file, or the system's authorities.
pub(super) fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, StoreError> {
    let mut roots = RootCertStore::empty();
    let mut own = Vec::new();
    match ca {
        Some(path) => {
            let bad = |why: String| {
                StoreError::Refused(format!(
                    "the ledger's Redis has `ca: {}`: {why}",
                    path.display()
                ))
            };
            let found = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| bad(error.to_string()))?;
            let (added, _) = roots.add_parsable_certificates(found.iter().cloned());
            own = found;
            if added == 0 {
                return Err(bad("no certificate in it; PEM is expected".to_owned()));
            }
        }
        None => {
            // Some systems have a certificate that cannot be read; the others serve.
            let (added, _) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                roots.add_parsable_certificates(
                    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
                );
            }
        }
    }
    let refused = |error: &dyn std::fmt::Display| {
        StoreError::Refused(format!("TLS to the ledger's Redis: {error}"))
    };
    let provider = Arc::new(ring::default_provider());
    let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|error| refused(&error))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { authorities, own }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes what the authorities vouch for, and the very certificates that are named as the server's own.
#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged =
            (self.authorities).verify_server_cert(presented, intermediates, name, ocsp, now);
        let Err(Error::InvalidCertificate(why)) = &judged else {
            return judged;
        };
        // Its time has been looked at before either is found wrong with it.
        let is_unknown = matches!(why, CertificateError::UnknownIssuer)
            || format!("{why:?}").contains("CaUsedAsEndEntity");
        if !is_unknown || !self.own.iter().any(|own| own == presented) {
            return judged;
        }
        verify_server_name(&ParsedCertificate::try_from(presented)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.authorities).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.authorities).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_authority_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no PEM").unwrap();
        for path in [file.path(), Path::new("/does/not/exist")] {
            let Err(StoreError::Refused(message)) = client(Some(path)) else {
                panic!("{} is no authority", path.display());
            };
            assert!(message.contains(&*path.to_string_lossy()), "{message}");
        }
        assert!(client(None).is_ok(), "the system's or the bundled ones");
    }
}
