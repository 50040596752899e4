//! Prune the search: prove of most centroids that they are not the nearest, from a quarter of
//! their bytes.
//!
//! Not here: the bounds and their proof (`bounds.rs`), and the distance. Centroids that the
//! bounds do not rule out are scored by the definition, so the answer is the definition's, bit
//! by bit.
//!
//! **Measured**, on an AMD EPYC (Zen 4), search and rule together, best of nine runs: 100 x 384
//! in 1.01 us with VNNI and 1.45 with AVX2, where scoring all rows took 2.1; 1,000 x 1,536 in 20
//! and 36 us, where scoring all rows took 83. Under the scalar level the codes still win, 4.2 us
//! against 7.8.
//!
//! **Tried and dropped.** Codes row by row, with a sum across lanes at the end of each: 1.37 us
//! for the products that take 0.45 (VNNI) with interleaved rows, which is the time to read the
//! codes. A query of 16 bits with VNNI, as two bytes: 0.46 us for the products and 0.12 to code
//! it, where one byte takes 0.45 and 0.09. All bounds at once instead of a block at a time:
//! zeroing the buffers took 0.1 us.

use super::bounds::{BoundInputs, Query, lengths, slack};
use super::dispatch;
use super::int8::{CodeLine, GROUP, QUERY_BATCH, QueryCodes, ROWS};
use super::level::{Avx512Vnni, SimdLevel};
use super::top_k::{Collector, Nearest, Top1, TopK};

/// Largest dimension that is pruned: the codes of a query are on the stack.
pub(super) const MAX_DIM: usize = 8_192;
/// Number of rows whose bounds are computed before the first of them is scored.
pub(super) const BLOCK: usize = 128;
/// Minimum number of rows for pruning to pay. A whole decision at 20 x 384, pruned and not: 0.64
/// and 0.53 us with AVX2; 0.45 and 0.52 us with VNNI, and 0.37 and 0.56 us for each of 64 queries.
const fn min_rows(level: SimdLevel) -> usize {
    match level {
        SimdLevel::Avx512Vnni(_) => 16,
        _ => 32,
    }
}

/// As [`min_rows`], where queries are coded anyway.
const MIN_ROWS_CODED: usize = 4;

/// Number of gaps within which all rows are scored, if they are few.
const WIDER: f32 = 3.0;

/// Largest squared length of a row that is pruned, far from overflow.
pub(super) const MAX_SQUARED_LENGTH: f32 = 1e30;

/// Codes of all rows of a matrix of centroids, a quarter of its size. They are computed when an
/// artifact is opened, so that a file cannot contain wrong ones.
pub(crate) struct Pruner {
    /// Number of groups of values in a row.
    groups: usize,
    /// For each block of sixteen rows, its groups.
    codes: Vec<CodeLine>,
    scales: Vec<f32>,
    /// Squared lengths of the rows, less the slack.
    norms: Vec<f32>,
    /// Upper bounds of the lengths of the residuals.
    residuals: Vec<f32>,
    /// Upper bound of the length of every coded row.
    pub(super) max_length: f32,
}

/// Scale and lengths of a coded row.
pub(super) struct CodedRow {
    pub(super) scale: f32,
    /// Squared length.
    pub(super) squared: f32,
    /// Upper bound of the length.
    pub(super) length: f32,
    /// Upper bound of the length of the residual.
    pub(super) residual: f32,
}

