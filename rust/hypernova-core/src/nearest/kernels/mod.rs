//! Kernels: functions of the search written with SIMD instructions, by architecture.
//!
//! Not here: the choice of a kernel (`dispatch.rs`).

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64_int8;

use super::scalar::LANES;
use super::top_k::Collector;

/// Keeps the dot product of each row at the row's index.
struct Products<'a>(&'a mut [f32]);

impl Collector for Products<'_> {
    #[inline]
    fn offer(&mut self, index: usize, product: f32) {
        self.0[index] = product;
    }

    fn worst(&self) -> f32 {
        f32::INFINITY
    }
}

/// Copy the last `len % LANES` values of a row, padded with zeros: `0 - 0` and `0 * 0` add nothing
/// to a partial sum, which is never -0, so padding changes neither distance nor dot product.
#[inline]
fn padded_tail(row: &[f32]) -> [f32; LANES] {
    let mut tail = [0.0; LANES];
    let rest = &row[row.len() / LANES * LANES..];
    tail[..rest.len()].copy_from_slice(rest);
    tail
}

/// Split the query and some rows into whole blocks. All have the same length, so that a loop over
/// them checks no bounds.
#[inline]
fn blocks<'a, const N: usize>(
    query: &'a [f32],
    rows: [&'a [f32]; N],
) -> (&'a [[f32; LANES]], [&'a [[f32; LANES]]; N]) {
    let query = query.as_chunks().0;
    (query, rows.map(|row| &row.as_chunks().0[..query.len()]))
}

// The closures of the functions below must not be written inside a kernel: there they would have its
// target features, and `from_fn` and `map`, which have not, would call each instead of inlining it.

/// Split `N` rows.
#[inline]
fn split_rows<const N: usize>(rows: &[f32], dim: usize) -> [&[f32]; N] {
    std::array::from_fn(|i| &rows[i * dim..][..dim])
}

/// The rows of a matrix at some indices.
#[inline]
fn rows_at<const N: usize>(matrix: &[f32], dim: usize, indices: [u32; N]) -> [&[f32]; N] {
    indices.map(|index| &matrix[index as usize * dim..][..dim])
}

/// The indices from `first` on.
#[inline]
fn rising<const N: usize>(first: usize) -> [usize; N] {
    std::array::from_fn(|i| first + i)
}

/// Offer values with their indices.
#[inline]
fn offer_all<K: Collector, const N: usize>(
    indices: [usize; N],
    values: &[f32; N],
    collector: &mut K,
) {
    for (index, &value) in indices.into_iter().zip(values) {
        collector.offer(index, value);
    }
}
