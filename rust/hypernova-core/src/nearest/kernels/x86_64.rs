//! Kernels for `x86_64`, AVX2 and AVX-512F: distances, and dot products, of a query and rows.
//!
//! Not here: the choice between them (`dispatch.rs`), and int8 codes (`x86_64_int8.rs`).
//!
//! Four rows are scored at once, so that each block of the query is loaded once for four
//! rows, and four chains of additions overlap.

#![expect(
    unsafe_code,
    reason = "loads, stores, and calls of functions with target features"
)]

use std::arch::x86_64::{
    __m256, __m512, _CMP_NGT_UQ, _mm_add_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_setzero_ps,
    _mm_shuffle_ps, _mm_storeu_ps, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128,
    _mm256_cmp_ps, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_extractf64x4_pd, _mm512_loadu_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

use super::{Products, blocks, offer_all, padded_tail, rising, rows_at, split_rows};
use crate::nearest::level::{Avx2, Avx512};
use crate::nearest::scalar::LANES;
use crate::nearest::top_k::Collector;

/// Number of rows that are scored at once.
const ROWS: usize = 4;

/// Add up the partial sums of each row: the definition's final sum from width 8 on, for all rows at
/// once where they share registers.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<const N: usize>(partial: [__m256; N]) -> [f32; N] {
    const { assert!(0 < N && N <= ROWS) };
    let mut quarters = [_mm_setzero_ps(); ROWS];
    for i in 0..N {
        let low = _mm256_castps256_ps128(partial[i]);
        quarters[i] = _mm_add_ps(low, _mm256_extractf128_ps::<1>(partial[i])); // width 4
    }
    let [a, b, c, d] = quarters;
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a)); // width 2
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    let even = _mm_shuffle_ps::<0b10_00_10_00>(ab, cd);
    let odd = _mm_shuffle_ps::<0b11_01_11_01>(ab, cd);
    let mut sums = [0.0; ROWS];
    // SAFETY: four values; the store needs no alignment.
    unsafe { _mm_storeu_ps(sums.as_mut_ptr(), _mm_add_ps(even, odd)) }; // width 1
    let mut of_rows = [0.0; N];
    of_rows.copy_from_slice(&sums[..N]);
    of_rows
}

/// Load a block of a row into two registers.
#[inline]
#[target_feature(enable = "avx2")]
fn load_256(block: &[f32; LANES]) -> (__m256, __m256) {
    // SAFETY: the block holds sixteen values; the loads need no alignment.
    unsafe {
        let start = block.as_ptr();
        (_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8)))
    }
}

/// Load a block of a row into one register.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(block: &[f32; LANES]) -> __m512 {
    // SAFETY: the block holds sixteen values; the load needs no alignment.
    unsafe { _mm512_loadu_ps(block.as_ptr()) }
}

/// Offer the squared distances, or if `PRODUCT` the dot products, of `N` rows, scored at once with
/// AVX2.
#[inline]
#[target_feature(enable = "avx2")]
fn offer_avx2<K: Collector, const N: usize, const PRODUCT: bool>(
    query: &[f32],
    query_tail: &[f32; LANES],
    rows: [&[f32]; N],
    indices: [usize; N],
    collector: &mut K,
) {
    let mut low = [_mm256_setzero_ps(); N];
    let mut high = [_mm256_setzero_ps(); N];
    let step = |x: __m256, y: __m256, p: __m256| {
        let (x, y) = if PRODUCT {
            (x, y)
        } else {
            let t = _mm256_sub_ps(x, y);
            (t, t)
        };
        _mm256_add_ps(p, _mm256_mul_ps(x, y))
    };
    let (query_blocks, row_blocks) = blocks(query, rows);
    for (at, block) in query_blocks.iter().enumerate() {
        let (x_low, x_high) = load_256(block);
        for i in 0..N {
            let (y_low, y_high) = load_256(&row_blocks[i][at]);
            low[i] = step(x_low, y_low, low[i]);
            high[i] = step(x_high, y_high, high[i]);
        }
    }
    if !query.len().is_multiple_of(LANES) {
        let (x_low, x_high) = load_256(query_tail);
        for i in 0..N {
            let (y_low, y_high) = load_256(&padded_tail(rows[i]));
            low[i] = step(x_low, y_low, low[i]);
            high[i] = step(x_high, y_high, high[i]);
        }
    }
    for i in 0..N {
        low[i] = _mm256_add_ps(low[i], high[i]); // width 8
    }
    offer_all(indices, &sums(low), collector);
}

