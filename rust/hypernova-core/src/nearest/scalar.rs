//! The definition of distance, dot product and their sums in plain code: the oracle of all
//! kernels.
//!
//! Not here: instructions of a CPU (`kernels/`). Functions that are inlined here are compiled
//! once more for each level, without a change of their results (`dispatch.rs`).

use super::top_k::Collector;

/// Number of partial sums of the definition.
pub(crate) const LANES: usize = 16;

/// Compute the squared distance of two vectors of equal length.
pub(super) fn squared_distance(x: &[f32], y: &[f32]) -> f32 {
    let mut partial = [0.0_f32; LANES];
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for ((p, x), y) in partial.iter_mut().zip(x).zip(y) {
            let t = x - y;
            *p += t * t;
        }
    }
    sum(partial)
}

/// Add up the partial sums.
#[inline]
pub(crate) fn sum(mut partial: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            partial[i] += partial[i + width];
        }
    }
    partial[0]
}

pub(super) fn search<K: Collector>(query: &[f32], centroids: &[f32], mut collector: K) -> K {
    for (index, centroid) in centroids.chunks_exact(query.len()).enumerate() {
        collector.offer(index, squared_distance(query, centroid));
    }
    collector
}

/// Offer the rows at `indices`.
pub(super) fn score_rows<K: Collector>(
    query: &[f32],
    centroids: &[f32],
    indices: &[u32],
    collector: &mut K,
) {
    let dim = query.len();
    for &index in indices {
        let row = &centroids[index as usize * dim..][..dim];
        collector.offer(index as usize, squared_distance(query, row));
    }
}

/// Compute the dot product of two vectors of equal length.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut partial = [0.0_f32; LANES];
    for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
        for ((p, x), y) in partial.iter_mut().zip(x).zip(y) {
            *p += x * y;
        }
    }
    sum(partial)
}

/// Compute the dot product of `x` and of each of `rows`.
pub(super) fn products(x: &[f32], rows: &[f32], products: &mut [f32]) {
    for (product, row) in products.iter_mut().zip(rows.chunks_exact(x.len())) {
        *product = dot(x, row);
    }
}

/// Compute the dot product of `x` and of the rows at `indices`.
pub(super) fn products_at(x: &[f32], rows: &[f32], indices: &[u32], products: &mut [f32]) {
    let dim = x.len();
    for (product, &index) in products.iter_mut().zip(indices) {
        *product = dot(x, &rows[index as usize * dim..][..dim]);
    }
}

/// Whether no value is NaN or infinite.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn are_finite(values: &[f32]) -> bool {
    // Without an early exit, so that it vectorises.
    values.iter().fold(true, |all, v| all & v.is_finite())
}

/// Reduce lanes by an operation whose order does not matter. Halving keeps the chain of dependent
/// steps short.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn reduce(mut lanes: [f32; LANES], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = of(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}
