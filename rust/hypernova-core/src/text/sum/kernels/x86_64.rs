//! Kernels of the sums for `x86_64`: AVX2 and AVX-512F.
//!
//! Not here: the choice between them (`dispatch.rs`).

#![expect(
    unsafe_code,
    reason = "loads, stores, and calls of functions with target features"
)]

use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _mm_loadu_si64, _mm_loadu_si128, _mm_prefetch, _mm256_add_ps,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps,
    _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{LANES, walk};
use crate::nearest::{Avx2, Avx512};
use crate::text::sum::scalar::{self, GROUP, Pick};

/// Rows between asking for a row and adding it.
const AHEAD: usize = 8;
/// Bytes that come into the cache together.
const LINE: usize = 64;

/// Ask for a block of a row that will be added soon.
#[inline]
fn prefetch(table: &[u8], picks: &[Pick], index: usize, at: usize, size: usize) {
    if let Some(pick) = picks.get(index + AHEAD) {
        let start = table.as_ptr().wrapping_add(pick.start + at);
        // One step more than the block has lines, for it need not start with one.
        for offset in (0..size + LINE).step_by(LINE) {
            let place = start.wrapping_add(offset.min(size - 1)).cast();
            // SAFETY: no memory is accessed; a place outside the table would be ignored.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn int8_512(values: &[u8; LANES]) -> __m512 {
    // SAFETY: there are sixteen values; the load needs no alignment.
    let values = unsafe { _mm_loadu_si128(values.as_ptr().cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(values))
}

#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn float32_512(values: &[u8; 4 * LANES]) -> __m512 {
    // SAFETY: there are sixteen values; the load needs no alignment.
    unsafe { _mm512_loadu_ps(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn int8_256(values: &[u8; LANES]) -> [__m256; 2] {
    let half = |values: &[u8; 8]| {
        // SAFETY: there are eight values; the load needs no alignment.
        let values = unsafe { _mm_loadu_si64(values.as_ptr()) };
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(values))
    };
    let (halves, _) = values.as_chunks();
    [half(&halves[0]), half(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn float32_256(values: &[u8; 4 * LANES]) -> [__m256; 2] {
    let half = |values: &[u8; 32]| {
        // SAFETY: there are eight values; the load needs no alignment.
        unsafe { _mm256_loadu_ps(values.as_ptr().cast()) }
    };
    let (halves, _) = values.as_chunks();
    [half(&halves[0]), half(&halves[1])]
}

/// Define the sums of a block for AVX-512F.
macro_rules! block_512 {
    ($name:ident, $load:ident, $size:literal) => {
        #[inline]
        #[target_feature(enable = "avx512f,avx2")]
        fn $name<const N: usize>(
            table: &[u8],
            picks: &[Pick],
            at: usize,
            sums: &mut [[f32; LANES]; N],
        ) {
            for (group, some) in picks.chunks(GROUP).enumerate() {
                let mut totals = [_mm512_setzero_ps(); N];
                for (index, pick) in some.iter().enumerate() {
                    let size = N * LANES * $size;
                    prefetch(table, picks, group * GROUP + index, at, size);
                    let row = &table[pick.start + at..][..size];
                    let (values, _) = row.as_chunks::<{ LANES * $size }>();
                    let weight = _mm512_set1_ps(pick.weight);
                    for (total, values) in totals.iter_mut().zip(values) {
                        *total = _mm512_add_ps(*total, _mm512_mul_ps(weight, $load(values)));
                    }
                }
                for (sums, total) in sums.iter_mut().zip(totals) {
                    let start = sums.as_mut_ptr();
                    // SAFETY: there are sixteen sums; load and store need no alignment.
                    unsafe {
                        _mm512_storeu_ps(start, _mm512_add_ps(_mm512_loadu_ps(start), total))
                    };
                }
            }
        }
    };
}

/// Define the sums of a block for AVX2.
macro_rules! block_256 {
    ($name:ident, $load:ident, $size:literal) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        fn $name<const N: usize>(
            table: &[u8],
            picks: &[Pick],
            at: usize,
            sums: &mut [[f32; LANES]; N],
        ) {
            for (group, some) in picks.chunks(GROUP).enumerate() {
                let mut totals = [[_mm256_setzero_ps(); 2]; N];
                for (index, pick) in some.iter().enumerate() {
                    let size = N * LANES * $size;
                    prefetch(table, picks, group * GROUP + index, at, size);
                    let row = &table[pick.start + at..][..size];
                    let (values, _) = row.as_chunks::<{ LANES * $size }>();
                    let weight = _mm256_set1_ps(pick.weight);
                    for ([low, high], values) in totals.iter_mut().zip(values) {
                        let [x, y] = $load(values);
                        *low = _mm256_add_ps(*low, _mm256_mul_ps(weight, x));
                        *high = _mm256_add_ps(*high, _mm256_mul_ps(weight, y));
                    }
                }
                for (sums, totals) in sums.iter_mut().zip(totals) {
                    let (halves, _) = sums.as_chunks_mut::<8>();
                    for (half, total) in halves.iter_mut().zip(totals) {
                        let start = half.as_mut_ptr();
                        // SAFETY: there are eight sums; load and store need no alignment.
                        unsafe {
                            _mm256_storeu_ps(start, _mm256_add_ps(_mm256_loadu_ps(start), total));
                        }
                    }
                }
            }
        }
    };
}

block_512!(block_int8_512, int8_512, 1);
block_512!(block_float32_512, float32_512, 4);
block_256!(block_int8_256, int8_256, 1);
block_256!(block_float32_256, float32_256, 4);

// Of 32 registers, 16 hold sums; of AVX2's 16, 8 do.
walk!(
    int8_avx512(Avx512),
    walk_int8_512,
    "avx512f,avx2",
    block_int8_512,
    1,
    [16, 4, 1]
);
walk!(
    float32_avx512(Avx512),
    walk_float32_512,
    "avx512f,avx2",
    block_float32_512,
    4,
    [16, 4, 1]
);
walk!(
    int8_avx2(Avx2),
    walk_int8_256,
    "avx2",
    block_int8_256,
    1,
    [4, 1]
);
walk!(
    float32_avx2(Avx2),
    walk_float32_256,
    "avx2",
    block_float32_256,
    4,
    [4, 1]
);