/// Code the rows of a matrix, and hand over each with its index. Returns the number of groups of
/// values in a row and, for each block of sixteen rows, its groups.
pub(super) fn encode_rows(
    level: SimdLevel,
    matrix: &[f32],
    dim: usize,
    mut each: impl FnMut(usize, CodedRow),
) -> (usize, Vec<CodeLine>) {
    let groups = dim.div_ceil(GROUP);
    let rows = matrix.len() / dim;
    let mut lines = vec![CodeLine([[0; GROUP]; ROWS]); rows.div_ceil(ROWS) * groups];
    let slack = slack(dim);
    let mut codes = [0; MAX_DIM];
    for (index, row) in matrix.chunks_exact(dim).enumerate() {
        let (scale, squared, residual) = dispatch::encode_row(level, row, &mut codes);
        let own = &mut lines[index / ROWS * groups..][..groups];
        for (line, group) in own.iter_mut().zip(codes.as_chunks().0) {
            line.0[index % ROWS] = *group;
        }
        let (length, residual) = lengths(squared, residual, slack);
        each(
            index,
            CodedRow {
                scale,
                squared,
                length,
                residual,
            },
        );
    }
    (groups, lines)
}

impl Pruner {
    /// Code `centroids`, rows of `dim` finite values; `None` where pruning does not pay or could
    /// overflow. `is_coded` says that queries are coded anyway.
    pub(crate) fn new(
        level: SimdLevel,
        centroids: &[f32],
        dim: usize,
        is_coded: bool,
    ) -> Option<Self> {
        let rows = centroids.len() / dim;
        let min_rows = if is_coded {
            MIN_ROWS_CODED
        } else {
            min_rows(level)
        };
        if rows < min_rows || dim > MAX_DIM {
            return None;
        }
        let mut this = Self {
            groups: 0,
            codes: Vec::new(),
            scales: Vec::with_capacity(rows),
            norms: Vec::with_capacity(rows),
            residuals: Vec::with_capacity(rows),
            max_length: 0.0,
        };
        let slack = slack(dim);
        let mut may_overflow = false;
        (this.groups, this.codes) = encode_rows(level, centroids, dim, |_, row| {
            may_overflow |= row.squared.is_nan() || row.squared > MAX_SQUARED_LENGTH;
            this.scales.push(row.scale);
            this.norms.push(row.squared * (1.0 - slack));
            this.residuals.push(row.residual);
            let length = (row.length + row.residual) * (1.0 + slack);
            this.max_length = this.max_length.max(length);
        });
        (!may_overflow).then_some(this)
    }

    /// As [`super::nearest`].
    pub(crate) fn nearest(&self, level: SimdLevel, query: &[f32], centroids: &[f32]) -> Nearest {
        self.search(level, query, centroids, Top1::new(), 1).0
    }

    /// As [`super::nearest_k`].
    pub(crate) fn nearest_k(
        &self,
        level: SimdLevel,
        query: &[f32],
        centroids: &[f32],
        count: usize,
    ) -> TopK {
        self.search(level, query, centroids, TopK::new(count), count)
    }

    /// Whether a search for the `count` nearest is faster with the codes than without.
    pub(super) fn pays_for(&self, count: usize) -> bool {
        4 * count <= self.scales.len()
    }

    fn search<K: Collector>(
        &self,
        level: SimdLevel,
        query: &[f32],
        centroids: &[f32],
        collector: K,
        count: usize,
    ) -> K {
        if !self.pays_for(count) {
            return dispatch::search(level, query, centroids, collector);
        }
        // The query's codes are on the stack, in a buffer that is not much too large.
        match self.groups {
            0..=96 => self.search_in::<K, 96>(level, query, centroids, collector, count),
            97..=128 => self.search_in::<K, 128>(level, query, centroids, collector, count),
            129..=384 => self.search_in::<K, 384>(level, query, centroids, collector, count),
            _ => {
                self.search_in::<K, { MAX_DIM / GROUP }>(level, query, centroids, collector, count)
            }
        }
    }

    fn search_in<K: Collector, const GROUPS: usize>(
        &self,
        level: SimdLevel,
        query: &[f32],
        centroids: &[f32],
        collector: K,
        count: usize,
    ) -> K {
        let mut codes = QueryCodes::<GROUPS>::new();
        let Some(coded) = dispatch::encode_query(level, query, &mut codes) else {
            return dispatch::search(level, query, centroids, collector);
        };
        let query = Query::new(query, coded, self.max_length);
        self.search_coded(level, &query, &codes, centroids, collector, count)
    }

