//! Time the embedding of tokens with a lookup table, at every SIMD level of this CPU.
//!
//!     cargo run --release --example lookup -- python/hypernova/bundled/static/model.onnx 16 211
//!
//! Each figure is the quickest of many rounds over 64 texts of made-up tokens, whose frequencies
//! fall like those of words. Not here: the making of tokens.

use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hypernova_core::SimdLevel;
use hypernova_core::text::table::{LookupTable, Scratch};

const TEXTS: usize = 64;
const ROUNDS: usize = 300;

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    let path = given.next();
    let lengths: Vec<usize> = given.filter_map(|s| s.parse().ok()).collect();
    let Some(path) = path.filter(|_| !lengths.is_empty()) else {
        eprintln!("usage: lookup MODEL.onnx TOKENS...");
        return ExitCode::from(2);
    };
    for level in SimdLevel::available() {
        let table = match LookupTable::open(Path::new(&path), None) {
            Ok(Some(table)) => table.with_level(level),
            Ok(None) => {
                eprintln!("{path}: no lookup graph");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        for &length in &lengths {
            let quickest = time(&table, length);
            println!("{level:?}: {length} tokens {quickest:?}");
        }
    }
    ExitCode::SUCCESS
}

/// The quickest mean of a round.
fn time(table: &LookupTable, length: usize) -> Duration {
    let vocabulary = u32::try_from(table.vocabulary()).unwrap_or(u32::MAX);
    let mut state = 1_u64;
    let mut token = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Of each number of bits equally many.
        ((state >> 33) as u32 >> (16 + (state >> 29) % 16)) % vocabulary
    };
    let texts: Vec<Vec<u32>> = (0..TEXTS)
        .map(|_| (0..length).map(|_| token()).collect())
        .collect();
    let (mut scratch, mut vector) = (Scratch::default(), vec![0.0; table.dim()]);
    let mut round = || {
        let start = Instant::now();
        for text in &texts {
            let done = table.embed(black_box(text), &mut scratch, &mut vector);
            done.expect("the tokens are those of the table");
            black_box(&vector);
        }
        start.elapsed() / TEXTS as u32
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}
