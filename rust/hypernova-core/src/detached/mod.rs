//! Decisions for another process of the same version.
//!
//! Not here: the artifact's own file, which is for keeping ([`crate::format`]).

mod decision;
mod encoding;

pub use decision::DetachedDecision;
pub use encoding::{Batch, batch_to_bytes, vectors_to_bytes};
