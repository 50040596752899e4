//! Screen rows by their dot products with a query: intervals from a quarter of their bytes.
//!
//! Not here: the intervals and their proof (`intervals.rs`), what is decided by them
//! (`contenders.rs`), and the dot product. Where an interval does not settle a decision, the
//! definition is computed. The proof of the intervals is in `intervals.rs`.
//!
//! **Measured**, on an AMD EPYC (Zen 4) with VNNI: 24 products of 384 values are read in 0.4 us from
//! the second cache, and their intervals are computed in 0.1.

use super::bounds::{Query, slack};
use super::dispatch;
use super::int8::{CodeLine, QUERY_BATCH, QueryCodes, ROWS};
use super::intervals::{IntervalInputs, Intervals, MAX_ROWS};
use super::level::{Avx512Vnni, SimdLevel};
use super::prune::{MAX_DIM, MAX_SQUARED_LENGTH, encode_rows};

/// Minimum number of rows for a screen to pay: it scores some of the rows as well.
const MIN_ROWS: usize = 12;
/// Number of blocks of sixteen rows.
const BLOCKS: usize = MAX_ROWS / ROWS;

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
        intervals: &mut Intervals,
    ) {
        let mut dots = [[0; ROWS]; BLOCKS];
        let into = &mut dots[..self.blocks()];
        dispatch::dots(level, codes, self.groups, &self.codes, into);
        self.intervals_of(level, query, &dots, intervals);
    }

    /// Compute `k . c` for four queries, with one pass over the codes.
    pub(super) fn dots_batch<const GROUPS: usize>(
        &self,
        cpu: Avx512Vnni,
        codes: &[QueryCodes<GROUPS>; QUERY_BATCH],
    ) -> [[[i32; ROWS]; BLOCKS]; QUERY_BATCH] {
        let mut dots = [[[0; ROWS]; BLOCKS]; QUERY_BATCH];
        let blocks = self.blocks();
        dispatch::dots_batch(cpu, codes, self.groups, &self.codes, blocks, &mut dots);
        dots
    }

    /// Compute the intervals of all rows from `k . c`.
    pub(super) fn intervals_of(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        dots: &[[i32; ROWS]; BLOCKS],
        intervals: &mut Intervals,
    ) {
        let inputs = IntervalInputs {
            scales: &self.scales,
            lengths: &self.lengths,
            residuals: &self.residuals,
            scale: query.scale,
            length: query.length,
            residual: query.residual,
            slack: slack(query.values.len()),
        };
        dispatch::intervals(level, inputs, dots.as_flattened(), intervals);
    }

    /// Number of blocks of sixteen rows.
    fn blocks(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::splitmix64;
    use crate::nearest::int8::GROUP;
    use crate::nearest::products;

    /// A value from -1 to 1; one in ten is 0, and one in ten small.
    fn value(seed: u64, n: usize) -> f32 {
        let drawn = splitmix64(seed, n as u64);
        let unit = (drawn >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
        match drawn % 10 {
            0 => 0.0,
            1 => unit * 1e-3,
            _ => unit,
        }
    }

    proptest! {
        #[test]
        fn products_lie_within_their_intervals(
            dim in 1_usize..200,
            rows in MIN_ROWS..=MAX_ROWS,
            power in -26_i32..14,
            of_query in -14_i32..14,
            seed in any::<u64>(),
        ) {
            let values: Vec<f32> = (0..(rows + 1) * dim).map(|n| value(seed, n)).collect();
            let (query, matrix) = values.split_at(dim);
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
                let mut found = Intervals::EMPTY;
                let coded = Query::new(&query, coded, 0.0);
                screen.intervals(level, &coded, &codes, &mut found);
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
