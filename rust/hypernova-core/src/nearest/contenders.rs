//! Contenders: the models that can be the first of the ranking, by bounds of their success.
//!
//! Not here: the bounds of the corrections (`screen.rs`) and of the blends (`estimate.rs`), and the
//! rule ([`crate::policy`]).
//!
//! Every step of the rule rises or falls with a success estimate, also after rounding: by the bound
//! that suits it, computed with the operations of the rule, a model ranks no lower, or no higher,
//! than by its estimate. The default model precedes all that are not proven to beat it.

use super::intervals::{Intervals, MAX_ROWS};

/// Utility that stands for none.
const NONE: f64 = f64::NEG_INFINITY;
/// Number of values that fill a register.
const LANES: usize = 8;

/// What the rule goes by, for the first models: estimates, and what it adds to them.
pub(crate) struct Contest<'a> {
    /// Success by the profiles.
    pub(crate) profile: [f64; MAX_ROWS],
    /// How far the profiles may be off, to either side.
    pub(crate) unknown: f64,
    /// Offset of each model's correction; 0 where there is none.
    pub(crate) offsets: [f32; MAX_ROWS],
    pub(crate) gain_error: &'a [f64; MAX_ROWS],
    /// What utility loses by cost, and by latency, if it does.
    pub(crate) losses: Option<[&'a [f64; MAX_ROWS]; 2]>,
    pub(crate) models: usize,
    pub(crate) default: usize,
    pub(crate) margin: f64,
    pub(crate) guard_z: f64,
}

/// Those that can be the first of the ranking.
#[derive(Clone, Copy)]
pub(crate) struct Contenders {
    /// The first of those that are surely proven, or the default model if there is none.
    pub(crate) first: usize,
    /// Other models that can precede it, a bit for each.
    pub(crate) rivals: u32,
}

/// Find the contenders, given the bounds of the dot products of the corrections.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(crate) fn find(contest: &Contest<'_>, of_slopes: &Intervals) -> Contenders {
    // Compiled once more for the usual case, in which utility is success and no error counts.
    if contest.losses.is_none() && contest.guard_z == 0.0 {
        find_in::<true>(contest, of_slopes)
    } else {
        find_in::<false>(contest, of_slopes)
    }
}

/// As [`find`]. `PLAIN` says that there are no losses and no guard.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn find_in<const PLAIN: bool>(contest: &Contest<'_>, of_slopes: &Intervals) -> Contenders {
    let Contest {
        ref profile,
        unknown,
        ref offsets,
        gain_error,
        losses,
        models,
        default,
        margin,
        guard_z,
    } = *contest;
    let [by_cost, by_latency] = losses.unwrap_or([&[0.0; MAX_ROWS]; 2]);
    let limited = |success: f64| {
        let success = if success < 0.0 { 0.0 } else { success };
        if success > 1.0 { 1.0 } else { success }
    };
    // Least and most success, and least and most utility.
    let bounds_of = |i: usize| {
        let offset = f64::from(offsets[i]);
        let low = limited(profile[i] - unknown + (offset + f64::from(of_slopes.low[i])));
        let high = limited(profile[i] + unknown + (offset + f64::from(of_slopes.high[i])));
        let utility = |success| {
            if PLAIN {
                success
            } else {
                success - by_cost[i] - by_latency[i]
            }
        };
        [low, high, utility(low), utility(high)]
    };
    // Without losses a gain is what the model claims: one within the margin is not proven, however
    // large it is, and so the bound of all is that with the whole margin.
    let weighs = losses.is_some();
    let bound = |claimed: f64, at: usize| {
        if PLAIN {
            return margin;
        }
        let claimed = if claimed > 0.0 { claimed } else { 0.0 };
        let uncounted = if weighs && claimed < margin {
            claimed
        } else {
            margin
        };
        uncounted + guard_z * gain_error[at]
    };
    // The utility of a model that is surely proven, and of one that may be.
    let (mut proven, mut may_be) = ([NONE; MAX_ROWS], [NONE; MAX_ROWS]);
    let [default_low, default_high, default_least, default_most] = bounds_of(default);
    for i in 0..MAX_ROWS {
        let [low, high, least, most] = bounds_of(i);
        let surely = least - default_most > bound(high - default_low, i);
        let maybe = most - default_least > bound(low - default_high, i);
        let competes = i < models && i != default;
        proven[i] = if surely && competes { least } else { NONE };
        may_be[i] = if maybe && competes { most } else { NONE };
    }
    let reached = highest(&proven);
    if reached == NONE {
        return Contenders {
            first: default,
            rivals: bits(&may_be, |most| most > NONE),
        };
    }
    // Of equal utilities the lower index is first.
    let as_high = bits(&may_be, |most| most >= reached);
    let first = ones(as_high).find(|&i| proven[i] >= reached);
    let first = first.unwrap_or(default); // there is one
    let precedes = |&i: &usize| i < first || (i > first && may_be[i] > reached);
    let rivals = ones(as_high).filter(precedes);
    Contenders {
        first,
        rivals: rivals.fold(0, |all, i| all | 1 << i),
    }
}

/// Places of the bits that are set, rising.
pub(crate) fn ones(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(at)
    })
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn highest(values: &[f64; MAX_ROWS]) -> f64 {
    let mut highest = [NONE; LANES];
    for block in values.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let (a, b) = (block[i], highest[i]);
            highest[i] = if a > b { a } else { b };
        }
    }
    highest
        .into_iter()
        .fold(NONE, |a, b| if a > b { a } else { b })
}

/// A bit for each value of which something holds.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn bits(values: &[f64; MAX_ROWS], holds: impl Fn(f64) -> bool) -> u32 {
    let mut bits = [0_u64; LANES];
    for (n, block) in values.as_chunks::<LANES>().0.iter().enumerate() {
        for i in 0..LANES {
            let bit = 1 << (n * LANES + i);
            bits[i] |= if holds(block[i]) { bit } else { 0 };
        }
    }
    bits.into_iter().fold(0, |all, bit| all | bit) as u32
}
