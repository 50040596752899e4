//! Call what is compiled for the level: the parts of [`super::screen`], and the
//! definition's distance of rows that are named one by one.
//!
//! Not here: any choice of rows.

#![allow(
    unsafe_code,
    reason = "calls what is compiled for a level; an expectation would fail where there is none"
)]

use super::bounds::{self, Terms};
use super::int8::{self, Coded, Codes, FOUR, Line, ROWS};
#[cfg(target_arch = "aarch64")]
use super::kernels::aarch64;
#[cfg(target_arch = "x86_64")]
use super::kernels::{x86_64, x86_64_int8};
use super::level::{Avx512Vnni, SimdLevel};
use super::scalar;
use super::top_k::Keep;

/// Rows that are scored in one call.
const MANY: usize = 64;

/// Compile the parts of the screen that are plain code once more, for a level. Their
/// results are the same: they work on integers, or on sums in a stated order.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($module:ident, $features:literal) => {
        mod $module {
            use super::{Coded, Codes, Terms, bounds, int8, scalar};

            #[target_feature(enable = $features)]
            pub(super) fn encode(row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
                int8::encode(row, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn encode_query<const GROUPS: usize>(
                query: &[f32],
                narrow: bool,
                codes: &mut Codes<GROUPS>,
            ) -> Option<Coded> {
                int8::encode_query(query, narrow, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn are_finite(values: &[f32]) -> bool {
                scalar::are_finite(values)
            }

            #[target_feature(enable = $features)]
            pub(super) fn lowest(bounds: &[f32]) -> usize {
                bounds::lowest(bounds)
            }

            #[target_feature(enable = $features)]
            pub(super) fn count_left(bounds: &[f32], most: f32) -> u32 {
                bounds::count_left(bounds, most)
            }

            #[target_feature(enable = $features)]
            pub(super) fn bound(terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
                bounds::bound(terms, dots, bounds);
            }

            #[target_feature(enable = $features)]
            pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
                scalar::dot(x, y)
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

/// As [`int8::encode`].
pub(super) fn encode(level: SimdLevel, row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
    by_level!(level, int8::encode(row, codes))
}

/// As [`int8::encode_query`].
pub(super) fn encode_query<const GROUPS: usize>(
    level: SimdLevel,
    query: &[f32],
    codes: &mut Codes<GROUPS>,
) -> Option<Coded> {
    // VNNI multiplies bytes: half of the work, for bounds that are less tight.
    let narrow = matches!(level, SimdLevel::Avx512Vnni(_));
    by_level!(level, int8::encode_query(query, narrow, codes))
}

/// As [`scalar::are_finite`].
pub(super) fn are_finite(level: SimdLevel, values: &[f32]) -> bool {
    by_level!(level, scalar::are_finite(values))
}

/// As [`bounds::lowest`].
pub(super) fn lowest(level: SimdLevel, bounds: &[f32]) -> usize {
    by_level!(level, bounds::lowest(bounds))
}

/// As [`bounds::count_left`].
pub(super) fn count_left(level: SimdLevel, bounds: &[f32], most: f32) -> u32 {
    by_level!(level, bounds::count_left(bounds, most))
}

/// As [`bounds::bound`].
pub(super) fn bound(level: SimdLevel, terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
    by_level!(level, bounds::bound(terms, dots, bounds));
}

/// As [`int8::dots`].
pub(super) fn dots<const GROUPS: usize>(
    level: SimdLevel,
    query: &Codes<GROUPS>,
    groups: usize,
    codes: &[Line],
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

/// As [`int8::dots`] for four queries and so many times sixteen rows; under
/// [`SimdLevel::Avx512Vnni`] alone.
pub(super) fn dots_four<const GROUPS: usize, const BLOCKS: usize>(
    cpu: Avx512Vnni,
    queries: &[Codes<GROUPS>; FOUR],
    groups: usize,
    codes: &[Line],
    blocks: usize,
    dots: &mut [[[i32; ROWS]; BLOCKS]; FOUR],
) {
    #[cfg(target_arch = "x86_64")]
    x86_64_int8::dots_four_vnni(cpu, queries, groups, codes, blocks, dots);
    #[cfg(not(target_arch = "x86_64"))]
    for (query, dots) in queries.iter().zip(dots) {
        let _ = cpu; // of another architecture: never called
        int8::dots(query, groups, codes, &mut dots[..blocks]);
    }
}

/// Offer the squared distances of the rows that are named, by rising index.
pub(super) fn score<K: Keep>(
    level: SimdLevel,
    query: &[f32],
    centroids: &[f32],
    rows: impl IntoIterator<Item = u32>,
    kept: &mut K,
) {
    let mut some = [0_u32; MANY];
    let mut named = 0;
    let mut flush = |some: &[u32]| match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::score_avx2(cpu, query, centroids, some, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::score_avx512(cpu, query, centroids, some, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            x86_64::score_avx512(cpu.into(), query, centroids, some, kept);
        }
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::score_neon(cpu, query, centroids, some, kept),
        _ => scalar::score(query, centroids, some, kept),
    };
    for row in rows {
        some[named] = row;
        named += 1;
        if named == MANY {
            flush(&some);
            named = 0;
        }
    }
    flush(&some[..named]);
}

/// As [`scalar::dot`].
pub(crate) fn dot(level: SimdLevel, x: &[f32], y: &[f32]) -> f32 {
    by_level!(level, scalar::dot(x, y))
}

/// Offer the squared distance of every row, in order, to what shall be kept.
pub(super) fn search<K: Keep>(level: SimdLevel, query: &[f32], centroids: &[f32], kept: K) -> K {
    assert!(!query.is_empty() && !centroids.is_empty());
    assert!(centroids.len().is_multiple_of(query.len()));
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => x86_64::search_avx2(cpu, query, centroids, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => x86_64::search_avx512(cpu, query, centroids, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => x86_64::search_avx512(cpu.into(), query, centroids, kept),
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => aarch64::search_neon(cpu, query, centroids, kept),
        // The level that every CPU has; those of other architectures cannot be made here.
        _ => scalar::search(query, centroids, kept),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nearest::scalar::{LANES, sum};

    proptest! {
        #[test]
        fn every_level_gives_the_same_bits(
            pairs in prop::collection::vec((-1e20_f32..1e20, -1e20_f32..1e20), 0..150)
        ) {
            let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let mut partial = [0.0_f32; LANES];
            for j in 0..x.len() {
                partial[j % LANES] += x[j] * y[j];
            }
            let expected = sum(partial).to_bits();
            for level in SimdLevel::available() {
                prop_assert_eq!(dot(level, &x, &y).to_bits(), expected, "{:?}", level);
            }
        }
    }
}
