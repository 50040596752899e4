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

use super::{Avx512Vnni, Keep, LANES, Nearest, SimdLevel, TopK, listed, scalar};

/// Rows whose codes are stored together.
pub(super) const ROWS: usize = 16;
/// Values of a row that are stored together.
pub(super) const GROUP: usize = 4;
/// Queries that are searched for together.
pub(crate) const FOUR: usize = 4;
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
/// Largest value of a query that is screened, and one above its smallest.
const RANGE: std::ops::Range<f32> = 1e-15..1e15;
/// Largest squared length of a row that is screened.
const LONGEST: f32 = 1e30;
/// More than underflow can add up to.
const TINY: f32 = 1e-24;
/// What is added to a value below `2^22` to round it to an integer, in the last bits.
const ROUNDER: f32 = 12_582_912.0;

/// The codes of a group of values of sixteen rows, each plus 128: what one register
/// holds, so that each of its lanes adds up one row and no sum crosses lanes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [[u8; GROUP]; ROWS]);

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

/// See *Rounding*.
fn slack(dim: usize) -> f32 {
    8.0 * ((dim / LANES + 32) as f32) * (f32::EPSILON / 2.0)
}

/// Nearest integer of a value below `2^22`, halves to even.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn rounded(value: f32) -> i32 {
    (value + ROUNDER).to_bits().cast_signed() - ROUNDER.to_bits().cast_signed()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn largest(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut most = [0.0_f32; LANES];
    let larger = |v: f32, most: f32| if v > most { v } else { most };
    for block in blocks {
        for i in 0..LANES {
            most[i] = larger(block[i].abs(), most[i]);
        }
    }
    for (most, v) in most.iter_mut().zip(rest) {
        *most = larger(v.abs(), *most);
    }
    folded(most, larger)
}

/// Whether there is neither NaN nor infinity among them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn are_finite(values: &[f32]) -> bool {
    // Without leaving early, so that it vectorises.
    values.iter().fold(true, |all, v| all & v.is_finite())
}

/// Codes of a row, each plus 128; its scale, its squared length, and the squared length
/// of the rest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn encode(row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
    let scale = largest(row) / 127.0;
    // The inverse of a very small scale overflows; such a row is all rest.
    let inverse = if scale > 1e-30 { 1.0 / scale } else { 0.0 };
    let mut squares = [0.0_f32; LANES];
    let mut rests = [0.0_f32; LANES];
    let one = |v: f32, square: &mut f32, sum: &mut f32| {
        let code = rounded(v * inverse);
        let rest = v - scale * code as f32;
        *square += v * v;
        *sum += rest * rest;
        (code + 128).cast_unsigned() as u8
    };
    let (blocks, tail) = row.as_chunks::<LANES>();
    let (pieces, piece) = codes[..row.len()].as_chunks_mut::<LANES>();
    for (block, piece) in blocks.iter().zip(pieces) {
        for i in 0..LANES {
            piece[i] = one(block[i], &mut squares[i], &mut rests[i]);
        }
    }
    for (i, (code, &v)) in piece.iter_mut().zip(tail).enumerate() {
        *code = one(v, &mut squares[i], &mut rests[i]);
    }
    (scale, scalar::sum(squares), scalar::sum(rests))
}

/// The integers `k` of a query, as kernels take them.
pub(super) struct Codes<const GROUPS: usize> {
    /// The first, third, second and fourth of each group; of a narrow query, its bytes.
    pub(super) pairs: [[i16; GROUP]; GROUPS],
    /// Of all.
    pub(super) sum: i32,
}

impl<const GROUPS: usize> Codes<GROUPS> {
    const fn new() -> Self {
        Self {
            pairs: [[0; GROUP]; GROUPS],
            sum: 0,
        }
    }

    /// The groups of a narrow query.
    #[cfg(target_arch = "x86_64")] // no other level takes one
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "into functions with target features")]
    pub(super) fn bytes(&self) -> &[[i8; GROUP]] {
        bytemuck::must_cast_slice(self.pairs.as_flattened())
            .as_chunks()
            .0
    }
}

/// What is known of a query.
#[derive(Clone, Copy)]
pub(super) struct Coded {
    scale: f32,
    /// Its squared length.
    squared: f32,
    /// The squared length of what its codes leave.
    rest: f32,
}

