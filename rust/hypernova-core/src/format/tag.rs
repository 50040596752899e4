//! Tags: the four-letter names of sections.
//!
//! Not here: the contents of a section.

use std::fmt;

/// The name of a section: four letters `A`-`Z`.
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

// The sections that this version knows, in the order in which the writer stores them.

pub(crate) const CENTROIDS: Tag = Tag(*b"CENT");
pub(crate) const COUNTS: Tag = Tag(*b"CNTS");
pub(crate) const MEAN: Tag = Tag(*b"MEAN");
pub(crate) const SUCCESS: Tag = Tag(*b"SUCC");
pub(crate) const STANDARD_ERROR: Tag = Tag(*b"SERR");
pub(crate) const GAIN_ERROR: Tag = Tag(*b"GERR");
pub(crate) const COST: Tag = Tag(*b"COST");
pub(crate) const LATENCY: Tag = Tag(*b"LATE");
pub(crate) const MODELS: Tag = Tag(*b"MODL");
pub(crate) const POLICY: Tag = Tag(*b"POLI");
pub(crate) const EMBEDDER: Tag = Tag(*b"EMBD");
pub(crate) const NOVELTY: Tag = Tag(*b"NOVL");
pub(crate) const METADATA: Tag = Tag(*b"META");
pub(crate) const SOFT: Tag = Tag(*b"SOFT");
pub(crate) const SLOPES: Tag = Tag(*b"SLOP");

/// The sections that a file must have.
pub(crate) const REQUIRED: [Tag; 12] = [
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
/// The sections that a file may lack.
pub(crate) const OPTIONAL: [Tag; 3] = [METADATA, SOFT, SLOPES];
