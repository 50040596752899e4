//! Find the nearest centroid, or the few nearest, exactly.
//!
//! Not here: what is decided once it is found (see [`crate::decide`]).
//!
//! **Definition.** The squared Euclidean distance is computed in f32 with 16
//! partial sums (`FORMAT.md`, *Meaning*); the smallest wins, of equal ones the
//! lower index; a query with NaN or infinity is refused before it comes here.
//! [`scalar`] is that definition in code. Every kernel does the same operations
//! in the same order on as many partial sums at once as its registers hold, so
//! its distances are equal bit by bit, not merely close, and so is the index.
//!
//! The definition fuses no multiplication with an addition: the fused result
//! differs in the last bit (it did for 11 to 18 of 64 random queries), and on a CPU
//! without the instruction each one is a call of a library function. Two runs of an
//! AVX2 kernel with fused steps, side by side with this one on an AMD EPYC: 2.51 and
//! 2.74 us against 3.03 and 3.13 at 100 x 384, 127 and 130 us against 128 and 138 at
//! 1,000 x 1,536, where reading the centroids is most of the time.

mod level;
mod listed;
mod scalar;
mod screen;
mod top_k;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
mod x86_64_codes;

use crate::error::Error;

pub use level::{Avx2, Avx512, Avx512Vnni, LEVEL_VARIABLE, Neon, SimdLevel};
pub(crate) use scalar::sum;
pub(crate) use screen::{FOUR, Pruner};
pub use top_k::{MAX_TOP_K, TopK};

/// Partial sums of the definition.
pub(crate) const LANES: usize = 16;

/// A centroid and its squared distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Index of the centroid.
    pub index: u32,
    /// Squared Euclidean distance, in f32.
    pub squared: f32,
}

/// The nearest of `centroids` (rows of `query.len()` values each) to a finite `query`.
///
/// # Panics
///
/// If `query` is empty, `centroids` is empty, or the length of the second is no
/// multiple of the length of the first.
#[must_use]
pub fn nearest(level: SimdLevel, query: &[f32], centroids: &[f32]) -> Nearest {
    search(level, query, centroids, Best::new()).0
}

/// The `count` nearest of `centroids`, or all if there are fewer: by rising squared
/// distance, and of equal ones the lower index first.
///
/// # Panics
///
/// As [`nearest`], and if `count` is 0 or more than [`MAX_TOP_K`].
#[must_use]
pub fn nearest_k(level: SimdLevel, query: &[f32], centroids: &[f32], count: usize) -> TopK {
    search(level, query, centroids, TopK::new(count))
}

/// Offer the squared distance of every row, in order, to what shall be kept.
fn search<K: Keep>(level: SimdLevel, query: &[f32], centroids: &[f32], kept: K) -> K {
    assert!(!query.is_empty() && !centroids.is_empty());
    assert!(centroids.len().is_multiple_of(query.len()));
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::search_avx2(cpu, query, centroids, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::search_avx512(cpu, query, centroids, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => x86_64::search_avx512(cpu.into(), query, centroids, kept),
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::search_neon(cpu, query, centroids, kept),
        // The level that every CPU has; those of other architectures cannot be made here.
        _ => scalar::search(query, centroids, kept),
    }
}

/// Nearest centroid and distance of every row of a matrix; what training assigns
/// by, so that it agrees with routing to the last bit.
///
/// # Errors
///
/// [`Error::VectorDim`] for shapes that do not fit, [`Error::VectorNotFinite`] for
/// a value that is not finite, [`Error::SimdLevel`] as [`SimdLevel::from_env`].
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
    let screen = Pruner::new(level, centroids, dim);
    let one = |vector| {
        let found = match &screen {
            Some(screen) => screen.nearest(level, vector, centroids),
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

/// Refuse NaN and infinity.
pub(crate) fn check_finite(level: SimdLevel, vector: &[f32]) -> Result<(), Error> {
    if listed::are_finite(level, vector) {
        return Ok(());
    }
    let culprit = vector.iter().enumerate().find(|(_, v)| !v.is_finite());
    let (index, &value) = culprit.unwrap_or((0, &f32::NAN));
    Err(Error::VectorNotFinite {
        row: None,
        index,
        value,
    })
}

/// What a search keeps of the distances that it meets. They come by rising index,
/// and none is NaN.
trait Keep {
    fn offer(&mut self, index: usize, squared: f32);

    /// A distance above this one would not be kept; infinite as long as all would be.
    fn worst(&self) -> f32;
}

/// The smallest; of equal ones the one seen first.
#[derive(Clone, Copy)]
struct Best(Nearest);

impl Best {
    fn new() -> Self {
        Self(Nearest {
            index: 0,
            squared: f32::INFINITY,
        })
    }
}

impl Keep for Best {
    #[inline]
    fn offer(&mut self, index: usize, squared: f32) {
        if squared < self.0.squared {
            self.0 = Nearest {
                index: index as u32,
                squared,
            };
        }
    }

    #[inline]
    fn worst(&self) -> f32 {
        self.0.squared
    }
}

/// The last `len % LANES` values of a row, filled up with zeros: `0 - 0` adds
/// nothing to a partial sum, so the padded row has the distance of the row.
#[inline]
fn padded_tail(row: &[f32]) -> [f32; LANES] {
    let mut tail = [0.0; LANES];
    let rest = &row[row.len() / LANES * LANES..];
    tail[..rest.len()].copy_from_slice(rest);
    tail
}

/// The whole blocks of the query and of as many rows. Cut to one length, so that
/// the loop over them checks no bounds.
#[inline]
fn blocks<'a, const N: usize>(
    query: &'a [f32],
    rows: [&'a [f32]; N],
) -> (&'a [[f32; LANES]], [&'a [[f32; LANES]]; N]) {
    let query = query.as_chunks().0;
    (query, rows.map(|row| &row.as_chunks().0[..query.len()]))
}
