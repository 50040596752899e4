//! Fuzz the reader with bytes whose magic, version, length and checksums have been corrected.
//!
//! Not here: bytes that these checks refuse (`parse.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut file = bytes.to_vec();
    hypernova_fuzz::fix(&mut file);
    hypernova_fuzz::open(&file);
});
