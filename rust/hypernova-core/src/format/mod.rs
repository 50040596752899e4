//! Parse and validate the bytes of an artifact, by the rules of `FORMAT.md`.
//!
//! Not here: files (see [`crate::artifact`]) and writing (see [`crate::write`]).
//! After [`parse`] has accepted some bytes, every range in the [`Layout`] lies
//! inside them, has the right length, and holds values that obey their rules.

mod values;

use std::fmt;
use std::ops::Range;

use crate::error::Error;

pub use values::{Embedder, EmbedderKind};

/// First bytes of every artifact. As in PNG, a line end of each kind shows a
/// transfer that changed them.
pub const MAGIC: [u8; 8] = *b"\x89HNV\r\n\x1a\n";
/// The major version that is read and written.
pub const MAJOR: u16 = 1;
/// The minor version of files that blend clusters or lift estimates.
pub const MINOR: u16 = 1;

pub(crate) const HEADER_LEN: usize = 64;
pub(crate) const ENTRY_LEN: usize = 32;
pub(crate) const MAX_SECTIONS: u32 = 64;
pub(crate) const FLAG_REQUIRED: u32 = 1;
/// Offset of the head checksum in the header.
pub(crate) const HEAD_CRC_AT: usize = 60;
const ALIGN: usize = 64;

/// Name of a section: four letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub [u8; 4]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&b| write!(f, "{}", b as char))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The sections that this version knows. The order is that of the writer.
pub(crate) mod tag {
    use super::Tag;

    pub const CENTROIDS: Tag = Tag(*b"CENT");
    pub const COUNTS: Tag = Tag(*b"CNTS");
    pub const MEAN: Tag = Tag(*b"MEAN");
    pub const SUCCESS: Tag = Tag(*b"SUCC");
    pub const STANDARD_ERROR: Tag = Tag(*b"SERR");
    pub const GAIN_ERROR: Tag = Tag(*b"GERR");
    pub const COST: Tag = Tag(*b"COST");
    pub const LATENCY: Tag = Tag(*b"LATE");
    pub const MODELS: Tag = Tag(*b"MODL");
    pub const POLICY: Tag = Tag(*b"POLI");
    pub const EMBEDDER: Tag = Tag(*b"EMBD");
    pub const NOVELTY: Tag = Tag(*b"NOVL");
    pub const METADATA: Tag = Tag(*b"META");
    pub const SOFT: Tag = Tag(*b"SOFT");
    pub const SLOPES: Tag = Tag(*b"SLOP");

    /// All sections that a file must have.
    pub const REQUIRED: [Tag; 12] = [
        CENTROIDS,
        COUNTS,
        MEAN,
        SUCCESS,
        STANDARD_ERROR,
        GAIN_ERROR,
        COST,
        LATENCY,
        MODELS,
        POLICY,
        EMBEDDER,
        NOVELTY,
    ];
    /// Sections that a file may lack.
    pub const OPTIONAL: [Tag; 3] = [METADATA, SOFT, SLOPES];
}

/// Defaults of the decision rule; the caller's options go before them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Success per USD.
    pub cost_weight: f64,
    /// Success per second.
    pub latency_weight: f64,
    /// Dearest expected cost of a task, in USD.
    pub max_cost_usd: Option<f64>,
    /// Least shrunk success estimate.
    pub min_success: f64,
    /// Standard errors by which a model must beat the default model.
    pub guard_z: f64,
    /// Novelty above which a prompt is judged by the whole table; 1 switches it off.
    pub novelty_limit: f64,
    /// Weight of the prior, in outcomes, with which the estimates were shrunk.
    pub shrinkage: f64,
    /// Index of the best single model.
    pub default_model: u32,
}

impl Policy {
    /// A policy that takes what has the highest estimate: no weights, no limits, no guard, and
    /// nothing is novel.
    #[must_use]
    pub fn new(default_model: u32) -> Self {
        Self {
            cost_weight: 0.0,
            latency_weight: 0.0,
            max_cost_usd: None,
            min_success: 0.0,
            guard_z: 0.0,
            novelty_limit: 1.0,
            shrinkage: 0.0,
            default_model,
        }
    }
}

/// How the profiles of several clusters are blended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soft {
    /// How fast a cluster's share falls with its squared distance.
    pub sharpness: f64,
    /// How many of the nearest clusters have a share, 1 to 16.
    pub nearest: u32,
}

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

