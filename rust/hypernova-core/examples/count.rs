//! Repeat one operation, for a tool that counts instructions.
//!
//!     valgrind --tool=callgrind target/release/examples/count decide 100 384 1000
//!
//! The count includes the preparation: run with two numbers of times, and the difference is that
//! of the operation alone, as `benches/core.py` does.

#[path = "../benches/data/mod.rs"]
mod data;

use std::hint::black_box;
use std::process::ExitCode;

use hypernova_core::{Artifact, RouteOptions};

const USAGE: &str =
    "usage: count decide|far|options|fitted|fitted-options|many|open CLUSTERS DIM TIMES";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = given.iter().filter_map(|s| s.parse().ok()).collect();
    let (Some(work), &[clusters, dim, times]) = (given.first(), numbers.as_slice()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let artifact = match work.as_str() {
        "fitted" | "fitted-options" => data::fitted(clusters, dim),
        _ => data::artifact(clusters, dim),
    };
    let queries = match work.as_str() {
        "far" => data::far_queries(dim),
        _ => data::queries(&artifact),
    };
    let options = match work.as_str() {
        "options" | "fitted-options" => data::options(&artifact),
        _ => RouteOptions::defaults(&artifact),
    };
    match work.as_str() {
        "decide" | "far" | "options" | "fitted" | "fitted-options" => {
            for query in queries.chunks_exact(dim).cycle().take(times) {
                black_box(artifact.decide(black_box(query), &options)).expect("a model is left");
            }
        }
        // As many rows as times.
        "many" => {
            for _ in 0..times / data::QUERIES {
                black_box(artifact.decide_many(black_box(&queries), &options)).expect("valid");
            }
        }
        "open" => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("a.hnv");
            artifact.save(&path).expect("the folder can be written");
            for _ in 0..times {
                black_box(Artifact::open(black_box(&path)).expect("the file is valid"));
            }
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
