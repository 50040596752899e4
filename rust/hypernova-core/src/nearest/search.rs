//! The search functions of the crate's interface.
//!
//! Not here: pruning (`prune.rs`) and the kernels (`dispatch.rs`).

use super::dispatch::{self, search};
use super::level::SimdLevel;
use super::prune::Pruner;
use super::top_k::{Nearest, Top1, TopK};
use crate::error::Error;

/// Find the nearest of `centroids`, rows of `query.len()` values each, to a finite `query`.
///
/// # Panics
///
/// If `query` is empty, `centroids` is empty, or the length of the second is no
/// multiple of the length of the first.
#[must_use]
pub fn nearest(level: SimdLevel, query: &[f32], centroids: &[f32]) -> Nearest {
    search(level, query, centroids, Top1::new()).0
}

/// Find the `count` nearest of `centroids`, or all if there are fewer, sorted by squared distance
/// and, where equal, by index.
///
/// # Panics
///
/// As [`nearest`], and if `count` is 0 or more than [`super::MAX_TOP_K`].
#[must_use]
pub fn nearest_k(level: SimdLevel, query: &[f32], centroids: &[f32], count: usize) -> TopK {
    search(level, query, centroids, TopK::new(count))
}

/// Find the nearest centroid and its distance for every row of a matrix. Training assigns tasks to
/// clusters by it, so that training and routing agree to the last bit.
///
/// # Errors
///
/// [`Error::VectorDim`] for shapes that do not fit, [`Error::VectorNotFinite`] for a value that
/// is not finite, [`Error::SimdLevel`] as [`SimdLevel::from_env`].
pub fn nearest_many(
    matrix: &[f32],
    centroids: &[f32],
    dim: usize,
) -> Result<Vec<(i32, f32)>, Error> {
    let level = SimdLevel::from_env()?;
    if dim == 0 || centroids.is_empty() || !centroids.len().is_multiple_of(dim) {
        return Err(Error::VectorDim {
            expected: dim,
            found: centroids.len(),
        });
    }
    if !matrix.len().is_multiple_of(dim) {
        return Err(Error::VectorDim {
            expected: dim,
            found: matrix.len() % dim,
        });
    }
    let rows = matrix.chunks_exact(dim).chain(centroids.chunks_exact(dim));
    for (row, vector) in rows.enumerate() {
        check_finite(level, vector).map_err(|e| e.at_row(row))?;
    }
    let pruner = Pruner::new(level, centroids, dim, false);
    let one = |vector| {
        let found = match &pruner {
            Some(pruner) => pruner.nearest(level, vector, centroids),
            None => nearest(level, vector, centroids),
        };
        #[expect(
            clippy::cast_possible_wrap,
            reason = "a count of rows in memory; i32 is what NumPy users index with"
        )]
        let index = found.index as i32;
        (index, found.squared.sqrt())
    };
    Ok(matrix.chunks_exact(dim).map(one).collect())
}

/// Refuse a vector with NaN or infinity.
pub(crate) fn check_finite(level: SimdLevel, vector: &[f32]) -> Result<(), Error> {
    if dispatch::are_finite(level, vector) {
        return Ok(());
    }
    let offender = vector.iter().enumerate().find(|(_, v)| !v.is_finite());
    let (index, &value) = offender.unwrap_or((0, &f32::NAN));
    Err(Error::VectorNotFinite {
        row: None,
        index,
        value,
    })
}
