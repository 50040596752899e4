//! Find the nearest centroids while reading a quarter of their bytes.
//!
//! Not here: the distance itself. What this module does is to prove of most centroids
//! that they are not the nearest, from codes of eight bits a value; the others are
//! scored by the definition. So the answer is the definition's, bit by bit.
//!
//! **Codes.** A row `y` is `s * c + r`: a scale, integers of -127 to 127, and what is
//! left. A query `x` is `q * k + p`, with integers of as many bits as the sum of the
//! products leaves room for in 32. That sum, `k . c`, is exact. From it
//!
//! ```text
//! |x - y|^2 = |x|^2 + |y|^2 - 2 q s (k . c) - 2 (p . s c) - 2 (x . r)
//!          >= |x|^2 + |y|^2 - 2 q s (k . c) - 2 |p| |s c|  - 2 |x| |r|
//! ```
//!
//! by Cauchy and Schwarz: a bound from below. A row whose bound is above a distance
//! that the definition gives for another row cannot win.
//!
//! **What it gains, and what lost.** On an AMD EPYC (Zen 4), search and rule together,
//! best of nine runs: 100 x 384 in 1.01 us with VNNI and 1.45 with AVX2, where scoring
//! all rows took 2.1; 1,000 x 1,536 in 20 and 36 us, where it took 83. Codes row after
//! row, with sums across lanes at the end of each: 1.37 us for the products that take
//! 0.45 (VNNI) now, when that is what reading the codes takes. A query of 16 bits with
//! VNNI, as two bytes: 0.46 us for the products and 0.12 to code it, where one byte
//! takes 0.45 and 0.09. All bounds at once instead of 256 at a time: the buffers' zeros
//! took 0.1 us. Under the scalar level the codes still win, 4.2 us against 7.8.
//!
//! **Rounding.** With `u = 2^-24` and `g = (d / 16 + 32) u`: the definition adds
//! `d / 16 + 4` times what was rounded three times before, never subtracts, and so
//! differs from `|x - y|^2` by less than `g |x - y|^2 <= 2 g (|x|^2 + |y|^2)`. The sums
//! that give `|x|^2` and `|y|^2` are off by less than `g` of themselves, and the few
//! operations on them by less than `16 u (|x|^2 + |y|^2)`. All of it is less than
//! `5 g (|x|^2 + |y|^2)`; [`slack`] is `8 g`. Underflow adds less than [`TINY`], and
//! where anything could overflow nothing is screened. A bound that comes out as NaN
//! proves nothing.

use super::bounds::{Query, TINY, Terms, slack};
use super::dispatch;
use super::int8::{Codes, FOUR, GROUP, Line, ROWS};
use super::level::{Avx512Vnni, SimdLevel};
use super::top_k::{Best, Keep, Nearest, TopK};

/// Longest vectors that are screened: their codes are kept on the stack.
const MAX_DIM: usize = 8_192;
/// Rows whose bounds are computed before the first of them is scored.
const BLOCK: usize = 128;
/// Fewer rows are scored as quickly by the definition. A whole decision at 20 x 384, screened
/// and not: 0.64 and 0.53 us with AVX2; with VNNI 0.45 and 0.52 us, and 0.37 and 0.56 us for
/// each of 64 rows.
const fn least_rows(level: SimdLevel) -> usize {
    match level {
        SimdLevel::Avx512Vnni(_) => 16,
        _ => 32,
    }
}

/// Largest squared length of a row that is screened.
const LONGEST: f32 = 1e30;

/// Bounds from below for all rows of a matrix of centroids. Made when an artifact is
/// opened, so that no file can lie about it; a quarter of the size of the centroids.
pub(crate) struct Pruner {
    /// Groups of a row.
    groups: usize,
    /// Groups of sixteen rows, then of the next sixteen.
    codes: Vec<Line>,
    scales: Vec<f32>,
    /// Squared lengths, less the slack.
    norms: Vec<f32>,
    /// Upper bounds of the lengths of what is left.
    rests: Vec<f32>,
    /// Upper bound of the lengths of all coded rows.
    longest: f32,
}

