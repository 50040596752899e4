//! A decision that holds its ranking, and not the artifact that it was made with.
//!
//! Not here: its bytes (`encoding.rs`).

use std::sync::Arc;

use crate::artifact::Artifact;
use crate::decide::Decision;
use crate::error::Error;
use crate::options::{RouteOptions, unknown_among};
use crate::policy::{Entry, Reason, no_candidate_of};

/// A decision that holds its ranking, and not the artifact that it was made with.
///
/// It answers as the artifact did: the ranking is the same, and what is left of it after a
/// failure. See [`Artifact::detach`].
#[derive(Clone, Debug, PartialEq)]
pub struct DetachedDecision {
    pub(super) origin: Arc<Origin>,
    /// One entry a model: whether the options allow it, and it has not failed.
    pub(super) allowed: Box<[bool]>,
    /// Never empty: the first is the decision.
    pub(super) ranking: Vec<Entry>,
    pub(super) cluster: u32,
    pub(super) distance: f32,
    pub(super) novelty: f32,
    pub(super) reason: Reason,
    pub(super) propensity: f64,
}

/// What all decisions share that follow from one.
#[derive(Debug, PartialEq)]
pub(super) struct Origin {
    /// Of the artifact's file.
    pub(super) sha256: String,
    /// Of all models of the artifact.
    pub(super) names: Vec<String>,
    /// The limits in force, for a message.
    pub(super) limits: String,
}

impl Artifact {
    /// The decision with all that follows from it, without the artifact.
    ///
    /// `vector` is what was decided on, as in [`Self::rank`].
    ///
    /// # Panics
    ///
    /// As [`Self::rank`].
    #[must_use]
    pub fn detach(
        &self,
        decision: &Decision,
        vector: &[f32],
        options: &RouteOptions,
    ) -> DetachedDecision {
        let models = 0..self.n_models() as u32;
        DetachedDecision {
            origin: Arc::new(Origin {
                sha256: self.sha256().to_owned(),
                names: models.map(|m| self.model_name(m).to_owned()).collect(),
                limits: options.limits(),
            }),
            allowed: (options.allowed.clone())
                .unwrap_or_else(|| vec![true; self.n_models()].into()),
            ranking: self.rank(decision, vector, options),
            cluster: decision.cluster,
            distance: decision.distance,
            novelty: decision.novelty,
            reason: decision.reason,
            propensity: decision.propensity,
        }
    }
}

impl DetachedDecision {
    /// Name of the model that was decided for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model_name(self.ranking[0].model)
    }

    /// Name of a model of the ranking.
    ///
    /// # Panics
    ///
    /// If there is no such model.
    #[must_use]
    pub fn model_name(&self, model: u32) -> &str {
        &self.origin.names[model as usize]
    }

    /// All models that the options allow, the best first, as [`Artifact::rank`] gives them.
    #[must_use]
    pub fn ranking(&self) -> &[Entry] {
        &self.ranking
    }

    /// SHA-256 of the artifact's file, in hexadecimal digits.
    #[must_use]
    pub fn artifact_sha256(&self) -> &str {
        &self.origin.sha256
    }

    /// Index of the nearest centroid.
    #[must_use]
    pub fn cluster(&self) -> u32 {
        self.cluster
    }

    /// Euclidean distance from it.
    #[must_use]
    pub fn distance(&self) -> f32 {
        self.distance
    }

    /// Share of the training prompts that lie nearer to their centroids.
    #[must_use]
    pub fn novelty(&self) -> f32 {
        self.novelty
    }

    /// Why this model.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Chance with which it was taken.
    #[must_use]
    pub fn propensity(&self) -> f64 {
        self.propensity
    }

    /// The next model to try after one has failed, as [`Artifact::after_failure`] gives it.
    ///
    /// # Errors
    ///
    /// As [`Artifact::after_failure`].
    pub fn after_failure(&self, failed: &str) -> Result<Self, Error> {
        let names = &self.origin.names;
        let Some(failed) = names.iter().position(|name| name == failed) else {
            return Err(self.unknown_model(failed));
        };
        let mut left = self.clone();
        left.allowed[failed] = false;
        // No place in the ranking depends on which other models may be taken.
        left.ranking.retain(|entry| entry.model as usize != failed);
        if left.ranking.is_empty() {
            let allowed = left.allowed.iter().filter(|&&allowed| allowed).count();
            let limits = self.origin.limits.clone();
            return Err(no_candidate_of(names.len(), allowed, limits).in_cluster(self.cluster));
        }
        left.reason = Reason::Fallback;
        left.propensity = 1.0;
        Ok(left)
    }

    /// The error for a model that failed and that the artifact does not hold.
    #[must_use]
    pub fn unknown_model(&self, failed: &str) -> Error {
        let name_of = |m: u32| self.model_name(m);
        unknown_among("after_failure", failed, self.origin.names.len(), name_of)
    }
}
