//! Dispatch the sums to their implementation for a SIMD level.
//!
//! Not here: detection of levels (`crate::nearest`).

use super::scalar::{self, Pick};
use crate::nearest::SimdLevel;
use crate::text::onnx::RowElement;

/// Add the rows of a table that `picks` names, in their order, into `sums`.
pub(in crate::text) fn add_rows(
    level: SimdLevel,
    element: RowElement,
    table: &[u8],
    picks: &[Pick],
    sums: &mut [f32],
) {
    match (level, element) {
        (_, RowElement::Int8) => scalar::add_int8(table, picks, sums),
        (_, RowElement::Float32) => scalar::add_float32(table, picks, sums),
    }
}
