//! Parse and validate the bytes of an artifact, by the rules of `FORMAT.md`.
//!
//! Not here: files (see [`crate::artifact`]) and writing (`encode.rs`).
//! After [`parse`] has accepted some bytes, every range in the [`Layout`] lies
//! inside them, has the right length, and holds values that obey their rules.

use std::ops::Range;

use super::check;
use super::head::{check_header, check_sections, read_table, required, sized, sized_if_there};
use super::layout::{u16_at, u32_at};
use super::tag;
use super::values::{Embedder, Policy, Soft};
use crate::error::Error;

/// Where everything is in the bytes that [`parse`] accepted.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Minor version of the file.
    pub minor: u16,
    /// Number of clusters, `k`.
    pub clusters: usize,
    /// Dimension of a vector, `d`.
    pub dim: usize,
    /// Number of models, `m`.
    pub models: usize,
    /// Defaults of the decision rule.
    pub policy: Policy,
    /// The embedder's identity.
    pub embedder: Embedder,
    /// How clusters are blended; `None` takes the nearest alone.
    pub soft: Option<Soft>,
    pub(crate) centroids: Range<usize>,
    pub(crate) counts: Range<usize>,
    pub(crate) mean: Range<usize>,
    pub(crate) success: Range<usize>,
    pub(crate) standard_error: Range<usize>,
    pub(crate) gain_error: Range<usize>,
    pub(crate) cost: Range<usize>,
    pub(crate) latency: Range<usize>,
    /// Range of each model's name.
    pub(crate) names: Vec<Range<usize>>,
    pub(crate) embedder_json: Range<usize>,
    pub(crate) novelty: Range<usize>,
    pub(crate) metadata: Option<Range<usize>>,
    /// Offsets and then slopes of the linear correction.
    pub(crate) correction: Option<[Range<usize>; 2]>,
}

/// Check that `bytes` are an artifact and find everything in it.
///
/// # Errors
///
/// The first rule that is broken, in the order of the reading algorithm in
/// `FORMAT.md`.
pub fn parse(bytes: &[u8]) -> Result<Layout, Error> {
    let count = check_header(bytes)?;
    let sections = read_table(bytes, count)?;
    check_sections(bytes, &sections)?;

    let clusters = u32_at(bytes, 24) as usize;
    let dim = u32_at(bytes, 28) as usize;
    let models = u32_at(bytes, 32) as usize;
    // On a 32-bit machine k + 1 may not fit; `sized` then finds a wrong length.
    let rows = clusters.saturating_add(1);
    let profile = |tag| sized(&sections, tag, [rows, models], size_of::<f32>());

    for tag in tag::REQUIRED {
        required(&sections, tag)?;
    }
    let centroids = sized(&sections, tag::CENTROIDS, [clusters, dim], size_of::<f32>())?;
    let counts = sized(&sections, tag::COUNTS, [rows, models], size_of::<f64>())?;
    let mean = profile(tag::MEAN)?;
    let success = profile(tag::SUCCESS)?;
    let standard_error = profile(tag::STANDARD_ERROR)?;
    let gain_error = profile(tag::GAIN_ERROR)?;
    let cost = profile(tag::COST)?;
    let latency = profile(tag::LATENCY)?;
    let names = required(&sections, tag::MODELS)?.range.clone();
    check::starts_len(names.len(), models)?;
    let policy = sized(&sections, tag::POLICY, [1, check::POLICY_LEN], 1)?;
    let embedder_json = required(&sections, tag::EMBEDDER)?.range.clone();
    let novelty = required(&sections, tag::NOVELTY)?.range.clone();
    let quantiles = novelty.len() / size_of::<f32>();
    if quantiles < 2 || novelty.len() % size_of::<f32>() != 0 {
        return Err(Error::SectionLength {
            tag: tag::NOVELTY,
            expected: "8 or more, a multiple of 4".into(),
            found: novelty.len() as u64,
        });
    }
    let metadata = sections
        .iter()
        .find(|s| s.tag == tag::METADATA)
        .map(|s| s.range.clone());
    let soft = sized_if_there(&sections, tag::SOFT, [1, check::SOFT_LEN], 1)?;
    let slope = [models, dim.saturating_add(1)];
    let correction = sized_if_there(&sections, tag::SLOPES, slope, size_of::<f32>())?;

    let part = |range: &Range<usize>| &bytes[range.clone()];
    check::finite(tag::CENTROIDS, part(&centroids))?;
    check::counts(tag::COUNTS, part(&counts))?;
    check::fractions(tag::MEAN, part(&mean))?;
    check::unknown_means(part(&counts), part(&mean))?;
    check::fractions(tag::SUCCESS, part(&success))?;
    check::not_negative(tag::STANDARD_ERROR, part(&standard_error))?;
    check::not_negative(tag::GAIN_ERROR, part(&gain_error))?;
    check::known_or_nan(tag::COST, part(&cost))?;
    check::known_or_nan(tag::LATENCY, part(&latency))?;
    let names = check::names(bytes, names, models)?;
    let policy = check::policy(part(&policy), models)?;
    let embedder = check::embedder(part(&embedder_json), dim)?;
    check::quantiles(part(&novelty))?;
    if let Some(range) = &metadata {
        std::str::from_utf8(part(range)).map_err(|e| Error::Metadata {
            detail: format!("not UTF-8 at byte {}", e.valid_up_to()),
        })?;
    }

    let soft = soft.map(|range| check::soft(part(&range))).transpose()?;
    if let Some(range) = &correction {
        check::finite(tag::SLOPES, part(range))?;
    }
    let correction = correction.map(|range| {
        let slopes = range.start + models * size_of::<f32>();
        [range.start..slopes, slopes..range.end]
    });

    Ok(Layout {
        minor: u16_at(bytes, 10),
        clusters,
        dim,
        models,
        policy,
        embedder,
        soft,
        centroids,
        counts,
        mean,
        success,
        standard_error,
        gain_error,
        cost,
        latency,
        names,
        embedder_json,
        novelty,
        metadata,
        correction,
    })
}
