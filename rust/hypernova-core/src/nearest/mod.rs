//! Exact search of the nearest centroid, or of the k nearest.
//!
//! Not here: the decision that follows ([`crate::decide`]).
//!
//! **Definition.** The squared Euclidean distance is computed in f32 with 16
//! partial sums (`FORMAT.md`, *Meaning*); the smallest wins, of equal ones the
//! lower index; a query with NaN or infinity is refused before the search.
//! `scalar.rs` is this definition in code. Every kernel does the same operations in the same
//! order, on as many partial sums at once as its registers hold: its distances are equal bit by
//! bit, and so is the index.
//!
//! The definition fuses no multiplication with an addition: the fused result
//! differs in the last bit (it did for 11 to 18 of 64 random queries), and on a CPU
//! without the instruction each one is a call of a library function. Two runs of an
//! AVX2 kernel with fused steps, side by side with this one on an AMD EPYC: 2.51 and
//! 2.74 us against 3.03 and 3.13 at 100 x 384, 127 and 130 us against 128 and 138 at
//! 1,000 x 1,536, where reading the centroids is most of the time.

mod blend;
mod bounds;
mod contenders;
mod dispatch;
mod int8;
mod intervals;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod kernels;
mod level;
mod near;
mod prune;
mod scalar;
mod screen;
mod search;
mod top_k;

pub(crate) use contenders::{Contest, ones};
pub(crate) use dispatch::{contenders, known_means, products, products_at, weighted_sums};
pub(crate) use int8::QUERY_BATCH;
pub(crate) use intervals::{Intervals, MAX_ROWS};
pub use level::{Avx2, Avx512, Avx512Vnni, LEVEL_VARIABLE, Neon, SimdLevel};
pub(crate) use near::{Near, NearSearch};
pub(crate) use prune::Pruner;
pub(crate) use screen::Screen;
pub(crate) use search::check_finite;
pub use search::{nearest, nearest_k, nearest_many};
pub use top_k::{MAX_TOP_K, Nearest, TopK};
