#![no_main]

#[path = "../head.rs"]
mod head;

libfuzzer_sys::fuzz_target!(|data: &[u8]| head::head(data));
