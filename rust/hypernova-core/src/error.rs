//! Everything that can go wrong, one variant for each rule that can be broken.
//!
//! Not here: advice that depends on the caller's language; the binding adds that.

use std::path::{Path, PathBuf};

use crate::format::tag::Tag;

/// What was wrong, and where.
///
/// Messages are one line. Names of the format variants are those of the reading
/// algorithm in `FORMAT.md`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error in the file at `path`.
    #[error("{}: {source}", shown(path))]
    InFile {
        /// The file as the caller named it.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// There is no file at the path.
    #[error("there is no such file; check the path")]
    NotFound,
    /// The operating system refused to read a file.
    #[error("cannot {action}: {source}")]
    Read {
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system refused to write a file.
    #[error("cannot {action}: {source}")]
    Write {
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// The file has no bytes.
    #[error("the file is empty; copy or fit the artifact again")]
    Empty,
    /// The file does not begin with the magic.
    #[error("not a hypernova artifact: it starts with {found:02x?}; expected a .hnv file")]
    NotAnArtifact {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The file ends before its stated or least length.
    #[error("the file is cut short: {found} bytes of {expected}; copy or fit it again")]
    Truncated {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The file is of another major version.
    #[error(
        "format version {found} is not read by this version, which reads {supported}; \
         upgrade hypernova or fit the artifact again"
    )]
    MajorVersion {
        /// Major version of the file.
        found: u16,
        /// Major version that this reader knows.
        supported: u16,
    },
    /// The file does not end where its header or its last section ends.
    #[error("the file has {found} bytes where {expected} are stated; copy or fit it again")]
    FileLength {
        /// Bytes stated.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The number of sections is impossible.
    #[error("damaged header: {found} sections; 1 to 64 that fit the file were expected")]
    SectionCount {
        /// Number stated.
        found: u32,
    },
    /// Header or section table are damaged.
    #[error("damaged header: checksum {computed:08x}, stated {stated:08x}; copy or fit it again")]
    HeadChecksum {
        /// Checksum in the file.
        stated: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// Clusters, dimension or models are zero.
    #[error("clusters {clusters}, dimension {dim}, models {models}: each must be at least 1")]
    Dimensions {
        /// Number of clusters stated.
        clusters: u32,
        /// Dimension stated.
        dim: u32,
        /// Number of models stated.
        models: u32,
    },
    /// A byte or flag that must be zero is not.
    #[error("reserved byte at offset {offset} is not zero")]
    Reserved {
        /// Where it is.
        offset: u64,
    },
    /// A tag is not four capital letters.
    #[error("section {index} has the tag {found:02x?}; four letters A-Z were expected")]
    SectionTag {
        /// Position in the section table.
        index: u32,
        /// The four bytes.
        found: [u8; 4],
    },
    /// A tag occurs twice.
    #[error("section {tag} occurs twice")]
    DuplicateSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section overlaps the one before, or leaves a hole.
    #[error("section {tag} starts at {found}; it must start at {expected}")]
    SectionOffset {
        /// Its tag.
        tag: Tag,
        /// Where it must start.
        expected: u64,
        /// Where it is said to start.
        found: u64,
    },
    /// A section ends after the file.
    #[error("section {tag} of {length} bytes at {offset} passes the end of the file at {file}")]
    SectionEnd {
        /// Its tag.
        tag: Tag,
        /// Where it starts.
        offset: u64,
        /// Its length.
        length: u64,
        /// Length of the file.
        file: u64,
    },
    /// A byte between two sections is not zero.
    #[error("padding byte at offset {offset} is not zero")]
    Padding {
        /// Where it is.
        offset: u64,
    },
    /// A section is damaged.
    #[error(
        "section {tag} is damaged: checksum {computed:08x}, stated {stated:08x}; \
         copy or fit the artifact again"
    )]
    SectionChecksum {
        /// Its tag.
        tag: Tag,
        /// Checksum in the file.
        stated: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// A section is required and this reader does not know it.
    #[error("section {tag} is required and unknown to this version; upgrade hypernova")]
    UnknownSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section that every artifact has is not there, or not marked as required.
    #[error("section {tag} is missing or not marked as required")]
    MissingSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section has not the length that its contents need.
    #[error("section {tag} has {found} bytes; {expected} were expected")]
    SectionLength {
        /// Its tag.
        tag: Tag,
        /// Length needed, as a number or a rule.
        expected: String,
        /// Length found.
        found: u64,
    },
    /// A value breaks the rule of its section.
    #[error("section {tag}, value {index} is {value:?}; {rule}")]
    Value {
        /// Tag of the section.
        tag: Tag,
        /// Position in the section, row-major.
        index: usize,
        /// The value.
        value: f64,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The models' names are malformed.
    #[error("section MODL, name {index}: {rule}")]
    ModelNames {
        /// Index of the name.
        index: usize,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The embedder's identity is malformed.
    #[error("section EMBD: {detail}")]
    Embedder {
        /// What is wrong.
        detail: String,
    },
    /// The training metadata are malformed.
    #[error("section META: {detail}")]
    Metadata {
        /// What is wrong.
        detail: String,
    },

    /// A vector has the wrong dimension.
    #[error("the vector has dimension {found}; the artifact's is {expected}")]
    VectorDim {
        /// Dimension of the artifact.
        expected: usize,
        /// Dimension of the vector.
        found: usize,
    },
    /// A vector holds NaN or infinity.
    #[error("{} holds {value} at position {index}; every value must be finite", vector(*row))]
    VectorNotFinite {
        /// Which vector of a batch; `None` for a single one.
        row: Option<usize>,
        /// Position in the vector.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A model is named that the artifact does not hold.
    #[error(
        "{argument} names the model {name:?}, which the artifact does not hold; it holds {known}"
    )]
    UnknownModel {
        /// The argument: `allow`, `deny`, `prices`, `previous_model` or `after_failure`.
        argument: &'static str,
        /// The name.
        name: String,
        /// The names that it holds, separated by commas, at most some.
        known: String,
    },
    /// A wish is out of range.
    #[error("{argument} is {value:?}; it must be {rule}")]
    Option {
        /// Name of the argument.
        argument: String,
        /// Its value.
        value: f64,
        /// What it must be.
        rule: &'static str,
    },
    /// There is no such answer to a novel prompt.
    #[error("on_novel is {0:?}; it must be \"default\", \"best_overall\" or \"error\"")]
    OnNovel(String),
    /// A prompt is novel, and the caller wants none.
    #[error(
        "{} is novel: {:.1}% of the training prompts lay nearer to their cluster, and \
         above {:.1}% a prompt is unlike them; send it elsewhere, or ask on_novel for a model",
        row.map_or_else(|| "the prompt".into(), |row| format!("vector {row}")),
        novelty * 100.0,
        limit * 100.0
    )]
    Novel {
        /// Which vector of a batch; `None` for a single one.
        row: Option<usize>,
        /// Share of the training prompts that lie nearer, 0 to 1.
        novelty: f64,
        /// Share above which a prompt is novel.
        limit: f64,
    },
    /// The limits leave no model.
    #[error(
        "no model is left{} in cluster {cluster}: of {models} models {allowed} are allowed, and \
         none of these meets {limits}; loosen the limits",
        row.map_or_else(String::new, |row| format!(" for vector {row}"))
    )]
    NoCandidate {
        /// Which vector of a batch; `None` for a single one.
        row: Option<usize>,
        /// Its nearest centroid.
        cluster: u32,
        /// Models in the artifact.
        models: usize,
        /// Models that `allow` and `deny` leave.
        allowed: usize,
        /// The limits in force.
        limits: String,
    },
    /// The bytes of a decision, for another process, are not what was written.
    #[error(
        "not the bytes of a {of}: {what} is wrong; they are damaged, or another version of \
         hypernova wrote them: write them again with this one"
    )]
    State {
        /// What the bytes should hold.
        of: &'static str,
        /// What is wrong with them.
        what: &'static str,
    },
    /// A kernel was asked for that is unknown, or that this CPU lacks.
    #[error("HYPERNOVA_SIMD asks for {name:?}, which this CPU does not have; it has {available}")]
    SimdLevel {
        /// What was asked for.
        name: String,
        /// What is to be had.
        available: String,
    },
}

