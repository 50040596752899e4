//! The definition of the nearest centroid, and the oracle of all kernels.
//!
//! Not here: speed, though compilers turn it into whatever vectors the target
//! has without changing its result.

use super::{Keep, LANES};

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
