//! The artifact: validated bytes, in memory or mapped from a file, and their values.
//!
//! Not here: files (`file.rs`), validation ([`crate::format`]) and decisions
//! ([`crate::decide`]).

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;

use crate::error::Error;
use crate::file::{self, Mmap, Storage};
use crate::format::{self, ArtifactValues, Blending, Embedder, Layout, Policy, tag};
use crate::nearest::{self, NearSearch, Nearest, Pruner, QUERY_BATCH, Screen, SimdLevel, TopK};

/// Everything that routing needs, read from one file: immutable, and safe to share among
/// threads.
pub struct Artifact {
    storage: Storage,
    layout: Layout,
    path: Option<PathBuf>,
    level: SimdLevel,
    /// Proves of most centroids that they are not the nearest; `None` where that does not pay.
    pruner: Option<Pruner>,
    /// Bounds corrections, so that few are computed; `None` where that does not pay.
    screen: Option<Screen>,
    /// Cache of the choice under default options for each row of the profiles, see
    /// [`crate::decide`].
    pub(crate) default_choices: Box<[AtomicU32]>,
    /// Indices of the models in the order of their names, for a binary search.
    models_by_name: Box<[u32]>,
    /// Indices of the groups in the order of their names.
    pub(crate) groups_by_name: Box<[u32]>,
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
    /// Read the file at `path` into memory and validate it.
    ///
    /// Later changes of the file do not change the artifact. A file that is written while it
    /// is read is refused, because the checksums do not match.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around the operating system's error, or around the first rule of
    /// `FORMAT.md` that the file breaks; [`Error::SimdLevel`] if `HYPERNOVA_SIMD` names a
    /// level that this CPU lacks.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let level = SimdLevel::from_env()?;
        Self::opened(path, level, Storage::read(path))
    }

    /// Map the file at `path` and validate it.
    ///
    /// Processes that map the same file share its pages.
    ///
    /// # Safety
    ///
    /// While the artifact lives, no process may write to the file or truncate it: validated
    /// values would change, and an access to a page that is gone ends the process (`SIGBUS`).
    /// Renaming another file over it is safe; [`Self::save`] does that.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub unsafe fn map(path: &Path) -> Result<Self, Error> {
        // SAFETY: the caller vouches for the file.
        unsafe { Self::open_with(path, Mmap::Always) }
    }

    /// Read or map the file at `path` and validate it.
    ///
    /// # Safety
    ///
    /// As [`Self::map`] where the file is mapped: with [`Mmap::Always`], and with
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
            Mmap::Never => return Self::opened(path, level, Storage::read(path)),
        };
        // SAFETY: the caller vouches for the file.
        Self::opened(path, level, unsafe {
            Storage::map_larger_than(path, limit)
        })
    }

    fn opened(
        path: &Path,
        level: SimdLevel,
        storage: Result<Storage, Error>,
    ) -> Result<Self, Error> {
        let parsed = storage.and_then(|storage| {
            let layout = format::parse(storage.bytes())?;
            Ok((storage, layout))
        });
        let (storage, layout) = parsed.map_err(|e| e.in_file(path))?;
        Ok(Self::new(storage, layout, Some(path.to_owned()), level))
    }

    /// Copy `bytes` and validate them.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], without [`Error::InFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let level = SimdLevel::from_env()?;
        let layout = format::parse(bytes)?;
        Ok(Self::new(Storage::copied(bytes), layout, None, level))
    }

    /// Build an artifact in memory.
    ///
    /// # Errors
    ///
    /// The error of the first rule of `FORMAT.md` that the values break.
    pub fn build(values: &ArtifactValues) -> Result<Self, Error> {
        // The file stores offsets and slopes in one section, whose length does not show an offset
        // too many and a slope too few.
        let (models, dim) = (values.models.len(), values.dim as usize);
        let check = |tag, rows: usize, offsets: &[f32], slopes: &[f32]| {
            let lengths = [rows.saturating_mul(models), models.saturating_mul(dim)];
            if [offsets.len(), slopes.len()] == lengths {
                return Ok(());
            }
            Err(Error::SectionLength {
                tag,
                expected: format!("4 x {} and 4 x {models} x {dim}", lengths[0]),
                found: 4 * (offsets.len() + slopes.len()) as u64,
            })
        };
        if let Some(own) = &values.correction {
            check(tag::SLOPES, 1, &own.offsets, &own.slopes)?;
        }
        if let Some(groups) = &values.groups {
            // A reader takes the number of groups from this section, and would find that the names
            // do not end where they must.
            if groups.tasks.len() != groups.names.len() {
                return Err(Error::SectionLength {
                    tag: tag::GROUP_TASKS,
                    expected: format!("8 for each of {} names of groups", groups.names.len()),
                    found: 8 * groups.tasks.len() as u64,
                });
            }
            if let Some(own) = &groups.correction {
                let rows = groups.names.len();
                check(tag::GROUP_CORRECTION, rows, &own.offsets, &own.slopes)?;
            }
        }
        Self::from_bytes(&format::encode(values))
    }

    fn new(storage: Storage, layout: Layout, path: Option<PathBuf>, level: SimdLevel) -> Self {
        let mut this = Self {
            storage,
            layout,
            path,
            level,
            pruner: None,
            screen: None,
            default_choices: Box::default(),
            models_by_name: Box::default(),
            groups_by_name: Box::default(),
            sha256: OnceLock::new(),
        };
        this.screen = this
            .slopes()
            .and_then(|slopes| Screen::new(level, slopes, this.dim()));
        let is_coded = this.screen.is_some();
        this.pruner = Pruner::new(level, this.centroids(), this.dim(), is_coded);
        this.default_choices = (0..=this.n_clusters()).map(|_| AtomicU32::new(0)).collect();
        let mut models_by_name: Box<[u32]> = (0..this.n_models() as u32).collect();
        models_by_name.sort_unstable_by_key(|&m| this.name_bytes(m));
        this.models_by_name = models_by_name;
        let mut groups_by_name: Box<[u32]> = (0..this.n_groups() as u32).collect();
        groups_by_name.sort_unstable_by_key(|&group| this.group_name(group).as_bytes());
        this.groups_by_name = groups_by_name;
        this
    }

    /// Find the nearest centroid to a finite vector of `dim` values.
    pub(crate) fn nearest(&self, vector: &[f32]) -> Nearest {
        match &self.pruner {
            Some(pruner) => pruner.nearest(self.level, vector, self.centroids()),
            None => nearest::nearest(self.level, vector, self.centroids()),
        }
    }

    /// Find the nearest centroid to each of four finite vectors; `None` where one search for all of
    /// them is not faster.
    pub(crate) fn nearest_batch(&self, vectors: &[f32]) -> Option<[Nearest; QUERY_BATCH]> {
        let pruner = self.pruner.as_ref()?;
        pruner.nearest_batch(self.level, vectors, self.centroids())
    }

    /// Find the `count` nearest centroids to a finite vector of `dim` values.
    pub(crate) fn nearest_k(&self, vector: &[f32], count: usize) -> TopK {
        match &self.pruner {
            Some(pruner) => pruner.nearest_k(self.level, vector, self.centroids(), count),
            None => nearest::nearest_k(self.level, vector, self.centroids(), count),
        }
    }

    /// A search for the `count` nearest centroids that may leave out those that are farther than the
    /// nearest by a squared distance of more than `gap`, with bounds of the corrections.
    pub(crate) fn near_search(&self, count: usize, gap: f32) -> NearSearch<'_> {
        NearSearch {
            level: self.level,
            centroids: self.centroids(),
            pruner: self.pruner.as_ref(),
            screen: self.screen.as_ref(),
            count,
            gap,
        }
    }

    /// Search with the kernels of another SIMD level. All levels give the same answers.
    #[must_use]
    pub fn with_level(mut self, level: SimdLevel) -> Self {
        self.level = level;
        self
    }

    /// Write the artifact to `path`, atomically.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] in [`Error::InFile`]; the file at `path` is then unchanged.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        file::save(self.bytes(), path)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    /// SHA-256 of the file in hexadecimal digits; computed at the first call.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| file::sha256(self.bytes()))
    }

    /// The path that the artifact was opened from, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Set the path that [`Self::path`] returns.
    #[must_use]
    pub fn with_path(mut self, path: PathBuf) -> Self {
        self.path = Some(path);
        self
    }

    /// Whether the file is mapped; if so, it must not be written in place, see [`Self::map`].
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.storage.is_mapped()
    }

    /// The SIMD level that the search uses.
    #[must_use]
    pub fn level(&self) -> SimdLevel {
        self.level
    }

    /// Format version of the file, major and minor.
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

    /// Name of the model at index `model`.
    ///
    /// # Panics
    ///
    /// If `model` is not below [`Self::n_models`].
    #[must_use]
    pub fn model_name(&self, model: u32) -> &str {
        // The names were validated, so that the default is never used.
        std::str::from_utf8(self.name_bytes(model)).unwrap_or_default()
    }

    fn name_bytes(&self, model: u32) -> &[u8] {
        self.part(&self.layout.names[model as usize])
    }

    /// Index of the model called `name`; `None` if the artifact does not hold it.
    #[must_use]
    pub fn model_index(&self, name: &str) -> Option<u32> {
        let name = name.as_bytes();
        let at = (self.models_by_name).binary_search_by(|&m| self.name_bytes(m).cmp(name));
        at.ok().map(|at| self.models_by_name[at])
    }

    /// Defaults of the route options and parameters of the decision rule.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.layout.policy
    }

    /// The fields of the embedder's identity that the core reads.
    #[must_use]
    pub fn embedder(&self) -> &Embedder {
        &self.layout.embedder
    }

    /// The embedder's identity, as JSON.
    #[must_use]
    pub fn embedder_json(&self) -> &str {
        std::str::from_utf8(self.part(&self.layout.embedder_json)).unwrap_or_default()
    }

    /// How the artifact was made, as JSON; empty if the file has no metadata.
    #[must_use]
    pub fn metadata(&self) -> &str {
        self.layout.metadata.as_ref().map_or("", |range| {
            std::str::from_utf8(self.part(range)).unwrap_or_default()
        })
    }

    /// Centroids, `n_clusters` x `dim`.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        self.f32s(&self.layout.centroids)
    }

    /// Numbers of outcomes, `n_clusters + 1` x `n_models`; the last row is the whole table.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        self.f64s(&self.layout.counts)
    }

    /// Mean scores, `n_clusters + 1` x `n_models`.
    #[must_use]
    pub fn mean(&self) -> &[f32] {
        self.f32s(&self.layout.mean)
    }

    /// Success estimates, `n_clusters + 1` x `n_models`.
    #[must_use]
    pub fn success(&self) -> &[f32] {
        self.f32s(&self.layout.success)
    }

    /// Standard errors of the success estimates, `n_clusters + 1` x `n_models`.
    #[must_use]
    pub fn standard_error(&self) -> &[f32] {
        self.f32s(&self.layout.standard_error)
    }

    /// Standard errors of the paired gains over the default model, `n_clusters + 1` x `n_models`.
    #[must_use]
    pub fn gain_error(&self) -> &[f32] {
        self.f32s(&self.layout.gain_error)
    }

    /// Mean costs of a task in USD, `n_clusters + 1` x `n_models`; NaN where unknown.
    #[must_use]
    pub fn cost(&self) -> &[f32] {
        self.f32s(&self.layout.cost)
    }

    /// Mean latencies of a task in seconds, `n_clusters + 1` x `n_models`; NaN where unknown.
    #[must_use]
    pub fn latency(&self) -> &[f32] {
        self.f32s(&self.layout.latency)
    }

    /// Novelty quantiles: distances of training prompts from their centroids, rising.
    #[must_use]
    pub fn novelty_quantiles(&self) -> &[f32] {
        self.f32s(&self.layout.novelty)
    }

    /// How the profiles of the nearest clusters are blended; `None` takes the nearest alone.
    #[must_use]
    pub fn blending(&self) -> Option<Blending> {
        self.layout.blending
    }

    /// Offsets of the linear correction, one for each model; `None` without a correction.
    #[must_use]
    pub fn offsets(&self) -> Option<&[f32]> {
        self.layout.correction.as_ref().map(|[o, _]| self.f32s(o))
    }

    /// Slopes of the linear correction, `n_models` x `dim`; `None` without a correction.
    #[must_use]
    pub fn slopes(&self) -> Option<&[f32]> {
        self.layout.correction.as_ref().map(|[_, s]| self.f32s(s))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes()[range.clone()]
    }

    /// Read a range as f64; see [`Self::f32s`].
    pub(crate) fn f64s(&self, range: &Range<usize>) -> &[f64] {
        bytemuck::cast_slice(self.part(range))
    }

    /// Read a range as f32. Cannot panic: every section starts at a multiple of 64 from an
    /// aligned base, and its length was validated.
    pub(crate) fn f32s(&self, range: &Range<usize>) -> &[f32] {
        bytemuck::cast_slice(self.part(range))
    }
}