    pub(super) fn search_coded<K: Collector, const GROUPS: usize>(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        codes: &QueryCodes<GROUPS>,
        centroids: &[f32],
        mut collector: K,
        count: usize,
    ) -> K {
        let mut dots = [[0_i32; ROWS]; BLOCK / ROWS];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            dispatch::dots(level, codes, self.groups, lines, &mut dots[..blocks]);
            let collector = &mut collector;
            self.score(level, query, centroids, start, &dots, collector, count);
        }
        collector
    }

    /// As [`Self::nearest`] for four queries, one after the other in `queries`: each line of codes
    /// is read once for all of them. `None` where this is not faster.
    pub(crate) fn nearest_batch(
        &self,
        level: SimdLevel,
        queries: &[f32],
        centroids: &[f32],
    ) -> Option<[Nearest; QUERY_BATCH]> {
        let SimdLevel::Avx512Vnni(cpu) = level else {
            return None; // other levels spend more time on products than on reading codes
        };
        match self.groups {
            0..=96 => self.search_batch_in::<96>(cpu, queries, centroids),
            97..=384 => self.search_batch_in::<384>(cpu, queries, centroids),
            _ => None,
        }
    }

    fn search_batch_in<const GROUPS: usize>(
        &self,
        cpu: Avx512Vnni,
        queries: &[f32],
        centroids: &[f32],
    ) -> Option<[Nearest; QUERY_BATCH]> {
        let level = SimdLevel::Avx512Vnni(cpu);
        let dim = queries.len() / QUERY_BATCH;
        let mut codes = [const { QueryCodes::<GROUPS>::new() }; QUERY_BATCH];
        let mut coded = [None; QUERY_BATCH];
        for i in 0..QUERY_BATCH {
            let query = &queries[i * dim..(i + 1) * dim];
            let found = dispatch::encode_query(level, query, &mut codes[i])?;
            coded[i] = Some(Query::new(query, found, self.max_length));
        }
        let mut collectors = [Top1::new(); QUERY_BATCH];
        let mut dots = [[[0_i32; ROWS]; BLOCK / ROWS]; QUERY_BATCH];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            dispatch::dots_batch(cpu, &codes, self.groups, lines, blocks, &mut dots);
            for i in 0..QUERY_BATCH {
                let query = coded[i].as_ref()?;
                self.score(
                    level,
                    query,
                    centroids,
                    start,
                    &dots[i],
                    &mut collectors[i],
                    1,
                );
            }
        }
        Some(collectors.map(|top| top.0))
    }

    /// Whether there are at most [`BLOCK`] rows.
    pub(super) fn is_one_block(&self) -> bool {
        self.scales.len() <= BLOCK
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Compute `k . c` for all rows, at most [`BLOCK`].
    pub(super) fn dots<const GROUPS: usize>(
        &self,
        level: SimdLevel,
        codes: &QueryCodes<GROUPS>,
        dots: &mut [[i32; ROWS]; BLOCK / ROWS],
    ) {
        let (lines, blocks) = self.block(0);
        dispatch::dots(level, codes, self.groups, lines, &mut dots[..blocks]);
    }

    /// As [`Self::dots`] for four queries, with one pass over the codes.
    pub(super) fn dots_batch<const GROUPS: usize>(
        &self,
        cpu: Avx512Vnni,
        codes: &[QueryCodes<GROUPS>; QUERY_BATCH],
    ) -> [[[i32; ROWS]; BLOCK / ROWS]; QUERY_BATCH] {
        let (lines, blocks) = self.block(0);
        let mut dots = [[[0; ROWS]; BLOCK / ROWS]; QUERY_BATCH];
        dispatch::dots_batch(cpu, codes, self.groups, lines, blocks, &mut dots);
        dots
    }

    /// Offer the rows, at most [`BLOCK`], that count for a blend of the `count` nearest, and return a
    /// distance up to which all rows were offered: the nearest one's plus `gap`, or plus more where
    /// that leaves no more rows to score. If `count` or more lie within `gap`, so far as the bounds
    /// tell, the `count` nearest are offered, and the distance is infinite.
    ///
    /// Some farther rows may be offered too: those that the bounds do not rule out.
    #[expect(
        clippy::too_many_arguments,
        reason = "those of a search, and its products"
    )]
    pub(super) fn near(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        centroids: &[f32],
        dots: &[[i32; ROWS]],
        gap: f32,
        count: usize,
        top_k: &mut TopK,
    ) -> f32 {
        let mut bounds = Bounds::new(0, self.rows());
        self.fill(level, query, dots, &mut bounds);
        let at = bounds.argmin(level);
        dispatch::score_rows(level, query.values, centroids, &[at as u32], top_k);
        let nearest = top_k.as_slice()[0].squared;
        for (gap, few) in [(WIDER * gap, 2), (gap, count)] {
            let limit = nearest + gap;
            let left = bounds.left(level, query.threshold(limit));
            let left = left.without(Left::only(at));
            if left.count() < few {
                bounds.score(level, query, centroids, left, top_k);
                return limit;
            }
        }
        let lowest = bounds.lowest(level, count).without(Left::only(at));
        bounds.score(level, query, centroids, lowest, top_k);
        let left = bounds.left(level, query.threshold(top_k.worst()));
        let left = left.without(lowest).without(Left::only(at));
        bounds.score(level, query, centroids, left, top_k);
        f32::INFINITY
    }

    /// The lines of codes of a block that starts at a row, and its number of sixteen rows.
    fn block(&self, start: usize) -> (&[CodeLine], usize) {
        let blocks = (self.scales.len() - start).min(BLOCK).div_ceil(ROWS);
        let lines = &self.codes[start / ROWS * self.groups..][..blocks * self.groups];
        (lines, blocks)
    }

    /// Score the rows of a block that their bounds do not rule out.
    #[expect(clippy::too_many_arguments, reason = "the state of two loops")]
    fn score<K: Collector>(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        centroids: &[f32],
        start: usize,
        dots: &[[i32; ROWS]],
        collector: &mut K,
        count: usize,
    ) {
        let mut bounds = Bounds::new(start, self.rows());
        self.fill(level, query, dots, &mut bounds);
        let distance = collector.worst();
        if distance < f32::INFINITY {
            let left = bounds.left(level, query.threshold(distance));
            return bounds.score(level, query, centroids, left, collector);
        }
        // The rows with the lowest bounds are scored first: the worst of their distances is the
        // limit for the others.
        if count > 1 {
            let first = bounds.lowest(level, count);
            bounds.score(level, query, centroids, first, collector);
            let left = bounds.left(level, query.threshold(collector.worst()));
            return bounds.score(level, query, centroids, left.without(first), collector);
        }
        let at = bounds.argmin(level);
        let mut lowest = Top1::new();
        let row = (start + at) as u32;
        dispatch::score_rows(level, query.values, centroids, &[row], &mut lowest);
        let left = bounds.left(level, query.threshold(lowest.worst()));
        // Most often only the row with the lowest bound is left; it is not scored again.
        if left == Left::only(at) {
            collector.offer(start + at, lowest.0.squared);
        } else {
            bounds.score(level, query, centroids, left, collector);
        }
    }

    /// Compute the bounds of a block.
    fn fill(&self, level: SimdLevel, query: &Query<'_>, dots: &[[i32; ROWS]], bounds: &mut Bounds) {
        let rows = bounds.start..bounds.start + bounds.count;
        let inputs = BoundInputs {
            scales: &self.scales[rows.clone()],
            norms: &self.norms[rows.clone()],
            residuals: &self.residuals[rows],
            scale: 2.0 * query.scale,
            length: 2.0 * query.length,
        };
        let values = &mut bounds.values[..bounds.count];
        dispatch::lower_bounds(level, inputs, dots.as_flattened(), values);
    }
}

