//! How a decision comes about: the nearest clusters, and each model's estimate in its parts.
//!
//! Not here: the decision ([`crate::decide`]). Nothing here is computed another way than
//! there; it only keeps what a decision throws away.

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::{Blend, Row};
use crate::nearest::{MAX_TOP_K, check_finite};
use crate::options::RouteOptions;
use crate::policy::{Standing, standings};

/// Clusters that an explanation lists at least, where there are as many.
pub const LISTED: usize = 3;

/// What a decision for one vector rests on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The nearest clusters, the nearest first.
    pub clusters: Vec<Near>,
    /// Share of the training prompts that lie nearer to their centroids.
    pub novelty: f32,
    /// Whether the prompt is novel, so that the whole table decides and no cluster counts.
    pub novel: bool,
    /// Every model, in the order of the rule: those that it would take first come first,
    /// limits aside.
    pub models: Vec<Standing>,
}

/// A cluster near a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Near {
    /// Index of its centroid.
    pub cluster: u32,
    /// Euclidean distance from it.
    pub distance: f32,
    /// Its share of the profiles that are blended; 0 if it does not count.
    pub share: f64,
}

impl Artifact {
    /// Explain what [`Self::decide`] decides for a vector.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] or [`Error::VectorNotFinite`] for a vector that is not `dim`
    /// finite values. Limits that leave no model are no error: no model is then a candidate.
    ///
    /// # Panics
    ///
    /// As [`Self::decide`].
    pub fn explain(&self, vector: &[f32], options: &RouteOptions) -> Result<Explanation, Error> {
        if vector.len() != self.dim() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: vector.len(),
            });
        }
        check_finite(self.level(), vector)?;
        let blended = self.soft().map_or(1, |soft| soft.nearest as usize);
        let listed = blended.clamp(LISTED, MAX_TOP_K);
        let few = self.nearest_k(vector, listed);
        let near = few.as_slice();
        let counted = &near[..blended.min(near.len())];
        let (novelty, novel) = self.novelty_of(near[0].squared.sqrt());
        let (shares, models) = if novel {
            let row = Row::new(self, self.n_clusters());
            (Vec::new(), standings(self, &row, novel, options))
        } else if self.ranks_by_vector() {
            let blend = Blend::new(self, counted, vector);
            let shares = blend.shares().collect();
            (shares, standings(self, &blend, novel, options))
        } else {
            let row = Row::new(self, near[0].index as usize);
            (vec![1.0], standings(self, &row, novel, options))
        };
        let shares = shares.into_iter().chain(std::iter::repeat(0.0));
        let clusters = near.iter().zip(shares).map(|(near, share)| Near {
            cluster: near.index,
            distance: near.squared.sqrt(),
            share,
        });
        Ok(Explanation {
            clusters: clusters.collect(),
            novelty,
            novel,
            models,
        })
    }
}
