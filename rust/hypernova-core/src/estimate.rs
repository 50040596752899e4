//! What is expected of each model for one query.
//!
//! Not here: the ranking that is made of it ([`crate::policy`]). The definitions
//! are those of `FORMAT.md` under *Meaning*.

use crate::artifact::Artifact;
use crate::nearest::{MAX_TOP_K, Nearest, SimdLevel, dot};

/// What the rule asks for, by index of a model.
pub(crate) trait Estimates {
    fn success(&self, model: usize) -> f64 {
        (self.profile(model) + self.correction(model)).clamp(0.0, 1.0)
    }
    /// What the profiles say of its success.
    fn profile(&self, model: usize) -> f64;
    /// What the vector adds to that.
    fn correction(&self, model: usize) -> f64;
    /// Standard error of the paired gain over the default model.
    fn gain_error(&self, model: usize) -> f64;
    /// In USD, if known.
    fn cost(&self, model: usize) -> Option<f64>;
    /// In seconds, if known.
    fn latency(&self, model: usize) -> Option<f64>;
    /// Outcomes counted.
    fn count(&self, model: usize) -> f64;
}

/// One row of the profiles, as it stands.
pub(crate) struct Row<'a> {
    success: &'a [f32],
    gain_error: &'a [f32],
    cost: &'a [f32],
    latency: &'a [f32],
    counts: &'a [f64],
}

impl<'a> Row<'a> {
    pub(crate) fn new(artifact: &'a Artifact, row: usize) -> Self {
        let models = artifact.n_models();
        let range = row * models..(row + 1) * models;
        Self {
            success: &artifact.success()[range.clone()],
            gain_error: &artifact.gain_error()[range.clone()],
            cost: &artifact.cost()[range.clone()],
            latency: &artifact.latency()[range.clone()],
            counts: &artifact.counts()[range],
        }
    }
}

impl Estimates for Row<'_> {
    fn success(&self, model: usize) -> f64 {
        self.profile(model)
    }

    fn profile(&self, model: usize) -> f64 {
        f64::from(self.success[model])
    }

    fn correction(&self, _: usize) -> f64 {
        0.0
    }

    fn gain_error(&self, model: usize) -> f64 {
        f64::from(self.gain_error[model])
    }

    fn cost(&self, model: usize) -> Option<f64> {
        known(self.cost[model])
    }

    fn latency(&self, model: usize) -> Option<f64> {
        known(self.latency[model])
    }

    fn count(&self, model: usize) -> f64 {
        self.counts[model]
    }
}

fn known(value: f32) -> Option<f64> {
    (!value.is_nan()).then(|| f64::from(value))
}

/// The rows of the nearest clusters, each with its share, and what lifts them.
pub(crate) struct Blend<'a> {
    success: &'a [f32],
    gain_error: &'a [f32],
    cost: &'a [f32],
    latency: &'a [f32],
    counts: &'a [f64],
    /// Where each cluster's row starts, and its share.
    shares: [(usize, f64); MAX_TOP_K],
    clusters: usize,
    lift: Option<Lift<'a>>,
}

/// What is added to the success estimates: linear in the vector.
struct Lift<'a> {
    level: SimdLevel,
    vector: &'a [f32],
    offsets: &'a [f32],
    slopes: &'a [f32],
}

impl Lift<'_> {
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
            0.0 // it overflowed, and may be NaN
        }
    }
}

impl<'a> Blend<'a> {
    /// Of the `nearest` clusters, the nearest first.
    pub(crate) fn new(artifact: &'a Artifact, nearest: &[Nearest], vector: &'a [f32]) -> Self {
        let sharpness = artifact.soft().map_or(0.0, |soft| soft.sharpness);
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
        let lift = artifact.offsets().zip(artifact.slopes());
        Self {
            success: artifact.success(),
            gain_error: artifact.gain_error(),
            cost: artifact.cost(),
            latency: artifact.latency(),
            counts: artifact.counts(),
            shares,
            clusters: nearest.len(),
            lift: lift.map(|(offsets, slopes)| Lift {
                level: artifact.level(),
                vector,
                offsets,
                slopes,
            }),
        }
    }

    /// The share of each cluster.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.shares[..self.clusters].iter().map(|&(_, share)| share)
    }

    /// Share and value of each cluster, for one model.
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

    /// The mean over the clusters that know it.
    fn known_mean(&self, table: &[f32], model: usize) -> Option<f64> {
        let (mut sum, mut shares) = (0.0, 0.0);
        for (share, value) in self.values(table, model) {
            if !value.is_nan() {
                sum += share * value;
                shares += share;
            }
        }
        // A share can be 0: the exponential of a far cluster's distance vanishes.
        (shares > 0.0).then(|| sum / shares)
    }
}

/// Of a cluster at one squared distance where the nearest is at another.
fn weight(sharpness: f64, squared: f32, nearest: f32) -> f64 {
    if squared > nearest {
        let behind = f64::from(squared) - f64::from(nearest);
        (-(sharpness * behind) / 2.0).exp()
    } else {
        1.0 // even where both are infinite
    }
}

impl Estimates for Blend<'_> {
    fn profile(&self, model: usize) -> f64 {
        self.mean(self.success, model)
    }

    fn correction(&self, model: usize) -> f64 {
        self.lift.as_ref().map_or(0.0, |lift| lift.of(model))
    }

    fn gain_error(&self, model: usize) -> f64 {
        self.mean(self.gain_error, model)
    }

    fn cost(&self, model: usize) -> Option<f64> {
        self.known_mean(self.cost, model)
    }

    fn latency(&self, model: usize) -> Option<f64> {
        self.known_mean(self.latency, model)
    }

    fn count(&self, model: usize) -> f64 {
        self.mean(self.counts, model)
    }
}
