//! Check the values inside the sections (check 11 of `FORMAT.md`).
//!
//! Not here: offsets and lengths of sections (`head.rs`).

#![expect(
    clippy::needless_bitwise_bool,
    reason = "evaluating both sides lets the loop vectorise"
)]

use std::ops::Range;

use super::layout::{f64_at, u32_at};
use super::tag::{self, Tag};
use super::values::{Blending, Embedder, EmbedderKind, Policy};
use crate::error::Error;
use crate::nearest::MAX_TOP_K;

pub(super) const POLICY_LEN: usize = 64;
pub(super) const BLENDING_LEN: usize = 16;
pub(super) const MARGIN_LEN: usize = 8;

/// Read little-endian values. They may be unaligned: [`super::parse`] takes any bytes.
fn f32s(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks.iter().map(|&c| f32::from_le_bytes(c))
}

fn f64s(bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks.iter().map(|&c| f64::from_le_bytes(c))
}

/// Refuse the first value that breaks the rule.
///
/// The fold has no early exit, so that it vectorises; the offender is looked for only in a file
/// that is refused.
fn check(
    tag: Tag,
    bytes: &[u8],
    rule: &'static str,
    obeys: impl Fn(f32) -> bool,
) -> Result<(), Error> {
    if f32s(bytes).fold(true, |all, v| all & obeys(v)) {
        return Ok(());
    }
    let offender = f32s(bytes).enumerate().find(|&(_, v)| !obeys(v));
    let (index, value) = offender.unwrap_or((0, f32::NAN));
    Err(Error::Value {
        tag,
        index,
        value: f64::from(value),
        rule,
    })
}

pub(super) fn finite(tag: Tag, bytes: &[u8]) -> Result<(), Error> {
    check(tag, bytes, "it must be finite", f32::is_finite)
}

pub(super) fn fractions(tag: Tag, bytes: &[u8]) -> Result<(), Error> {
    check(tag, bytes, "it must lie in 0 to 1", |v| {
        (0.0..=1.0).contains(&v)
    })
}

pub(super) fn not_negative(tag: Tag, bytes: &[u8]) -> Result<(), Error> {
    check(tag, bytes, "it must be finite and at least 0", |v| {
        v.is_finite() & (v >= 0.0)
    })
}

pub(super) fn known_or_nan(tag: Tag, bytes: &[u8]) -> Result<(), Error> {
    let rule = "it must be finite and at least 0, or NaN where unknown";
    check(tag, bytes, rule, |v| {
        v.is_nan() | (v.is_finite() & (v >= 0.0))
    })
}

pub(super) fn counts(tag: Tag, bytes: &[u8]) -> Result<(), Error> {
    // A fold without early exit, as in `check`.
    if f64s(bytes).fold(true, |all, v| all & (v.is_finite() & (v >= 0.0))) {
        return Ok(());
    }
    let offender = f64s(bytes)
        .enumerate()
        .find(|(_, v)| !v.is_finite() || *v < 0.0);
    offender.map_or(Ok(()), |(index, value)| {
        Err(Error::Value {
            tag,
            index,
            value,
            rule: "it must be finite and at least 0",
        })
    })
}

pub(super) fn means_without_outcomes(tag: Tag, counts: &[u8], means: &[u8]) -> Result<(), Error> {
    let both = f64s(counts).zip(f32s(means));
    if both.fold(true, |all, (n, mean)| all & ((n != 0.0) | (mean == 0.0))) {
        return Ok(());
    }
    let offender = f64s(counts)
        .zip(f32s(means))
        .enumerate()
        .find(|(_, (n, mean))| *n == 0.0 && *mean != 0.0);
    offender.map_or(Ok(()), |(index, (_, mean))| {
        Err(Error::Value {
            tag,
            index,
            value: f64::from(mean),
            rule: "it must be 0 where no outcome was counted",
        })
    })
}

pub(super) fn quantiles(bytes: &[u8]) -> Result<(), Error> {
    not_negative(tag::NOVELTY, bytes)?;
    let mut before = 0.0;
    for (index, value) in f32s(bytes).enumerate() {
        if value < before {
            return Err(Error::Value {
                tag: tag::NOVELTY,
                index,
                value: f64::from(value),
                rule: "it must not be less than the one before",
            });
        }
        before = value;
    }
    Ok(())
}

/// Return the length in bytes of the table of name starts (check 10 for `MODL` and `GNAM`).
pub(super) fn name_table_len(tag: Tag, section: usize, count: usize) -> Result<usize, Error> {
    let table = count.checked_add(1).and_then(|n| n.checked_mul(4));
    table
        .filter(|&t| t <= section)
        .ok_or_else(|| Error::SectionLength {
            tag,
            expected: format!("at least 4 x ({count} + 1)"),
            found: section as u64,
        })
}

