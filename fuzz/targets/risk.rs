#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hedgecore_fuzz::targets::risk::run(bytes));
