//! A decision that contains its ranking and does not need its artifact.
//!
//! Not here: its bytes (`encoding.rs`).

use std::sync::Arc;

use crate::artifact::Artifact;
use crate::decide::Decision;
use crate::error::Error;
use crate::options::{Group, RouteOptions, unknown_model_among};
use crate::policy::{RankingEntry, Reason, no_candidate_of};

/// A decision that contains its ranking and does not need its artifact.
///
/// Ranking and decisions after a failure are those of the artifact. See [`Artifact::detach`].
#[derive(Clone, Debug, PartialEq)]
pub struct DetachedDecision {
    pub(super) origin: Arc<Origin>,
    /// One entry per model: whether the options allow it and it has not failed.
    pub(super) allowed: Box<[bool]>,
    /// Never empty: the first is the chosen model.
    pub(super) ranking: Vec<RankingEntry>,
    pub(super) cluster: u32,
    pub(super) distance: f32,
    pub(super) novelty: f32,
    pub(super) reason: Reason,
    pub(super) propensity: f64,
    /// Name of the group whose profile decided.
    pub(super) group: Option<String>,
    pub(super) unknown_group: bool,
}

/// The facts about the artifact and the options that decisions after a failure share.
#[derive(Debug, PartialEq)]
pub(super) struct Origin {
    /// SHA-256 of the artifact's file.
    pub(super) sha256: String,
    /// Names of all models of the artifact.
    pub(super) names: Vec<String>,
    /// Index of the default model among them.
    pub(super) default_model: u32,
    /// The limits in force, for messages.
    pub(super) limits: String,
}

impl Artifact {
    /// Detach a decision from the artifact, with its ranking.
    ///
    /// `vector` is the one of the decision, as in [`Self::rank`].
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
                default_model: self.policy().default_model,
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
            group: match decision.facts.group {
                Group::Known(group) => Some(self.group_name(group).to_owned()),
                Group::Unstated | Group::Unknown => None,
            },
            unknown_group: decision.facts.group == Group::Unknown,
        }
    }
}

impl DetachedDecision {
    /// Name of the chosen model.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model_name(self.ranking[0].model)
    }

    /// Name of the model at index `model`.
    ///
    /// # Panics
    ///
    /// If the artifact has no model at this index.
    #[must_use]
    pub fn model_name(&self, model: u32) -> &str {
        &self.origin.names[model as usize]
    }

    /// Name of the artifact's default model.
    #[must_use]
    pub fn default_model(&self) -> &str {
        self.model_name(self.origin.default_model)
    }

    /// The ranking of [`Artifact::rank`].
    #[must_use]
    pub fn ranking(&self) -> &[RankingEntry] {
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

    /// Euclidean distance from the nearest centroid.
    #[must_use]
    pub fn distance(&self) -> f32 {
        self.distance
    }

    /// Share of the training prompts that lie nearer to their centroids.
    #[must_use]
    pub fn novelty(&self) -> f32 {
        self.novelty
    }

    /// Why the rule chose this model.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Probability with which the model was drawn.
    #[must_use]
    pub fn propensity(&self) -> f64 {
        self.propensity
    }

    /// Name of the group whose profile decided: the one that the caller named.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Whether the caller named a group that the artifact does not hold.
    #[must_use]
    pub fn has_unknown_group(&self) -> bool {
        self.unknown_group
    }

    /// Decide again after a model has failed, as [`Artifact::after_failure`] does.
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
        // The order of the ranking does not depend on the set of candidates.
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

    /// Create the error for a failed model that the artifact does not hold.
    #[must_use]
    pub fn unknown_model(&self, failed: &str) -> Error {
        let name_of = |m: u32| self.model_name(m);
        unknown_model_among("after_failure", failed, self.origin.names.len(), name_of)
    }
}
