//! Estimates of each model's success, cost and latency for one query.
//!
//! Not here: the ranking by them ([`crate::policy`]). The definitions are those of `FORMAT.md`
//! under *Meaning*.

use crate::artifact::Artifact;
use crate::nearest::{MAX_TOP_K, Nearest, SimdLevel, dot};
use crate::profile::{Groups, Profile};

/// The estimates that the decision rule reads, by index of a model.
pub(crate) trait Estimates {
    /// Success estimate: profile and linear correction, 0 to 1.
    fn success(&self, model: usize) -> f64 {
        (self.profile(model) + self.correction(model)).clamp(0.0, 1.0)
    }
    /// Success by the profiles.
    fn profile(&self, model: usize) -> f64;
    /// Linear correction of the success.
    fn correction(&self, model: usize) -> f64;
    /// Standard error of the paired gain over the default model.
    fn gain_error(&self, model: usize) -> f64;
    /// Expected cost of a task in USD, if known.
    fn cost(&self, model: usize) -> Option<f64>;
    /// Expected latency of a task in seconds, if known.
    fn latency(&self, model: usize) -> Option<f64>;
    /// Number of outcomes.
    fn count(&self, model: usize) -> f64;
    /// Mean input tokens of a task, if known.
    fn input_tokens(&self, model: usize) -> Option<f64>;
    /// Mean output tokens of a task, if known.
    fn output_tokens(&self, model: usize) -> Option<f64>;
    /// Whether they are those of the group that the caller named: the kind of the prompt is known.
    fn are_of_group(&self) -> bool;
}

/// Estimates by one row of the profiles: of a cluster or the whole table, without blending and
/// correction, or of a group, with the linear correction inside it.
pub(crate) struct RowEstimates<'a> {
    profile: Profile<'a>,
    /// Offset of the row in the tables.
    start: usize,
    correction: Option<Correction<'a>>,
    are_of_group: bool,
}

impl<'a> RowEstimates<'a> {
    pub(crate) fn new(artifact: &'a Artifact, row: usize) -> Self {
        Self {
            profile: artifact.profile(),
            start: row * artifact.n_models(),
            correction: None,
            are_of_group: false,
        }
    }

    /// Estimates by the row of a group, at a vector.
    pub(crate) fn of_group(
        artifact: &'a Artifact,
        groups: &Groups<'a>,
        group: usize,
        vector: &'a [f32],
    ) -> Self {
        let start = group * artifact.n_models();
        Self {
            profile: groups.profile,
            start,
            correction: groups.correction.map(|(offsets, slopes)| Correction {
                level: artifact.level(),
                vector,
                offsets: &offsets[start..start + artifact.n_models()],
                slopes,
            }),
            are_of_group: true,
        }
    }
}

impl Estimates for RowEstimates<'_> {
    fn success(&self, model: usize) -> f64 {
        let profile = self.profile(model);
        let corrected = |own: &Correction<'_>| (profile + own.of(model)).clamp(0.0, 1.0);
        self.correction.as_ref().map_or(profile, corrected)
    }

    fn profile(&self, model: usize) -> f64 {
        f64::from(self.profile.success[self.start + model])
    }

    fn correction(&self, model: usize) -> f64 {
        self.correction.as_ref().map_or(0.0, |own| own.of(model))
    }

    fn gain_error(&self, model: usize) -> f64 {
        f64::from(self.profile.gain_error[self.start + model])
    }

    fn cost(&self, model: usize) -> Option<f64> {
        known(self.profile.cost[self.start + model])
    }

    fn latency(&self, model: usize) -> Option<f64> {
        known(self.profile.latency[self.start + model])
    }

    fn count(&self, model: usize) -> f64 {
        self.profile.counts[self.start + model]
    }

    fn input_tokens(&self, model: usize) -> Option<f64> {
        known(self.profile.input_tokens?[self.start + model])
    }

    fn output_tokens(&self, model: usize) -> Option<f64> {
        known(self.profile.output_tokens?[self.start + model])
    }

    fn are_of_group(&self) -> bool {
        self.are_of_group
    }
}

fn known(value: f32) -> Option<f64> {
    (!value.is_nan()).then(|| f64::from(value))
}

/// Estimates by the profiles of the nearest clusters, weighted by their shares, with the linear
/// correction.
pub(crate) struct BlendedEstimates<'a> {
    profile: Profile<'a>,
    /// Offset of each cluster's row in the tables, and its share.
    shares: [(usize, f64); MAX_TOP_K],
    clusters: usize,
    correction: Option<Correction<'a>>,
}

