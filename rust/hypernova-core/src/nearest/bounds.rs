//! Lower bounds of squared distances, from int8 codes.
//!
//! Not here: the codes (`int8.rs`), and which rows the bounds rule out (`prune.rs`).

use super::int8::Coded;
use super::scalar::{LANES, folded};

/// More than underflow can add up to.
pub(super) const TINY: f32 = 1e-24;

/// See *Rounding*.
pub(super) fn slack(dim: usize) -> f32 {
    8.0 * ((dim / LANES + 32) as f32) * (f32::EPSILON / 2.0)
}

/// Where the smallest is; anywhere if one is NaN.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn lowest(bounds: &[f32]) -> usize {
    let (blocks, rest) = bounds.as_chunks::<LANES>();
    let mut least = [f32::INFINITY; LANES];
    for block in blocks {
        for i in 0..LANES {
            let (a, b) = (block[i], least[i]);
            least[i] = if a < b { a } else { b };
        }
    }
    for (least, &a) in least.iter_mut().zip(rest) {
        *least = if a < *least { a } else { *least };
    }
    let least = folded(least, |a, b| if a < b { a } else { b });
    // By blocks: to look at one after the other takes longer than all else here.
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "without leaving early it vectorises"
    )]
    let holds = |block: &[f32]| block.iter().fold(false, |any, &b| any | (b <= least));
    let block = bounds.chunks(LANES).position(holds).unwrap_or(0) * LANES;
    let within = bounds[block..].iter().position(|&b| b <= least);
    block + within.unwrap_or(0)
}

/// How many bounds rule nothing out: those that are not above `most`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn count_left(bounds: &[f32], most: f32) -> u32 {
    // Where either is NaN the row is not ruled out.
    let ruled_out: u32 = bounds.iter().map(|&b| u32::from(b > most)).sum();
    bounds.len() as u32 - ruled_out
}

/// A query and what bounds need of it.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) values: &'a [f32],
    pub(super) scale: f32,
    pub(super) squared: f32,
    /// Upper bound of its length.
    pub(super) length: f32,
    /// Upper bound of what its own rest can change.
    pub(super) common: f32,
}

impl<'a> Query<'a> {
    pub(super) fn new(values: &'a [f32], coded: Coded, longest: f32) -> Self {
        let Coded {
            scale,
            squared,
            rest,
        } = coded;
        let slack = slack(values.len());
        let length = squared.sqrt() * (1.0 + slack);
        // Each value of the rest was rounded twice, by at most `u` of the value.
        let rest = rest.sqrt() * (1.0 + slack) + length * f32::EPSILON + TINY;
        Self {
            values,
            scale,
            squared,
            length,
            common: 2.0 * rest * longest + TINY,
        }
    }

    /// What a bound may be at most of a row that could have this distance.
    pub(super) fn most(&self, distance: f32) -> f32 {
        let slack = slack(self.values.len());
        (distance - self.squared * (1.0 - slack)) + self.common + slack * (distance + self.squared)
    }
}

/// What the bounds of some rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) scales: &'a [f32],
    pub(super) norms: &'a [f32],
    pub(super) rests: &'a [f32],
    /// Twice the query's.
    pub(super) scale: f32,
    /// Twice the query's.
    pub(super) length: f32,
}

/// The bound of each row from its `k . c`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn bound(terms: Terms<'_>, dots: &[i32], bounds: &mut [f32]) {
    let rows = terms.norms.iter().zip(terms.scales).zip(terms.rests);
    for ((bound, &dot), ((&norm, &scale), &rest)) in bounds.iter_mut().zip(dots).zip(rows) {
        *bound = norm - (terms.scale * scale) * dot as f32 - terms.length * rest;
    }
}