impl Pruner {
    /// Of `centroids`, rows of `dim` finite values; `None` where screening them does not
    /// pay or could overflow.
    pub(crate) fn new(level: SimdLevel, centroids: &[f32], dim: usize) -> Option<Self> {
        let rows = centroids.len() / dim;
        if rows < least_rows(level) || dim > MAX_DIM {
            return None;
        }
        let groups = dim.div_ceil(GROUP);
        let mut this = Self {
            groups,
            codes: vec![Line([[0; GROUP]; ROWS]); rows.div_ceil(ROWS) * groups],
            scales: Vec::with_capacity(rows),
            norms: Vec::with_capacity(rows),
            rests: Vec::with_capacity(rows),
            longest: 0.0,
        };
        let slack = slack(dim);
        let mut codes = [0; MAX_DIM];
        for (index, row) in centroids.chunks_exact(dim).enumerate() {
            let (scale, norm, rest) = dispatch::encode(level, row, &mut codes);
            let lines = &mut this.codes[index / ROWS * groups..][..groups];
            for (line, group) in lines.iter_mut().zip(codes.as_chunks().0) {
                line.0[index % ROWS] = *group;
            }
            if norm.is_nan() || norm > LONGEST {
                return None;
            }
            let length = norm.sqrt() * (1.0 + slack);
            // Each value of the rest was rounded twice, by at most `u` of the value.
            let rest = rest.sqrt() * (1.0 + slack) + length * f32::EPSILON + TINY;
            this.scales.push(scale);
            this.norms.push(norm * (1.0 - slack));
            this.rests.push(rest);
            this.longest = this.longest.max((length + rest) * (1.0 + slack));
        }
        Some(this)
    }

    /// As [`super::nearest`].
    pub(crate) fn nearest(&self, level: SimdLevel, query: &[f32], centroids: &[f32]) -> Nearest {
        self.search(level, query, centroids, Best::new(), 1).0
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

    fn search<K: Keep>(
        &self,
        level: SimdLevel,
        query: &[f32],
        centroids: &[f32],
        kept: K,
        count: usize,
    ) -> K {
        if 4 * count > self.scales.len() {
            return dispatch::search(level, query, centroids, kept);
        }
        // The codes are on the stack, in a buffer that is not much too large.
        match self.groups {
            0..=96 => self.search_in::<K, 96>(level, query, centroids, kept, count),
            97..=384 => self.search_in::<K, 384>(level, query, centroids, kept, count),
            _ => self.search_in::<K, { MAX_DIM / GROUP }>(level, query, centroids, kept, count),
        }
    }

    fn search_in<K: Keep, const GROUPS: usize>(
        &self,
        level: SimdLevel,
        query: &[f32],
        centroids: &[f32],
        mut kept: K,
        count: usize,
    ) -> K {
        let mut codes = Codes::<GROUPS>::new();
        let Some(coded) = dispatch::encode_query(level, query, &mut codes) else {
            return dispatch::search(level, query, centroids, kept);
        };
        let query = Query::new(query, coded, self.longest);
        let mut dots = [[0_i32; ROWS]; BLOCK / ROWS];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            dispatch::dots(level, &codes, self.groups, lines, &mut dots[..blocks]);
            self.score(level, &query, centroids, start, &dots, &mut kept, count);
        }
        kept
    }

    /// As [`Self::nearest`] for four queries, one after the other in `queries`: each line
    /// of codes is read once for all of them. `None` where that gains nothing.
    pub(crate) fn nearest_four(
        &self,
        level: SimdLevel,
        queries: &[f32],
        centroids: &[f32],
    ) -> Option<[Nearest; FOUR]> {
        let SimdLevel::Avx512Vnni(cpu) = level else {
            return None; // the others take longer to multiply than to read
        };
        match self.groups {
            0..=96 => self.four_in::<96>(cpu, queries, centroids),
            97..=384 => self.four_in::<384>(cpu, queries, centroids),
            _ => None,
        }
    }