/// The vector that a message is about.
fn vector(row: Option<usize>) -> String {
    row.map_or_else(|| "the vector".into(), |row| format!("vector {row}"))
}

/// A path in one line, whatever characters it has.
fn shown(path: &Path) -> String {
    let escaped = |c: char| -> String {
        if c.is_control() {
            c.escape_default().collect()
        } else {
            c.into()
        }
    };
    path.to_string_lossy().chars().map(escaped).collect()
}

impl Error {
    /// Say in which file the error is.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::InFile {
            path: path.into(),
            source: Box::new(self),
        }
    }

    /// The error itself, without the file it is in.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::InFile { source, .. } => source.root(),
            other => other,
        }
    }

    /// The same error, for a vector in this cluster.
    pub(crate) fn in_cluster(self, found: u32) -> Self {
        match self {
            Self::NoCandidate {
                row,
                models,
                allowed,
                limits,
                ..
            } => Self::NoCandidate {
                row,
                cluster: found,
                models,
                allowed,
                limits,
            },
            other => other,
        }
    }

    /// The same error, for another vector of a batch.
    pub(crate) fn at_row(self, at: usize) -> Self {
        match self {
            Self::VectorNotFinite { index, value, .. } => Self::VectorNotFinite {
                row: Some(at),
                index,
                value,
            },
            Self::Novel { novelty, limit, .. } => Self::Novel {
                row: Some(at),
                novelty,
                limit,
            },
            Self::NoCandidate {
                cluster,
                models,
                allowed,
                limits,
                ..
            } => Self::NoCandidate {
                row: Some(at),
                cluster,
                models,
                allowed,
                limits,
            },
            other => other,
        }
    }
}