/// Smallest multiple of 64 that is at least `x`.
pub(crate) fn align(x: usize) -> Option<usize> {
    x.checked_next_multiple_of(ALIGN)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | (u64::from(u32_at(bytes, at + 4)) << 32)
}

pub(crate) fn f64_at(bytes: &[u8], at: usize) -> f64 {
    f64::from_bits(u64_at(bytes, at))
}

/// Checksum of header and section table.
pub(crate) fn head_checksum(header: &[u8], table: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..HEAD_CRC_AT]);
    hasher.update(table);
    hasher.finalize()
}

fn all_zero(bytes: &[u8], from: usize, to: usize) -> Result<(), usize> {
    match bytes[from..to].iter().position(|&b| b != 0) {
        Some(at) => Err(from + at),
        None => Ok(()),
    }
}

/// A section table entry whose place in the file has been checked.
struct Section {
    tag: Tag,
    required: bool,
    range: Range<usize>,
    checksum: u32,
}

/// Checks 1 to 4: an artifact of this version begins here. Returns the length that it
/// states, which the bytes at hand need not have.
pub(crate) fn stated_length(bytes: &[u8]) -> Result<u64, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if start != &MAGIC[..start.len()] {
        return Err(Error::NotAnArtifact {
            found: start.to_vec(),
        });
    }
    if bytes.len() < HEADER_LEN {
        return Err(Error::Truncated {
            expected: HEADER_LEN as u64,
            found: bytes.len() as u64,
        });
    }
    let major = u16_at(bytes, 8);
    if major != MAJOR {
        return Err(Error::MajorVersion {
            found: major,
            supported: MAJOR,
        });
    }
    Ok(u64_at(bytes, 16))
}

/// Checks 1 to 7: the header. Returns the number of sections.
fn check_header(bytes: &[u8]) -> Result<u32, Error> {
    let expected = stated_length(bytes)?;
    let found = bytes.len() as u64;
    if found < expected {
        return Err(Error::Truncated { expected, found });
    }
    if found > expected {
        return Err(Error::FileLength { expected, found });
    }
    let sections = u32_at(bytes, 12);
    let table_end = HEADER_LEN + sections.min(MAX_SECTIONS) as usize * ENTRY_LEN;
    if sections == 0 || sections > MAX_SECTIONS || table_end > bytes.len() {
        return Err(Error::SectionCount { found: sections });
    }
    let stated = u32_at(bytes, HEAD_CRC_AT);
    let computed = head_checksum(bytes, &bytes[HEADER_LEN..table_end]);
    if stated != computed {
        return Err(Error::HeadChecksum { stated, computed });
    }
    let (clusters, dim, models) = (u32_at(bytes, 24), u32_at(bytes, 28), u32_at(bytes, 32));
    if clusters == 0 || dim == 0 || models == 0 {
        return Err(Error::Dimensions {
            clusters,
            dim,
            models,
        });
    }
    all_zero(bytes, 36, HEAD_CRC_AT).map_err(|at| Error::Reserved { offset: at as u64 })?;
    Ok(sections)
}

/// Check 8: the section table, and that every byte is covered exactly once.
fn read_table(bytes: &[u8], count: u32) -> Result<Vec<Section>, Error> {
    let file = bytes.len() as u64;
    let mut sections: Vec<Section> = Vec::with_capacity(count as usize);
    let mut end = HEADER_LEN + count as usize * ENTRY_LEN;
    for index in 0..count {
        let at = HEADER_LEN + index as usize * ENTRY_LEN;
        let name = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if !name.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::SectionTag { index, found: name });
        }
        let tag = Tag(name);
        if sections.iter().any(|s| s.tag == tag) {
            return Err(Error::DuplicateSection { tag });
        }
        let flags = u32_at(bytes, at + 4);
        if flags & !FLAG_REQUIRED != 0 {
            return Err(Error::Reserved {
                offset: at as u64 + 4,
            });
        }
        all_zero(bytes, at + 28, at + 32).map_err(|at| Error::Reserved { offset: at as u64 })?;
        let (offset, length) = (u64_at(bytes, at + 8), u64_at(bytes, at + 16));
        // Cannot fail: `end` is at most the length of a slice.
        let expected = align(end).unwrap_or(usize::MAX) as u64;
        if offset != expected {
            return Err(Error::SectionOffset {
                tag,
                expected,
                found: offset,
            });
        }
        let section_end = offset.checked_add(length).filter(|&e| e <= file);
        let Some(section_end) = section_end else {
            return Err(Error::SectionEnd {
                tag,
                offset,
                length,
                file,
            });
        };
        // Both fit a usize now: they are at most the length of a slice.
        let range = offset as usize..section_end as usize;
        all_zero(bytes, end, range.start).map_err(|at| Error::Padding { offset: at as u64 })?;
        end = range.end;
        sections.push(Section {
            tag,
            required: flags & FLAG_REQUIRED != 0,
            range,
            checksum: u32_at(bytes, at + 24),
        });
    }
    if end as u64 != file {
        return Err(Error::FileLength {
            expected: end as u64,
            found: file,
        });
    }
    Ok(sections)
}

