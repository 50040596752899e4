//! Lower bounds of squared distances, from int8 codes.
//!
//! Not here: the codes (`int8.rs`), and the search that uses the bounds (`prune.rs`).
//!
//! **Bound.** A row is `y = s * c + r`: a scale, integers of -127 to 127, and a residual. A query
//! is `x = q * k + p`, with integers of as many bits as the sum of the products leaves room for
//! in 32. That sum, `k . c`, is exact. By Cauchy and Schwarz
//!
//! ```text
//! |x - y|^2 = |x|^2 + |y|^2 - 2 q s (k . c) - 2 (p . s c) - 2 (x . r)
//!          >= |x|^2 + |y|^2 - 2 q s (k . c) - 2 |p| |s c|  - 2 |x| |r|
//! ```
//!
//! A row whose bound is above a distance that the definition gives for another row cannot win.
//!
//! **Rounding.** With `u = 2^-24` and `g = (d / 16 + 32) u`: the definition adds `d / 16 + 4`
//! terms that were each rounded three times, never subtracts, and so differs from `|x - y|^2` by
//! less than `g |x - y|^2 <= 2 g (|x|^2 + |y|^2)`. The sums for `|x|^2` and `|y|^2` have relative
//! errors below `g`, and the few operations on them add less than `16 u (|x|^2 + |y|^2)`. All of
//! it is less than `5 g (|x|^2 + |y|^2)`; [`slack`] is `8 g`. Underflow adds less than [`TINY`] to a
//! product, and less than [`TINY_LENGTH`] to a length; where anything could overflow nothing is
//! pruned. A bound that comes out as NaN proves nothing.

use super::int8::CodedQuery;
use super::scalar::{LANES, reduce};

/// Bound of the error by underflow of a sum of products.
pub(super) const TINY: f32 = 1e-24;
/// Bound of the error by underflow of a length, the root of a sum of at most 8,192 squares that are
/// each off by up to `2^-150`: `2^-68.5`.
pub(super) const TINY_LENGTH: f32 = 4e-21;

/// Relative slack for rounding, see *Rounding*.
pub(super) fn slack(dim: usize) -> f32 {
    8.0 * ((dim / LANES + 32) as f32) * (f32::EPSILON / 2.0)
}

/// Upper bounds of the length of a row or query and of its residual, from computed squared lengths.
pub(super) fn lengths(squared: f32, residual: f32, slack: f32) -> (f32, f32) {
    let length_of = |squared: f32| squared.sqrt() * (1.0 + slack) + TINY_LENGTH;
    let length = length_of(squared);
    // Each value of the residual was rounded twice, by at most `u` of the value.
    (length, length_of(residual) + length * f32::EPSILON)
}

/// The least bound of each of sixteen lanes; infinite where it has none but NaN.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn lane_minima(bounds: &[f32]) -> [f32; LANES] {
    let (blocks, rest) = bounds.as_chunks::<LANES>();
    let mut lowest = [f32::INFINITY; LANES];
    for block in blocks {
        for i in 0..LANES {
            let (a, b) = (block[i], lowest[i]);
            lowest[i] = if a < b { a } else { b };
        }
    }
    for (lowest, &a) in lowest.iter_mut().zip(rest) {
        *lowest = if a < *lowest { a } else { *lowest };
    }
    lowest
}

/// Position of the smallest bound; any position if one is NaN.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn argmin(bounds: &[f32]) -> usize {
    let lowest = reduce(lane_minima(bounds), |a, b| if a < b { a } else { b });
    // By blocks: a search value by value takes longer than all other steps.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "without an early exit it vectorises"
    )]
    let holds = |block: &[f32]| block.iter().fold(false, |any, &b| any | (b <= lowest));
    let block = bounds.chunks(LANES).position(holds).unwrap_or(0) * LANES;
    let within = bounds[block..].iter().position(|&b| b <= lowest);
    block + within.unwrap_or(0)
}

/// A limit that is not below the smallest `count` of at least as many bounds, and close to the
/// largest of those: the `count`-th of the least bounds of sixteen lanes. Infinite where it must be.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn limit_of_lowest(bounds: &[f32], count: usize) -> f32 {
    let lowest = lane_minima(bounds);
    let mut not_above = [0_u32; LANES];
    for bound in lowest {
        for i in 0..LANES {
            not_above[i] += u32::from(bound <= lowest[i]);
        }
    }
    let mut limits = [f32::INFINITY; LANES];
    for i in 0..LANES {
        if not_above[i] as usize >= count {
            limits[i] = lowest[i];
        }
    }
    reduce(limits, |a, b| if a < b { a } else { b })
}

/// For each sixteen of the bounds, whose number is a multiple, a bit for each that is not above
/// `limit`, so that its row is not ruled out; also where either is NaN.
pub(super) fn not_above<const N: usize>(bounds: &[f32], limit: f32) -> [u16; N] {
    let mut masks = [0; N];
    for (mask, block) in masks.iter_mut().zip(bounds.as_chunks::<LANES>().0) {
        let mut bits = [0_u32; LANES];
        for i in 0..LANES {
            bits[i] = if block[i] > limit { 0 } else { 1 << i };
        }
        *mask = bits.into_iter().fold(0, |all, bit| all | bit) as u16;
    }
    masks
}

/// A query, with the lengths that its bounds need.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) values: &'a [f32],
    pub(super) scale: f32,
    pub(super) squared: f32,
    /// Upper bound of its length.
    pub(super) length: f32,
    /// Upper bound of the length of its residual.
    pub(super) residual: f32,
    /// Upper bound of the effect of the query's own residual.
    pub(super) common: f32,
}

impl<'a> Query<'a> {
    pub(super) fn new(values: &'a [f32], coded: CodedQuery, max_length: f32) -> Self {
        let CodedQuery {
            scale,
            squared,
            residual,
        } = coded;
        let slack = slack(values.len());
        let (length, residual) = lengths(squared, residual, slack);
        Self {
            values,
            scale,
            squared,
            length,
            residual,
            common: 2.0 * residual * max_length + TINY,
        }
    }

    /// The bound above which a row cannot have `distance` or less.
    pub(super) fn threshold(&self, distance: f32) -> f32 {
        let slack = slack(self.values.len());
        (distance - self.squared * (1.0 - slack)) + self.common + slack * (distance + self.squared)
    }
}

/// Scales and lengths from which the bounds of some rows are computed.
#[derive(Clone, Copy)]
pub(super) struct BoundInputs<'a> {
    pub(super) scales: &'a [f32],
    pub(super) norms: &'a [f32],
    pub(super) residuals: &'a [f32],
    /// Twice the scale of the query.
    pub(super) scale: f32,
    /// Twice the length of the query.
    pub(super) length: f32,
}

/// Compute the bound of each row from its `k . c`, up to the terms that all rows share.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn lower_bounds(inputs: BoundInputs<'_>, dots: &[i32], bounds: &mut [f32]) {
    let rows = inputs.norms.iter().zip(inputs.scales).zip(inputs.residuals);
    for ((bound, &dot), ((&norm, &scale), &residual)) in bounds.iter_mut().zip(dots).zip(rows) {
        *bound = norm - (inputs.scale * scale) * dot as f32 - inputs.length * residual;
    }
}
