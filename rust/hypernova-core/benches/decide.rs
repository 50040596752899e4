//! Time the search, the rule, a whole decision and the opening of a file.
//!
//! Not here: text and embedding, which take longer
//! (`benches/` at the root of the repository).
//!
//! Before a measurement, all levels must give the scalar level's answer on the same data.

mod data;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hypernova_core::format::Blending;
use hypernova_core::nearest::{nearest, nearest_k};
use hypernova_core::{Artifact, LinearCorrection, RouteOptions, SimdLevel};

use data::{MODELS, SplitMix, artifact, far_queries, fitted, options, queries, request, values};

/// Clusters and dimension: of sentence embeddings, and of large ones.
const SHAPES: [(usize, usize); 5] = [
    (20, 384),
    (100, 384),
    (1000, 384),
    (100, 1536),
    (1000, 1536),
];
/// Artifacts with blended clusters, with corrected estimates, and with both.
fn blends(clusters: usize, dim: usize) -> [(&'static str, Artifact); 3] {
    let blending = Some(Blending {
        sharpness: 8.0,
        nearest: 8,
    });
    let correction = Some(LinearCorrection {
        offsets: vec![0.01; MODELS],
        slopes: SplitMix(5).unit_vectors(MODELS, dim),
    });
    [
        ("blend", blending, None),
        // The name of the row in earlier records.
        ("lift", None, correction.clone()),
        ("both", blending, correction),
    ]
    .map(|(name, blending, correction)| {
        let mut values = values(clusters, dim);
        (values.blending, values.correction) = (blending, correction);
        (
            name,
            Artifact::build(&values).expect("the values are valid"),
        )
    })
}

fn levels() -> Vec<SimdLevel> {
    let named = SimdLevel::NAMES.map(|name| SimdLevel::from_name(name).map_err(|_| name));
    for missing in named.iter().filter_map(|l| l.as_ref().err()) {
        eprintln!("skipped: this CPU has no {missing}");
    }
    named.into_iter().flatten().collect()
}

/// Panics unless all levels agree on the data that will be timed.
fn check(levels: &[SimdLevel]) {
    for (clusters, dim) in SHAPES {
        let artifact = artifact(clusters, dim);
        for query in queries(&artifact).chunks_exact(dim) {
            let scalar = nearest(SimdLevel::Scalar, query, artifact.centroids());
            for &level in levels {
                let found = nearest(level, query, artifact.centroids());
                assert_eq!(found, scalar, "{level:?} at {clusters}x{dim}");
                let top_k = nearest_k(level, query, artifact.centroids(), 8);
                assert_eq!(top_k.as_slice()[0], scalar, "{level:?} at {clusters}x{dim}");
            }
        }
    }
}

/// A whole decision on an artifact as `fit` makes it.
fn bench_fitted(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide/as fit makes it");
    for (clusters, dim) in [(100, 384), (16, 512), (8, 512)] {
        let artifact = fitted(clusters, dim);
        let queries = queries(&artifact);
        for (asked, options) in [
            ("defaults", RouteOptions::defaults(&artifact)),
            ("options", options(&artifact)),
        ] {
            let mut turns = queries.chunks_exact(dim).cycle();
            group.bench_function(format!("{clusters}x{dim}/{asked}"), |b| {
                b.iter(|| {
                    let query = turns.next().expect("it never ends");
                    artifact.decide(black_box(query), &options)
                });
            });
            group.bench_function(format!("{clusters}x{dim}/{asked}, each of 64"), |b| {
                b.iter(|| artifact.decide_many(black_box(&queries), &options));
            });
        }
    }
    group.finish();
}

fn bench_nearest(c: &mut Criterion) {
    let levels = levels();
    check(&levels);
    for level in levels {
        let mut group = c.benchmark_group(format!("nearest/{}", level.name()));
        for (clusters, dim) in SHAPES {
            let artifact = artifact(clusters, dim);
            let queries = queries(&artifact);
            let mut turns = queries.chunks_exact(dim).cycle();
            group.throughput(Throughput::Bytes(4 * (clusters * dim) as u64));
            group.bench_function(format!("{clusters}x{dim}"), |b| {
                b.iter(|| {
                    let query = turns.next().expect("it never ends");
                    nearest(level, black_box(query), artifact.centroids())
                });
            });
        }
        group.finish();
    }
}

fn bench_decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    for (clusters, dim) in SHAPES {
        let artifact = artifact(clusters, dim);
        let options = RouteOptions::defaults(&artifact);
        for (name, queries) in [("near", queries(&artifact)), ("far", far_queries(dim))] {
            let mut turns = queries.chunks_exact(dim).cycle();
            group.bench_function(format!("{clusters}x{dim}/{name}"), |b| {
                b.iter(|| {
                    let query = turns.next().expect("it never ends");
                    artifact.decide(black_box(query), &options)
                });
            });
            group.bench_function(format!("{clusters}x{dim}/{name}, each of 64"), |b| {
                b.iter(|| artifact.decide_many(black_box(&queries), &options));
            });
        }
    }
    group.finish();
}

/// A whole decision where the artifact blends clusters or corrects estimates.
fn bench_blends(c: &mut Criterion) {
    for (clusters, dim) in [(20, 384), (100, 384)] {
        for (name, artifact) in blends(clusters, dim) {
            let mut group = c.benchmark_group(format!("decide/{name}"));
            let options = [
                ("defaults", RouteOptions::defaults(&artifact)),
                ("options", options(&artifact)),
            ];
            let queries = queries(&artifact);
            for (asked, options) in options {
                let mut turns = queries.chunks_exact(dim).cycle();
                group.bench_function(format!("{clusters}x{dim}/{asked}"), |b| {
                    b.iter(|| {
                        let query = turns.next().expect("it never ends");
                        artifact.decide(black_box(query), &options)
                    });
                });
            }
            group.finish();
        }
    }
}

/// The rule without the search: one cluster of dimension 1, 25 models.
fn bench_policy(c: &mut Criterion) {
    let artifact = artifact(1, 1);
    let (defaults, options) = (RouteOptions::defaults(&artifact), options(&artifact));
    let decision = artifact.decide(&[1.0], &options).expect("a model is left");
    let mut group = c.benchmark_group("policy");
    for (name, options) in [("defaults", &defaults), ("options", &options)] {
        group.bench_function(format!("choose/{name}"), |b| {
            b.iter(|| artifact.decide(black_box(&[1.0]), black_box(options)));
        });
        group.bench_function(format!("rank/{name}"), |b| {
            b.iter(|| artifact.rank(black_box(&decision), &[], black_box(options)));
        });
    }
    let request = request();
    group.bench_function("resolve/options", |b| {
        b.iter(|| RouteOptions::resolve(&artifact, black_box(&request)));
    });
    group.finish();
}

fn bench_open(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = c.benchmark_group("open");
    for (clusters, dim) in [(100, 384), (1000, 1536)] {
        let path = folder.path().join(format!("{clusters}x{dim}.hnv"));
        let artifact = artifact(clusters, dim);
        artifact.save(&path).expect("the folder can be written");
        group.throughput(Throughput::Bytes(artifact.bytes().len() as u64));
        group.bench_function(format!("{clusters}x{dim}"), |b| {
            b.iter(|| Artifact::open(black_box(&path)).expect("the file is valid"));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = bench_fitted, bench_nearest, bench_decide, bench_blends, bench_policy, bench_open
}
criterion_main!(benches);
