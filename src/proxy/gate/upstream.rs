//! The connection to the provider: when the head of a request leaves, and whether the provider has closed it unread.

use std::os::fd::RawFd;

use super::Gate;
use crate::proxy::line::Line;
use tollgate_base::cork;

impl Gate {
    /// The request goes out on a connection; `line` is what is known of one that was used before.
    /// False if the provider has closed it by now.
    pub fn connected(&self, line: Option<Line>) -> bool {
        let mut state = self.state.lock();
        let closed = line.as_ref().is_some_and(Line::is_closed);
        state.unread = closed.then_some(true);
        state.line = line;
        !closed
    }

    /// Lets the head of the request wait on this connection until [`Gate::uncork`]: Pingora writes it apart from the
    /// body, which costs a segment, and a waking of the provider.
    pub fn cork(&self, connection: RawFd) {
        cork(connection, true);
        self.state.lock().corked = Some(connection);
    }

    /// Returns whether the head waits.
    pub fn is_corked(&self) -> bool {
        self.state.lock().corked.is_some()
    }

    /// Sends what waits; the rest of the body leaves as it is written. Not to a provider that has closed the connection
    /// meanwhile, whose kernel would answer with a reset: so it is known that it has read nothing.
    pub fn uncork(&self) {
        let mut state = self.state.lock();
        let Some(connection) = state.corked.take() else {
            return;
        };
        if !state.line.as_ref().is_some_and(Line::has_closed) {
            cork(connection, false);
        }
    }

    /// Returns whether it is known that the provider received nothing of the request; `None` if its connection did not
    /// fail.
    pub fn is_unread(&self) -> Option<bool> {
        self.state.lock().unread
    }
}