/// Check 9: nothing is damaged, and nothing required is unknown.
fn check_sections(bytes: &[u8], sections: &[Section]) -> Result<(), Error> {
    for section in sections {
        let computed = crc32fast::hash(&bytes[section.range.clone()]);
        if computed != section.checksum {
            return Err(Error::SectionChecksum {
                tag: section.tag,
                stated: section.checksum,
                computed,
            });
        }
        let known = tag::REQUIRED.contains(&section.tag) || tag::OPTIONAL.contains(&section.tag);
        if section.required && !known {
            return Err(Error::UnknownSection { tag: section.tag });
        }
    }
    Ok(())
}

/// Check 10 for one section: it is there and has `count` values of `size` bytes.
fn sized(
    sections: &[Section],
    tag: Tag,
    factors: [usize; 2],
    size: usize,
) -> Result<Range<usize>, Error> {
    let section = required(sections, tag)?;
    let expected = factors[0]
        .checked_mul(factors[1])
        .and_then(|n| n.checked_mul(size));
    if expected != Some(section.range.len()) {
        return Err(Error::SectionLength {
            tag,
            expected: expected.map_or_else(
                || format!("{} x {} x {size}", factors[0], factors[1]),
                |n| n.to_string(),
            ),
            found: section.range.len() as u64,
        });
    }
    Ok(section.range.clone())
}

fn required(sections: &[Section], tag: Tag) -> Result<&Section, Error> {
    sections
        .iter()
        .find(|s| s.tag == tag && s.required)
        .ok_or(Error::MissingSection { tag })
}

/// Check 10 for a section that a file may lack: where it stands it is required.
fn sized_if_there(
    sections: &[Section],
    tag: Tag,
    factors: [usize; 2],
    size: usize,
) -> Result<Option<Range<usize>>, Error> {
    if sections.iter().all(|s| s.tag != tag) {
        return Ok(None);
    }
    sized(sections, tag, factors, size).map(Some)
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
    values::starts_len(names.len(), models)?;
    let policy = sized(&sections, tag::POLICY, [1, values::POLICY_LEN], 1)?;
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
    let soft = sized_if_there(&sections, tag::SOFT, [1, values::SOFT_LEN], 1)?;
    let slope = [models, dim.saturating_add(1)];
    let correction = sized_if_there(&sections, tag::SLOPES, slope, size_of::<f32>())?;

    let part = |range: &Range<usize>| &bytes[range.clone()];
    values::finite(tag::CENTROIDS, part(&centroids))?;
    values::counts(tag::COUNTS, part(&counts))?;
    values::fractions(tag::MEAN, part(&mean))?;
    values::unknown_means(part(&counts), part(&mean))?;
    values::fractions(tag::SUCCESS, part(&success))?;
    values::not_negative(tag::STANDARD_ERROR, part(&standard_error))?;
    values::not_negative(tag::GAIN_ERROR, part(&gain_error))?;
    values::known_or_nan(tag::COST, part(&cost))?;
    values::known_or_nan(tag::LATENCY, part(&latency))?;
    let names = values::names(bytes, names, models)?;
    let policy = values::policy(part(&policy), models)?;
    let embedder = values::embedder(part(&embedder_json), dim)?;
    values::quantiles(part(&novelty))?;
    if let Some(range) = &metadata {
        std::str::from_utf8(part(range)).map_err(|e| Error::Metadata {
            detail: format!("not UTF-8 at byte {}", e.valid_up_to()),
        })?;
    }

    let soft = soft.map(|range| values::soft(part(&range))).transpose()?;
    if let Some(range) = &correction {
        values::finite(tag::SLOPES, part(range))?;
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
