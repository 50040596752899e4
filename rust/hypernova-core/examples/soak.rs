//! Route millions of vectors from several threads; fail on one wrong answer or if
//! memory grows. Run: `make soak [ROUTES=50000000] [THREADS=4]`
//!
//! Not here: speed (`benches/`). The right answers are computed beforehand by a plain loop over
//! all centroids and by the scalar level.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hypernova_core::format::{Blending, Policy};
use hypernova_core::{
    Artifact, ArtifactValues, Decision, LinearCorrection, Price, Request, RouteOptions, SimdLevel,
};

const CLUSTERS: usize = 100;
const DIM: usize = 64;
const MODELS: usize = 25;
const QUERIES: usize = 4_096;
/// Bytes by which resident memory may grow once all threads have started.
const GROWTH: u64 = 1 << 20;
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn fraction(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn many(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count)
            .map(|_| low + (high - low) * self.fraction())
            .collect()
    }
}

fn values(blended: bool) -> ArtifactValues {
    let mut random = Random(1);
    let cells = (CLUSTERS + 1) * MODELS;
    let mut policy = Policy::new(12);
    policy.guard_z = 1.0;
    policy.novelty_limit = 0.98;
    policy.shrinkage = 4.0;
    let models = (0..MODELS).map(|m| format!("vendor/model-{m}")).collect();
    let embedder = format!(
        r#"{{"name": "soak", "dim": {DIM}, "fingerprint": "{}", "kind": "vectors"}}"#,
        "0".repeat(64)
    );
    let mut values = ArtifactValues::new(CLUSTERS as u32, DIM as u32, models, policy, embedder);
    values.centroids = random.many(CLUSTERS * DIM, -0.2, 0.2);
    values.counts = vec![40.0; cells];
    values.mean = random.many(cells, 0.0, 1.0);
    values.success = random.many(cells, 0.0, 1.0);
    values.standard_error = random.many(cells, 0.0, 0.1);
    values.gain_error = random.many(cells, 0.0, 0.1);
    values.cost = random.many(cells, 0.0, 0.02);
    values.latency = random.many(cells, 0.0, 20.0);
    values.novelty = (0..101_u16).map(|q| f32::from(q) / 90.0).collect();
    values.metadata = "{}".into();
    values.blending = blended.then_some(Blending {
        sharpness: 8.0,
        nearest: 8,
    });
    values.correction = blended.then(|| LinearCorrection {
        offsets: vec![0.01; MODELS],
        slopes: random.many(MODELS * DIM, -0.1, 0.1),
    });
    values
}

fn request() -> Request {
    let mut request = Request::default();
    request.cost_weight = Some(1.0);
    request.latency_weight = Some(0.001);
    request.max_cost_usd = Some(0.019);
    request.min_success = Some(0.05);
    request.deny = Some(vec!["vendor/model-3".into()]);
    request.prices = Some(vec![("vendor/model-7".into(), Price::Task(0.001))]);
    request
}

/// The nearest centroid by the words of `FORMAT.md`.
fn plain_nearest(query: &[f32], centroids: &[f32]) -> u32 {
    let mut best = (f32::INFINITY, 0);
    for (index, row) in (0..).zip(centroids.chunks_exact(DIM)) {
        let mut p = [0.0_f32; 16];
        for (j, (x, y)) in query.iter().zip(row).enumerate() {
            let t = x - y;
            p[j % 16] += t * t;
        }
        for w in [8, 4, 2, 1] {
            for i in 0..w {
                p[i] += p[i + w];
            }
        }
        if p[0] < best.0 {
            best = (p[0], index);
        }
    }
    best.1
}

/// An artifact, options, and the right answer to every query.
struct Case {
    artifact: Artifact,
    options: RouteOptions,
    expected: Vec<Decision>,
}

fn cases(queries: &[f32]) -> Vec<Case> {
    let mut cases = Vec::new();
    for blended in [false, true] {
        let values = values(blended);
        for asked in [Request::default(), request()] {
            let build = || Artifact::build(&values).expect("the values are valid");
            let scalar = build().with_level(SimdLevel::Scalar);
            let options = RouteOptions::resolve(&scalar, &asked).expect("the request is valid");
            let expected: Vec<Decision> = queries
                .chunks_exact(DIM)
                .map(|query| {
                    let decided = scalar.decide(query, &options).expect("a model is left");
                    assert_eq!(decided.cluster, plain_nearest(query, &values.centroids));
                    decided
                })
                .collect();
            cases.push(Case {
                artifact: build(),
                options,
                expected,
            });
        }
    }
    cases
}

/// Resident memory in bytes; 0 where the system does not report it.
fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages = text.split_whitespace().nth(1).and_then(|p| p.parse().ok());
    pages.unwrap_or(0_u64) * 4096
}

fn argument(at: usize, default: u64) -> u64 {
    let given = std::env::args().nth(at);
    given.map_or(default, |text| {
        text.parse().expect("usage: soak [ROUTES [THREADS]]")
    })
}

fn main() -> ExitCode {
    let (routes, threads) = (argument(1, 50_000_000), argument(2, 4).max(1));
    let queries = Random(7).many(QUERIES * DIM, -0.25, 0.25);
    let cases = cases(&queries);
    let (done, wrong) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let (mut first, mut most) = (0, 0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (cases, queries, done, wrong) = (&cases, &queries, &done, &wrong);
            let share = routes / threads + u64::from(thread < routes % threads);
            scope.spawn(move || {
                let mut left = share;
                let mut turn = thread as usize;
                while left > 0 && started.elapsed() < LONGEST {
                    // Most requests have no options, and most artifacts no blend.
                    let case = &cases[[0, 0, 0, 1, 0, 0, 2, 3][turn % 8]];
                    turn += 1;
                    let batch = left.min(QUERIES as u64) as usize;
                    let rows = queries.chunks_exact(DIM).zip(&case.expected).take(batch);
                    for (query, expected) in rows {
                        let decided = case.artifact.decide(query, &case.options);
                        if decided.ok().as_ref() != Some(expected) {
                            wrong.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    left -= batch as u64;
                    done.fetch_add(batch as u64, Ordering::Relaxed);
                }
            });
        }
        while done.load(Ordering::Relaxed) < routes && started.elapsed() < LONGEST {
            std::thread::sleep(Duration::from_millis(100));
            if first == 0 {
                first = resident(); // all threads have started
            }
            most = most.max(resident());
        }
    });
    let (done, wrong) = (done.into_inner(), wrong.into_inner());
    println!(
        "{done} routes from {threads} threads in {:.1} s, level {}: {wrong} wrong answers; \
         resident memory {first} bytes at first, at most {most}",
        started.elapsed().as_secs_f64(),
        cases[0].artifact.level().name(),
    );
    if wrong > 0 || done < routes || most > first + GROWTH {
        eprintln!("failed: a wrong answer, too few routes in time, or memory that grew");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
