#![no_main]

#[path = "../mask.rs"]
mod mask;

libfuzzer_sys::fuzz_target!(|data: &[u8]| mask::mask(data));
