#![no_main]

#[path = "../translate.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod translate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate::answer(data));
