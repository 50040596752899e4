//! Fuzz the reader with any bytes.
//!
//! Not here: bytes with corrected checksums (`parse_fixed.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hypernova_fuzz::open(bytes));
