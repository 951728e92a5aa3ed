//! What the kernel knows of a connection to a provider that was used before: whether it is closed already, and whether
//! what was sent on it was received.
//!
//! A provider may close a connection that it kept just when the next request is sent. If nothing of that request was
//! received by then, it is safe to send it again; else it may have been carried out.

use std::os::fd::RawFd;

use pingora_core::protocols::l4::ext::get_tcp_info;
use pingora_error::{Error, ErrorType};

/// TCP's state of a connection whose peer has closed it (`TCP_CLOSE_WAIT` in Linux's `tcp_states.h`).
const CLOSE_WAIT: u8 = 8;

/// A connection, as it was before a request was written.
pub struct Line {
    fd: RawFd,
    /// Bytes that the peer had acknowledged.
    acknowledged: u64,
    /// The peer had closed it.
    closed: bool,
}

impl Line {
    /// Returns the connection with this descriptor, which is open; `None` if the kernel says nothing of it.
    pub fn of(fd: RawFd) -> Option<Line> {
        // Where the kernel does not know, all is zero.
        let info = get_tcp_info(fd).ok().filter(|info| info.tcpi_state > 0)?;
        Some(Line {
            fd,
            acknowledged: info.tcpi_bytes_acked,
            closed: info.tcpi_state == CLOSE_WAIT,
        })
    }

    /// Returns whether the peer had closed it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns whether the peer has closed it by now.
    pub fn has_closed(&self) -> bool {
        get_tcp_info(self.fd).is_ok_and(|info| info.tcpi_state == CLOSE_WAIT)
    }

    /// Returns whether the peer had received nothing of what was written since, when it closed the connection in the
    /// way of `error`; the connection is still there. The segment that closes it acknowledges what was received. A
    /// reset need not, so after one nothing is known.
    pub fn is_unread(&self, error: &Error) -> bool {
        let closed = matches!(
            error.etype(),
            ErrorType::ConnectionClosed | ErrorType::WriteError
        );
        let now = || get_tcp_info(self.fd).ok();
        closed && now().is_some_and(|info| info.tcpi_bytes_acked == self.acknowledged)
    }
}
