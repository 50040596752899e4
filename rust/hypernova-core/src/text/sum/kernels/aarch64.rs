//! Kernels of the sums for aarch64: NEON.
//!
//! Not here: their choice (`dispatch.rs`).
//!
//! The processors of this architecture prefetch little by themselves, and stable Rust has no
//! instruction for it: the loads of several rows overlap by the order of execution alone.

#![expect(
    unsafe_code,
    reason = "loads, stores, and calls of functions with target features"
)]

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vcvtq_f32_s32, vdupq_n_f32, vget_high_s8, vget_high_s16, vget_low_s8,
    vget_low_s16, vld1q_f32, vld1q_s8, vmovl_s8, vmovl_s16, vmulq_f32, vst1q_f32,
};

use super::{LANES, walk};
use crate::nearest::Neon;
use crate::text::sum::scalar::{self, GROUP, Pick};

/// Registers for the positions of a unit.
const PARTS: usize = 4;

#[inline]
#[target_feature(enable = "neon")]
fn int8(values: &[u8; LANES]) -> [float32x4_t; PARTS] {
    // SAFETY: there are sixteen values; the load needs no alignment.
    let values = unsafe { vld1q_s8(values.as_ptr().cast()) };
    let (low, high) = (
        vmovl_s8(vget_low_s8(values)),
        vmovl_s8(vget_high_s8(values)),
    );
    [
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
        vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
        vcvtq_f32_s32(vmovl_s16(vget_high_s16(high))),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
fn float32(values: &[u8; 4 * LANES]) -> [float32x4_t; PARTS] {
    let part = |values: &[u8; 16]| {
        // SAFETY: there are four values; the load needs no alignment.
        unsafe { vld1q_f32(values.as_ptr().cast()) }
    };
    let (parts, _) = values.as_chunks();
    [
        part(&parts[0]),
        part(&parts[1]),
        part(&parts[2]),
        part(&parts[3]),
    ]
}

/// Define the sums of a block.
macro_rules! block {
    ($name:ident, $load:ident, $size:literal) => {
        #[inline]
        #[target_feature(enable = "neon")]
        fn $name<const N: usize>(
            table: &[u8],
            picks: &[Pick],
            at: usize,
            sums: &mut [[f32; LANES]; N],
        ) {
            for some in picks.chunks(GROUP) {
                let mut totals = [[vdupq_n_f32(0.0); PARTS]; N];
                for pick in some {
                    let row = &table[pick.start + at..][..N * LANES * $size];
                    let (values, _) = row.as_chunks::<{ LANES * $size }>();
                    let weight = vdupq_n_f32(pick.weight);
                    for (totals, values) in totals.iter_mut().zip(values) {
                        for (total, values) in totals.iter_mut().zip($load(values)) {
                            // Not fused: the product is rounded by itself.
                            *total = vaddq_f32(*total, vmulq_f32(weight, values));
                        }
                    }
                }
                for (sums, totals) in sums.iter_mut().zip(totals) {
                    let (parts, _) = sums.as_chunks_mut::<4>();
                    for (part, total) in parts.iter_mut().zip(totals) {
                        let start = part.as_mut_ptr();
                        // SAFETY: there are four sums; load and store need no alignment.
                        unsafe { vst1q_f32(start, vaddq_f32(vld1q_f32(start), total)) };
                    }
                }
            }
        }
    };
}

block!(block_int8, int8, 1);
block!(block_float32, float32, 4);

// Of 32 registers, 16 hold sums.
walk!(int8_neon(Neon), walk_int8, "neon", block_int8, 1, [4, 1]);
walk!(
    float32_neon(Neon),
    walk_float32,
    "neon",
    block_float32,
    4,
    [4, 1]
);
