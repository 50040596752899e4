//! Dispatch the sums to their implementation for a SIMD level.
//!
//! Not here: detection of levels (`crate::nearest`).

#[cfg(target_arch = "aarch64")]
use super::kernels::aarch64;
#[cfg(target_arch = "x86_64")]
use super::kernels::x86_64;
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
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx512Vnni(cpu), RowElement::Int8) => {
            x86_64::int8_avx512(cpu.into(), table, picks, sums);
        }
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx512Vnni(cpu), RowElement::Float32) => {
            x86_64::float32_avx512(cpu.into(), table, picks, sums);
        }
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx512(cpu), RowElement::Int8) => x86_64::int8_avx512(cpu, table, picks, sums),
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx512(cpu), RowElement::Float32) => {
            x86_64::float32_avx512(cpu, table, picks, sums);
        }
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx2(cpu), RowElement::Int8) => x86_64::int8_avx2(cpu, table, picks, sums),
        #[cfg(target_arch = "x86_64")]
        (SimdLevel::Avx2(cpu), RowElement::Float32) => {
            x86_64::float32_avx2(cpu, table, picks, sums);
        }
        #[cfg(target_arch = "aarch64")]
        (SimdLevel::Neon(cpu), RowElement::Int8) => aarch64::int8_neon(cpu, table, picks, sums),
        #[cfg(target_arch = "aarch64")]
        (SimdLevel::Neon(cpu), RowElement::Float32) => {
            aarch64::float32_neon(cpu, table, picks, sums);
        }
        (_, RowElement::Int8) => scalar::add::<1>(table, picks, sums),
        (_, RowElement::Float32) => scalar::add::<4>(table, picks, sums),
    }
}