/// The lower bounds of the rows of a block.
struct Bounds {
    /// The first row.
    start: usize,
    /// Number of rows.
    count: usize,
    /// Infinite behind the last row.
    values: [f32; BLOCK],
}

impl Bounds {
    /// Those of a block that starts at a row, one of `rows`, before they are computed.
    fn new(start: usize, rows: usize) -> Self {
        Self {
            start,
            count: rows.min(start + BLOCK) - start,
            values: [f32::INFINITY; BLOCK],
        }
    }

    /// The values, filled up to whole sixteens.
    fn values(&self) -> &[f32] {
        &self.values[..self.count.next_multiple_of(ROWS)]
    }

    /// Place of the lowest bound; any place if one is NaN.
    fn argmin(&self, level: SimdLevel) -> usize {
        dispatch::argmin(level, self.values())
    }

    /// The rows that a threshold does not rule out.
    #[inline]
    fn left(&self, level: SimdLevel, threshold: f32) -> Left {
        Left(dispatch::not_above(level, self.values(), threshold)).below(self.count)
    }

    /// At least `count` rows with the lowest bounds.
    fn lowest(&self, level: SimdLevel, count: usize) -> Left {
        let limit = dispatch::limit_of_lowest(level, self.values(), count);
        self.left(level, limit)
    }

