#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = redis::parse_redis_value(data) {
        tollgate_store::redis::fuzz::answer(&value);
        tollgate_ledger::fuzz::answer(&value);
        tollgate_control::fuzz::answer(&value);
    }
});
