//! Estimates of each model's success, cost and latency for one query.
//!
//! Not here: the ranking by them ([`crate::policy`]). The definitions are those of `FORMAT.md`
//! under *Meaning*.

use crate::artifact::Artifact;
use crate::nearest::{
    Intervals, MAX_TOP_K, Near, Nearest, SimdLevel, known_means, ones, products, products_at,
    weighted_sums,
};
use crate::profile::{Groups, Profile};

/// Maximum number of models whose estimates are computed at a time: their values are on the stack.
pub(crate) const PIECE: usize = 32;
const _: () = assert!(PIECE == crate::nearest::MAX_ROWS);

/// The estimates that the decision rule reads.
///
/// Those of several models are computed together: of the models from `from` on, one for each place
/// of `into`, which has at most [`PIECE`].
pub(crate) trait Estimates {
    /// Success estimates: profile and linear correction, 0 to 1.
    fn successes(&self, from: usize, into: &mut [f64]);
    /// Standard errors of the paired gains over the default model.
    fn gain_errors(&self, from: usize, into: &mut [f64]);
    /// Expected costs of a task in USD; NaN where unknown.
    fn costs(&self, from: usize, into: &mut [f64]);
    /// Expected latencies of a task in seconds; NaN where unknown.
    fn latencies(&self, from: usize, into: &mut [f64]);
    /// Success by the profiles.
    fn profile(&self, model: usize) -> f64;
    /// Linear correction of the success.
    fn correction(&self, model: usize) -> f64;
    /// Number of outcomes.
    fn count(&self, model: usize) -> f64;
    /// Mean input tokens of a task, if known.
    fn input_tokens(&self, model: usize) -> Option<f64>;
    /// Mean output tokens of a task, if known.
    fn output_tokens(&self, model: usize) -> Option<f64>;
    /// Whether they are those of the group that the caller named: the kind of the prompt is known.
    fn are_of_group(&self) -> bool;

    /// Expected cost of a task in USD, if known.
    fn cost(&self, model: usize) -> Option<f64> {
        known(one(|into| self.costs(model, into)))
    }
    /// Expected latency of a task in seconds, if known.
    fn latency(&self, model: usize) -> Option<f64> {
        known(one(|into| self.latencies(model, into)))
    }
}

/// The value of one model.
fn one(of: impl FnOnce(&mut [f64])) -> f64 {
    let mut value = [0.0];
    of(&mut value);
    value[0]
}

/// A value that is NaN where it is unknown.
pub(crate) fn known(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
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

impl RowEstimates<'_> {
    fn copy(&self, table: &[f32], from: usize, into: &mut [f64]) {
        let values = &table[self.start + from..][..into.len()];
        for (value, &own) in into.iter_mut().zip(values) {
            *value = own.into();
        }
    }

    fn value(&self, table: &[f32], model: usize) -> f64 {
        table[self.start + model].into()
    }
}

impl Estimates for RowEstimates<'_> {
    fn successes(&self, from: usize, into: &mut [f64]) {
        self.copy(self.profile.success, from, into);
        if let Some(correction) = &self.correction {
            correction.apply(from, into);
        }
    }

    fn gain_errors(&self, from: usize, into: &mut [f64]) {
        self.copy(self.profile.gain_error, from, into);
    }

    fn costs(&self, from: usize, into: &mut [f64]) {
        self.copy(self.profile.cost, from, into);
    }

    fn latencies(&self, from: usize, into: &mut [f64]) {
        self.copy(self.profile.latency, from, into);
    }

    fn profile(&self, model: usize) -> f64 {
        self.value(self.profile.success, model)
    }

    fn correction(&self, model: usize) -> f64 {
        self.correction.as_ref().map_or(0.0, |own| own.of(model))
    }

    fn count(&self, model: usize) -> f64 {
        self.profile.counts[self.start + model]
    }

    fn input_tokens(&self, model: usize) -> Option<f64> {
        known(self.value(self.profile.input_tokens?, model))
    }

    fn output_tokens(&self, model: usize) -> Option<f64> {
        known(self.value(self.profile.output_tokens?, model))
    }

    fn are_of_group(&self) -> bool {
        self.are_of_group
    }
}

/// Estimates by the profiles of the nearest clusters, weighted by their shares, with the linear
/// correction.
pub(crate) struct BlendedEstimates<'a> {
    level: SimdLevel,
    profile: Profile<'a>,
    /// Offset of each cluster's row in the tables, and its share.
    shares: [(usize, f64); MAX_TOP_K],
    clusters: usize,
    correction: Option<Correction<'a>>,
}

/// Squared distance, times the sharpness, behind the nearest cluster from which on a cluster is left
/// out at first: its weight is `2^-17`, and most decisions are the same without it.
const GAP: f64 = 2.0 * 17.0 * std::f64::consts::LN_2;

/// Bound of the rounding errors of two blends of at most sixteen values from 0 to 1.
const ROUNDING: f64 = 1e-12;

/// The linear correction at one vector.
struct Correction<'a> {
    level: SimdLevel,
    vector: &'a [f32],
    offsets: &'a [f32],
    slopes: &'a [f32],
}

/// The correction by an offset and the dot product of a slope.
fn corrected_by(offset: f32, product: f32) -> f64 {
    if product.is_finite() {
        f64::from(offset) + f64::from(product)
    } else {
        0.0 // overflow, possibly to NaN
    }
}

