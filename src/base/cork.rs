//! Corks TCP connections: small segments wait for what follows them, so that fewer are sent.

use std::os::fd::{BorrowedFd, RawFd};

/// Corks the connection with this descriptor, so that it holds back segments that are not full, or uncorks it, which
/// sends them. The kernel holds nothing back for longer than 200 ms. Does nothing to what is no open TCP connection,
/// nor on systems other than Linux, whose `TCP_CORK` it is.
pub fn cork(connection: RawFd, corked: bool) {
    #[expect(
        unsafe_code,
        reason = "Pingora owns its connections and shows their descriptors only"
    )]
    // SAFETY: the borrow ends with this function, which closes nothing, and reads and writes no memory of ours. If the
    // descriptor is another connection's by now, that one sends a segment more, or fewer, than it would.
    let connection = unsafe { BorrowedFd::borrow_raw(connection) };
    // A connection that cannot be corked sends at once, which is only slower.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_cork(connection, corked).ok();
    #[cfg(not(target_os = "linux"))]
    let (_, _) = (connection, corked);
}
