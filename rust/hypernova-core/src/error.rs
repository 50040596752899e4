//! The error type of the crate: one variant for each rule that can be broken.
//!
//! Not here: advice that depends on the caller's language; the binding adds that.

use std::path::{Path, PathBuf};

use crate::format::tag::Tag;

/// An error of the core: the broken rule, and where it was broken.
///
/// A message is one line. The variants for a file have the names that the reading
/// algorithm in `FORMAT.md` gives them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error in the file at `path`.
    #[error("{}: {source}", shown(path))]
    InFile {
        /// The file as the caller named it.
        path: PathBuf,
        /// The error.
        source: Box<Error>,
    },
    /// The path names no file.
    #[error("there is no such file; check the path")]
    NotFound,
    /// A folder stands where a file was named.
    #[error("is a folder; name a file")]
    Folder,
    /// The operating system refused to read a file.
    #[error("cannot {action}: {source}")]
    Read {
        /// The operation that failed, as in "cannot open it".
        action: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The operating system refused to write a file.
    #[error("cannot {action}: {source}")]
    Write {
        /// The operation that failed, as in "cannot open it".
        action: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },

    /// The file has no bytes.
    #[error("the file is empty; copy or fit the artifact again")]
    Empty,
    /// The file does not begin with the magic.
    #[error("not a hypernova artifact: it starts with \"{}\"; expected a .hnv file", found.escape_ascii())]
    NotAnArtifact {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The file is shorter than a header, or than its header states.
    #[error("the file is cut short: {found} bytes of {expected}; copy or fit it again")]
    Truncated {
        /// Length that the header states, or length of a header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// The file has another major version than this reader.
    #[error(
        "format version {found} is not read by this version, which reads {supported}; \
         upgrade hypernova or fit the artifact again"
    )]
    MajorVersion {
        /// Major version of the file.
        found: u16,
        /// Major version of this reader.
        supported: u16,
    },
    /// The file is longer than its header states, or does not end with its last section.
    #[error("the file has {found} bytes where {expected} are stated; copy or fit it again")]
    FileLength {
        /// Length stated.
        expected: u64,
        /// Length found.
        found: u64,
    },
    /// The number of sections is 0, above 64, or too large for the file.
    #[error("damaged header: {found} sections; 1 to 64 that fit the file were expected")]
    SectionCount {
        /// Number stated.
        found: u32,
    },
    /// The checksum of header and section table does not match.
    #[error("damaged header: checksum {computed:08x}, stated {stated:08x}; copy or fit it again")]
    HeadChecksum {
        /// Checksum in the file.
        stated: u32,
        /// Checksum of the bytes.
        computed: u32,
    },
    /// The number of clusters, the dimension or the number of models is zero.
    #[error("clusters {clusters}, dimension {dim}, models {models}: each must be at least 1")]
    Dimensions {
        /// Number of clusters stated.
        clusters: u32,
        /// Dimension stated.
        dim: u32,
        /// Number of models stated.
        models: u32,
    },
    /// A reserved byte or flag is not zero.
    #[error("reserved byte at offset {offset} is not zero")]
    Reserved {
        /// Its offset in the file.
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
    /// A section overlaps the one before, or leaves a gap behind it.
    #[error("section {tag} starts at {found}; it must start at {expected}")]
    SectionOffset {
        /// Its tag.
        tag: Tag,
        /// Offset at which it must start.
        expected: u64,
        /// Offset that the section table states.
        found: u64,
    },
    /// A section ends after the file.
    #[error("section {tag} of {length} bytes at {offset} passes the end of the file at {file}")]
    SectionEnd {
        /// Its tag.
        tag: Tag,
        /// Offset at which it starts.
        offset: u64,
        /// Its length.
        length: u64,
        /// Length of the file.
        file: u64,
    },
    /// A byte between two sections is not zero.
    #[error("padding byte at offset {offset} is not zero")]
    Padding {
        /// Its offset in the file.
        offset: u64,
    },
    /// The checksum of a section does not match.
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
    /// A required section is unknown to this reader.
    #[error("section {tag} is required and unknown to this version; upgrade hypernova")]
    UnknownSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section of every artifact is missing, or is not marked as required.
    #[error("section {tag} is missing or not marked as required")]
    MissingSection {
        /// Its tag.
        tag: Tag,
    },
    /// A section has another length than its contents need.
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
        /// The broken rule.
        rule: &'static str,
    },
    /// A model's name is malformed.
    #[error("section MODL, name {index}: {rule}")]
    ModelNames {
        /// Index of the name.
        index: usize,
        /// The broken rule.
        rule: &'static str,
    },
    /// A group's name is malformed.
    #[error("section GNAM, name {index}: {rule}")]
    GroupNames {
        /// Index of the name.
        index: usize,
        /// The broken rule.
        rule: &'static str,
    },
    /// The embedder's identity is malformed.
    #[error("section EMBD: {detail}")]
    Embedder {
        /// The defect.
        detail: String,
    },
    /// A `tokenizer.json` is malformed.
    #[error("not a tokenizer: {detail}; export the embedder again")]
    Tokenizer {
        /// The defect, and where it is.
        detail: String,
    },
    /// The training metadata are malformed.
    #[error("section META: {detail}")]
    Metadata {
        /// The defect.
        detail: String,
    },

    /// An ONNX file is cut short or damaged.
    #[error(
        "not a whole ONNX file: what stands at byte {at} of {length} does not fit; copy or export \
         the embedder again"
    )]
    Model {
        /// Offset at which reading stopped.
        at: usize,
        /// Length of the file.
        length: usize,
    },
    /// A tensor of an ONNX file that is a lookup breaks a rule.
    #[error("tensor {name:?}: {detail}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// The broken rule, and what was found.
        detail: String,
    },
    /// A file has another SHA-256 than it should have.
    #[error("its sha256 is {found}, not {expected}; copy or export the embedder again")]
    Sha256 {
        /// The one expected, in hex digits.
        expected: String,
        /// That of the file.
        found: String,
    },
    /// A token is none of those of a lookup table.
    #[error(
        "token {token} at position {index} is not one of the {vocabulary} of the table; the \
         tokenizer and the model do not belong together"
    )]
    Token {
        /// Position of the token in the text.
        index: usize,
        /// The token.
        token: u32,
        /// Number of tokens of the table.
        vocabulary: usize,
    },
    /// The sum of rows of a lookup table is NaN or infinite.
    #[error(
        "the rows of these tokens add up to a vector that is not finite; export the embedder again"
    )]
    SumNotFinite,

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
        /// Row of the vector in a batch; `None` for a single vector.
        row: Option<usize>,
        /// Position in the vector.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// An argument names a model that the artifact does not hold.
    #[error(
        "{argument} names the model {name:?}, which the artifact does not hold; it holds {known}"
    )]
    UnknownModel {
        /// The argument: `allow`, `deny`, `prices`, `previous_model` or `after_failure`.
        argument: &'static str,
        /// The name.
        name: String,
        /// Names of the artifact's models, separated by commas, at most the first 30.
        known: String,
    },
    /// A price for tokens is given for a model whose tokens are unknown.
    #[error(
        "prices gives {model:?} a price for tokens, but the artifact does not know how many it \
         reads and writes; give USD of a task, or fit on outcomes with input_tokens and \
         output_tokens"
    )]
    TokensUnknown {
        /// Name of the model.
        model: String,
    },
    /// A route option is out of range.
    #[error("{argument} is {value:?}; it must be {rule}")]
    Option {
        /// Name of the argument.
        argument: String,
        /// Its value.
        value: f64,
        /// The range, for the message.
        rule: &'static str,
    },
    /// `on_novel` has a value that is not defined.
    #[error("on_novel is {0:?}; it must be \"default\", \"best_overall\" or \"error\"")]
    OnNovel(String),
    /// A prompt is novel, and the caller asked for an error in this case.
    #[error(
        "{} is novel: {:.1}% of the training prompts lie nearer to their centroids, and the \
         limit is {:.1}%; send it elsewhere, or set on_novel to get a model",
        row.map_or_else(|| "the prompt".into(), |row| format!("vector {row}")),
        novelty * 100.0,
        limit * 100.0
    )]
    Novel {
        /// Row of the vector in a batch; `None` for a single vector.
        row: Option<usize>,
        /// Share of the training prompts that lie nearer to their centroids, 0 to 1.
        novelty: f64,
        /// Share above which a prompt is novel.
        limit: f64,
    },
    /// No model meets the caller's limits.
    #[error(
        "no model is left{} in cluster {cluster}: of {models} models {allowed} are allowed, and \
         none of these meets {limits}; loosen the limits",
        row.map_or_else(String::new, |row| format!(" for vector {row}"))
    )]
    NoCandidate {
        /// Row of the vector in a batch; `None` for a single vector.
        row: Option<usize>,
        /// Index of the nearest centroid.
        cluster: u32,
        /// Models in the artifact.
        models: usize,
        /// Models that `allow` and `deny` leave.
        allowed: usize,
        /// The limits, for the message.
        limits: String,
    },
    /// The bytes of a pickled decision are damaged or of another version.
    #[error(
        "not the bytes of a {of}: {what} is wrong; they are damaged, or another version of \
         hypernova wrote them: write them again with this one"
    )]
    State {
        /// The kind of object that the bytes should hold.
        of: &'static str,
        /// The part that is malformed.
        what: &'static str,
    },
    /// `HYPERNOVA_SIMD` names a level that is unknown, or that this CPU lacks.
    #[error("HYPERNOVA_SIMD asks for {name:?}, which this CPU does not have; it has {available}")]
    SimdLevel {
        /// The name.
        name: String,
        /// Names of the levels that this CPU has.
        available: String,
    },
}

/// Name a vector in a message.
fn vector(row: Option<usize>) -> String {
    row.map_or_else(|| "the vector".into(), |row| format!("vector {row}"))
}

/// Write a path on one line, with its control characters escaped.
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
    /// Add the path of the file that the error is in.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::InFile {
            path: path.into(),
            source: Box::new(self),
        }
    }

    /// Return the error without the path of its file.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::InFile { source, .. } => source.root(),
            other => other,
        }
    }

    /// Set the cluster of [`Error::NoCandidate`]; return other errors unchanged.
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

    /// Set the row of an error about one vector; return other errors unchanged.
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
