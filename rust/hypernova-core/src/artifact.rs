//! An artifact that has been validated, held in memory or mapped from a file.
//!
//! Not here: the reading and mapping of files (`file.rs`), the rules (see
//! [`crate::format`]) and decisions (see [`crate::decide`]).

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::file::{self, Backing, Mmap};
use crate::format::{self, Embedder, Layout, Parts, Policy, Soft, tag};
use crate::nearest::{self, FOUR, Nearest, Pruner, SimdLevel, TopK};

#[cfg(target_endian = "big")]
compile_error!("the sections of an artifact are read in place and are little-endian");

/// Everything that routing needs, immutable, and safe to share among threads.
pub struct Artifact {
    backing: Backing,
    layout: Layout,
    path: Option<PathBuf>,
    level: SimdLevel,
    /// Rules most centroids out; `None` where that would not pay.
    screen: Option<Pruner>,
    /// What the defaults choose in each row of the profiles; see [`crate::decide`].
    pub(crate) chosen: Box<[AtomicU32]>,
    /// Models in the order of their names, to find one by name.
    by_name: Box<[u32]>,
    sha256: OnceLock<String>,
}

impl std::fmt::Debug for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifact")
            .field("path", &self.path)
            .field("clusters", &self.n_clusters())
            .field("dim", &self.dim())
            .field("models", &self.n_models())
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Artifact {
    /// Read the file at `path` into memory and validate all of it.
    ///
    /// Nothing that is done to the file later changes the artifact. If the file is written
    /// while it is read, the checksums do not match, and it is refused.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around what the operating system said or the first rule
    /// of `FORMAT.md` that the file breaks; [`Error::SimdLevel`] if `HYPERNOVA_SIMD`
    /// asks for a kernel that is not to be had.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let level = SimdLevel::from_env()?;
        Self::opened(path, level, Backing::read(path))
    }

    /// Map the file at `path` and validate all of it.
    ///
    /// Processes that map the same file share its pages, and none has to hold it.
    ///
    /// # Safety
    ///
    /// As long as the artifact lives, nobody may write to the file or cut it, in this
    /// process or another: all that was validated would be so no more, and a page that is
    /// gone ends the process (`SIGBUS`). To rename another file over it is safe, and
    /// [`Self::save`] does that.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub unsafe fn map(path: &Path) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the file.
        unsafe { Self::open_with(path, Mmap::Always) }
    }

    /// Read or map the file at `path`, as `mmap` says, and validate all of it.
    ///
    /// # Safety
    ///
    /// As [`Self::map`], wherever the file is mapped: with [`Mmap::Always`], and with
    /// [`Mmap::Auto`] if it is larger than [`Mmap::AUTO_LIMIT`].
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub unsafe fn open_with(path: &Path, mmap: Mmap) -> Result<Self, Error> {
        let level = SimdLevel::from_env()?;
        let limit = match mmap {
            Mmap::Auto => Some(Mmap::AUTO_LIMIT),
            Mmap::Always => None,
            Mmap::Never => return Self::opened(path, level, Backing::read(path)),
        };
        // SAFETY: the caller vouches for the file.
        Self::opened(path, level, unsafe { Backing::map_above(path, limit) })
    }

    fn opened(
        path: &Path,
        level: SimdLevel,
        backing: Result<Backing, Error>,
    ) -> Result<Self, Error> {
        let parsed = backing.and_then(|backing| {
            let layout = format::parse(backing.bytes())?;
            Ok((backing, layout))
        });
        let (backing, layout) = parsed.map_err(|e| e.in_file(path))?;
        Ok(Self::new(backing, layout, Some(path.to_owned()), level))
    }

    /// Validate a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], without the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let level = SimdLevel::from_env()?;
        let layout = format::parse(bytes)?;
        Ok(Self::new(Backing::copied(bytes), layout, None, level))
    }

    /// Make an artifact of `parts`, in memory.
    ///
    /// # Errors
    ///
    /// The first rule of `FORMAT.md` that the values break.
    pub fn build(parts: &Parts) -> Result<Self, Error> {
        if let Some(correction) = &parts.correction {
            // The file holds both in one section: its length alone does not tell
            // that a value too many of one makes up for a missing one of the other.
            let (models, dim) = (parts.models.len(), parts.dim as usize);
            let lengths = [models, models.saturating_mul(dim)];
            if [correction.offsets.len(), correction.slopes.len()] != lengths {
                return Err(Error::SectionLength {
                    tag: tag::SLOPES,
                    expected: format!("4 x {models} and 4 x {models} x {dim}"),
                    found: 4 * (correction.offsets.len() + correction.slopes.len()) as u64,
                });
            }
        }
        Self::from_bytes(&format::encode(parts))
    }

    fn new(backing: Backing, layout: Layout, path: Option<PathBuf>, level: SimdLevel) -> Self {
        let mut this = Self {
            backing,
            layout,
            path,
            level,
            screen: None,
            chosen: Box::default(),
            by_name: Box::default(),
            sha256: OnceLock::new(),
        };
        this.screen = Pruner::new(level, this.centroids(), this.dim());
        this.chosen = (0..=this.n_clusters()).map(|_| AtomicU32::new(0)).collect();
        let mut by_name: Box<[u32]> = (0..this.n_models() as u32).collect();
        by_name.sort_unstable_by_key(|&m| this.name_bytes(m));
        this.by_name = by_name;
        this
    }

    /// The nearest centroid to a finite vector of `dim` values.
    pub(crate) fn nearest(&self, vector: &[f32]) -> Nearest {
        match &self.screen {
            Some(screen) => screen.nearest(self.level, vector, self.centroids()),
            None => nearest::nearest(self.level, vector, self.centroids()),
        }
    }

    /// The nearest centroids to four finite vectors, where it gains to search at once.
    pub(crate) fn nearest_four(&self, vectors: &[f32]) -> Option<[Nearest; FOUR]> {
        let screen = self.screen.as_ref()?;
        screen.nearest_four(self.level, vectors, self.centroids())
    }

    /// The `count` nearest centroids to a finite vector of `dim` values.
    pub(crate) fn nearest_k(&self, vector: &[f32], count: usize) -> TopK {
        match &self.screen {
            Some(screen) => screen.nearest_k(self.level, vector, self.centroids(), count),
            None => nearest::nearest_k(self.level, vector, self.centroids(), count),
        }
    }

    /// The same artifact, searched by another kernel.
    #[must_use]
    pub fn with_level(mut self, level: SimdLevel) -> Self {
        self.level = level;
        self
    }

    /// Write the artifact to `path`, atomically.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] in [`Error::InFile`]; what stood at `path` is as it was.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        file::save(self.bytes(), path)
    }

    /// The file, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.backing.bytes()
    }

    /// SHA-256 of the file in hexadecimal digits; computed when first asked for.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| {
            use std::fmt::Write as _;
            let digest = Sha256::digest(self.bytes());
            digest.iter().fold(String::with_capacity(64), |mut s, b| {
                write!(s, "{b:02x}").expect("a string takes all that is written");
                s
            })
        })
    }

    /// The file it was opened from, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The same artifact, as if it had been opened from `path`.
    #[must_use]
    pub fn with_path(mut self, path: PathBuf) -> Self {
        self.path = Some(path);
        self
    }

    /// Whether it lies in a mapped file, which must then not be written in place.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.backing.is_mapped()
    }

    /// The kernel that searches it.
    #[must_use]
    pub fn level(&self) -> SimdLevel {
        self.level
    }

    /// Version of the format, major and minor.
    #[must_use]
    pub fn version(&self) -> (u16, u16) {
        (format::MAJOR, self.layout.minor)
    }

    /// Number of clusters.
    #[must_use]
    pub fn n_clusters(&self) -> usize {
        self.layout.clusters
    }

    /// Dimension of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.layout.dim
    }

    /// Number of models.
    #[must_use]
    pub fn n_models(&self) -> usize {
        self.layout.models
    }

    /// Name of a model.
    ///
    /// # Panics
    ///
    /// If there is no such model.
    #[must_use]
    pub fn model_name(&self, model: u32) -> &str {
        // Validated at open, so the empty string never shows.
        std::str::from_utf8(self.name_bytes(model)).unwrap_or_default()
    }

    fn name_bytes(&self, model: u32) -> &[u8] {
        self.part(&self.layout.names[model as usize])
    }

    /// Index of the model of that name.
    #[must_use]
    pub fn model_index(&self, name: &str) -> Option<u32> {
        let name = name.as_bytes();
        let at = (self.by_name).binary_search_by(|&m| self.name_bytes(m).cmp(name));
        at.ok().map(|at| self.by_name[at])
    }

    /// Defaults of the decision rule.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.layout.policy
    }

    /// The embedder's identity, as far as the core reads it.
    #[must_use]
    pub fn embedder(&self) -> &Embedder {
        &self.layout.embedder
    }

    /// The embedder's identity, as JSON.
    #[must_use]
    pub fn embedder_json(&self) -> &str {
        std::str::from_utf8(self.part(&self.layout.embedder_json)).unwrap_or_default()
    }

    /// How the artifact was made, as JSON; empty if the file does not say.
    #[must_use]
    pub fn metadata(&self) -> &str {
        self.layout.metadata.as_ref().map_or("", |range| {
            std::str::from_utf8(self.part(range)).unwrap_or_default()
        })
    }

    /// Centroids, clusters x dim.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        self.f32s(&self.layout.centroids)
    }

    /// Outcomes counted, (clusters + 1) x models.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        bytemuck::cast_slice(self.part(&self.layout.counts))
    }

    /// Mean scores, (clusters + 1) x models.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        self.f32s(&self.layout.mean)
    }

    /// Shrunk success estimates, (clusters + 1) x models.
    #[must_use]
    pub fn success(&self) -> &[f32] {
        self.f32s(&self.layout.success)
    }

    /// Standard errors of the estimates, (clusters + 1) x models.
    #[must_use]
    pub fn standard_error(&self) -> &[f32] {
        self.f32s(&self.layout.standard_error)
    }

    /// Standard errors of the paired gains over the default model, (clusters + 1) x models.
    #[must_use]
    pub fn gain_error(&self) -> &[f32] {
        self.f32s(&self.layout.gain_error)
    }

    /// Mean costs in USD, (clusters + 1) x models; NaN where unknown.
    #[must_use]
    pub fn cost(&self) -> &[f32] {
        self.f32s(&self.layout.cost)
    }

    /// Mean latencies in seconds, (clusters + 1) x models; NaN where unknown.
    #[must_use]
    pub fn latency(&self) -> &[f32] {
        self.f32s(&self.layout.latency)
    }

    /// Novelty quantiles, rising.
    #[must_use]
    pub fn novelty_quantiles(&self) -> &[f32] {
        self.f32s(&self.layout.novelty)
    }

    /// How the profiles of several clusters are blended; `None` takes the nearest alone.
    #[must_use]
    pub fn soft(&self) -> Option<Soft> {
        self.layout.soft
    }

    /// What is added to the success estimates where the vector is 0, one value a model.
    #[must_use]
    pub fn offsets(&self) -> Option<&[f32]> {
        self.layout.correction.as_ref().map(|[o, _]| self.f32s(o))
    }

    /// How it changes with the vector, models x dim.
    #[must_use]
    pub fn slopes(&self) -> Option<&[f32]> {
        self.layout.correction.as_ref().map(|[_, s]| self.f32s(s))
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes()[range.clone()]
    }

    /// Cannot panic: every section starts at a multiple of 64 from an aligned
    /// base, and its length was checked when it was opened.
    fn f32s(&self, range: &Range<usize>) -> &[f32] {
        bytemuck::cast_slice(self.part(range))
    }
}
