//! The definition of the sums in plain code: the oracle of the kernels.
//!
//! Not here: instructions of a CPU (`kernels/`).

use crate::error::Error;
use crate::nearest::{SimdLevel, products};

/// Positions that are added together.
const LANES: usize = 16;
/// Rows whose sum is complete before it is added to that of the rows before.
pub(super) const GROUP: usize = 32;

/// A row that is to be added.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Pick {
    /// Where the row starts, in bytes of the table.
    pub(in crate::text) start: usize,
    pub(in crate::text) weight: f32,
}

/// Add to `sums` rows of int8, of which each value takes a byte, or of float32.
pub(super) fn add<const SIZE: usize>(table: &[u8], picks: &[Pick], sums: &mut [f32]) {
    add_positions::<SIZE>(table, picks, 0, sums);
}

/// Add to `sums` the positions of the rows from `at` on, as many as there are sums.
pub(super) fn add_positions<const SIZE: usize>(
    table: &[u8],
    picks: &[Pick],
    at: usize,
    sums: &mut [f32],
) {
    // Positions do not depend on one another: some at a time, so that their sums stay in registers.
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        let at = (at + block * LANES) * SIZE;
        for some in picks.chunks(GROUP) {
            let mut group = [0.0; LANES];
            for pick in some {
                let row = &table[pick.start + at..][..sums.len() * SIZE];
                for (total, value) in group.iter_mut().zip(row.chunks_exact(SIZE)) {
                    *total += pick.weight * number(value);
                }
            }
            for (sum, total) in sums.iter_mut().zip(group) {
                *sum += total;
            }
        }
    }
}

/// The number in the bytes of a value: a float32 in four, which need no alignment, or an int8.
fn number(value: &[u8]) -> f32 {
    match *value {
        [byte] => f32::from(byte.cast_signed()),
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
        _ => f32::NAN,
    }
}

/// Bring a vector to length 1, or to less if it is shorter than `least`.
pub(in crate::text) fn to_unit(
    level: SimdLevel,
    vector: &mut [f32],
    least: f32,
) -> Result<(), Error> {
    let mut squared = [0.0];
    products(level, vector, vector, &mut squared);
    let length = squared[0].sqrt();
    if !length.is_finite() {
        return Err(Error::SumNotFinite);
    }
    let inverse = 1.0 / length.max(least);
    for value in vector {
        *value *= inverse;
    }
    Ok(())
}
