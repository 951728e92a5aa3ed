//! Which certificate authorities upstream TLS trusts: the system's, or a bundled set where the system has
//! none (a minimal container).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `None` if the system has authorities of its own; else the path of a file with the bundled ones.
pub fn bundle_if_needed() -> io::Result<Option<String>> {
    if !rustls_native_certs::load_native_certs().certs.is_empty() {
        return Ok(None);
    }
    log::info!("the system has no certificate authorities; using the bundled ones (Mozilla's)");
    let path =
        std::env::temp_dir().join(format!("tollgate-authorities-{}.pem", std::process::id()));
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
    std::fs::write(&path, pem)?;
    Ok(Some(path.to_string_lossy().into_owned()))
}