    /// Offer some of the rows.
    fn score<K: Collector>(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        centroids: &[f32],
        rows: Left,
        collector: &mut K,
    ) {
        if rows == Left::NONE {
            return;
        }
        let mut indices = [0_u32; BLOCK];
        let mut count = 0;
        for at in rows.places() {
            indices[count] = (self.start + at) as u32;
            count += 1;
        }
        dispatch::score_rows(level, query.values, centroids, &indices[..count], collector);
    }
}

/// The rows of a block that are not ruled out, a bit for each.
#[derive(Clone, Copy, PartialEq)]
struct Left([u16; BLOCK / ROWS]);

impl Left {
    const NONE: Self = Self([0; BLOCK / ROWS]);

    fn only(at: usize) -> Self {
        let mut masks = [0; BLOCK / ROWS];
        masks[at / ROWS] = 1 << (at % ROWS);
        Self(masks)
    }

    /// Without the places from `count` on, which are some of the last sixteen.
    fn below(mut self, count: usize) -> Self {
        if !count.is_multiple_of(ROWS) {
            self.0[count / ROWS] &= (1 << (count % ROWS)) - 1;
        }
        self
    }

    fn without(mut self, others: Self) -> Self {
        for (mask, other) in self.0.iter_mut().zip(others.0) {
            *mask &= !other;
        }
        self
    }

    fn count(self) -> usize {
        self.0.iter().map(|mask| mask.count_ones() as usize).sum()
    }

