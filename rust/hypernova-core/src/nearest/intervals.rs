//! Intervals of dot products, from int8 codes.
//!
//! Not here: the codes (`int8.rs`), and the screen that uses the intervals (`screen.rs`).
//!
//! **Interval.** With the names of `bounds.rs`, `x . y = q s (k . c) + (p . s c) + (x . r)`, and by
//! Cauchy and Schwarz the last two are at most `|p| |s c| + |x| |r|`. The definition rounds each
//! product once and adds up `d / 16 + 4` terms, so it differs from `x . y` by less than `g |x| |y|`;
//! the few operations on the interval itself add less than `16 u |x| |s c|`. The slack of `8 g`
//! covers both, and [`TINY`] what underflows, in products; the lengths are upper bounds whatever
//! underflows. Where anything could overflow there is no interval.

use super::bounds::TINY;

/// Maximum number of rows of a screen.
pub(crate) const MAX_ROWS: usize = 32;

/// Lower and upper bounds of the dot product of a query with each row, by the definition.
#[derive(Clone, Copy)]
pub(crate) struct Intervals {
    pub(crate) low: [f32; MAX_ROWS],
    pub(crate) high: [f32; MAX_ROWS],
}

impl Intervals {
    /// Those of products that are 0.
    pub(crate) const EMPTY: Self = Self {
        low: [0.0; MAX_ROWS],
        high: [0.0; MAX_ROWS],
    };
}

/// What the intervals are computed from, besides the sums of products of codes.
#[derive(Clone, Copy)]
pub(super) struct IntervalInputs<'a> {
    pub(super) scales: &'a [f32; MAX_ROWS],
    pub(super) lengths: &'a [f32; MAX_ROWS],
    pub(super) residuals: &'a [f32; MAX_ROWS],
    /// Scale of the query.
    pub(super) scale: f32,
    /// Upper bounds of the lengths of the query and of its residual.
    pub(super) length: f32,
    pub(super) residual: f32,
    pub(super) slack: f32,
}

/// Compute the intervals from the sums of products, of which there are [`MAX_ROWS`].
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn intervals_of(inputs: IntervalInputs<'_>, dots: &[i32], intervals: &mut Intervals) {
    let whole = 1.0 + inputs.slack;
    for (i, &dot) in dots.iter().enumerate().take(MAX_ROWS) {
        let product = (inputs.scale * inputs.scales[i]) * dot as f32;
        let own = inputs.residual * inputs.lengths[i] + inputs.length * inputs.residuals[i];
        let rounding = inputs.slack * (inputs.length * inputs.lengths[i]);
        let off = own * whole + rounding + TINY;
        intervals.low[i] = product - off;
        intervals.high[i] = product + off;
    }
}
