//! Fuzz the reader of lookup graphs with any bytes.
//!
//! Not here: artifacts (`parse.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hypernova_fuzz::lookup(bytes));
