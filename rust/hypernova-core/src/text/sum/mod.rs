//! Sums of weighted rows of a table, and vectors of length 1.
//!
//! Not here: which rows ([`crate::text::table`]).
//!
//! **Definition.** The sum of rows starts at 0. For each row in the given order, and each position
//! j, `sum[j] = sum[j] + weight * value[j]` in f32, where the product and the sum are rounded each
//! (no multiplication is fused with an addition), and an int8 value is the float of its integer. The
//! length is the square root of the dot product of the vector with itself, which has 16 partial sums
//! like every sum of the core (`FORMAT.md`, *Meaning*). Bringing a vector to length 1 multiplies
//! each value by `1 / max(length, least)`.
//!
//! `scalar.rs` is this definition in code. Positions do not depend on one another, so a kernel may
//! take them in any blocks: its sums are equal bit by bit at every level, whatever the alignment.

mod dispatch;
mod kernels;
mod scalar;

pub(super) use dispatch::add_rows;
pub(super) use scalar::{Pick, to_unit};