/// As [`offer_avx2`], with AVX-512F.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn offer_avx512<K: Collector, const N: usize, const PRODUCT: bool>(
    query: &[f32],
    query_tail: &[f32; LANES],
    rows: [&[f32]; N],
    indices: [usize; N],
    collector: &mut K,
) {
    let mut partial = [_mm512_setzero_ps(); N];
    let step = |x: __m512, y: __m512, p: __m512| {
        let (x, y) = if PRODUCT {
            (x, y)
        } else {
            let t = _mm512_sub_ps(x, y);
            (t, t)
        };
        _mm512_add_ps(p, _mm512_mul_ps(x, y))
    };
    let (query_blocks, row_blocks) = blocks(query, rows);
    for (at, block) in query_blocks.iter().enumerate() {
        let x = load_512(block);
        for i in 0..N {
            partial[i] = step(x, load_512(&row_blocks[i][at]), partial[i]);
        }
    }
    if !query.len().is_multiple_of(LANES) {
        let x = load_512(query_tail);
        for i in 0..N {
            partial[i] = step(x, load_512(&padded_tail(rows[i])), partial[i]);
        }
    }
    let mut halves = [_mm256_setzero_ps(); N];
    for i in 0..N {
        let low = _mm512_castps512_ps256(partial[i]);
        let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(partial[i]));
        halves[i] = _mm256_add_ps(low, _mm256_castpd_ps(high)); // width 8
    }
    offer_all(indices, &sums(halves), collector);
}

/// As [`bounds::not_above`](crate::nearest::bounds::not_above): a comparison gives the bits, where
/// the compiler made them one by one.
#[target_feature(enable = "avx2")]
fn masks_avx2<const N: usize>(bounds: &[f32], limit: f32) -> [u16; N] {
    let limit = _mm256_set1_ps(limit);
    let bits = |half| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGT_UQ>(half, limit));
    let mut masks = [0; N];
    for (mask, block) in masks.iter_mut().zip(bounds.as_chunks::<LANES>().0) {
        let (low, high) = load_256(block);
        *mask = (bits(low) | bits(high) << 8).cast_unsigned() as u16;
    }
    masks
}

/// As [`masks_avx2`], with AVX-512F.
#[target_feature(enable = "avx512f")]
fn masks_avx512<const N: usize>(bounds: &[f32], limit: f32) -> [u16; N] {
    let limit = _mm512_set1_ps(limit);
    let mut masks = [0; N];
    for (mask, block) in masks.iter_mut().zip(bounds.as_chunks::<LANES>().0) {
        *mask = _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(load_512(block), limit);
    }
    masks
}

/// Define the loops over rows, which are the same for both kernels.
macro_rules! walk {
    ($name:ident, $walk_rows:ident, $features:literal, $offer:ident) => {
        #[target_feature(enable = $features)]
        fn $name<K: Collector, const PRODUCT: bool>(
            query: &[f32],
            rows: &[f32],
            mut collector: K,
        ) -> K {
            let dim = query.len();
            let tail = padded_tail(query);
            let mut index = 0;
            for rows in rows.chunks(ROWS * dim) {
                let into = &mut collector;
                match rows.len() / dim {
                    ROWS => {
                        let rows = split_rows::<ROWS>(rows, dim);
                        $offer::<K, ROWS, PRODUCT>(query, &tail, rows, rising(index), into);
                    }
                    3 => {
                        let rows = split_rows::<3>(rows, dim);
                        $offer::<K, 3, PRODUCT>(query, &tail, rows, rising(index), into);
                    }
                    2 => {
                        let rows = split_rows::<2>(rows, dim);
                        $offer::<K, 2, PRODUCT>(query, &tail, rows, rising(index), into);
                    }
                    _ => $offer::<K, 1, PRODUCT>(query, &tail, [rows], [index], into),
                }
                index += ROWS;
            }
            collector
        }

        #[target_feature(enable = $features)]
        fn $walk_rows<K: Collector, const PRODUCT: bool>(
            query: &[f32],
            matrix: &[f32],
            indices: &[u32],
            collector: &mut K,
        ) {
            let dim = query.len();
            let tail = padded_tail(query);
            for (piece, some) in indices.chunks(ROWS).enumerate() {
                // Products are kept by their places, and distances by the indices of their rows.
                let from = piece * ROWS;
                match *some {
                    [a, b, c, d] => {
                        let rows = rows_at(matrix, dim, [a, b, c, d]);
                        let own = if PRODUCT {
                            rising(from)
                        } else {
                            [a as usize, b as usize, c as usize, d as usize]
                        };
                        $offer::<K, ROWS, PRODUCT>(query, &tail, rows, own, collector);
                    }
                    [a, b, c] => {
                        let rows = rows_at(matrix, dim, [a, b, c]);
                        let own = if PRODUCT {
                            rising(from)
                        } else {
                            [a as usize, b as usize, c as usize]
                        };
                        $offer::<K, 3, PRODUCT>(query, &tail, rows, own, collector);
                    }
                    [a, b] => {
                        let rows = rows_at(matrix, dim, [a, b]);
                        let own = if PRODUCT {
                            rising(from)
                        } else {
                            [a as usize, b as usize]
                        };
                        $offer::<K, 2, PRODUCT>(query, &tail, rows, own, collector);
                    }
                    [a] => {
                        let rows = rows_at(matrix, dim, [a]);
                        let own = if PRODUCT { [from] } else { [a as usize] };
                        $offer::<K, 1, PRODUCT>(query, &tail, rows, own, collector);
                    }
                    _ => {}
                }
            }
        }
    };
}

