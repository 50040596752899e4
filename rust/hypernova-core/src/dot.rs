//! The dot product of a query and a slope.
//!
//! Not here: what it is for (see [`crate::estimate`]). Its definition is that of the
//! squared distance (`FORMAT.md`, *Meaning*) with `x[j] * y[j]` for `t * t`: sixteen
//! partial sums in f32, nothing fused, so that all CPUs give the same bits.
//!
//! One plain function, compiled once for each level: the compiler keeps the order of
//! every partial sum and only adds more of them at once.

#![allow(
    unsafe_code,
    reason = "calls what is compiled for a level; an expectation would fail where there is none"
)]

use crate::nearest::{LANES, SimdLevel, sum};

/// The dot product of two vectors of equal length.
pub(crate) fn dot(level: SimdLevel, x: &[f32], y: &[f32]) -> f32 {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(_) => {
            // SAFETY: the level proves that the CPU has AVX2, all that the function demands.
            unsafe { dot_avx2(x, y) }
        }
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(_) | SimdLevel::Avx512Vnni(_) => {
            // SAFETY: either level proves that the CPU has AVX-512F and AVX2, all that the
            // function demands.
            unsafe { dot_avx512(x, y) }
        }
        _ => plain(x, y),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(x: &[f32], y: &[f32]) -> f32 {
    plain(x, y)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
fn dot_avx512(x: &[f32], y: &[f32]) -> f32 {
    plain(x, y)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn plain(x: &[f32], y: &[f32]) -> f32 {
    let mut partial = [0.0_f32; LANES];
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (y_blocks, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_blocks.iter().zip(y_blocks) {
        for i in 0..LANES {
            partial[i] += x[i] * y[i];
        }
    }
    for ((p, x), y) in partial.iter_mut().zip(x_rest).zip(y_rest) {
        *p += x * y;
    }
    sum(partial)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_level_gives_the_same_bits(
            pairs in prop::collection::vec((-1e20_f32..1e20, -1e20_f32..1e20), 0..150)
        ) {
            let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let mut partial = [0.0_f32; LANES];
            for j in 0..x.len() {
                partial[j % LANES] += x[j] * y[j];
            }
            let expected = sum(partial).to_bits();
            for level in SimdLevel::available() {
                prop_assert_eq!(dot(level, &x, &y).to_bits(), expected, "{:?}", level);
            }
        }
    }
}
