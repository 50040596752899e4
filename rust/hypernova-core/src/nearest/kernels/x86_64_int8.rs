//! Int8 kernels for `x86_64`: sums of products of codes, with AVX2 and with AVX-512 VNNI.
//!
//! Not here: the meaning of the codes (`int8.rs`). The sums are of integers and exact in any
//! order; one that wraps around 32 bits on the way wraps back.

#![expect(
    unsafe_code,
    reason = "loads, stores, and calls of functions with target features"
)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_srli_epi16, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512,
};

use crate::nearest::int8::{CodeLine, QUERY_BATCH, QueryCodes, ROWS};
use crate::nearest::level::{Avx2, Avx512Vnni};

/// Number of rows in a register of AVX2: half of a line.
const HALF: usize = 8;

#[inline]
#[target_feature(enable = "avx2")]
fn half(line: &CodeLine, at: usize) -> __m256i {
    let half: &[[u8; 4]; HALF] = &line.0.as_chunks().0[at];
    // SAFETY: half a line is 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn walk_avx2<const GROUPS: usize>(
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    let start = _mm256_set1_epi32(query.sum.wrapping_mul(-128));
    let low_bytes = _mm256_set1_epi16(0xFF);
    for (lines, dots) in codes.chunks_exact(groups).zip(dots) {
        let mut sums = [start; 2];
        let mut others = [_mm256_set1_epi32(0); 2];
        for (k, line) in query.pairs.iter().zip(lines) {
            let [a, b, c, d] = k.map(i16::cast_unsigned).map(u32::from);
            let even = _mm256_set1_epi32((a | b << 16).cast_signed());
            let odd = _mm256_set1_epi32((c | d << 16).cast_signed());
            for at in 0..2 {
                let bytes = half(line, at);
                let evens = _mm256_madd_epi16(even, _mm256_and_si256(bytes, low_bytes));
                let odds = _mm256_madd_epi16(odd, _mm256_srli_epi16::<8>(bytes));
                sums[at] = _mm256_add_epi32(sums[at], evens);
                others[at] = _mm256_add_epi32(others[at], odds);
            }
        }
        let (halves, _) = dots.as_chunks_mut::<HALF>();
        for at in 0..2 {
            let sum = _mm256_add_epi32(sums[at], others[at]);
            // SAFETY: half of the rows are eight values; the store needs no alignment.
            unsafe { _mm256_storeu_si256(halves[at].as_mut_ptr().cast(), sum) };
        }
    }
}

/// Split the lines of `N` times sixteen rows.
// Its closure has no target features, so that it is inlined.
#[inline]
fn split_lines<const N: usize>(codes: &[CodeLine], groups: usize) -> [&[CodeLine]; N] {
    std::array::from_fn(|i| &codes[i * groups..][..groups])
}

