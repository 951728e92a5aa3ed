//! Server-sent events, read incrementally from bytes.
