//! The definition of the sums in plain code: the oracle of the kernels.
//!
//! Not here: instructions of a CPU (`kernels/`).

use crate::error::Error;
use crate::nearest::{SimdLevel, dot};

/// A row that is to be added.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Pick {
    /// Where the row starts, in bytes of the table.
    pub(in crate::text) start: usize,
    pub(in crate::text) weight: f32,
}

/// Add rows of int8.
pub(super) fn add_int8(table: &[u8], picks: &[Pick], sums: &mut [f32]) {
    sums.fill(0.0);
    for pick in picks {
        let row = &table[pick.start..][..sums.len()];
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += pick.weight * f32::from(value.cast_signed());
        }
    }
}

/// Add rows of float32, which need no alignment.
pub(super) fn add_float32(table: &[u8], picks: &[Pick], sums: &mut [f32]) {
    sums.fill(0.0);
    for pick in picks {
        let (row, _) = table[pick.start..][..sums.len() * 4].as_chunks();
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += pick.weight * f32::from_le_bytes(value);
        }
    }
}

/// Bring a vector to length 1, or to less if it is shorter than `least`.
pub(in crate::text) fn to_unit(
    level: SimdLevel,
    vector: &mut [f32],
    least: f32,
) -> Result<(), Error> {
    let length = dot(level, vector, vector).sqrt();
    if !length.is_finite() {
        return Err(Error::SumNotFinite);
    }
    let inverse = 1.0 / length.max(least);
    for value in vector {
        *value *= inverse;
    }
    Ok(())
}