impl Correction<'_> {
    /// Compute the corrections of the models from `from` on: all in one pass over their slopes.
    fn fill(&self, from: usize, corrections: &mut [f64]) {
        let dim = self.vector.len();
        let count = corrections.len();
        let mut of_slopes = [0.0; PIECE];
        let of_slopes = &mut of_slopes[..count];
        let slopes = &self.slopes[from * dim..][..count * dim];
        products(self.level, self.vector, slopes, of_slopes);
        let offsets = &self.offsets[from..][..count];
        for ((correction, &product), &offset) in
            corrections.iter_mut().zip(&*of_slopes).zip(offsets)
        {
            *correction = corrected_by(offset, product);
        }
    }

    /// Correct the success estimates of the models from `from` on.
    fn apply(&self, from: usize, successes: &mut [f64]) {
        let mut corrections = [0.0; PIECE];
        let corrections = &mut corrections[..successes.len()];
        self.fill(from, corrections);
        for (success, correction) in successes.iter_mut().zip(corrections) {
            *success = (*success + *correction).clamp(0.0, 1.0);
        }
    }

    fn of(&self, model: usize) -> f64 {
        one(|into| self.fill(model, into))
    }
}

impl<'a> BlendedEstimates<'a> {
    /// Blend the `nearest` clusters, which are sorted by distance.
    pub(crate) fn new(artifact: &'a Artifact, nearest: &[Nearest], vector: &'a [f32]) -> Self {
        let sharpness = sharpness(artifact);
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
            level: artifact.level(),
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

    /// The squared distance behind the nearest cluster from which on clusters are left out at first.
    pub(crate) fn gap(artifact: &Artifact) -> f32 {
        artifact
            .blending()
            .map_or(0.0, |blending| (GAP / blending.sharpness) as f32)
    }

    /// Compute success by the profiles of the first models, and return how far it may be off, to
    /// either side, because clusters are missing.
    ///
    /// The known weights sum up to `w >= 1`, the nearest cluster's own; the missing ones to `m`, each
    /// at most the weight at the limit. With a mean `a` of the known values and `b` of the missing
    /// ones, the blend is `a + (b - a) m / (w + m)`, and `|b - a| <= 1` because all values are from 0
    /// to 1: it is off by no more than `m`.
    pub(crate) fn profiles(&self, artifact: &Artifact, near: &Near, into: &mut [f64]) -> f64 {
        weighted_sums(self.level, self.rows(), self.profile.success, into);
        if near.missing == 0 {
            return 0.0;
        }
        let nearest = near.top_k.as_slice()[0].squared;
        let weight = weight(sharpness(artifact), near.limit, nearest);
        near.missing as f64 * weight + ROUNDING
    }

    /// Offsets of the corrections, if there are any.
    pub(crate) fn offsets(&self) -> &[f32] {
        self.correction.as_ref().map_or(&[], |own| own.offsets)
    }

    /// Replace the bounds of the dot products of some models' corrections, a bit for each, by the
    /// products; false if one is not finite.
    pub(crate) fn multiply(&self, models: u32, intervals: &mut Intervals) -> bool {
        let Some(Correction {
            level,
            vector,
            slopes,
            ..
        }) = self.correction
        else {
            return true;
        };
        let (mut indices, mut count) = ([0; PIECE], 0);
        for model in ones(models) {
            indices[count] = model as u32;
            count += 1;
        }
        let mut of_slopes = [0.0; PIECE];
        let of_slopes = &mut of_slopes[..count];
        products_at(level, vector, slopes, &indices[..count], of_slopes);
        for (&model, &product) in indices.iter().zip(&*of_slopes) {
            intervals.low[model as usize] = product;
            intervals.high[model as usize] = product;
        }
        of_slopes.iter().all(|product| product.is_finite())
    }

    /// The share of each cluster, the nearest first.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        self.rows().iter().map(|&(_, share)| share)
    }

    /// The clusters that have a share.
    fn rows(&self) -> &[(usize, f64)] {
        &self.shares[..self.clusters]
    }

    /// The weighted mean of one model's values over the clusters where they are known.
    fn known_mean(&self, table: &[f32], model: usize) -> Option<f64> {
        known(one(|into| {
            known_means(self.level, self.rows(), &table[model..], into);
        }))
    }
}

fn sharpness(artifact: &Artifact) -> f64 {
    artifact
        .blending()
        .map_or(0.0, |blending| blending.sharpness)
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
    fn successes(&self, from: usize, into: &mut [f64]) {
        weighted_sums(self.level, self.rows(), &self.profile.success[from..], into);
        if let Some(correction) = &self.correction {
            correction.apply(from, into);
        } else {
            for success in into {
                *success = success.clamp(0.0, 1.0);
            }
        }
    }

    fn gain_errors(&self, from: usize, into: &mut [f64]) {
        let table = &self.profile.gain_error[from..];
        weighted_sums(self.level, self.rows(), table, into);
    }

    fn costs(&self, from: usize, into: &mut [f64]) {
        known_means(self.level, self.rows(), &self.profile.cost[from..], into);
    }

    fn latencies(&self, from: usize, into: &mut [f64]) {
        known_means(self.level, self.rows(), &self.profile.latency[from..], into);
    }

    fn profile(&self, model: usize) -> f64 {
        let table = &self.profile.success[model..];
        one(|into| weighted_sums(self.level, self.rows(), table, into))
    }

    fn correction(&self, model: usize) -> f64 {
        self.correction.as_ref().map_or(0.0, |own| own.of(model))
    }

    fn count(&self, model: usize) -> f64 {
        let rows = self.rows().iter();
        let terms = rows.map(|&(start, share)| share * self.profile.counts[start + model]);
        terms.fold(0.0, |sum, term| sum + term)
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
