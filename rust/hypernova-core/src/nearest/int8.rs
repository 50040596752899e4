//! Int8 codes of rows and queries, and the sums of their products.
//!
//! Not here: the bounds that follow from them (`bounds.rs`), and the kernels that compute
//! the sums with instructions of a CPU (`kernels/`).

use super::scalar::{self, LANES, reduce};

/// Number of rows whose codes are interleaved.
pub(super) const ROWS: usize = 16;
/// Number of adjacent values of a row within a line of codes.
pub(super) const GROUP: usize = 4;
/// Number of queries that are searched for together.
pub(crate) const QUERY_BATCH: usize = 4;

/// Range of the largest absolute value of a query that can be coded.
const QUERY_RANGE: std::ops::Range<f32> = 1e-15..1e15;

/// Number of values that are taken at a time: chains of operations on each of two registers overlap.
const WIDTH: usize = 2 * LANES;

/// Added to a value below `2^22`, this rounds it to an integer in the last bits.
const ROUNDER: f32 = 12_582_912.0;

/// The codes of one group of values of sixteen rows, each plus 128. It fills one register, whose
/// lanes each add up one row, so that no sum crosses lanes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct CodeLine(pub(super) [[u8; GROUP]; ROWS]);

/// Round a value below `2^22` to the nearest integer, halves to even.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn round_to_i32(value: f32) -> i32 {
    (value + ROUNDER).to_bits().cast_signed() - ROUNDER.to_bits().cast_signed()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn max_abs(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<WIDTH>();
    let mut max = [0.0_f32; WIDTH];
    let larger = |v: f32, max: f32| if v > max { v } else { max };
    for block in blocks {
        for i in 0..WIDTH {
            max[i] = larger(block[i].abs(), max[i]);
        }
    }
    for (max, v) in max.iter_mut().zip(rest) {
        *max = larger(v.abs(), *max);
    }
    reduce(halved(max, larger), larger)
}

/// Code a row, each code plus 128, and return its scale, its squared length, and the squared
/// length of the residual.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn encode_row(row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
    let scale = max_abs(row) / 127.0;
    // The inverse of a very small scale overflows; such a row is all residual.
    let inverse = if scale > 1e-30 { 1.0 / scale } else { 0.0 };
    let mut squares = [0.0_f32; LANES];
    let mut residuals = [0.0_f32; LANES];
    let one = |v: f32, square: &mut f32, sum: &mut f32| {
        let code = round_to_i32(v * inverse);
        let residual = v - scale * code as f32;
        *square += v * v;
        *sum += residual * residual;
        (code + 128).cast_unsigned() as u8
    };
    let (blocks, tail) = row.as_chunks::<LANES>();
    let (pieces, piece) = codes[..row.len()].as_chunks_mut::<LANES>();
    for (block, piece) in blocks.iter().zip(pieces) {
        for i in 0..LANES {
            piece[i] = one(block[i], &mut squares[i], &mut residuals[i]);
        }
    }
    for (i, (code, &v)) in piece.iter_mut().zip(tail).enumerate() {
        *code = one(v, &mut squares[i], &mut residuals[i]);
    }
    (scale, scalar::sum(squares), scalar::sum(residuals))
}

/// The integers `k` of a query, in the order in which kernels read them.
pub(super) struct QueryCodes<const GROUPS: usize> {
    /// The first, third, second and fourth value of each group; for a narrow query, its bytes.
    pub(super) pairs: [[i16; GROUP]; GROUPS],
    /// Sum of all codes.
    pub(super) sum: i32,
}

impl<const GROUPS: usize> QueryCodes<GROUPS> {
    pub(super) const fn new() -> Self {
        Self {
            pairs: [[0; GROUP]; GROUPS],
            sum: 0,
        }
    }

    /// The groups of a narrow query.
    #[cfg(target_arch = "x86_64")] // other levels use wide queries
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "into functions with target features")]
    pub(super) fn bytes(&self) -> &[[i8; GROUP]] {
        bytemuck::must_cast_slice(self.pairs.as_flattened())
            .as_chunks()
            .0
    }
}

/// Scale and lengths of a coded query.
#[derive(Clone, Copy)]
pub(super) struct CodedQuery {
    pub(super) scale: f32,
    /// Squared length of the query.
    pub(super) squared: f32,
    /// Squared length of the residual.
    pub(super) residual: f32,
}

/// Code a query, with 8 bits a value if `narrow`; `None` if its values are too large or small.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn encode_query<const GROUPS: usize>(
    query: &[f32],
    narrow: bool,
    codes: &mut QueryCodes<GROUPS>,
) -> Option<CodedQuery> {
    let max = max_abs(query);
    if !QUERY_RANGE.contains(&max) {
        return None;
    }
    let range: u16 = if narrow {
        127
    } else {
        // No sum of products with codes of a row may exceed 32 bits.
        const MAX: u16 = 32_000;
        let values = u32::try_from(query.len() + GROUP).unwrap_or(u32::MAX);
        let max = i32::MAX.unsigned_abs() / 255 / values;
        u16::try_from(max).unwrap_or(MAX).min(MAX)
    };
    let (scale, inverse) = (max / f32::from(range), f32::from(range) / max);
    // In one pass, so that the chains of additions overlap.
    let mut residuals = [0.0_f32; WIDTH];
    let mut squares = [0.0_f32; WIDTH];
    let mut sums = [0_i32; WIDTH];
    let one = |v: f32, residual: &mut f32, square: &mut f32, sum: &mut i32| {
        let k = round_to_i32(v * inverse);
        let r = v - scale * k as f32;
        *residual += r * r;
        *square += v * v;
        *sum += k;
        k
    };
    // Once for each width, so that the loops write a known type.
    macro_rules! code {
        ($into:expr, $type:ty) => {
            let (blocks, tail) = query.as_chunks::<WIDTH>();
            let (pieces, piece) = $into[..query.len()].as_chunks_mut::<WIDTH>();
            for (block, piece) in blocks.iter().zip(pieces) {
                for i in 0..WIDTH {
                    let [residual, square] = [&mut residuals[i], &mut squares[i]];
                    piece[i] = one(block[i], residual, square, &mut sums[i]) as $type;
                }
            }
            for (i, (code, &v)) in piece.iter_mut().zip(tail).enumerate() {
                let [residual, square] = [&mut residuals[i], &mut squares[i]];
                *code = one(v, residual, square, &mut sums[i]) as $type;
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
    Some(CodedQuery {
        scale,
        squared: scalar::sum(halved(squares, |a, b| a + b)),
        residual: scalar::sum(halved(residuals, |a, b| a + b)),
    })
}

/// Join the two halves of the lanes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn halved(lanes: [f32; WIDTH], of: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut half = [0.0; LANES];
    for i in 0..LANES {
        half[i] = of(lanes[i], lanes[i + LANES]);
    }
    half
}

/// Compute `k . c` for blocks of sixteen rows.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn dots<const GROUPS: usize>(
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
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
