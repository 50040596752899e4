//! Dispatch each function of the search to its implementation for a SIMD level.
//!
//! Not here: detection of levels (`level.rs`), and the choice of rows (`prune.rs`).

#![allow(
    unsafe_code,
    reason = "calls functions with target features; an expectation would fail where there is none"
)]

use super::blend;
use super::bounds::{self, BoundInputs};
use super::contenders::{self, Contenders, Contest};
use super::int8::{self, CodeLine, CodedQuery, QUERY_BATCH, QueryCodes, ROWS};
use super::intervals::{self, IntervalInputs, Intervals};
#[cfg(target_arch = "aarch64")]
use super::kernels::aarch64;
#[cfg(target_arch = "x86_64")]
use super::kernels::{x86_64, x86_64_int8};
use super::level::{Avx512Vnni, SimdLevel};
use super::scalar;
use super::top_k::Collector;

/// Compile plain functions with the features of a level. Their results are the same at every
/// level: they work on integers, or on sums in a stated order.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($module:ident, $features:literal) => {
        mod $module {
            use super::{
                BoundInputs, CodedQuery, Contenders, Contest, IntervalInputs, Intervals,
                QueryCodes, blend, bounds, contenders, int8, intervals, scalar,
            };

            #[target_feature(enable = $features)]
            pub(super) fn encode_row(row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
                int8::encode_row(row, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn encode_query<const GROUPS: usize>(
                query: &[f32],
                narrow: bool,
                codes: &mut QueryCodes<GROUPS>,
            ) -> Option<CodedQuery> {
                int8::encode_query(query, narrow, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn are_finite(values: &[f32]) -> bool {
                scalar::are_finite(values)
            }

            #[target_feature(enable = $features)]
            pub(super) fn argmin(bounds: &[f32]) -> usize {
                bounds::argmin(bounds)
            }

            #[target_feature(enable = $features)]
            pub(super) fn limit_of_lowest(bounds: &[f32], count: usize) -> f32 {
                bounds::limit_of_lowest(bounds, count)
            }

            #[target_feature(enable = $features)]
            pub(super) fn lower_bounds(inputs: BoundInputs<'_>, dots: &[i32], bounds: &mut [f32]) {
                bounds::lower_bounds(inputs, dots, bounds);
            }

            #[target_feature(enable = $features)]
            pub(super) fn find(contest: &Contest<'_>, of_slopes: &Intervals) -> Contenders {
                contenders::find(contest, of_slopes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn intervals_of(
                inputs: IntervalInputs<'_>,
                dots: &[i32],
                intervals: &mut Intervals,
            ) {
                intervals::intervals_of(inputs, dots, intervals);
            }

            #[target_feature(enable = $features)]
            pub(super) fn weighted_sums(rows: &[(usize, f64)], table: &[f32], sums: &mut [f64]) {
                blend::weighted_sums(rows, table, sums);
            }

            #[target_feature(enable = $features)]
            pub(super) fn known_means(rows: &[(usize, f64)], table: &[f32], means: &mut [f64]) {
                blend::known_means(rows, table, means);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled!(avx2, "avx2");
#[cfg(target_arch = "x86_64")]
compiled!(avx512, "avx512f,avx2");

macro_rules! by_level {
    ($level:expr, $module:ident::$name:ident($($argument:expr),*)) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2(_) => {
                // SAFETY: the level proves that the CPU has AVX2, all that the function demands.
                unsafe { avx2::$name($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512(_) | SimdLevel::Avx512Vnni(_) => {
                // SAFETY: either level proves that the CPU has AVX-512F and AVX2, all that the
                // function demands.
                unsafe { avx512::$name($($argument),*) }
            }
            _ => $module::$name($($argument),*),
        }
    };
}

/// As [`int8::encode_row`].
pub(super) fn encode_row(level: SimdLevel, row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
    by_level!(level, int8::encode_row(row, codes))
}

/// As [`int8::encode_query`].
pub(super) fn encode_query<const GROUPS: usize>(
    level: SimdLevel,
    query: &[f32],
    codes: &mut QueryCodes<GROUPS>,
) -> Option<CodedQuery> {
    // VNNI multiplies bytes: half of the work, for bounds that are less tight.
    let narrow = matches!(level, SimdLevel::Avx512Vnni(_));
    by_level!(level, int8::encode_query(query, narrow, codes))
}

/// As [`scalar::are_finite`].
pub(super) fn are_finite(level: SimdLevel, values: &[f32]) -> bool {
    by_level!(level, scalar::are_finite(values))
}

/// As [`bounds::argmin`].
pub(super) fn argmin(level: SimdLevel, bounds: &[f32]) -> usize {
    by_level!(level, bounds::argmin(bounds))
}

/// As [`bounds::limit_of_lowest`].
pub(super) fn limit_of_lowest(level: SimdLevel, bounds: &[f32], count: usize) -> f32 {
    by_level!(level, bounds::limit_of_lowest(bounds, count))
}

/// As [`bounds::not_above`].
pub(super) fn not_above<const N: usize>(level: SimdLevel, bounds: &[f32], limit: f32) -> [u16; N] {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::not_above_avx2(cpu, bounds, limit),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::not_above_avx512(cpu, bounds, limit),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => x86_64::not_above_avx512(cpu.into(), bounds, limit),
        _ => bounds::not_above(bounds, limit),
    }
}

/// As [`bounds::lower_bounds`].
pub(super) fn lower_bounds(
    level: SimdLevel,
    inputs: BoundInputs<'_>,
    dots: &[i32],
    bounds: &mut [f32],
) {
    by_level!(level, bounds::lower_bounds(inputs, dots, bounds));
}

/// As [`intervals::intervals_of`].
pub(super) fn intervals(
    level: SimdLevel,
    inputs: IntervalInputs<'_>,
    dots: &[i32],
    intervals: &mut Intervals,
) {
    by_level!(level, intervals::intervals_of(inputs, dots, intervals));
}

/// As [`int8::dots`].
pub(super) fn dots<const GROUPS: usize>(
    level: SimdLevel,
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64_int8::dots_avx2(cpu, query, groups, codes, dots),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => {
            x86_64_int8::dots_avx2(cpu.into(), query, groups, codes, dots);
        }
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            x86_64_int8::dots_vnni(cpu, query, groups, codes, dots);
        }
        _ => int8::dots(query, groups, codes, dots),
    }
}

/// As [`int8::dots`] for four queries and `blocks` times sixteen rows; at
/// [`SimdLevel::Avx512Vnni`] only.
pub(super) fn dots_batch<const GROUPS: usize, const BLOCKS: usize>(
    cpu: Avx512Vnni,
    queries: &[QueryCodes<GROUPS>; QUERY_BATCH],
    groups: usize,
    codes: &[CodeLine],
    blocks: usize,
    dots: &mut [[[i32; ROWS]; BLOCKS]; QUERY_BATCH],
) {
    #[cfg(target_arch = "x86_64")]
    x86_64_int8::dots_batch_vnni(cpu, queries, groups, codes, blocks, dots);
    #[cfg(not(target_arch = "x86_64"))]
    for (query, dots) in queries.iter().zip(dots) {
        let _ = cpu; // never called: this value exists on x86_64 only
        int8::dots(query, groups, codes, &mut dots[..blocks]);
    }
}

/// Offer the squared distances of `rows`, which are sorted by index.
pub(super) fn score_rows<K: Collector>(
    level: SimdLevel,
    query: &[f32],
    centroids: &[f32],
    rows: &[u32],
    collector: &mut K,
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::score_avx2(cpu, query, centroids, rows, collector),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::score_avx512(cpu, query, centroids, rows, collector),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            x86_64::score_avx512(cpu.into(), query, centroids, rows, collector);
        }
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::score_neon(cpu, query, centroids, rows, collector),
        _ => scalar::score_rows(query, centroids, rows, collector),
    }
}

/// Compute the dot product of `x` and of each of `rows`, as [`scalar::dot`] defines it.
pub(crate) fn products(level: SimdLevel, x: &[f32], rows: &[f32], products: &mut [f32]) {
    assert!(!x.is_empty() && rows.len() == x.len() * products.len());
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::products_avx2(cpu, x, rows, products),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::products_avx512(cpu, x, rows, products),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => x86_64::products_avx512(cpu.into(), x, rows, products),
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::products_neon(cpu, x, rows, products),
        _ => scalar::products(x, rows, products),
    }
}

/// As [`products`], of the rows at some indices.
pub(crate) fn products_at(
    level: SimdLevel,
    x: &[f32],
    rows: &[f32],
    indices: &[u32],
    products: &mut [f32],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::products_at_avx2(cpu, x, rows, indices, products),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::products_at_avx512(cpu, x, rows, indices, products),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            x86_64::products_at_avx512(cpu.into(), x, rows, indices, products);
        }
        _ => scalar::products_at(x, rows, indices, products),
    }
}

/// As [`contenders::find`].
pub(crate) fn contenders(
    level: SimdLevel,
    contest: &Contest<'_>,
    of_slopes: &Intervals,
) -> Contenders {
    by_level!(level, contenders::find(contest, of_slopes))
}

/// As [`blend::weighted_sums`].
pub(crate) fn weighted_sums(
    level: SimdLevel,
    rows: &[(usize, f64)],
    table: &[f32],
    sums: &mut [f64],
) {
    by_level!(level, blend::weighted_sums(rows, table, sums));
}

/// As [`blend::known_means`].
pub(crate) fn known_means(
    level: SimdLevel,
    rows: &[(usize, f64)],
    table: &[f32],
    means: &mut [f64],
) {
    by_level!(level, blend::known_means(rows, table, means));
}

/// Offer the squared distance of every row, by rising index.
pub(super) fn search<K: Collector>(
    level: SimdLevel,
    query: &[f32],
    centroids: &[f32],
    collector: K,
) -> K {
    assert!(!query.is_empty() && !centroids.is_empty());
    assert!(centroids.len().is_multiple_of(query.len()));
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::search_avx2(cpu, query, centroids, collector),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::search_avx512(cpu, query, centroids, collector),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            x86_64::search_avx512(cpu.into(), query, centroids, collector)
        }
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::search_neon(cpu, query, centroids, collector),
        // The scalar level; values of other architectures' levels do not exist here.
        _ => scalar::search(query, centroids, collector),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::splitmix64;
    use crate::nearest::scalar::{LANES, sum};

    /// Values that overflow now and then, and those of `f32` that are rare: both zeros, denormals.
    fn value(seed: u64, n: usize) -> f32 {
        let drawn = splitmix64(seed, n as u64);
        let any = f32::from_bits(drawn as u32);
        let unit = (drawn >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
        match (drawn >> 32) & 7 {
            0 => 0.0,
            1 => -0.0,
            2 | 3 if any.is_finite() => any,
            4 => unit * 1e20,
            5 => unit * 3e38,
            _ => unit * 2.0,
        }
    }

    /// Values of bounds and of their limits.
    fn bound() -> impl Strategy<Value = f32> {
        let drawn = (any::<u64>(), 0_usize..64).prop_map(|(seed, n)| value(seed, n));
        prop_oneof![4 => drawn, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)]
    }

    /// Bits, those of all NaNs the same.
    fn bits(value: f32) -> u32 {
        if value.is_nan() { f32::NAN } else { value }.to_bits()
    }

    fn bits64(value: f64) -> u64 {
        if value.is_nan() { f64::NAN } else { value }.to_bits()
    }

    proptest! {
        #[test]
        fn products_have_the_same_bits_at_every_level(
            dim in 1_usize..150,
            count in 0_usize..14,
            seed in any::<u64>(),
        ) {
            let values: Vec<f32> = (0..(count + 1) * dim).map(|n| value(seed, n)).collect();
            let (x, rows) = values.split_at(dim);
            let expected: Vec<u32> = rows
                .chunks(dim)
                .map(|row| {
                    let mut partial = [0.0_f32; LANES];
                    for j in 0..dim {
                        partial[j % LANES] += x[j] * row[j];
                    }
                    bits(sum(partial))
                })
                .collect();
            for level in SimdLevel::available() {
                let mut found = vec![0.5; count];
                products(level, x, rows, &mut found);
                let found: Vec<u32> = found.into_iter().map(bits).collect();
                prop_assert_eq!(&found, &expected, "{:?}", level);
                let indices: Vec<u32> = (0..count as u32).rev().step_by(1 + dim % 3).collect();
                let mut some = vec![0.5; indices.len()];
                products_at(level, x, rows, &indices, &mut some);
                for (&index, product) in indices.iter().zip(some) {
                    prop_assert_eq!(bits(product), expected[index as usize], "{:?}", level);
                }
            }
        }

        #[test]
        fn masks_are_the_same_at_every_level(
            bounds in prop::collection::vec(bound(), 48),
            limit in bound(),
            blocks in 0_usize..=3,
            at in 0_usize..48,
            is_equal in any::<bool>(),
        ) {
            let limit = if is_equal { bounds[at] } else { limit };
            let bounds = &bounds[..blocks * LANES];
            let mut expected = [0_u16; 3];
            for (i, &bound) in bounds.iter().enumerate() {
                let is_left = bound.is_nan() || limit.is_nan() || bound <= limit;
                expected[i / LANES] |= u16::from(is_left) << (i % LANES);
            }
            for level in SimdLevel::available() {
                prop_assert_eq!(not_above::<3>(level, bounds, limit), expected, "{:?}", level);
            }
        }

        #[test]
        fn blends_have_the_same_bits_at_every_level(
            models in 1_usize..40,
            shares in prop::collection::vec((0_usize..9, prop_oneof![0.0..1.0, Just(0.0)]), 1..17),
            table in prop::collection::vec(prop_oneof![4 => 0.0_f32..1e6, 1 => Just(f32::NAN)], 400),
            one_of in 0_usize..3,
        ) {
            let rows: Vec<(usize, f64)> =
                shares.iter().map(|&(row, share)| (row * models + one_of, share)).collect();
            let count = models - models.min(one_of);
            let sums: Vec<u64> = (0..count)
                .map(|i| {
                    let terms = rows.iter().map(|r| r.1 * f64::from(table[r.0 + i]));
                    bits64(terms.fold(0.0, |sum, term| sum + term))
                })
                .collect();
            let means: Vec<u64> = (0..count)
                .map(|i| {
                    let (mut sum, mut shares) = (0.0, 0.0);
                    for &(start, share) in &rows {
                        let value = f64::from(table[start + i]);
                        if !value.is_nan() {
                            sum += share * value;
                            shares += share;
                        }
                    }
                    bits64(if shares > 0.0 { sum / shares } else { f64::NAN })
                })
                .collect();
            for level in SimdLevel::available() {
                let mut found = vec![0.5; count];
                weighted_sums(level, &rows, &table, &mut found);
                let all: Vec<u64> = found.iter().copied().map(bits64).collect();
                prop_assert_eq!(&all, &sums, "{:?}", level);
                known_means(level, &rows, &table, &mut found);
                let all: Vec<u64> = found.iter().copied().map(bits64).collect();
                prop_assert_eq!(&all, &means, "{:?}", level);
            }
        }
    }
}
