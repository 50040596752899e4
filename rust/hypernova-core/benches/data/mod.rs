//! Artifacts and queries for benchmarks: the same in every run.

use hypernova_core::format::{Blending, Policy};
use hypernova_core::{Artifact, ArtifactValues, LinearCorrection, Price, Request, RouteOptions};

pub const MODELS: usize = 25;
/// Number of queries that take turns, so that the CPU does not learn the branches of one.
pub const QUERIES: usize = 64;

/// The generator `SplitMix64`: the same data in every run.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn fraction(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Vectors of unit length, as embedders give them.
    pub fn unit_vectors(&mut self, rows: usize, dim: usize) -> Vec<f32> {
        let mut matrix: Vec<f32> = (0..rows * dim).map(|_| self.fraction() - 0.5).collect();
        for row in matrix.chunks_exact_mut(dim) {
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            for v in row {
                *v /= length;
            }
        }
        matrix
    }
}

pub fn artifact(clusters: usize, dim: usize) -> Artifact {
    Artifact::build(&values(clusters, dim)).expect("the values are valid")
}

/// An artifact with blending and correction, as `fit` makes them.
#[allow(dead_code, reason = "not every crate that shares this module uses it")]
pub fn fitted(clusters: usize, dim: usize) -> Artifact {
    let mut values = values(clusters, dim);
    let mut random = SplitMix(7);
    let mut draw = |n: usize| (0..n).map(|_| random.fraction() * 0.02 - 0.01).collect();
    values.correction = Some(LinearCorrection {
        offsets: draw(MODELS),
        slopes: draw(MODELS * dim),
    });
    values.blending = Some(Blending {
        sharpness: 150.0,
        nearest: 8,
    });
    Artifact::build(&values).expect("the values are valid")
}

pub fn values(clusters: usize, dim: usize) -> ArtifactValues {
    let mut random = SplitMix(clusters as u64 ^ dim as u64);
    let cells = (clusters + 1) * MODELS;
    let centroids = random.unit_vectors(clusters, dim);
    let mut draw =
        |scale: f32| -> Vec<f32> { (0..cells).map(|_| random.fraction() * scale).collect() };
    let mut policy = Policy::new(12);
    policy.guard_z = 1.0;
    policy.shrinkage = 4.0;
    let models = (0..MODELS).map(|m| format!("vendor/model-{m}")).collect();
    let embedder = format!(
        r#"{{"name": "bench", "dim": {dim}, "fingerprint": "{}", "kind": "vectors"}}"#,
        "0".repeat(64)
    );
    let mut values = ArtifactValues::new(clusters as u32, dim as u32, models, policy, embedder);
    values.centroids = centroids;
    values.counts = vec![40.0; cells];
    values.mean = draw(1.0);
    values.success = draw(1.0);
    values.standard_error = draw(0.1);
    values.gain_error = draw(0.1);
    values.cost = draw(0.02);
    values.latency = draw(20.0);
    values.novelty = (0..101).map(|q| q as f32 / 50.0).collect();
    values.metadata = "{}".into();
    values
}

/// Queries about as far from all centroids, so that the search can prune few of them.
pub fn far_queries(dim: usize) -> Vec<f32> {
    SplitMix(99).unit_vectors(QUERIES, dim)
}

/// Queries near centroids, like prompts of a cluster: centroid plus noise of the same length.
pub fn queries(artifact: &Artifact) -> Vec<f32> {
    let dim = artifact.dim();
    let mut queries = far_queries(dim);
    let centroids = artifact.centroids().chunks_exact(dim).cycle();
    for (query, centroid) in queries.chunks_exact_mut(dim).zip(centroids) {
        for (value, at) in query.iter_mut().zip(centroid) {
            *value = (*value + at) * std::f32::consts::FRAC_1_SQRT_2;
        }
    }
    queries
}

/// Route options of every kind.
pub fn options(artifact: &Artifact) -> RouteOptions {
    RouteOptions::resolve(artifact, &request()).expect("the request is valid")
}

pub fn request() -> Request {
    let mut request = Request::default();
    request.cost_weight = Some(1.0);
    request.latency_weight = Some(0.001);
    request.max_cost_usd = Some(0.019);
    request.min_success = Some(0.05);
    request.deny = Some(vec!["vendor/model-3".into()]);
    request.prices = Some(vec![("vendor/model-7".into(), Price::Task(0.001))]);
    request
}
