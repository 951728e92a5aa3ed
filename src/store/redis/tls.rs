//! Which authorities `rediss://` trusts: a file's, else the system's, else (a minimal container) the bundled ones.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::StoreError;

/// The client's side of TLS; reads the file, or the system's authorities.
pub(super) fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, StoreError> {
    let mut roots = RootCertStore::empty();
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
            let (added, _) = roots.add_parsable_certificates(found);
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
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Refused(format!("TLS to the ledger's Redis: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
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