/// The linear correction at one vector.
struct Correction<'a> {
    level: SimdLevel,
    vector: &'a [f32],
    offsets: &'a [f32],
    slopes: &'a [f32],
}

impl Correction<'_> {
    fn of(&self, model: usize) -> f64 {
        let dim = self.vector.len();
        let product = dot(
            self.level,
            self.vector,
            &self.slopes[model * dim..(model + 1) * dim],
        );
        if product.is_finite() {
            f64::from(self.offsets[model]) + f64::from(product)
        } else {
            0.0 // overflow, possibly to NaN
        }
    }
}

impl<'a> BlendedEstimates<'a> {
    /// Blend the `nearest` clusters, which are sorted by distance.
    pub(crate) fn new(artifact: &'a Artifact, nearest: &[Nearest], vector: &'a [f32]) -> Self {
        let sharpness = artifact
            .blending()
            .map_or(0.0, |blending| blending.sharpness);
        let mut shares = [(0, 0.0); MAX_TOP_K];
        let mut sum = 0.0;
        for (share, cluster) in shares.iter_mut().zip(nearest) {
            let weight = weight(sharpness, cluster.squared, nearest[0].squared);
            *share = (cluster.index as usize * artifact.n_models(), weight);
            sum += weight;
        }
        for (_, share) in &mut shares[..nearest.len()] {
            *share /= sum;
        }
        let correction = artifact.offsets().zip(artifact.slopes());
        Self {
            profile: artifact.profile(),
            shares,
            clusters: nearest.len(),
            correction: correction.map(|(offsets, slopes)| Correction {
                level: artifact.level(),
                vector,
                offsets,
                slopes,
            }),
        }
    }

    /// The share of each cluster, the nearest first.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.shares[..self.clusters].iter().map(|&(_, share)| share)
    }

    /// The share and the value of each cluster for one model.
    fn values<'b, T: Copy + Into<f64>>(
        &'b self,
        table: &'b [T],
        model: usize,
    ) -> impl Iterator<Item = (f64, f64)> + 'b {
        let shares = &self.shares[..self.clusters];
        shares
            .iter()
            .map(move |&(start, share)| (share, table[start + model].into()))
    }

    fn mean<T: Copy + Into<f64>>(&self, table: &[T], model: usize) -> f64 {
        let terms = self.values(table, model).map(|(share, v)| share * v);
        terms.fold(0.0, |sum, term| sum + term)
    }

    /// The weighted mean over the clusters where the value is known.
    fn known_mean(&self, table: &[f32], model: usize) -> Option<f64> {
        let (mut sum, mut shares) = (0.0, 0.0);
        for (share, value) in self.values(table, model) {
            if !value.is_nan() {
                sum += share * value;
                shares += share;
            }
        }
        // A share can be 0: the exponential underflows for a far cluster.
        (shares > 0.0).then(|| sum / shares)
    }
}

/// The weight of a cluster at a squared distance, relative to the nearest cluster's 1.
fn weight(sharpness: f64, squared: f32, nearest: f32) -> f64 {
    if squared > nearest {
        let behind = f64::from(squared) - f64::from(nearest);
        (-(sharpness * behind) / 2.0).exp()
    } else {
        1.0 // also where both are infinite
    }
}

impl Estimates for BlendedEstimates<'_> {
    fn profile(&self, model: usize) -> f64 {
        self.mean(self.profile.success, model)
    }

    fn correction(&self, model: usize) -> f64 {
        self.correction
            .as_ref()
            .map_or(0.0, |correction| correction.of(model))
    }

    fn gain_error(&self, model: usize) -> f64 {
        self.mean(self.profile.gain_error, model)
    }

    fn cost(&self, model: usize) -> Option<f64> {
        self.known_mean(self.profile.cost, model)
    }

    fn latency(&self, model: usize) -> Option<f64> {
        self.known_mean(self.profile.latency, model)
    }

    fn count(&self, model: usize) -> f64 {
        self.mean(self.profile.counts, model)
    }

    fn input_tokens(&self, model: usize) -> Option<f64> {
        self.known_mean(self.profile.input_tokens?, model)
    }

    fn output_tokens(&self, model: usize) -> Option<f64> {
        self.known_mean(self.profile.output_tokens?, model)
    }

    fn are_of_group(&self) -> bool {
        false
    }
}