    fn four_in<const GROUPS: usize>(
        &self,
        cpu: Avx512Vnni,
        queries: &[f32],
        centroids: &[f32],
    ) -> Option<[Nearest; FOUR]> {
        let level = SimdLevel::Avx512Vnni(cpu);
        let dim = queries.len() / FOUR;
        let mut codes = [const { Codes::<GROUPS>::new() }; FOUR];
        let mut coded = [None; FOUR];
        for i in 0..FOUR {
            let query = &queries[i * dim..(i + 1) * dim];
            let found = dispatch::encode_query(level, query, &mut codes[i])?;
            coded[i] = Some(Query::new(query, found, self.longest));
        }
        let mut kept = [Best::new(); FOUR];
        let mut dots = [[[0_i32; ROWS]; BLOCK / ROWS]; FOUR];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            dispatch::dots_four(cpu, &codes, self.groups, lines, blocks, &mut dots);
            for i in 0..FOUR {
                let query = coded[i].as_ref()?;
                self.score(level, query, centroids, start, &dots[i], &mut kept[i], 1);
            }
        }
        Some(kept.map(|best| best.0))
    }

    /// Lines of the rows that are bounded together, and how many times sixteen they are.
    fn block(&self, start: usize) -> (&[Line], usize) {
        let blocks = (self.scales.len() - start).min(BLOCK).div_ceil(ROWS);
        let lines = &self.codes[start / ROWS * self.groups..][..blocks * self.groups];
        (lines, blocks)
    }

    /// Score those rows of a block that their bounds do not rule out.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of a loop, shared by two"
    )]
    fn score<K: Keep>(
        &self,
        level: SimdLevel,
        query: &Query<'_>,
        centroids: &[f32],
        start: usize,
        dots: &[[i32; ROWS]],
        kept: &mut K,
        count: usize,
    ) {
        let rows = start..self.scales.len().min(start + BLOCK);
        let mut bounds = [0.0_f32; BLOCK];
        let bounds = &mut bounds[..rows.len()];
        let terms = Terms {
            scales: &self.scales[rows.clone()],
            norms: &self.norms[rows.clone()],
            rests: &self.rests[rows],
            scale: 2.0 * query.scale,
            length: 2.0 * query.length,
        };
        dispatch::bound(level, terms, dots.as_flattened(), bounds);

        let mut seed = None;
        let mut distance = kept.worst();
        if distance == f32::INFINITY {
            // The apparent winners are scored first: the worst of their distances is one
            // that the others have to reach.
            let mut exact = TopK::new(count);
            if count == 1 {
                let apparent = (start + dispatch::lowest(level, bounds)) as u32;
                dispatch::score(level, query.values, centroids, [apparent], &mut exact);
                seed = Some(exact.as_slice()[0]);
            } else {
                let mut first = TopK::new(count);
                for (i, &bound) in bounds.iter().enumerate() {
                    first.offer(start + i, bound);
                }
                let apparent = first.as_slice().iter().map(|n| n.index);
                dispatch::score(level, query.values, centroids, apparent, &mut exact);
            }
            distance = exact.worst();
        }
        let most = query.most(distance);
        // Where either is NaN the row is not ruled out.
        let ruled_out = |bound: f32| bound > most;
        let left = (0..bounds.len()).filter(|&at| !ruled_out(bounds[at]));
        let mut left = left.peekable();
        // Most often the apparent winner alone is left, and is not scored again.
        if let Some(seed) = seed {
            let at = seed.index as usize - start;
            if !ruled_out(bounds[at]) && dispatch::count_left(level, bounds, most) == 1 {
                kept.offer(start + at, seed.squared);
                return;
            }
            if let Some(first) = left.next_if_eq(&at) {
                kept.offer(start + first, seed.squared);
            }
        }
        let left = left.map(|at| (start + at) as u32);
        dispatch::score(level, query.values, centroids, left, kept);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nearest::{nearest, nearest_k};

    fn levels() -> impl Iterator<Item = SimdLevel> {
        SimdLevel::available()
    }

    /// Fails unless every level's screened answers are those of the definition.
    fn agree(centroids: &[f32], queries: &[Vec<f32>], dim: usize) {
        for level in levels() {
            let Some(screen) = Pruner::new(level, centroids, dim) else {
                assert!(centroids.len() / dim < least_rows(level) || dim > MAX_DIM);
                continue;
            };
            for query in queries {
                let found = screen.nearest(level, query, centroids);
                assert_eq!(
                    found,
                    nearest(SimdLevel::Scalar, query, centroids),
                    "{level:?}"
                );
                let four: Vec<f32> = queries[..FOUR].concat();
                if let Some(found) = screen.nearest_four(level, &four, centroids) {
                    for (query, found) in queries.iter().zip(found) {
                        assert_eq!(found, nearest(SimdLevel::Scalar, query, centroids), "four");
                    }
                }
                for count in [2, 3, 8] {
                    let found = screen.nearest_k(level, query, centroids, count);
                    let few = nearest_k(SimdLevel::Scalar, query, centroids, count);
                    assert_eq!(found.as_slice(), few.as_slice(), "{level:?}, {count}");
                }
            }
        }
    }

    /// Rows that lie a few units in the last place from one another, so that whole
    /// crowds of them tie or nearly tie, at lengths from the largest to the smallest.
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

    /// The smallest, and how many were offered.
    struct Counted(Best, usize);

    impl Keep for Counted {
        fn offer(&mut self, index: usize, squared: f32) {
            self.0.offer(index, squared);
            self.1 += 1;
        }

        fn worst(&self) -> f32 {
            self.0.worst()
        }
    }

    #[test]
    fn most_rows_are_ruled_out() {
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
            let screen = Pruner::new(level, &centroids, dim).unwrap();
            let kept = Counted(Best::new(), 0);
            let kept = screen.search(level, &query, &centroids, kept, 1);
            assert_eq!(kept.0.0, nearest(SimdLevel::Scalar, &query, &centroids));
            assert!(kept.1 < rows / 10, "{level:?} scored {} rows", kept.1);
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
            values in prop::collection::vec(
                any::<f32>().prop_map(|v| if v.is_finite() { v } else { 0.5 }), 33 * 25..1600),
        ) {
            let rows = (values.len() / dim - 1).min(300);
            let (query, centroids) = values[..(rows + 1) * dim].split_at(dim);
            for level in levels() {
                if let Some(screen) = Pruner::new(level, centroids, dim) {
                    let found = screen.nearest(level, query, centroids);
                    prop_assert_eq!(found, nearest(SimdLevel::Scalar, query, centroids));
                }
            }
        }
    }
}
