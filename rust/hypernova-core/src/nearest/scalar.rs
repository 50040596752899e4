//! The definition of the nearest centroid, and the oracle of all kernels.
//!
//! Not here: speed, though compilers turn it into whatever vectors the target
//! has without changing its result.

use super::top_k::Keep;

/// Partial sums of the definition.
pub(crate) const LANES: usize = 16;

/// Squared distance of two vectors of equal length.
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

/// The final sum of the partial ones.
#[inline]
pub(crate) fn sum(mut partial: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            partial[i] += partial[i + width];
        }
    }
    partial[0]
}

pub(super) fn search<K: Keep>(query: &[f32], centroids: &[f32], mut kept: K) -> K {
    for (index, centroid) in centroids.chunks_exact(query.len()).enumerate() {
        kept.offer(index, squared_distance(query, centroid));
    }
    kept
}

/// Offer the rows that are named.
pub(super) fn score<K: Keep>(query: &[f32], centroids: &[f32], named: &[u32], kept: &mut K) {
    let dim = query.len();
    for &index in named {
        let row = &centroids[index as usize * dim..][..dim];
        kept.offer(index as usize, squared_distance(query, row));
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
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

/// Whether there is neither NaN nor infinity among them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn are_finite(values: &[f32]) -> bool {
    // Without leaving early, so that it vectorises.
    values.iter().fold(true, |all, v| all & v.is_finite())
}

/// All of them by an operation for which their order does not matter: of halves, so that
/// no step waits for more than three others.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn folded(mut lanes: [f32; LANES], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = of(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}
