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
pub(crate) const MARGIN: Tag = Tag(*b"MARG");
pub(crate) const GROUP_TASKS: Tag = Tag(*b"GTSK");
pub(crate) const GROUP_NAMES: Tag = Tag(*b"GNAM");
pub(crate) const GROUP_COUNTS: Tag = Tag(*b"GCNT");
pub(crate) const GROUP_MEAN: Tag = Tag(*b"GMEA");
pub(crate) const GROUP_SUCCESS: Tag = Tag(*b"GSUC");
pub(crate) const GROUP_STANDARD_ERROR: Tag = Tag(*b"GSER");
pub(crate) const GROUP_GAIN_ERROR: Tag = Tag(*b"GGER");
pub(crate) const GROUP_COST: Tag = Tag(*b"GCOS");
pub(crate) const GROUP_LATENCY: Tag = Tag(*b"GLAT");
pub(crate) const GROUP_CORRECTION: Tag = Tag(*b"GCOR");
pub(crate) const PROMPT_TOKENS: Tag = Tag(*b"TPRO");
pub(crate) const INPUT_TOKENS: Tag = Tag(*b"TINP");
pub(crate) const OUTPUT_TOKENS: Tag = Tag(*b"TOUT");
pub(crate) const GROUP_INPUT_TOKENS: Tag = Tag(*b"GTIN");
pub(crate) const GROUP_OUTPUT_TOKENS: Tag = Tag(*b"GTOU");

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
/// The sections that a file may lack, but for those of groups and tokens.
const OPTIONAL: [Tag; 4] = [METADATA, SOFT, SLOPES, MARGIN];
/// The sections of groups; where one stands, so do the first nine.
pub(crate) const OF_GROUPS: [Tag; 12] = [
    GROUP_TASKS,
    GROUP_NAMES,
    GROUP_COUNTS,
    GROUP_MEAN,
    GROUP_SUCCESS,
    GROUP_STANDARD_ERROR,
    GROUP_GAIN_ERROR,
    GROUP_COST,
    GROUP_LATENCY,
    GROUP_CORRECTION,
    GROUP_INPUT_TOKENS,
    GROUP_OUTPUT_TOKENS,
];
/// The sections of tokens; where one stands, so do the first three, and with groups all.
pub(crate) const OF_TOKENS: [Tag; 5] = [
    PROMPT_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    GROUP_INPUT_TOKENS,
    GROUP_OUTPUT_TOKENS,
];

/// Whether this version knows a section.
pub(crate) fn is_known(tag: Tag) -> bool {
    let known: [&[Tag]; 4] = [&REQUIRED, &OPTIONAL, &OF_GROUPS, &OF_TOKENS];
    known.iter().any(|tags| tags.contains(&tag))
}
