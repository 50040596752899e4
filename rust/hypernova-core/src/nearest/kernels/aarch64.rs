//! The kernel for aarch64, NEON: distances, and dot products, of a query and rows.
//!
//! Not here: its choice (`dispatch.rs`). There is no int8 kernel: the plain code is used.
//!
//! Sixteen partial sums are four registers; two rows at once use eight registers for sums and
//! leave the others for loads.

#![expect(
    unsafe_code,
    reason = "loads, stores, and calls of functions with target features"
)]

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vdupq_n_f32, vgetq_lane_f32, vld1q_f32, vmulq_f32, vsubq_f32,
};

use super::{Products, blocks, offer_all, padded_tail, rising, rows_at, split_rows};
use crate::nearest::level::Neon;
use crate::nearest::scalar::LANES;
use crate::nearest::top_k::Collector;

/// Number of rows that are scored at once.
const ROWS: usize = 2;
/// Number of registers for the partial sums of a row.
const PARTS: usize = 4;

/// Load a quarter of a block of a row.
#[inline]
#[target_feature(enable = "neon")]
fn load(block: &[f32; LANES], part: usize) -> float32x4_t {
    let quarter: &[f32; 4] = &block.as_chunks().0[part];
    // SAFETY: a quarter holds four values; the load needs no alignment.
    unsafe { vld1q_f32(quarter.as_ptr()) }
}

/// The definition's final sum.
#[inline]
#[target_feature(enable = "neon")]
fn sum(p: [float32x4_t; PARTS]) -> f32 {
    let even = vaddq_f32(p[0], p[2]); // width 8
    let odd = vaddq_f32(p[1], p[3]);
    let p = vaddq_f32(even, odd); // width 4
    let first = vgetq_lane_f32::<0>(p) + vgetq_lane_f32::<2>(p); // width 2
    let second = vgetq_lane_f32::<1>(p) + vgetq_lane_f32::<3>(p);
    first + second // width 1
}

/// Offer the squared distances, or if `PRODUCT` the dot products, of `N` rows, scored at once.
#[expect(clippy::needless_range_loop, reason = "one index into several arrays")]
#[inline]
#[target_feature(enable = "neon")]
fn offer<K: Collector, const N: usize, const PRODUCT: bool>(
    query: &[f32],
    query_tail: &[f32; LANES],
    rows: [&[f32]; N],
    indices: [usize; N],
    collector: &mut K,
) {
    let mut partial = [[vdupq_n_f32(0.0); PARTS]; N];
    let step = |x: float32x4_t, y: float32x4_t, p: float32x4_t| {
        let (x, y) = if PRODUCT {
            (x, y)
        } else {
            let t = vsubq_f32(x, y);
            (t, t)
        };
        vaddq_f32(p, vmulq_f32(x, y))
    };
    let (query_blocks, row_blocks) = blocks(query, rows);
    for (at, block) in query_blocks.iter().enumerate() {
        for part in 0..PARTS {
            let x = load(block, part);
            for i in 0..N {
                partial[i][part] = step(x, load(&row_blocks[i][at], part), partial[i][part]);
            }
        }
    }
    if !query.len().is_multiple_of(LANES) {
        for i in 0..N {
            let tail = padded_tail(rows[i]);
            for part in 0..PARTS {
                partial[i][part] =
                    step(load(query_tail, part), load(&tail, part), partial[i][part]);
            }
        }
    }
    let mut sums = [0.0; N];
    for i in 0..N {
        sums[i] = sum(partial[i]);
    }
    offer_all(indices, &sums, collector);
}

#[target_feature(enable = "neon")]
fn walk<K: Collector, const PRODUCT: bool>(query: &[f32], rows: &[f32], mut collector: K) -> K {
    let dim = query.len();
    let tail = padded_tail(query);
    let mut blocks = rows.chunks_exact(ROWS * dim);
    let mut index = 0;
    for block in &mut blocks {
        let rows = split_rows::<ROWS>(block, dim);
        offer::<K, ROWS, PRODUCT>(query, &tail, rows, rising(index), &mut collector);
        index += ROWS;
    }
    for row in blocks.remainder().chunks_exact(dim) {
        offer::<K, 1, PRODUCT>(query, &tail, [row], [index], &mut collector);
        index += 1;
    }
    collector
}

pub(in crate::nearest) fn search_neon<K: Collector>(
    _: Neon,
    query: &[f32],
    centroids: &[f32],
    collector: K,
) -> K {
    // SAFETY: the CPU has NEON, the only demand of a safe function with a target feature.
    unsafe { walk::<K, false>(query, centroids, collector) }
}

#[target_feature(enable = "neon")]
fn walk_indices<K: Collector>(
    query: &[f32],
    centroids: &[f32],
    indices: &[u32],
    collector: &mut K,
) {
    let dim = query.len();
    let tail = padded_tail(query);
    let (blocks, rest) = indices.as_chunks::<ROWS>();
    for &block in blocks {
        let indices = [block[0] as usize, block[1] as usize];
        let rows = rows_at(centroids, dim, block);
        offer::<K, ROWS, false>(query, &tail, rows, indices, collector);
    }
    for &index in rest {
        let rows = rows_at(centroids, dim, [index]);
        offer::<K, 1, false>(query, &tail, rows, [index as usize], collector);
    }
}

pub(in crate::nearest) fn score_neon<K: Collector>(
    _: Neon,
    query: &[f32],
    centroids: &[f32],
    indices: &[u32],
    collector: &mut K,
) {
    // SAFETY: as in `search_neon`.
    unsafe { walk_indices(query, centroids, indices, collector) }
}

pub(in crate::nearest) fn products_neon(_: Neon, x: &[f32], rows: &[f32], products: &mut [f32]) {
    // SAFETY: as in `search_neon`.
    unsafe { walk::<_, true>(x, rows, Products(products)) };
}
