//! Tells systemd how the process does (`sd_notify`), where a unit of `Type=notify` has started it.

/// Sends lines such as `READY=1`; does nothing where nobody listens.
#[cfg(target_os = "linux")]
pub fn notify(state: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to));
    if let Err(error) = sent {
        log::warn!("systemd cannot be told `{state}`: {error}");
    }
}

/// Does nothing: there is no systemd.
#[cfg(not(target_os = "linux"))]
pub fn notify(_: &str) {}
