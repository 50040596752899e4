//! Weighted sums and means over rows of a table: the blends of profiles.
//!
//! Not here: the shares of the rows (`estimate.rs`). The functions are compiled once more for each
//! level, without a change of their results (`dispatch.rs`): every sum is added in the order of the
//! rows.

/// Number of sums that are added up at once: they stay in registers over all rows.
const WIDTH: usize = 8;

/// Compute the `i`-th sum, over the rows, of the share of a row times its `i`-th value. A row is its
/// start in the table, and its share.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn weighted_sums(rows: &[(usize, f64)], table: &[f32], sums: &mut [f64]) {
    let (pieces, rest) = sums.as_chunks_mut::<WIDTH>();
    let mut at = 0;
    for piece in pieces {
        *piece = sums_of(rows, table, at);
        at += WIDTH;
    }
    for (i, sum) in rest.iter_mut().enumerate() {
        [*sum] = sums_of(rows, table, at + i);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn sums_of<const N: usize>(rows: &[(usize, f64)], table: &[f32], at: usize) -> [f64; N] {
    let mut sums = [0.0; N];
    for &(start, share) in rows {
        let values = &table[start + at..][..N];
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += share * f64::from(value);
        }
    }
    sums
}

/// As [`weighted_sums`], divided by the sum of the shares, both over the rows whose `i`-th value is
/// known. The mean is NaN if that is no row, or only such with a share of 0.
#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
pub(super) fn known_means(rows: &[(usize, f64)], table: &[f32], means: &mut [f64]) {
    let (pieces, rest) = means.as_chunks_mut::<WIDTH>();
    let mut at = 0;
    for piece in pieces {
        *piece = means_of(rows, table, at);
        at += WIDTH;
    }
    for (i, mean) in rest.iter_mut().enumerate() {
        [*mean] = means_of(rows, table, at + i);
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "into functions with target features")]
fn means_of<const N: usize>(rows: &[(usize, f64)], table: &[f32], at: usize) -> [f64; N] {
    let (mut sums, mut shares) = ([0.0; N], [0.0; N]);
    for &(start, share) in rows {
        let values = &table[start + at..][..N];
        for i in 0..N {
            let value = f64::from(values[i]);
            let known = !value.is_nan();
            sums[i] = if known {
                sums[i] + share * value
            } else {
                sums[i]
            };
            shares[i] = if known { shares[i] + share } else { shares[i] };
        }
    }
    let mut means = [f64::NAN; N];
    for i in 0..N {
        // A share can be 0: the exponential underflows for a far cluster.
        means[i] = if shares[i] > 0.0 {
            sums[i] / shares[i]
        } else {
            f64::NAN
        };
    }
    means
}
