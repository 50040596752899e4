//! Sums of weighted rows of a table, and vectors of length 1.
//!
//! Not here: which rows ([`crate::text::table`]).
//!
//! **Definition.** The rows are taken in the given order in groups of 32, of which the last may be
//! smaller. The sum of a group starts at 0; for each row and each position j,
//! `group[j] = group[j] + weight * value[j]` in f32, where the product and the sum are rounded each
//! (no multiplication is fused with an addition), and an int8 value is the float of its integer. The
//! sum of all starts at 0, and each group is added when it is complete. Without groups the rounding
//! errors of 1,000 rows grow to 2.6e-6 of a vector of length 1; with them to 2.3e-7, below
//! onnxruntime's own 5.9e-7 (the 3,000 longest of 56,934 prompts against sums in float64). The
//! length is the square root of the dot product of the vector with itself, which has 16 partial sums
//! like every sum of the core (`FORMAT.md`, *Meaning*). Bringing a vector to length 1 multiplies
//! each value by `1 / max(length, least)`.
//!
//! `scalar.rs` is this definition in code. Positions do not depend on one another, so a kernel may
//! take them in any blocks: its sums are equal bit by bit at every level, whatever the alignment.

mod dispatch;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod kernels;
mod scalar;

pub(super) use dispatch::add_rows;
pub(super) use scalar::{Pick, to_unit};
