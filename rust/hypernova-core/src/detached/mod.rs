//! Decisions that travel to another process of the same version.
//!
//! Not here: the artifact's own file, which is meant to be stored ([`crate::format`]).

mod decision;
mod encoding;

pub use decision::DetachedDecision;
pub use encoding::{Batch, batch_to_bytes, vectors_to_bytes};
