//! Fuzzes the SSE parser and the tap: arbitrary bytes, arbitrarily cut.
#![no_main]

#[path = "../laws/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sse::sse(data));
