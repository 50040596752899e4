//! Int8 codes of rows and queries, and the sums of their products.
//!
//! Not here: the bounds that follow from them (`bounds.rs`), and the kernels that compute
//! the sums with instructions of a CPU (`kernels/`).

use super::scalar::{self, LANES, folded};

/// Rows whose codes are stored together.
pub(super) const ROWS: usize = 16;
/// Values of a row that are stored together.
pub(super) const GROUP: usize = 4;
/// Queries that are searched for together.
pub(crate) const FOUR: usize = 4;

/// Largest value of a query that is screened, and one above its smallest.
const RANGE: std::ops::Range<f32> = 1e-15..1e15;

/// What is added to a value below `2^22` to round it to an integer, in the last bits.
const ROUNDER: f32 = 12_582_912.0;

/// The codes of a group of values of sixteen rows, each plus 128: what one register
/// holds, so that each of its lanes adds up one row and no sum crosses lanes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [[u8; GROUP]; ROWS]);

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
    pub(super) const fn new() -> Self {
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
    pub(super) scale: f32,
    /// Its squared length.
    pub(super) squared: f32,
    /// The squared length of what its codes leave.
    pub(super) rest: f32,
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
