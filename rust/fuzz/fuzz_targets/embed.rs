//! Fuzz a lookup embedder with any text: its vector is the same at every SIMD level, and again.
//!
//! Not here: any bytes as its files (`lookup.rs`, `tokenizer.rs`).
#![no_main]

use std::sync::LazyLock;

use hypernova_core::text::embedder::LookupEmbedder;

static EMBEDDERS: LazyLock<Vec<LookupEmbedder>> = LazyLock::new(hypernova_fuzz::embedders);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hypernova_fuzz::embed(&EMBEDDERS, &String::from_utf8_lossy(bytes));
});
