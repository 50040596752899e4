//! Kernels that are written with instructions of a CPU.
//!
//! Not here: the choice of one (`dispatch.rs`).

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64_int8;

use super::scalar::LANES;

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
