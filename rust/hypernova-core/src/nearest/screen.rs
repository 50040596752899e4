//! Screen rows by their dot products with a query: intervals from a quarter of their bytes.
//!
//! Not here: what is decided by them (`policy.rs`), and the dot product. Where an interval does not
//! settle a decision, the definition is computed.
//!
//! **Interval.** With the names of `bounds.rs`, `x . y = q s (k . c) + (p . s c) + (x . r)`, and by
//! Cauchy and Schwarz the last two are at most `|p| |s c| + |x| |r|`. The definition rounds each
//! product once and adds up `d / 16 + 4` terms, so it differs from `x . y` by less than `g |x| |y|`;
//! the few operations on the interval itself add less than `16 u |x| |s c|`. The slack of `8 g`
//! covers both, and [`TINY`] what underflows. Where anything could overflow there is no interval.
//!
//! **Measured**, on an AMD EPYC (Zen 4) with VNNI: 24 products of 384 values are read in 0.4 us from
//! the second cache, and their intervals are computed in 0.1.

use super::bounds::{Query, TINY, slack};
use super::dispatch;
use super::int8::{CodeLine, QueryCodes, ROWS};
use super::level::SimdLevel;
use super::prune::{MAX_DIM, MAX_SQUARED_LENGTH, encode_rows};

/// Maximum number of rows of a screen.
pub(crate) const MAX_ROWS: usize = 32;
/// Minimum number of rows for a screen to pay: it scores some of the rows as well.
const MIN_ROWS: usize = 12;

/// Codes of the rows of a matrix, computed when an artifact is opened, as those of `prune.rs`.
pub(crate) struct Screen {
    groups: usize,
    codes: Vec<CodeLine>,
    rows: usize,
    /// Scales of the rows; 0 behind the last one.
    scales: [f32; MAX_ROWS],
    /// Upper bounds of the lengths of the coded rows.
    lengths: [f32; MAX_ROWS],
    /// Upper bounds of the lengths of the residuals.
    residuals: [f32; MAX_ROWS],
}

/// Lower and upper bounds of the dot product of a query with each row, by the definition.
#[derive(Clone, Copy)]
pub(crate) struct Intervals {
    pub(crate) low: [f32; MAX_ROWS],
    pub(crate) high: [f32; MAX_ROWS],
}

/// What the intervals are computed from, besides the sums of products of codes.
#[derive(Clone, Copy)]
pub(super) struct IntervalInputs<'a> {
    scales: &'a [f32; MAX_ROWS],
    lengths: &'a [f32; MAX_ROWS],
    residuals: &'a [f32; MAX_ROWS],
    /// Scale of the query.
    scale: f32,
    /// Upper bounds of the lengths of the query and of its residual.
    length: f32,
    residual: f32,
    slack: f32,
}

/// Compute the intervals.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn intervals(inputs: IntervalInputs<'_>, dots: &[i32; MAX_ROWS]) -> Intervals {
    let (mut low, mut high) = ([0.0; MAX_ROWS], [0.0; MAX_ROWS]);
    let whole = 1.0 + inputs.slack;
    for i in 0..MAX_ROWS {
        let product = (inputs.scale * inputs.scales[i]) * dots[i] as f32;
        let own = inputs.residual * inputs.lengths[i] + inputs.length * inputs.residuals[i];
        let rounding = inputs.slack * (inputs.length * inputs.lengths[i]);
        let off = own * whole + rounding + TINY;
        low[i] = product - off;
        high[i] = product + off;
    }
    Intervals { low, high }
}

impl Screen {
    /// Code `matrix`, rows of `dim` finite values; `None` where a screen does not pay, or where a
    /// product could overflow.
    pub(crate) fn new(level: SimdLevel, matrix: &[f32], dim: usize) -> Option<Self> {
        let rows = matrix.len() / dim;
        // Without VNNI, products of codes take about as long as those of the values.
        let pays = matches!(level, SimdLevel::Avx512Vnni(_));
        if !pays || !(MIN_ROWS..=MAX_ROWS).contains(&rows) || dim > MAX_DIM {
            return None;
        }
        let mut this = Self {
            groups: 0,
            codes: Vec::new(),
            rows,
            scales: [0.0; MAX_ROWS],
            lengths: [0.0; MAX_ROWS],
            residuals: [0.0; MAX_ROWS],
        };
        let slack = slack(dim);
        let mut may_overflow = false;
        (this.groups, this.codes) = encode_rows(level, matrix, dim, |index, row| {
            may_overflow |= row.squared.is_nan() || row.squared > MAX_SQUARED_LENGTH;
            this.scales[index] = row.scale;
            this.lengths[index] = (row.length + row.residual) * (1.0 + slack);
            this.residuals[index] = row.residual;
        });
        (!may_overflow).then_some(this)
    }

    /// Compute the intervals of all rows for a coded query.
    pub(super) fn intervals<const GROUPS: usize>(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        codes: &QueryCodes<GROUPS>,
    ) -> Intervals {
        let mut dots = [[0_i32; ROWS]; MAX_ROWS / ROWS];
        let blocks = self.rows.div_ceil(ROWS);
        dispatch::dots(level, codes, self.groups, &self.codes, &mut dots[..blocks]);
        let inputs = IntervalInputs {
            scales: &self.scales,
            lengths: &self.lengths,
            residuals: &self.residuals,
            scale: query.scale,
            length: query.length,
            residual: query.residual,
            slack: slack(query.values.len()),
        };
        let mut all = [0; MAX_ROWS];
        all.copy_from_slice(dots.as_flattened());
        dispatch::intervals(level, inputs, &all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nearest::int8::GROUP;
    use crate::nearest::products;

    proptest! {
        #[test]
        fn products_lie_within_their_intervals(
            dim in 1_usize..200,
            rows in MIN_ROWS..=MAX_ROWS,
            power in -17_i32..14,
            of_query in -14_i32..14,
            values in prop::collection::vec(
                prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => -1e-3_f32..1e-3], 200 * 33),
        ) {
            let (query, matrix) = values[..(rows + 1) * dim].split_at(dim);
            let query: Vec<f32> = query.iter().map(|v| v * 10_f32.powi(of_query)).collect();
            let matrix: Vec<f32> = matrix.iter().map(|v| v * 10_f32.powi(power)).collect();
            let Some(screen) = Screen::new(SimdLevel::detect(), &matrix, dim) else {
                return Ok(()); // this CPU has no VNNI
            };
            for level in SimdLevel::available() {
                let mut codes = QueryCodes::<{ 200 / GROUP }>::new();
                let Some(coded) = dispatch::encode_query(level, &query, &mut codes) else {
                    continue;
                };
                let found = screen.intervals(level, &Query::new(&query, coded, 0.0), &codes);
                let mut exact = vec![0.0; rows];
                products(level, &query, &matrix, &mut exact);
                for (i, &exact) in exact.iter().enumerate() {
                    let (low, high) = (found.low[i], found.high[i]);
                    prop_assert!(low <= exact && exact <= high, "{:?} {}: {} {} {}", level, i, low, exact, high);
                }
            }
        }
    }
}