/// Code a query, in 8 bits a value if it is to be `narrow`; `None` if it is not screened.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn encode_query<const GROUPS: usize>(
    query: &[f32],
    narrow: bool,
    codes: &mut Codes<GROUPS>,
) -> Option<Coded> {
    let most = largest(query);
    if !RANGE.contains(&most) {
        return None;
    }
    let range: u16 = if narrow {
        127
    } else {
        // So that no sum of products with codes of a row leaves 32 bits.
        const MOST: u16 = 32_000;
        let values = u32::try_from(query.len() + GROUP).unwrap_or(u32::MAX);
        let most = i32::MAX.unsigned_abs() / 255 / values;
        u16::try_from(most).unwrap_or(MOST).min(MOST)
    };
    let (scale, inverse) = (most / f32::from(range), f32::from(range) / most);
    // In one pass: the chains of additions overlap.
    let mut rests = [0.0_f32; LANES];
    let mut squares = [0.0_f32; LANES];
    let mut sums = [0_i32; LANES];
    let one = |v: f32, rest: &mut f32, square: &mut f32, sum: &mut i32| {
        let k = rounded(v * inverse);
        let r = v - scale * k as f32;
        *rest += r * r;
        *square += v * v;
        *sum += k;
        k
    };
    // Once for each width, so that the loops know the type that they write.
    macro_rules! code {
        ($into:expr, $type:ty) => {
            let (blocks, tail) = query.as_chunks::<LANES>();
            let (pieces, piece) = $into[..query.len()].as_chunks_mut::<LANES>();
            for (block, piece) in blocks.iter().zip(pieces) {
                for i in 0..LANES {
                    let [rest, square] = [&mut rests[i], &mut squares[i]];
                    piece[i] = one(block[i], rest, square, &mut sums[i]) as $type;
                }
            }
            for (i, (code, &v)) in piece.iter_mut().zip(tail).enumerate() {
                let [rest, square] = [&mut rests[i], &mut squares[i]];
                *code = one(v, rest, square, &mut sums[i]) as $type;
            }
        };
    }
    if narrow {
        let bytes: &mut [i8] = bytemuck::must_cast_slice_mut(codes.pairs.as_flattened_mut());
        code!(bytes, i8);
    } else {
        code!(codes.pairs.as_flattened_mut(), i16);
        for pairs in &mut codes.pairs[..query.len().div_ceil(GROUP)] {
            pairs.swap(1, 2);
        }
    }
    codes.sum = sums.iter().sum();
    Some(Coded {
        scale,
        squared: scalar::sum(squares),
        rest: scalar::sum(rests),
    })
}

/// `k . c` for sixteen rows at a time.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn dots<const GROUPS: usize>(
    query: &Codes<GROUPS>,
    groups: usize,
    codes: &[Line],
    dots: &mut [[i32; ROWS]],
) {
    for (lines, dots) in codes.chunks_exact(groups).zip(dots) {
        *dots = [-128 * query.sum; ROWS];
        for (k, line) in query.pairs.iter().zip(lines) {
            let k = k.map(i32::from);
            for (dot, c) in dots.iter_mut().zip(&line.0) {
                let c = c.map(i32::from);
                *dot += k[0] * c[0] + k[1] * c[2] + k[2] * c[1] + k[3] * c[3];
            }
        }
    }
}

/// Where the smallest is; anywhere if one is NaN.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn lowest(bounds: &[f32]) -> usize {
    let (blocks, rest) = bounds.as_chunks::<LANES>();
    let mut least = [f32::INFINITY; LANES];
    for block in blocks {
        for i in 0..LANES {
            let (a, b) = (block[i], least[i]);
            least[i] = if a < b { a } else { b };
        }
    }
    for (least, &a) in least.iter_mut().zip(rest) {
        *least = if a < *least { a } else { *least };
    }
    let least = folded(least, |a, b| if a < b { a } else { b });
    // By blocks: to look at one after the other takes longer than all else here.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "without leaving early it vectorises"
    )]
    let holds = |block: &[f32]| block.iter().fold(false, |any, &b| any | (b <= least));
    let block = bounds.chunks(LANES).position(holds).unwrap_or(0) * LANES;
    let within = bounds[block..].iter().position(|&b| b <= least);
    block + within.unwrap_or(0)
}