/// Compute `N` times sixteen rows at once, each as `CHAINS` chains of additions that overlap: an
/// addition takes as long as four to eight others.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn blocks_vnni<const N: usize, const CHAINS: usize, const GROUPS: usize>(
    query: &QueryCodes<GROUPS>,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    let (dots, _) = dots.as_chunks_mut::<N>();
    let dots = &mut dots[0];
    let groups = codes.len() / N;
    let lines: [&[CodeLine]; N] = split_lines(codes, groups);
    let bytes = &query.bytes()[..groups];
    let mut sums = [[_mm512_set1_epi32(0); CHAINS]; N];
    let step = |sum, line: &CodeLine, k: [i8; 4]| {
        let k = _mm512_set1_epi32(i32::from_le_bytes(k.map(i8::cast_unsigned)));
        // SAFETY: a line is 64 bytes; the load needs no alignment.
        let line = unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) };
        _mm512_dpbusd_epi32(sum, line, k)
    };
    let whole = groups / CHAINS * CHAINS;
    for at in (0..whole).step_by(CHAINS) {
        for chain in 0..CHAINS {
            for i in 0..N {
                let line = &lines[i][at + chain];
                sums[i][chain] = step(sums[i][chain], line, bytes[at + chain]);
            }
        }
    }
    for at in whole..groups {
        for i in 0..N {
            sums[i][0] = step(sums[i][0], &lines[i][at], bytes[at]);
        }
    }
    let start = _mm512_set1_epi32(query.sum.wrapping_mul(-128));
    for i in 0..N {
        let sum = sums[i]
            .into_iter()
            .fold(start, |a, b| _mm512_add_epi32(a, b));
        // SAFETY: sixteen values; the store needs no alignment.
        unsafe { _mm512_storeu_si512(dots[i].as_mut_ptr().cast(), sum) };
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn walk_vnni<const GROUPS: usize>(
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    let pieces = dots.chunks_mut(8).zip(codes.chunks(8 * groups));
    for (dots, codes) in pieces {
        match dots.len() {
            1 => blocks_vnni::<1, 4, GROUPS>(query, codes, dots),
            2 => blocks_vnni::<2, 4, GROUPS>(query, codes, dots),
            3 => blocks_vnni::<3, 2, GROUPS>(query, codes, dots),
            4 => blocks_vnni::<4, 2, GROUPS>(query, codes, dots),
            5 => blocks_vnni::<5, 1, GROUPS>(query, codes, dots),
            6 => blocks_vnni::<6, 1, GROUPS>(query, codes, dots),
            7 => blocks_vnni::<7, 1, GROUPS>(query, codes, dots),
            _ => blocks_vnni::<8, 1, GROUPS>(query, codes, dots),
        }
    }
}

pub(in crate::nearest) fn dots_avx2<const GROUPS: usize>(
    _: Avx2,
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    // SAFETY: the CPU has AVX2, the only demand of a safe function with a target feature.
    unsafe { walk_avx2(query, groups, codes, dots) }
}

pub(in crate::nearest) fn dots_vnni<const GROUPS: usize>(
    _: Avx512Vnni,
    query: &QueryCodes<GROUPS>,
    groups: usize,
    codes: &[CodeLine],
    dots: &mut [[i32; ROWS]],
) {
    // SAFETY: the CPU has AVX-512F and VNNI, the only demands of the function.
    unsafe { walk_vnni(query, groups, codes, dots) }
}

/// Compute `N` times sixteen rows, from `block` on, for four queries at once: with `N` of 2, eight
/// chains of additions overlap.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn blocks_batch_vnni<const N: usize, const GROUPS: usize, const BLOCKS: usize>(
    queries: &[QueryCodes<GROUPS>; QUERY_BATCH],
    groups: usize,
    codes: &[CodeLine],
    block: usize,
    dots: &mut [[[i32; ROWS]; BLOCKS]; QUERY_BATCH],
) {
    let starts = [0, 1, 2, 3].map(|q: usize| queries[q].sum.wrapping_mul(-128));
    let bytes = [0, 1, 2, 3].map(|q: usize| &queries[q].bytes()[..groups]);
    let lines: [&[CodeLine]; N] = split_lines(&codes[block * groups..], groups);
    let mut sums = [[_mm512_set1_epi32(0); N]; QUERY_BATCH];
    for at in 0..groups {
        // SAFETY: a line is 64 bytes; the loads need no alignment.
        let line = lines.map(|l| unsafe { _mm512_loadu_si512(l[at].0.as_ptr().cast()) });
        for q in 0..QUERY_BATCH {
            let k = i32::from_le_bytes(bytes[q][at].map(i8::cast_unsigned));
            let k = _mm512_set1_epi32(k);
            for i in 0..N {
                sums[q][i] = _mm512_dpbusd_epi32(sums[q][i], line[i], k);
            }
        }
    }
    for q in 0..QUERY_BATCH {
        for i in 0..N {
            let sum = _mm512_add_epi32(sums[q][i], _mm512_set1_epi32(starts[q]));
            let into = dots[q][block + i].as_mut_ptr();
            // SAFETY: sixteen values; the store needs no alignment.
            unsafe { _mm512_storeu_si512(into.cast(), sum) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn walk_batch_vnni<const GROUPS: usize, const BLOCKS: usize>(
    queries: &[QueryCodes<GROUPS>; QUERY_BATCH],
    groups: usize,
    codes: &[CodeLine],
    blocks: usize,
    dots: &mut [[[i32; ROWS]; BLOCKS]; QUERY_BATCH],
) {
    for block in (0..blocks / 2 * 2).step_by(2) {
        blocks_batch_vnni::<2, GROUPS, BLOCKS>(queries, groups, codes, block, dots);
    }
    if blocks % 2 == 1 {
        blocks_batch_vnni::<1, GROUPS, BLOCKS>(queries, groups, codes, blocks - 1, dots);
    }
}

pub(in crate::nearest) fn dots_batch_vnni<const GROUPS: usize, const BLOCKS: usize>(
    _: Avx512Vnni,
    queries: &[QueryCodes<GROUPS>; QUERY_BATCH],
    groups: usize,
    codes: &[CodeLine],
    blocks: usize,
    dots: &mut [[[i32; ROWS]; BLOCKS]; QUERY_BATCH],
) {
    // SAFETY: the CPU has AVX-512F and VNNI, the only demands of the function.
    unsafe { walk_batch_vnni(queries, groups, codes, blocks, dots) }
}
