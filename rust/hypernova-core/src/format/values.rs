//! The values of an artifact, as types.
//!
//! Not here: their rules (`check.rs`) and their bytes (`encode.rs`).

/// Defaults of the route options and parameters of the decision rule.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Success that one USD is worth.
    pub cost_weight: f64,
    /// Success that one second is worth.
    pub latency_weight: f64,
    /// Highest expected cost of a task, in USD; `None` is no limit.
    pub max_cost_usd: Option<f64>,
    /// Lowest success estimate, 0 to 1.
    pub min_success: f64,
    /// Number of standard errors by which a model must beat the default model.
    pub guard_z: f64,
    /// Part of an estimated gain in success over the default model that does not count, unless the
    /// caller names the prompt's group.
    pub margin: f64,
    /// Novelty above which the whole table decides instead of a cluster; 1 switches this off.
    pub novelty_limit: f64,
    /// Number of outcomes with which the estimates lean on the overall rate.
    pub shrinkage: f64,
    /// Index of the default model.
    pub default_model: u32,
}

impl Policy {
    /// Create a policy by which the highest success estimate wins: no weights, no limits, no
    /// guard, no margin, and no prompt is novel.
    #[must_use]
    pub fn new(default_model: u32) -> Self {
        Self {
            cost_weight: 0.0,
            latency_weight: 0.0,
            max_cost_usd: None,
            min_success: 0.0,
            guard_z: 0.0,
            margin: 0.0,
            novelty_limit: 1.0,
            shrinkage: 0.0,
            default_model,
        }
    }
}

/// How the profiles of the nearest clusters are blended into one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blending {
    /// How fast a cluster's share falls with its squared distance; above 0.
    pub sharpness: f64,
    /// Number of nearest clusters that have a share, 1 to 16.
    pub nearest: u32,
}

/// The origin of an artifact's vectors: text, or the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedderKind {
    /// An embedder turns text into the vector.
    Text,
    /// The vectors came with the table, so that only vectors can be routed.
    Vectors,
}

/// The fields of an embedder's identity that the core reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Embedder {
    /// Name, for display.
    pub name: String,
    /// 64 lower-case hexadecimal digits; equal fingerprints mean equal vectors.
    pub fingerprint: String,
    /// Whether the artifact routes text.
    pub kind: EmbedderKind,
}

/// All values of an artifact; `FORMAT.md` has their shapes and rules.
///
/// [`ArtifactValues::new`] leaves the arrays empty; fill in the fields and call
/// [`crate::Artifact::build`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ArtifactValues {
    /// Number of clusters, `k`.
    pub clusters: u32,
    /// Dimension of a vector, `d`.
    pub dim: u32,
    /// Centroids, `k` x `d`.
    pub centroids: Vec<f32>,
    /// Number of outcomes, `(k + 1)` x `m`.
    pub counts: Vec<f64>,
    /// Mean score, `(k + 1)` x `m`.
    pub mean: Vec<f32>,
    /// Success estimate, `(k + 1)` x `m`.
    pub success: Vec<f32>,
    /// Standard error of the success estimate, `(k + 1)` x `m`.
    pub standard_error: Vec<f32>,
    /// Standard error of the paired gain over the default model, `(k + 1)` x `m`.
    pub gain_error: Vec<f32>,
    /// Mean cost in USD, `(k + 1)` x `m`; NaN where unknown.
    pub cost: Vec<f32>,
    /// Mean latency in seconds, `(k + 1)` x `m`; NaN where unknown.
    pub latency: Vec<f32>,
    /// Names of the `m` models.
    pub models: Vec<String>,
    /// Defaults of the route options and parameters of the decision rule.
    pub policy: Policy,
    /// The embedder's identity, a JSON object.
    pub embedder: String,
    /// Novelty quantiles: distances, rising.
    pub novelty: Vec<f32>,
    /// How the artifact was made, a JSON object.
    pub metadata: String,
    /// How the profiles of the nearest clusters are blended; `None` takes the nearest alone.
    pub blending: Option<Blending>,
    /// The linear correction of the success estimates; `None` is none.
    pub correction: Option<LinearCorrection>,
    /// The groups that a caller may name; `None` is none.
    pub groups: Option<GroupProfiles>,
    /// The tokens that each model reads and writes; `None` where they are unknown.
    pub tokens: Option<TokenProfiles>,
}

impl ArtifactValues {
    /// Create values with empty arrays and metadata, and without all that an artifact may lack.
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
            blending: None,
            correction: None,
            groups: None,
            tokens: None,
        }
    }
}

/// Profiles of the `g` groups of tasks that a caller may name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupProfiles {
    /// Names, `g`.
    pub names: Vec<String>,
    /// Number of tasks of each, `g`.
    pub tasks: Vec<f64>,
    /// Number of outcomes, `g` x `m`.
    pub counts: Vec<f64>,
    /// Mean score, `g` x `m`.
    pub mean: Vec<f32>,
    /// Success estimate, `g` x `m`.
    pub success: Vec<f32>,
    /// Standard error of the success estimate, `g` x `m`.
    pub standard_error: Vec<f32>,
    /// Standard error of the paired gain over the default model, `g` x `m`.
    pub gain_error: Vec<f32>,
    /// Mean cost in USD, `g` x `m`; NaN where unknown.
    pub cost: Vec<f32>,
    /// Mean latency in seconds, `g` x `m`; NaN where unknown.
    pub latency: Vec<f32>,
    /// The linear correction inside a group; `None` is none.
    pub correction: Option<GroupCorrection>,
}

/// A linear function of the vector for each model, with a value of its own for each group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupCorrection {
    /// Value at the zero vector, `g` x `m`.
    pub offsets: Vec<f32>,
    /// Slopes, `m` x `d`.
    pub slopes: Vec<f32>,
}

/// The tokens that each model reads and writes for a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenProfiles {
    /// Input tokens of an empty prompt and of each further character, `m` x 2; NaN where unknown.
    pub per_prompt: Vec<f32>,
    /// Mean input tokens, `(k + 1)` x `m`; NaN where unknown.
    pub input: Vec<f32>,
    /// Mean output tokens, `(k + 1)` x `m`; NaN where unknown.
    pub output: Vec<f32>,
    /// As `input`, of the groups, `g` x `m`; empty without groups.
    pub group_input: Vec<f32>,
    /// As `output`, of the groups, `g` x `m`; empty without groups.
    pub group_output: Vec<f32>,
}

/// A linear function of the vector for each model, added to its success estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearCorrection {
    /// Value at the zero vector, `m`.
    pub offsets: Vec<f32>,
    /// Slopes, `m` x `d`.
    pub slopes: Vec<f32>,
}
