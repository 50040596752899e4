//! Any bytes.
//!
//! Not here: bytes whose checksums are right (`parse_fixed.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hypernova_fuzz::open(bytes));
