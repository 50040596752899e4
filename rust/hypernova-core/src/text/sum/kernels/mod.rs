//! Kernels of the sums, by architecture.
//!
//! Not here: the choice of a kernel (`dispatch.rs`).
//!
//! A kernel adds all rows into as many registers as the sums of a block of positions need, so that
//! no sum is stored before it is complete. Rows are scattered over a table of many megabytes:
//! each is asked for `AHEAD` rows before it is added.

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

/// Positions in the unit that kernels work on.
const LANES: usize = 16;

/// Define the walk over the blocks of a row for one kernel: blocks of the widest size, then
/// narrower ones, then single positions by the definition.
macro_rules! walk {
    (
        $name:ident($proof:ty), $walk:ident, $features:literal, $block:ident,
        $size:expr, [$($lanes:literal),+]
    ) => {
        #[target_feature(enable = $features)]
        fn $walk(table: &[u8], picks: &[Pick], sums: &mut [f32]) {
            let mut at = 0;
            $(
                while sums.len() - at >= $lanes * LANES {
                    let (block, _) = sums[at..][..$lanes * LANES].as_chunks_mut::<LANES>();
                    if let Some(block) = block.first_chunk_mut() {
                        $block::<$lanes>(table, picks, at * $size, block);
                    }
                    at += $lanes * LANES;
                }
            )+
            if at < sums.len() {
                scalar::add_positions::<$size>(table, picks, at, &mut sums[at..]);
            }
        }

        /// Add the rows of a table that `picks` names.
        pub(in crate::text::sum) fn $name(
            _: $proof,
            table: &[u8],
            picks: &[Pick],
            sums: &mut [f32],
        ) {
            // SAFETY: the argument proves that the CPU has the features, the only demand of a safe
            // function with target features.
            unsafe { $walk(table, picks, sums) }
        }
    };
}

use walk;
