//! The format of an artifact, by the rules of `FORMAT.md`.
//!
//! Not here: files (see [`crate::artifact`]).

mod check;
mod encode;
mod head;
mod layout;
mod optional;
mod parse;
pub(crate) mod tag;
mod values;

pub(crate) use encode::encode;
pub(crate) use head::stated_length;
pub(crate) use layout::HEADER_LEN;
pub use layout::{MAGIC, MAJOR, MINOR};
pub use parse::{Layout, parse};
pub use tag::Tag;
pub use values::{
    ArtifactValues, Blending, Embedder, EmbedderKind, GroupCorrection, GroupProfiles,
    LinearCorrection, Policy, TokenProfiles,
};
