//! From a vector to a decision: the whole serving path of the core.
//!
//! Not here: the search ([`crate::nearest`]) and the rule ([`crate::policy`]).

use crate::artifact::Artifact;
use crate::error::Error;
use crate::nearest::{check_finite, nearest};
use crate::policy::{Reason, Wishes, choose};

/// What was decided for one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Index of the model.
    pub model: u32,
    /// Index of the nearest centroid.
    pub cluster: u32,
    /// Row of the profiles that was used: the cluster, or the number of clusters
    /// if the prompt is novel.
    pub row: u32,
    /// Euclidean distance from the nearest centroid.
    pub distance: f32,
    /// Share of the training prompts that lie nearer to their centroids.
    pub novelty: f32,
    /// Why this model.
    pub reason: Reason,
}

/// Novelty of a distance, by the rule of `FORMAT.md`.
fn novelty(quantiles: &[f32], distance: f32) -> f32 {
    let i = quantiles.partition_point(|&q| q <= distance);
    if i == 0 {
        return 0.0;
    }
    if i == quantiles.len() {
        return 1.0;
    }
    let (low, high) = (f64::from(quantiles[i - 1]), f64::from(quantiles[i]));
    let part = (f64::from(distance) - low) / (high - low);
    (((i - 1) as f64 + part) / (quantiles.len() - 1) as f64) as f32
}

impl Artifact {
    /// Decide for one vector. Allocates nothing unless it fails.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] or [`Error::VectorNotFinite`] for a vector that is
    /// not `dim` finite values; [`Error::NoCandidate`] if the wishes leave no model.
    ///
    /// # Panics
    ///
    /// If the wishes are another artifact's with another number of models.
    pub fn decide(&self, vector: &[f32], wishes: &Wishes) -> Result<Decision, Error> {
        if vector.len() != self.dim() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: vector.len(),
            });
        }
        check_finite(vector)?;
        let found = nearest(self.level(), vector, self.centroids());
        let distance = found.squared.sqrt();
        let novelty = novelty(self.novelty_quantiles(), distance);
        let row = if f64::from(novelty) > self.policy().novelty_limit {
            self.clusters() as u32
        } else {
            found.index
        };
        let (model, reason) = choose(self, row as usize, wishes).map_err(|e| match e {
            Error::NoCandidate {
                row,
                models,
                allowed,
                limits,
                ..
            } => Error::NoCandidate {
                row,
                cluster: found.index,
                models,
                allowed,
                limits,
            },
            other => other,
        })?;
        Ok(Decision {
            model,
            cluster: found.index,
            row,
            distance,
            novelty,
            reason,
        })
    }

    /// Decide for every row of a matrix, rows x `dim`.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`], with the row; a matrix whose length is no multiple of
    /// `dim` is [`Error::VectorDim`].
    ///
    /// # Panics
    ///
    /// As [`Self::decide`].
    pub fn decide_many(&self, matrix: &[f32], wishes: &Wishes) -> Result<Vec<Decision>, Error> {
        let rows = matrix.chunks_exact(self.dim());
        if !rows.remainder().is_empty() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: rows.remainder().len(),
            });
        }
        rows.enumerate()
            .map(|(i, vector)| self.decide(vector, wishes).map_err(|e| e.at_row(i)))
            .collect()
    }
}
