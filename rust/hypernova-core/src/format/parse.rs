//! Parse and validate the bytes of an artifact, by the rules of `FORMAT.md`.
//!
//! Not here: files (`file.rs`) and writing (`encode.rs`).
//!
//! Once [`parse`] has accepted some bytes, every range of the [`Layout`] lies inside them, has
//! the right length, and holds values that obey their rules.

use std::ops::Range;

use super::check;
use super::head::{
    check_header, check_sections, optional_section, read_table, required_section, section_of_length,
};
use super::layout::{u16_at, u32_at};
use super::optional::{GroupLayout, TokenLayout, groups_and_tokens};
use super::tag;
use super::values::{Blending, Embedder, Policy};
use crate::error::Error;

/// The shape of an artifact, its small values, and the ranges of its arrays in the bytes that
/// [`parse`] accepted.
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
    /// Defaults of the route options and parameters of the decision rule.
    pub policy: Policy,
    /// The embedder's identity.
    pub embedder: Embedder,
    /// How the nearest clusters are blended; `None` takes the nearest alone.
    pub blending: Option<Blending>,
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
    pub(crate) groups: Option<GroupLayout>,
    pub(crate) tokens: Option<TokenLayout>,
}

/// Validate the bytes of an artifact.
///
/// # Errors
///
/// The error of the first broken rule, in the order of the reading algorithm in `FORMAT.md`.
pub fn parse(bytes: &[u8]) -> Result<Layout, Error> {
    let count = check_header(bytes)?;
    let sections = read_table(bytes, count)?;
    check_sections(bytes, &sections)?;

    let clusters = u32_at(bytes, 24) as usize;
    let dim = u32_at(bytes, 28) as usize;
    let models = u32_at(bytes, 32) as usize;
    // On a 32-bit machine k + 1 may not fit; `section_of_length` then refuses the file.
    let rows = clusters.saturating_add(1);
    let profile = |tag| section_of_length(&sections, tag, [rows, models], size_of::<f32>());

    for tag in tag::REQUIRED {
        required_section(&sections, tag)?;
    }
    let centroids =
        section_of_length(&sections, tag::CENTROIDS, [clusters, dim], size_of::<f32>())?;
    let counts = section_of_length(&sections, tag::COUNTS, [rows, models], size_of::<f64>())?;
    let mean = profile(tag::MEAN)?;
    let success = profile(tag::SUCCESS)?;
    let standard_error = profile(tag::STANDARD_ERROR)?;
    let gain_error = profile(tag::GAIN_ERROR)?;
    let cost = profile(tag::COST)?;
    let latency = profile(tag::LATENCY)?;
    let names = required_section(&sections, tag::MODELS)?.range.clone();
    check::name_table_len(tag::MODELS, names.len(), models)?;
    let policy = section_of_length(&sections, tag::POLICY, [1, check::POLICY_LEN], 1)?;
    let embedder_json = required_section(&sections, tag::EMBEDDER)?.range.clone();
    let novelty = required_section(&sections, tag::NOVELTY)?.range.clone();
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
    let blending = optional_section(&sections, tag::SOFT, [1, check::BLENDING_LEN], 1)?;
    let slope = [models, dim.saturating_add(1)];
    let correction = optional_section(&sections, tag::SLOPES, slope, size_of::<f32>())?;
    let margin = optional_section(&sections, tag::MARGIN, [1, check::MARGIN_LEN], 1)?;

    let section = |range: &Range<usize>| &bytes[range.clone()];
    check::finite(tag::CENTROIDS, section(&centroids))?;
    check::counts(tag::COUNTS, section(&counts))?;
    check::fractions(tag::MEAN, section(&mean))?;
    check::means_without_outcomes(tag::MEAN, section(&counts), section(&mean))?;
    check::fractions(tag::SUCCESS, section(&success))?;
    check::not_negative(tag::STANDARD_ERROR, section(&standard_error))?;
    check::not_negative(tag::GAIN_ERROR, section(&gain_error))?;
    check::known_or_nan(tag::COST, section(&cost))?;
    check::known_or_nan(tag::LATENCY, section(&latency))?;
    let names = check::names(tag::MODELS, bytes, names, models)?;
    let mut policy = check::policy(section(&policy), models)?;
    let embedder = check::embedder(section(&embedder_json), dim)?;
    check::quantiles(section(&novelty))?;
    if let Some(range) = &metadata {
        std::str::from_utf8(section(range)).map_err(|e| Error::Metadata {
            detail: format!("not UTF-8 at byte {}", e.valid_up_to()),
        })?;
    }

    let blending = blending
        .map(|range| check::blending(section(&range)))
        .transpose()?;
    if let Some(range) = &correction {
        check::finite(tag::SLOPES, section(range))?;
    }
    if let Some(range) = &margin {
        policy.margin = check::margin(section(range))?;
    }
    let correction = correction.map(|range| {
        let slopes = range.start + models * size_of::<f32>();
        [range.start..slopes, slopes..range.end]
    });
    let (groups, tokens) = groups_and_tokens(bytes, &sections, [rows, dim, models])?;

    Ok(Layout {
        minor: u16_at(bytes, 10),
        clusters,
        dim,
        models,
        policy,
        embedder,
        blending,
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
        groups,
        tokens,
    })
}
