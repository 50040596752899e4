//! The core of hypernova: the artifact, exact search of the nearest centroid, and the rule
//! that chooses a model.
//!
//! Not here: Python, models that have to be run, and training.
//!
//! ```no_run
//! use hypernova_core::{Artifact, RouteOptions};
//!
//! let artifact = Artifact::open("router.hnv".as_ref())?;
//! let vector = vec![0.0; artifact.dim()];
//! let decision = artifact.decide(&vector, &RouteOptions::defaults(&artifact))?;
//! println!("{}", artifact.model_name(decision.model));
//! # Ok::<(), hypernova_core::Error>(())
//! ```

#[cfg(target_endian = "big")]
compile_error!(
    "artifacts and models are read in place and are little-endian, as this target is not"
);

pub mod artifact;

pub mod decide;
pub mod detached;

pub mod error;
mod estimate;
pub mod explain;
mod file;
pub mod format;
pub mod id;
pub mod nearest;
pub mod options;
pub mod policy;
mod profile;
pub mod text;

/// The crate's README, whose example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The specification of the file format.
#[doc = include_str!("../FORMAT.md")]
pub mod specification {}

pub use artifact::Artifact;
pub use decide::Decision;
pub use detached::DetachedDecision;
pub use error::Error;
pub use explain::Explanation;
pub use file::{Mmap, sha256};
pub use format::{ArtifactValues, GroupCorrection, GroupProfiles, LinearCorrection, TokenProfiles};
pub use nearest::SimdLevel;
pub use options::{Group, OnNovel, Price, PromptFacts, PromptLength, Request, RouteOptions};
pub use policy::{ModelEstimate, RankingEntry, Reason};
pub use profile::{Groups, Profile};