pub(super) fn names(
    tag: Tag,
    file: &[u8],
    section: Range<usize>,
    count: usize,
) -> Result<Vec<Range<usize>>, Error> {
    let bytes = &file[section.clone()];
    let table = name_table_len(tag, bytes.len(), count)?;
    let text = bytes.len() - table;
    let start = |i: usize| u32_at(bytes, 4 * i) as usize;
    let refused = |index, rule| {
        if tag == tag::MODELS {
            Error::ModelNames { index, rule }
        } else {
            Error::GroupNames { index, rule }
        }
    };
    if start(0) != 0 {
        return Err(refused(0, "the first name must start at 0"));
    }
    if start(count) != text {
        return Err(refused(count, "the names must end where the section ends"));
    }
    let mut ranges = Vec::with_capacity(count);
    let mut seen = std::collections::HashSet::with_capacity(count);
    for index in 0..count {
        let refuse = |rule| Err(refused(index, rule));
        let (from, to) = (start(index), start(index + 1));
        if from > to || to > text {
            return refuse("its end must lie behind its start and inside the section");
        }
        let Ok(name) = std::str::from_utf8(&bytes[table + from..table + to]) else {
            return refuse("it must be UTF-8");
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return refuse("it must not be empty or hold control characters");
        }
        if !seen.insert(name) {
            return refuse("it occurs twice");
        }
        let at = section.start + table;
        ranges.push(at + from..at + to);
    }
    Ok(ranges)
}

pub(super) fn policy(bytes: &[u8], models: usize) -> Result<Policy, Error> {
    let number = |index: usize, rule, obeys: &dyn Fn(f64) -> bool| {
        let value = f64_at(bytes, 8 * index);
        if obeys(value) {
            return Ok(value);
        }
        Err(Error::Value {
            tag: tag::POLICY,
            index,
            value,
            rule,
        })
    };
    let not_negative = |v: f64| v.is_finite() && v >= 0.0;
    let fraction = |v: f64| (0.0..=1.0).contains(&v);
    let at_least_0 = "it must be finite and at least 0";
    let in_0_to_1 = "it must lie in 0 to 1";

    let max_cost_usd = number(2, "it must be finite and at least 0, or NaN", &|v| {
        v.is_nan() || not_negative(v)
    })?;
    let default_model = u32_at(bytes, 56);
    if default_model as usize >= models {
        return Err(Error::Value {
            tag: tag::POLICY,
            index: 7,
            value: f64::from(default_model),
            rule: "the default model must be one of the models",
        });
    }
    if u32_at(bytes, 60) != 0 {
        return Err(Error::Value {
            tag: tag::POLICY,
            index: 7,
            value: f64::from(u32_at(bytes, 60)),
            rule: "the last four bytes must be zero",
        });
    }
    Ok(Policy {
        cost_weight: number(0, at_least_0, &not_negative)?,
        latency_weight: number(1, at_least_0, &not_negative)?,
        max_cost_usd: (!max_cost_usd.is_nan()).then_some(max_cost_usd),
        min_success: number(3, in_0_to_1, &fraction)?,
        guard_z: number(4, at_least_0, &not_negative)?,
        margin: 0.0, // it has a section of its own
        novelty_limit: number(5, in_0_to_1, &fraction)?,
        shrinkage: number(6, at_least_0, &not_negative)?,
        default_model,
    })
}

pub(super) fn margin(bytes: &[u8]) -> Result<f64, Error> {
    counts(tag::MARGIN, bytes)?;
    Ok(f64_at(bytes, 0))
}

pub(super) fn blending(bytes: &[u8]) -> Result<Blending, Error> {
    let refuse = |index, value, rule| {
        Err(Error::Value {
            tag: tag::SOFT,
            index,
            value,
            rule,
        })
    };
    let sharpness = f64_at(bytes, 0);
    if !(sharpness.is_finite() && sharpness > 0.0) {
        return refuse(0, sharpness, "it must be finite and above 0");
    }
    let (nearest, reserved) = (u32_at(bytes, 8), u32_at(bytes, 12));
    if !(1..=MAX_TOP_K as u32).contains(&nearest) {
        let rule = "the number of nearest clusters must be 1 to 16";
        return refuse(1, f64::from(nearest), rule);
    }
    if reserved != 0 {
        let rule = "the last four bytes must be zero";
        return refuse(2, f64::from(reserved), rule);
    }
    Ok(Blending { sharpness, nearest })
}

pub(super) fn embedder(bytes: &[u8], dim: usize) -> Result<Embedder, Error> {
    let refuse = |detail: String| Error::Embedder { detail };
    let json: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| refuse(format!("not JSON: {e}")))?;
    let text = |key: &str| {
        json.get(key)
            .and_then(serde_json::Value::as_str)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| refuse(format!("{key:?} must be a string that is not empty")))
    };
    let name = text("name")?;
    let fingerprint = text("fingerprint")?;
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if fingerprint.len() != 64 || !fingerprint.bytes().all(is_hex) {
        return Err(refuse(
            "\"fingerprint\" must be 64 lower-case hexadecimal digits".into(),
        ));
    }
    let kind = match text("kind")?.as_str() {
        "text" => EmbedderKind::Text,
        "vectors" => EmbedderKind::Vectors,
        other => {
            return Err(refuse(format!(
                "\"kind\" is {other:?}; it must be \"text\" or \"vectors\""
            )));
        }
    };
    let stated = json.get("dim").and_then(serde_json::Value::as_u64);
    if stated != Some(dim as u64) {
        return Err(refuse(format!(
            "\"dim\" is {}; the header says {dim}",
            stated.map_or_else(|| "not an integer".to_owned(), |d| d.to_string())
        )));
    }
    Ok(Embedder {
        name,
        fingerprint,
        kind,
    })
}
