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
    sums.fill(0.0);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of the module, word for word.
    fn sums(value: impl Fn(usize) -> f32, weights: &[(usize, f32)], dim: usize) -> Vec<u32> {
        let sum = |j| {
            let (mut sum, mut group) = (0.0_f32, 0.0_f32);
            for (i, &(row, weight)) in weights.iter().enumerate() {
                let product = weight * value(row * dim + j);
                group += product;
                if i % 32 == 31 {
                    sum += group;
                    group = 0.0;
                }
            }
            sum + group
        };
        (0..dim).map(|j| sum(j).to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_level_gives_the_bits_of_the_definition(
            dim in prop_oneof![1_usize..70, 250_usize..300, Just(512)],
            shift in 0_usize..64,
            table in prop::collection::vec(any::<u8>(), 4 * 4 * 512),
            scales in prop::collection::vec((0_usize..4, -1e3_f32..1e3), 0..70),
        ) {
            for (element, size) in [(RowElement::Int8, 1), (RowElement::Float32, 4)] {
                // Numbers of any size that are finite: NaN has more than one form.
                let number = |bytes: [u8; 4]| f32::from_le_bytes(bytes).clamp(-1e30, 1e30);
                let mut bytes = vec![0; shift];
                for chunk in table.as_chunks::<4>().0 {
                    let number = number(*chunk);
                    let number = if number.is_nan() { 0.5 } else { number };
                    bytes.extend(number.to_le_bytes());
                }
                let rows = &bytes[shift..];
                let value = |i: usize| match element {
                    RowElement::Int8 => f32::from(rows[i].cast_signed()),
                    RowElement::Float32 => f32::from_le_bytes(*rows.as_chunks().0.get(i).unwrap()),
                };
                let expected = sums(value, &scales, dim);
                let picks: Vec<_> = (scales.iter())
                    .map(|&(row, weight)| Pick { start: row * dim * size, weight })
                    .collect();
                for level in SimdLevel::available() {
                    let mut found = vec![f32::NAN; dim]; // what stood there before is lost
                    add_rows(level, element, &rows[..4 * dim * size], &picks, &mut found);
                    let found: Vec<_> = found.into_iter().map(f32::to_bits).collect();
                    prop_assert_eq!(&found, &expected, "{:?} {:?}", level, element);
                }
            }
        }
    }
}
