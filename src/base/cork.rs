//! TCP connections whose small segments wait for what follows them.

use std::os::fd::{BorrowedFd, RawFd};

/// Lets the connection with this descriptor wait with segments that are not full, or sends what waited and waits no
/// more. Nothing waits for longer than 200 ms, whatever becomes of it. Without effect on what is no open TCP connection,
/// and where the system knows no such option (it is Linux's `TCP_CORK`).
pub fn cork(connection: RawFd, waits: bool) {
    #[expect(
        unsafe_code,
        reason = "Pingora keeps its connections to itself and shows their numbers only"
    )]
    // SAFETY: nothing but this call uses it, which closes nothing, and reads and writes no memory of ours. A number that
    // is another connection's by now makes that one send a segment more, or fewer, than it would.
    let connection = unsafe { BorrowedFd::borrow_raw(connection) };
    // A connection that cannot wait sends at once.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_cork(connection, waits).ok();
    #[cfg(not(target_os = "linux"))]
    let (_, _) = (connection, waits);
}
