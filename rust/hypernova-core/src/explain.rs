//! Explanations: the nearest clusters of a vector, and the components of each model's estimate.
//!
//! Not here: the decision ([`crate::decide`]). An explanation is computed by the same code and
//! keeps the intermediate values.

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::{BlendedEstimates, RowEstimates};
use crate::nearest::{MAX_TOP_K, check_finite};
use crate::options::RouteOptions;
use crate::policy::{ModelEstimate, model_estimates};

/// Minimum number of clusters in an explanation, unless the artifact has fewer.
pub const MIN_CLUSTERS: usize = 3;

/// The basis of the decision for one vector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The nearest clusters, sorted by distance.
    pub clusters: Vec<NearCluster>,
    /// Share of the training prompts that lie nearer to their centroids.
    pub novelty: f32,
    /// Whether the prompt is novel, so that the whole table decides instead of clusters. No prompt
    /// is whose group the caller names: then the group's profile decides, and no cluster has a
    /// share.
    pub novel: bool,
    /// All models in the order of the decision rule, as if there were no limits.
    pub models: Vec<ModelEstimate>,
}

/// One of the nearest clusters of a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearCluster {
    /// Index of its centroid.
    pub cluster: u32,
    /// Euclidean distance from it.
    pub distance: f32,
    /// Its share in the blended profile; 0 if it is not blended.
    pub share: f64,
}

impl Artifact {
    /// Explain the decision of [`Self::decide`] for a vector.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] or [`Error::VectorNotFinite`] for a vector that is not `dim`
    /// finite values. Limits that leave no model are no error: no model is a candidate then.
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
        let blended = self
            .blending()
            .map_or(1, |blending| blending.nearest as usize);
        let count = blended.clamp(MIN_CLUSTERS, MAX_TOP_K);
        let top_k = self.nearest_k(vector, count);
        let near = top_k.as_slice();
        let blended_clusters = &near[..blended.min(near.len())];
        let (novelty, novel) = self.novelty(near[0].squared.sqrt());
        let group = self.stated_group(options.facts);
        let novel = novel && group.is_none();
        let (shares, models) = if let Some((groups, group)) = group {
            let row = RowEstimates::of_group(self, &groups, group as usize, vector);
            (Vec::new(), model_estimates(self, &row, novel, options))
        } else if novel {
            let row = RowEstimates::new(self, self.n_clusters());
            (Vec::new(), model_estimates(self, &row, novel, options))
        } else if self.blends_or_corrects() {
            let blend = BlendedEstimates::new(self, blended_clusters, vector);
            let shares = blend.shares().collect();
            (shares, model_estimates(self, &blend, novel, options))
        } else {
            let row = RowEstimates::new(self, near[0].index as usize);
            (vec![1.0], model_estimates(self, &row, novel, options))
        };
        let shares = shares.into_iter().chain(std::iter::repeat(0.0));
        let clusters = near.iter().zip(shares).map(|(near, share)| NearCluster {
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