/// All of them by an operation for which their order does not matter: of halves, so that
/// no step waits for more than three others.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn folded(mut lanes: [f32; LANES], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = of(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// How many bounds rule nothing out: those that are not above `most`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn count_left(bounds: &[f32], most: f32) -> u32 {
    // Where either is NaN the row is not ruled out.
    let ruled_out: u32 = bounds.iter().map(|&b| u32::from(b > most)).sum();
    bounds.len() as u32 - ruled_out
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
            let (scale, norm, rest) = listed::encode(level, row, &mut codes);
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
        self.search(level, query, centroids, super::Best::new(), 1)
            .0
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
            return super::search(level, query, centroids, kept);
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
        let Some(coded) = listed::encode_query(level, query, &mut codes) else {
            return super::search(level, query, centroids, kept);
        };
        let query = Query::new(query, coded, self.longest);
        let mut dots = [[0_i32; ROWS]; BLOCK / ROWS];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            listed::dots(level, &codes, self.groups, lines, &mut dots[..blocks]);
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
            let found = listed::encode_query(level, query, &mut codes[i])?;
            coded[i] = Some(Query::new(query, found, self.longest));
        }
        let mut kept = [super::Best::new(); FOUR];
        let mut dots = [[[0_i32; ROWS]; BLOCK / ROWS]; FOUR];
        for start in (0..self.scales.len()).step_by(BLOCK) {
            let (lines, blocks) = self.block(start);
            listed::dots_four(cpu, &codes, self.groups, lines, blocks, &mut dots);
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
        listed::bound(level, terms, dots.as_flattened(), bounds);

        let mut seed = None;
        let mut distance = kept.worst();
        if distance == f32::INFINITY {
            // The apparent winners are scored first: the worst of their distances is one
            // that the others have to reach.
            let mut exact = TopK::new(count);
            if count == 1 {
                let apparent = (start + listed::lowest(level, bounds)) as u32;
                listed::score(level, query.values, centroids, [apparent], &mut exact);
                seed = Some(exact.as_slice()[0]);
            } else {
                let mut first = TopK::new(count);
                for (i, &bound) in bounds.iter().enumerate() {
                    first.offer(start + i, bound);
                }
                let apparent = first.as_slice().iter().map(|n| n.index);
                listed::score(level, query.values, centroids, apparent, &mut exact);
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
            if !ruled_out(bounds[at]) && listed::count_left(level, bounds, most) == 1 {
                kept.offer(start + at, seed.squared);
                return;
            }
            if let Some(first) = left.next_if_eq(&at) {
                kept.offer(start + first, seed.squared);
            }
        }
        let left = left.map(|at| (start + at) as u32);
        listed::score(level, query.values, centroids, left, kept);
    }
}

/// A query and what bounds need of it.
#[derive(Clone, Copy)]
struct Query<'a> {
    values: &'a [f32],
    scale: f32,
    squared: f32,
    /// Upper bound of its length.
    length: f32,
    /// Upper bound of what its own rest can change.
    common: f32,
}

impl<'a> Query<'a> {
    fn new(values: &'a [f32], coded: Coded, longest: f32) -> Self {
        let Coded {
            scale,
            squared,
            rest,
        } = coded;
        let slack = slack(values.len());
        let length = squared.sqrt() * (1.0 + slack);
        // Each value of the rest was rounded twice, by at most `u` of the value.
        let rest = rest.sqrt() * (1.0 + slack) + length * f32::EPSILON + TINY;
        Self {
            values,
            scale,
            squared,
            length,
            common: 2.0 * rest * longest + TINY,
        }
    }

    /// What a bound may be at most of a row that could have this distance.
    fn most(&self, distance: f32) -> f32 {
        let slack = slack(self.values.len());
        (distance - self.squared * (1.0 - slack)) + self.common + slack * (distance + self.squared)
    }
}

/// What the bounds of some rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    scales: &'a [f32],
    norms: &'a [f32],
    rests: &'a [f32],
    /// Twice the query's.
    scale: f32,
    /// Twice the query's.
    length: f32,
}

/// The bound of each row from its `k . c`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn bound(terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
    let rows = terms.norms.iter().zip(terms.scales).zip(terms.rests);
    for ((bound, &dot), ((&norm, &scale), &rest)) in bounds.iter_mut().zip(dots).zip(rows) {
        *bound = norm - (terms.scale * scale) * dot as f32 - terms.length * rest;
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
    struct Counted(super::super::Best, usize);

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
            let kept = Counted(super::super::Best::new(), 0);
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
