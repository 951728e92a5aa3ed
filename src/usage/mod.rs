//! (room: usage)
