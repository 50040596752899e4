//! The dot product of a query and a slope.
//!
//! Not here: what it is for (see [`crate::estimate`]). Its definition is that of the
//! squared distance (`FORMAT.md`, *Meaning*) with `x[j] * y[j]` for `t * t`: sixteen
//! partial sums in f32, nothing fused, so that all CPUs give the same bits.

use crate::nearest::{LANES, sum};

/// The dot product of two vectors of equal length.
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
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
