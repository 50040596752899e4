//! The values of an artifact.
//!
//! Not here: the rules that they obey (`check.rs`), and their bytes.

/// Defaults of the decision rule; the caller's options go before them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Success per USD.
    pub cost_weight: f64,
    /// Success per second.
    pub latency_weight: f64,
    /// Dearest expected cost of a task, in USD.
    pub max_cost_usd: Option<f64>,
    /// Least shrunk success estimate.
    pub min_success: f64,
    /// Standard errors by which a model must beat the default model.
    pub guard_z: f64,
    /// Novelty above which a prompt is judged by the whole table; 1 switches it off.
    pub novelty_limit: f64,
    /// Weight of the prior, in outcomes, with which the estimates were shrunk.
    pub shrinkage: f64,
    /// Index of the best single model.
    pub default_model: u32,
}

impl Policy {
    /// A policy that takes what has the highest estimate: no weights, no limits, no guard, and
    /// nothing is novel.
    #[must_use]
    pub fn new(default_model: u32) -> Self {
        Self {
            cost_weight: 0.0,
            latency_weight: 0.0,
            max_cost_usd: None,
            min_success: 0.0,
            guard_z: 0.0,
            novelty_limit: 1.0,
            shrinkage: 0.0,
            default_model,
        }
    }
}

/// How the profiles of several clusters are blended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soft {
    /// How fast a cluster's share falls with its squared distance.
    pub sharpness: f64,
    /// How many of the nearest clusters have a share, 1 to 16.
    pub nearest: u32,
}

/// Whether an artifact routes text or vectors only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedderKind {
    /// An embedder turns text into the vector.
    Text,
    /// The vectors came with the table.
    Vectors,
}

/// What the core reads of an embedder's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Embedder {
    /// Name, for people.
    pub name: String,
    /// 64 hexadecimal digits; equal fingerprints mean equal vectors.
    pub fingerprint: String,
    /// Whether text can be routed.
    pub kind: EmbedderKind,
}

/// The values of an artifact. Names, shapes and rules are those of `FORMAT.md`.
///
/// [`Parts::new`] makes them without profiles; fill in the fields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parts {
    /// Number of clusters, `k`.
    pub clusters: u32,
    /// Dimension of a vector, `d`.
    pub dim: u32,
    /// Centroids, `k` x `d`.
    pub centroids: Vec<f32>,
    /// Outcomes counted, `(k + 1)` x `m`.
    pub counts: Vec<f64>,
    /// Mean score, `(k + 1)` x `m`.
    pub mean: Vec<f32>,
    /// Shrunk success estimate, `(k + 1)` x `m`.
    pub success: Vec<f32>,
    /// Standard error of the estimate, `(k + 1)` x `m`.
    pub standard_error: Vec<f32>,
    /// Standard error of the paired gain over the default model, `(k + 1)` x `m`.
    pub gain_error: Vec<f32>,
    /// Mean cost in USD, `(k + 1)` x `m`; NaN where unknown.
    pub cost: Vec<f32>,
    /// Mean latency in seconds, `(k + 1)` x `m`; NaN where unknown.
    pub latency: Vec<f32>,
    /// Names of the `m` models.
    pub models: Vec<String>,
    /// Defaults of the decision rule.
    pub policy: Policy,
    /// The embedder's identity, a JSON object.
    pub embedder: String,
    /// Novelty quantiles.
    pub novelty: Vec<f32>,
    /// How the artifact was made, a JSON object.
    pub metadata: String,
    /// How the profiles of several clusters are blended; `None` takes the nearest alone.
    pub soft: Option<Soft>,
    /// What is added to the blended success estimates; `None` adds nothing.
    pub correction: Option<LinearCorrection>,
}

impl Parts {
    /// Parts of that shape, whose arrays and metadata are still empty; nothing is blended or
    /// lifted.
    #[must_use]
    pub fn new(
        clusters: u32,
        dim: u32,
        models: Vec<String>,
        policy: Policy,
        embedder: String,
    ) -> Self {
        Self {
            clusters,
            dim,
            centroids: Vec::new(),
            counts: Vec::new(),
            mean: Vec::new(),
            success: Vec::new(),
            standard_error: Vec::new(),
            gain_error: Vec::new(),
            cost: Vec::new(),
            latency: Vec::new(),
            models,
            policy,
            embedder,
            novelty: Vec::new(),
            metadata: String::new(),
            soft: None,
            correction: None,
        }
    }
}

/// A linear function of the vector for each model.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearCorrection {
    /// Its value where the vector is 0, `m`.
    pub offsets: Vec<f32>,
    /// Its slope, `m` x `d`.
    pub slopes: Vec<f32>,
}
