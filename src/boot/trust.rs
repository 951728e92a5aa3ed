//! Which certificate authorities upstream TLS trusts: the system's, or a bundled set where the system has
//! none (a minimal container).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tollgate_base::random;

/// Returns the authorities that stand in for the system's (DER); none where it has its own.
pub fn bundled() -> &'static [CertificateDer<'static>] {
    match rustls_native_certs::load_native_certs().certs.is_empty() {
        true => webpki_root_certs::TLS_SERVER_ROOT_CERTS,
        false => &[],
    }
}

/// Returns the system's authorities, or the bundled ones (DER).
pub fn authorities() -> Vec<CertificateDer<'static>> {
    let own = rustls_native_certs::load_native_certs().certs;
    match own.is_empty() {
        true => webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec(),
        false => own,
    }
}

/// Returns how TLS is spoken to servers of one protocol (`h2`), which these authorities vouch for.
///
/// # Errors
///
/// When it cannot be spoken.
pub fn tls(protocol: &str) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config))
}

/// A file with the bundled authorities. It is removed when this is dropped.
pub struct Bundle(PathBuf);

impl Bundle {
    /// Writes the bundled authorities to a file; `None` if the system has authorities of its own.
    pub fn if_needed() -> io::Result<Option<Bundle>> {
        if bundled().is_empty() {
            return Ok(None);
        }
        log::info!("the system has no certificate authorities; using the bundled ones (Mozilla's)");
        Bundle::write(&std::env::temp_dir()).map(Some)
    }

    /// Returns the file's path.
    pub fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// Others may write to the directory: they must neither know the file's name nor have made it, or they would say who
    /// is trusted.
    fn write(directory: &Path) -> io::Result<Bundle> {
        let mut name = "tollgate-authorities-".to_owned();
        random::push_hex96(&mut name);
        name.push_str(".pem");
        let path = directory.join(name);
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let bundle = Bundle(path);
        file.write_all(pem().as_bytes())?;
        Ok(bundle)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // It holds nothing that is secret.
        std::fs::remove_file(&self.0).ok();
    }
}

fn pem() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_bundle_is_a_file_of_its_own_that_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let bundles = [(); 2].map(|()| Bundle::write(dir.path()).unwrap());
        assert_ne!(bundles[0].path(), bundles[1].path());
        for bundle in &bundles {
            let mode = bundle.0.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let pem = std::fs::read_to_string(&bundle.0).unwrap();
            assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
        }
        drop(bundles);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
