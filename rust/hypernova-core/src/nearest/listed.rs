//! Call what is compiled for the level: the parts of [`super::screen`], and the
//! definition's distance of rows that are named one by one.
//!
//! Not here: any choice of rows.

#![allow(
    unsafe_code,
    reason = "calls what is compiled for a level; an expectation would fail where there is none"
)]

use super::screen::{self, Coded, Codes, FOUR, Line, ROWS, Terms};
use super::{Avx512Vnni, Keep, SimdLevel, scalar};

/// Rows that are scored in one call.
const MANY: usize = 64;

/// Compile the parts of the screen that are plain code once more, for a level. Their
/// results are the same: they work on integers, or on sums in a stated order.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($module:ident, $features:literal) => {
        mod $module {
            use super::screen::{self, Coded, Codes, Terms};

            #[target_feature(enable = $features)]
            pub(super) fn encode(row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
                screen::encode(row, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn encode_query<const GROUPS: usize>(
                query: &[f32],
                narrow: bool,
                codes: &mut Codes<GROUPS>,
            ) -> Option<Coded> {
                screen::encode_query(query, narrow, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn are_finite(values: &[f32]) -> bool {
                screen::are_finite(values)
            }

            #[target_feature(enable = $features)]
            pub(super) fn lowest(bounds: &[f32]) -> usize {
                screen::lowest(bounds)
            }

            #[target_feature(enable = $features)]
            pub(super) fn count_left(bounds: &[f32], most: f32) -> u32 {
                screen::count_left(bounds, most)
            }

            #[target_feature(enable = $features)]
            pub(super) fn bound(terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
                screen::bound(terms, dots, bounds);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled!(avx2, "avx2");
#[cfg(target_arch = "x86_64")]
compiled!(avx512, "avx512f,avx2");

macro_rules! by_level {
    ($level:expr, $name:ident($($argument:expr),*)) => {
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
            _ => screen::$name($($argument),*),
        }
    };
}

/// As [`screen::encode`].
pub(super) fn encode(level: SimdLevel, row: &[f32], codes: &mut [u8]) -> (f32, f32, f32) {
    by_level!(level, encode(row, codes))
}

/// As [`screen::encode_query`].
pub(super) fn encode_query<const GROUPS: usize>(
    level: SimdLevel,
    query: &[f32],
    codes: &mut Codes<GROUPS>,
) -> Option<Coded> {
    // VNNI multiplies bytes: half of the work, for bounds that are less tight.
    let narrow = matches!(level, SimdLevel::Avx512Vnni(_));
    by_level!(level, encode_query(query, narrow, codes))
}

/// As [`screen::are_finite`].
pub(super) fn are_finite(level: SimdLevel, values: &[f32]) -> bool {
    by_level!(level, are_finite(values))
}

/// As [`screen::lowest`].
pub(super) fn lowest(level: SimdLevel, bounds: &[f32]) -> usize {
    by_level!(level, lowest(bounds))
}

/// As [`screen::count_left`].
pub(super) fn count_left(level: SimdLevel, bounds: &[f32], most: f32) -> u32 {
    by_level!(level, count_left(bounds, most))
}

/// As [`screen::bound`].
pub(super) fn bound(level: SimdLevel, terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
    by_level!(level, bound(terms, dots, bounds));
}

/// As [`screen::dots`].
pub(super) fn dots<const GROUPS: usize>(
    level: SimdLevel,
    query: &Codes<GROUPS>,
    groups: usize,
    codes: &[Line],
    dots: &mut [[i32; ROWS]],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2(cpu) => super::x86_64_codes::dots_avx2(cpu, query, groups, codes, dots),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => {
            super::x86_64_codes::dots_avx2(cpu.into(), query, groups, codes, dots);
        }
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            super::x86_64_codes::dots_vnni(cpu, query, groups, codes, dots);
        }
        _ => screen::dots(query, groups, codes, dots),
    }
}

/// As [`screen::dots`] for four queries and so many times sixteen rows; under
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
    super::x86_64_codes::dots_four_vnni(cpu, queries, groups, codes, blocks, dots);
    #[cfg(not(target_arch = "x86_64"))]
    for (query, dots) in queries.iter().zip(dots) {
        let _ = cpu; // of another architecture: never called
        screen::dots(query, groups, codes, &mut dots[..blocks]);
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
        SimdLevel::Avx2(cpu) => super::x86_64::score_avx2(cpu, query, centroids, some, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512(cpu) => super::x86_64::score_avx512(cpu, query, centroids, some, kept),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512Vnni(cpu) => {
            super::x86_64::score_avx512(cpu.into(), query, centroids, some, kept);
        }
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon(cpu) => super::aarch64::score_neon(cpu, query, centroids, some, kept),
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