walk!(walk_avx2, walk_rows_avx2, "avx2", offer_avx2);
walk!(walk_avx512, walk_rows_avx512, "avx512f,avx2", offer_avx512);

pub(in crate::nearest) fn search_avx2<K: Collector>(
    _: Avx2,
    query: &[f32],
    centroids: &[f32],
    collector: K,
) -> K {
    // SAFETY: the CPU has AVX2, the only demand of a safe function with a target feature.
    unsafe { walk_avx2::<K, false>(query, centroids, collector) }
}

pub(in crate::nearest) fn search_avx512<K: Collector>(
    _: Avx512,
    query: &[f32],
    centroids: &[f32],
    collector: K,
) -> K {
    // SAFETY: the CPU has AVX-512F and AVX2, the only demands of a safe function with these
    // target features.
    unsafe { walk_avx512::<K, false>(query, centroids, collector) }
}

pub(in crate::nearest) fn score_avx2<K: Collector>(
    _: Avx2,
    query: &[f32],
    centroids: &[f32],
    indices: &[u32],
    collector: &mut K,
) {
    // SAFETY: as in `search_avx2`.
    unsafe { walk_rows_avx2::<K, false>(query, centroids, indices, collector) }
}

pub(in crate::nearest) fn score_avx512<K: Collector>(
    _: Avx512,
    query: &[f32],
    centroids: &[f32],
    indices: &[u32],
    collector: &mut K,
) {
    // SAFETY: as in `search_avx512`.
    unsafe { walk_rows_avx512::<K, false>(query, centroids, indices, collector) }
}

pub(in crate::nearest) fn products_avx2(_: Avx2, x: &[f32], rows: &[f32], products: &mut [f32]) {
    // SAFETY: as in `search_avx2`.
    unsafe { walk_avx2::<_, true>(x, rows, Products(products)) };
}

pub(in crate::nearest) fn products_avx512(
    _: Avx512,
    x: &[f32],
    rows: &[f32],
    products: &mut [f32],
) {
    // SAFETY: as in `search_avx512`.
    unsafe { walk_avx512::<_, true>(x, rows, Products(products)) };
}

pub(in crate::nearest) fn products_at_avx2(
    _: Avx2,
    x: &[f32],
    rows: &[f32],
    indices: &[u32],
    products: &mut [f32],
) {
    // SAFETY: as in `search_avx2`.
    unsafe { walk_rows_avx2::<_, true>(x, rows, indices, &mut Products(products)) };
}

pub(in crate::nearest) fn products_at_avx512(
    _: Avx512,
    x: &[f32],
    rows: &[f32],
    indices: &[u32],
    products: &mut [f32],
) {
    // SAFETY: as in `search_avx512`.
    unsafe { walk_rows_avx512::<_, true>(x, rows, indices, &mut Products(products)) };
}

pub(in crate::nearest) fn not_above_avx2<const N: usize>(
    _: Avx2,
    bounds: &[f32],
    limit: f32,
) -> [u16; N] {
    // SAFETY: as in `search_avx2`.
    unsafe { masks_avx2(bounds, limit) }
}

pub(in crate::nearest) fn not_above_avx512<const N: usize>(
    _: Avx512,
    bounds: &[f32],
    limit: f32,
) -> [u16; N] {
    // SAFETY: as in `search_avx512`.
    unsafe { masks_avx512(bounds, limit) }
}
