//! Contenders: the models that can be the first of the ranking, by bounds of their corrections.
//!
//! Not here: the bounds (`screen.rs`), and the ranking ([`crate::policy`]), which computes the
//! estimates of the contenders alone.
//!
//! Every step of the rule rises or falls with a success estimate, also after rounding: by the bound
//! that suits it, computed with the operations of the rule, a model ranks no lower, or no higher,
//! than by its estimate. The default model precedes all that are not proven to beat it.

use super::intervals::{Intervals, MAX_ROWS};

/// What the rule adds to success estimates, for the first models.
pub(crate) struct Contest<'a> {
    pub(crate) gain_error: &'a [f64; MAX_ROWS],
    /// What utility loses by cost, and by latency.
    pub(crate) losses: [&'a [f64; MAX_ROWS]; 2],
    pub(crate) default: usize,
    pub(crate) margin: f64,
    pub(crate) guard_z: f64,
}

/// Find the contenders and the default model, a bit for each, given the profiles of success and the
/// offsets and bounds of the corrections.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(crate) fn find(
    contest: &Contest<'_>,
    profile: &[f64; MAX_ROWS],
    offsets: &[f32],
    of_slopes: &Intervals,
) -> u32 {
    let Contest {
        gain_error,
        losses: [by_cost, by_latency],
        default,
        margin,
        guard_z,
    } = *contest;
    let count = offsets.len().min(MAX_ROWS);
    let mut own_offsets = [0.0; MAX_ROWS];
    own_offsets[..count].copy_from_slice(&offsets[..count]);
    let limited = |success: f64| {
        let success = if success < 0.0 { 0.0 } else { success };
        if success > 1.0 { 1.0 } else { success }
    };
    let (mut low, mut high) = ([0.0; MAX_ROWS], [0.0; MAX_ROWS]);
    let (mut least, mut most) = ([0.0; MAX_ROWS], [0.0; MAX_ROWS]);
    for i in 0..MAX_ROWS {
        let offset = f64::from(own_offsets[i]);
        low[i] = limited(profile[i] + (offset + f64::from(of_slopes.low[i])));
        high[i] = limited(profile[i] + (offset + f64::from(of_slopes.high[i])));
        least[i] = low[i] - by_cost[i] - by_latency[i];
        most[i] = high[i] - by_cost[i] - by_latency[i];
    }
    let bound = |claimed: f64, gain_error: f64| {
        let claimed = if claimed > 0.0 { claimed } else { 0.0 };
        let uncounted = if claimed < margin { claimed } else { margin };
        uncounted + guard_z * gain_error
    };
    // The utility of a model that is surely proven, and of one that may be.
    let (mut proven, mut may_be) = ([f64::MIN; MAX_ROWS], [f64::NEG_INFINITY; MAX_ROWS]);
    let [default_low, default_high, default_least, default_most] =
        [low[default], high[default], least[default], most[default]];
    for i in 0..MAX_ROWS {
        let surely = least[i] - default_most > bound(high[i] - default_low, gain_error[i]);
        let maybe = most[i] - default_least > bound(low[i] - default_high, gain_error[i]);
        proven[i] = if surely { least[i] } else { f64::MIN };
        may_be[i] = if maybe { most[i] } else { f64::NEG_INFINITY };
    }
    proven[count..].fill(f64::MIN);
    proven[default] = f64::MIN;
    let mut half = MAX_ROWS / 2;
    while half > 0 {
        for i in 0..half {
            let other = proven[i + half];
            proven[i] = if other > proven[i] { other } else { proven[i] };
        }
        half /= 2;
    }
    let reached = proven[0];
    let mut bits = [0_u32; MAX_ROWS];
    for i in 0..MAX_ROWS {
        bits[i] = if may_be[i] >= reached { 1 << i } else { 0 };
    }
    let found = bits.into_iter().fold(0, |all, bit| all | bit);
    (found & (u32::MAX >> (MAX_ROWS - count))) | 1 << default
}