    /// Places of the rows, rising.
    fn places(self) -> impl Iterator<Item = usize> {
        let masks = self.0.into_iter().enumerate();
        masks.flat_map(|(block, mut mask)| {
            std::iter::from_fn(move || {
                let at = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
                mask &= mask - 1;
                Some(block * ROWS + at)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::splitmix64;
    use crate::nearest::{nearest, nearest_k};

    fn levels() -> impl Iterator<Item = SimdLevel> {
        SimdLevel::available()
    }

    /// Fails unless the pruned search of every level gives the answers of the definition.
    fn agree(centroids: &[f32], queries: &[Vec<f32>], dim: usize) {
        for level in levels() {
            let Some(pruner) = Pruner::new(level, centroids, dim, false) else {
                assert!(centroids.len() / dim < min_rows(level) || dim > MAX_DIM);
                continue;
            };
            for query in queries {
                let found = pruner.nearest(level, query, centroids);
                assert_eq!(
                    found,
                    nearest(SimdLevel::Scalar, query, centroids),
                    "{level:?}"
                );
                let four: Vec<f32> = queries[..QUERY_BATCH].concat();
                if let Some(found) = pruner.nearest_batch(level, &four, centroids) {
                    for (query, found) in queries.iter().zip(found) {
                        assert_eq!(found, nearest(SimdLevel::Scalar, query, centroids), "four");
                    }
                }
                for count in [2, 3, 8] {
                    let found = pruner.nearest_k(level, query, centroids, count);
                    let top_k = nearest_k(SimdLevel::Scalar, query, centroids, count);
                    assert_eq!(found.as_slice(), top_k.as_slice(), "{level:?}, {count}");
                }
            }
        }
    }

    /// Rows that lie a few units in the last place from one another, so that many tie or nearly
    /// tie, at lengths from the largest to the smallest.
    fn crowded() -> impl Strategy<Value = (usize, Vec<f32>, Vec<Vec<f32>>)> {
        (
            1_usize..140,
            12_usize..90,
            -17_i32..14,
            0_u32..6,
            any::<u64>(),
        )
            .prop_map(|(dim, rows, power, noise, seed)| {
                let mut state = seed | 1;
                let mut draw = move || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                let size = 10_f32.powi(power);
                let unit = |bits: u64| (bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
                let kinds: Vec<Vec<f32>> = (0..3)
                    .map(|_| (0..dim).map(|_| unit(draw()) * size).collect())
                    .collect();
                let mut near = |kind: usize| -> Vec<f32> {
                    kinds[kind % 3]
                        .iter()
                        .map(|v| {
                            let off = (draw() % u64::from(2 * noise + 1)) as f32 - noise as f32;
                            v * (1.0 + off * f32::EPSILON)
                        })
                        .collect()
                };
                let centroids = (0..rows).flat_map(&mut near).collect();
                let mut queries: Vec<_> = (0..3).map(&mut near).collect();
                let middle = kinds[0].iter().zip(&kinds[1]).map(|(a, b)| (a + b) / 2.0);
                queries.push(middle.collect());
                queries.push(vec![0.0; dim]);
                (dim, centroids, queries)
            })
    }

    /// Collects the nearest, and counts the offers.
    struct Counted(Top1, usize);

    impl Collector for Counted {
        fn offer(&mut self, index: usize, squared: f32) {
            self.0.offer(index, squared);
            self.1 += 1;
        }

        fn worst(&self) -> f32 {
            self.0.worst()
        }
    }

    #[test]
    fn a_search_rules_out_the_majority_of_rows() {
        let (rows, dim) = (300, 96);
        let mut state = 7_u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        let centroids: Vec<f32> = (0..rows * dim).map(|_| draw()).collect();
        let query: Vec<f32> = (0..dim)
            .map(|i| centroids[123 * dim + i] + draw())
            .collect();
        for level in levels() {
            let pruner = Pruner::new(level, &centroids, dim, false).unwrap();
            let collector = Counted(Top1::new(), 0);
            let collector = pruner.search(level, &query, &centroids, collector, 1);
            assert_eq!(
                collector.0.0,
                nearest(SimdLevel::Scalar, &query, &centroids)
            );
            assert!(
                collector.1 < rows / 10,
                "{level:?} scored {} rows",
                collector.1
            );
        }
    }

    proptest! {
        #[test]
        fn crowds_of_near_ties_are_decided_by_the_definition(
            (dim, centroids, queries) in crowded()
        ) {
            agree(&centroids, &queries, dim);
        }

        #[test]
        fn any_finite_values_are_decided_by_the_definition(
            dim in 1_usize..25,
            rows in 32_usize..200,
            seed in any::<u64>(),
        ) {
            let any_finite = |n| {
                let value = f32::from_bits(splitmix64(seed, n) as u32);
                if value.is_finite() { value } else { 0.5 }
            };
            let values: Vec<f32> = (0..((rows + 1) * dim) as u64).map(any_finite).collect();
            let (query, centroids) = values.split_at(dim);
            for level in levels() {
                if let Some(pruner) = Pruner::new(level, centroids, dim, false) {
                    let found = pruner.nearest(level, query, centroids);
                    prop_assert_eq!(found, nearest(SimdLevel::Scalar, query, centroids));
                }
            }
        }
    }
}
