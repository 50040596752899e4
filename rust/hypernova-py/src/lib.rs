//! Python binding of `hypernova-core`: convert arguments, call, map errors.
//!
//! Not here: any decision; what this module returns is what the core said.

mod array;
mod convert;
mod decision;
mod errors;
mod explanation;
mod options;
mod pickle;

use std::sync::Arc;

use hypernova_core as core;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::array::{Fresh, Matrix, matrix_f32, numbers, vector_f32};
use crate::convert::{Index, Mmap, Number};
use crate::decision::{Decision, Decisions, RankingEntry};
use crate::errors::{ArtifactWriteError, NotFoundError, raise};
use crate::options::{Arguments, Given};
use crate::pickle::{Reduced, reduced};

/// Values of all centroids above which a single search releases the GIL: some 2 us.
const FREE_ABOVE: usize = 200_000;
/// Rows that are copied at a time: as many as the core searches for at once. They stay in
/// the nearest cache until they are decided; 8 and 16 took some 2% longer.
const ROWS_AT_A_TIME: usize = 4;

/// Decide for every row of a matrix that others may write to; with it, what was decided
/// on, if rankings will need it.
fn decide_some_at_a_time(
    artifact: &core::Artifact,
    matrix: &Matrix,
    options: &core::RouteOptions,
) -> Result<(Vec<core::Decision>, Vec<f32>), core::Error> {
    let mut decided = Vec::with_capacity(matrix.len() / artifact.dim());
    let mut kept = Vec::new();
    let mut some = vec![0.0; matrix.len().min(ROWS_AT_A_TIME * artifact.dim())];
    for start in (0..matrix.len()).step_by(some.len().max(1)) {
        let some = &mut some[..(matrix.len() - start).min(ROWS_AT_A_TIME * artifact.dim())];
        matrix.copy(start, some);
        artifact.decide_into(some, options, &mut decided)?;
        if artifact.ranks_by_vector() {
            kept.extend_from_slice(some);
        }
    }
    Ok((decided, kept))
}

/// The artifact, and the options of a caller who has none.
#[pyclass(frozen, module = "hypernova._core")]
struct Artifact(Arc<core::Artifact>, Arc<core::RouteOptions>);

impl From<core::Artifact> for Artifact {
    fn from(artifact: core::Artifact) -> Self {
        Self::of(Arc::new(artifact))
    }
}

impl Artifact {
    fn options(&self, given: Option<&Bound<'_, PyDict>>) -> PyResult<Arc<core::RouteOptions>> {
        match given {
            Some(given) => Arguments::resolve_dict(given, &self.0, &self.1),
            None => Ok(Arc::clone(&self.1)),
        }
    }

    fn of(artifact: Arc<core::Artifact>) -> Self {
        let defaults = core::RouteOptions::defaults(&artifact);
        Self(artifact, Arc::new(defaults))
    }

    fn core(&self) -> &Arc<core::Artifact> {
        &self.0
    }

    fn profile<'py, T: numpy::Element + Copy>(
        &self,
        py: Python<'py>,
        values: &[T],
    ) -> PyResult<Bound<'py, PyAny>> {
        Fresh(values.to_vec()).shaped(py, [self.0.n_clusters() + 1, self.0.n_models()])
    }
}

#[pymethods]
impl Artifact {
    #[staticmethod]
    #[pyo3(signature = (path, *, mmap=Mmap(core::Mmap::Auto)), text_signature = "(path, *, mmap='auto')")]
    #[expect(unsafe_code, reason = "may map a file")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that conversion gives"
    )]
    fn open(py: Python<'_>, path: &Bound<'_, PyAny>, mmap: Mmap) -> PyResult<Self> {
        let path = convert::path(path, NotFoundError::new_err)?;
        // SAFETY: Python has no word for it, so the documentation of `mmap` asks the user
        // not to write to a mapped file. A small one is mapped only if the user options it.
        py.detach(|| unsafe { core::Artifact::open_with(&path, mmap.0) })
            .map(Self::from)
            .map_err(raise)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        py.detach(|| core::Artifact::from_bytes(data))
            .map(Self::from)
            .map_err(raise)
    }

    #[staticmethod]
    #[pyo3(
        text_signature = "(*, models, centroids, counts, mean, success, standard_error, \
        gain_error, cost, latency, novelty, embedder, metadata, default_model, cost_weight=0.0, \
        latency_weight=0.0, max_cost_usd=None, min_success=0.0, guard_z=0.0, novelty_limit=1.0, \
        shrinkage=0.0, sharpness=None, nearest=8, slopes=None, offsets=None)"
    )]
    #[pyo3(signature = (*, models, centroids, counts, mean, success, standard_error, gain_error,
        cost, latency, novelty, embedder, metadata, default_model, cost_weight=Number(0.0),
        latency_weight=Number(0.0), max_cost_usd=None, min_success=Number(0.0), guard_z=Number(0.0),
        novelty_limit=Number(1.0), shrinkage=Number(0.0), sharpness=None, nearest=Index(8), slopes=None, offsets=None))]
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "keyword arguments in Python, in the form that conversion gives"
    )]
    fn build(
        models: Vec<Bound<'_, PyString>>,
        centroids: &Bound<'_, PyAny>,
        counts: &Bound<'_, PyAny>,
        mean: &Bound<'_, PyAny>,
        success: &Bound<'_, PyAny>,
        standard_error: &Bound<'_, PyAny>,
        gain_error: &Bound<'_, PyAny>,
        cost: &Bound<'_, PyAny>,
        latency: &Bound<'_, PyAny>,
        novelty: &Bound<'_, PyAny>,
        embedder: &Bound<'_, PyString>,
        metadata: &Bound<'_, PyString>,
        default_model: Index,
        cost_weight: Number,
        latency_weight: Number,
        max_cost_usd: Option<Number>,
        min_success: Number,
        guard_z: Number,
        novelty_limit: Number,
        shrinkage: Number,
        sharpness: Option<Number>,
        nearest: Index,
        slopes: Option<&Bound<'_, PyAny>>,
        offsets: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (rows, dim) = array::shape2("centroids", centroids)?;
        let correction = match (slopes, offsets) {
            (Some(slopes), Some(offsets)) => Some(core::LinearCorrection {
                offsets: numbers("offsets", offsets)?,
                slopes: numbers("slopes", slopes)?,
            }),
            (None, None) => None,
            _ => return Err(PyTypeError::new_err("slopes and offsets go together")),
        };
        let models: Result<Vec<String>, _> = (models.iter().enumerate())
            .map(|(index, name)| {
                let rule = "it must be UTF-8";
                convert::utf8(name, |_| core::Error::ModelNames { index, rule })
            })
            .collect();
        let embedder = convert::utf8(embedder, |detail| core::Error::Embedder { detail });
        let metadata = convert::utf8(metadata, |detail| core::Error::Metadata { detail });
        let mut policy = core::format::Policy::new(default_model.0);
        policy.cost_weight = cost_weight.0;
        policy.latency_weight = latency_weight.0;
        policy.max_cost_usd = max_cost_usd.map(|limit| limit.0);
        policy.min_success = min_success.0;
        policy.guard_z = guard_z.0;
        policy.novelty_limit = novelty_limit.0;
        policy.shrinkage = shrinkage.0;
        let (rows, dim) = (u32::try_from(rows)?, u32::try_from(dim)?);
        let mut parts = core::ArtifactValues::new(rows, dim, models?, policy, embedder?);
        parts.centroids = numbers("centroids", centroids)?;
        parts.counts = numbers("counts", counts)?;
        parts.mean = numbers("mean", mean)?;
        parts.success = numbers("success", success)?;
        parts.standard_error = numbers("standard_error", standard_error)?;
        parts.gain_error = numbers("gain_error", gain_error)?;
        parts.cost = numbers("cost", cost)?;
        parts.latency = numbers("latency", latency)?;
        parts.novelty = numbers("novelty", novelty)?;
        parts.metadata = metadata?;
        parts.blending = sharpness.map(|sharpness| core::format::Blending {
            sharpness: sharpness.0,
            nearest: nearest.0,
        });
        parts.correction = correction;
        core::Artifact::build(&parts).map(Self::from).map_err(raise)
    }

    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = convert::path(path, ArtifactWriteError::new_err)?;
        py.detach(|| self.0.save(&path)).map_err(raise)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.bytes())
    }

    #[pyo3(signature = (vector, *, cost_weight=None, latency_weight=None, max_cost_usd=None,
        min_success=None, allow=None, deny=None, prices=None, previous_model=None,
        switch_cost=None, explore=None, explore_seed=None, on_novel=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn decide(
        &self,
        py: Python<'_>,
        vector: &Bound<'_, PyAny>,
        cost_weight: Given<'_, '_>,
        latency_weight: Given<'_, '_>,
        max_cost_usd: Given<'_, '_>,
        min_success: Given<'_, '_>,
        allow: Given<'_, '_>,
        deny: Given<'_, '_>,
        prices: Given<'_, '_>,
        previous_model: Given<'_, '_>,
        switch_cost: Given<'_, '_>,
        explore: Given<'_, '_>,
        explore_seed: Given<'_, '_>,
        on_novel: Given<'_, '_>,
    ) -> PyResult<Decision> {
        let given = Arguments {
            cost_weight,
            latency_weight,
            max_cost_usd,
            min_success,
            allow,
            deny,
            prices,
            previous_model,
            switch_cost,
            explore,
            explore_seed,
            on_novel,
        };
        let options = given.resolve(&self.0, &self.1)?;
        // Copied while the GIL is held: another thread may write to it.
        let vector = vector_f32(vector, self.0.dim())?;
        // To release the GIL and take it back costs about as much as a small search.
        let decided = if self.0.n_clusters() * self.0.dim() > FREE_ABOVE {
            py.detach(|| self.0.decide(&vector, &options))
        } else {
            self.0.decide(&vector, &options)
        }
        .map_err(raise)?;
        Ok(Decision::new(&self.0, decided, options, vector))
    }

    #[pyo3(signature = (matrix, *, cost_weight=None, latency_weight=None, max_cost_usd=None,
        min_success=None, allow=None, deny=None, prices=None, previous_model=None,
        switch_cost=None, explore=None, explore_seed=None, on_novel=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn decide_many(
        slf: &Bound<'_, Self>,
        py: Python<'_>,
        matrix: &Bound<'_, PyAny>,
        cost_weight: Given<'_, '_>,
        latency_weight: Given<'_, '_>,
        max_cost_usd: Given<'_, '_>,
        min_success: Given<'_, '_>,
        allow: Given<'_, '_>,
        deny: Given<'_, '_>,
        prices: Given<'_, '_>,
        previous_model: Given<'_, '_>,
        switch_cost: Given<'_, '_>,
        explore: Given<'_, '_>,
        explore_seed: Given<'_, '_>,
        on_novel: Given<'_, '_>,
    ) -> PyResult<Decisions> {
        let given = Arguments {
            cost_weight,
            latency_weight,
            max_cost_usd,
            min_success,
            allow,
            deny,
            prices,
            previous_model,
            switch_cost,
            explore,
            explore_seed,
            on_novel,
        };
        let Self(artifact, defaults) = slf.get();
        let options = given.resolve(artifact, defaults)?;
        let matrix = Matrix::new(matrix, artifact.dim())?;
        let (decided, kept) = py
            .detach(|| decide_some_at_a_time(artifact, &matrix, &options))
            .map_err(raise)?;
        Decisions::new(py, slf.clone().unbind(), decided, options, kept)
    }

    #[pyo3(signature = (vector, **options))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        vector: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let options = self.options(options)?;
        let vector = vector_f32(vector, self.0.dim())?;
        let said = self.0.explain(&vector, &options).map_err(raise)?;
        explanation::rows(py, &self.0, &said)
    }

    /// Find which distances from the nearest centroid are those of novel prompts.
    ///
    /// Args:
    ///     distances: float32 (n,), C-contiguous, as of `nearest_centroids` or of
    ///         `Decisions.distances`.
    ///
    /// Returns:
    ///     Whether each prompt is novel, bool (n,); read-only.
    ///
    /// Raises:
    ///     VectorError: Not a C-contiguous float32 array.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> artifact = hypernova.Router.open().artifact
    ///     >>> artifact.is_novel(artifact.novelty_quantiles[[0, -1]]).tolist()
    ///     [False, True]
    #[expect(clippy::doc_markdown, reason = "documentation for Python")]
    fn is_novel<'py>(
        &self,
        py: Python<'py>,
        distances: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let distances: Vec<f32> = numbers("distances", distances)?;
        let novel = |&distance: &f32| self.0.novelty(distance).1;
        Fresh(distances.iter().map(novel).collect()).flat(py)
    }

    #[pyo3(signature = (**options))]
    fn rank_unread<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let entries = self.0.rank_without_vector(&*self.options(options)?);
        let named =
            |entry: &core::RankingEntry| RankingEntry::new(self.0.model_name(entry.model), entry);
        PyTuple::new(py, entries.iter().map(named))
    }

    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            (0..self.0.n_models() as u32).map(|m| self.0.model_name(m)),
        )
    }

    #[getter]
    fn default_model(&self) -> &str {
        self.0.model_name(self.0.policy().default_model)
    }

    #[getter]
    fn policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let policy = self.0.policy();
        let dict = PyDict::new(py);
        dict.set_item("cost_weight", policy.cost_weight)?;
        dict.set_item("latency_weight", policy.latency_weight)?;
        dict.set_item("max_cost_usd", policy.max_cost_usd)?;
        dict.set_item("min_success", policy.min_success)?;
        dict.set_item("guard_z", policy.guard_z)?;
        dict.set_item("novelty_limit", policy.novelty_limit)?;
        dict.set_item("shrinkage", policy.shrinkage)?;
        dict.set_item("default_model", self.default_model())?;
        Ok(dict)
    }

    #[getter]
    fn n_clusters(&self) -> usize {
        self.0.n_clusters()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    #[getter]
    fn version(&self) -> (u16, u16) {
        self.0.version()
    }

    #[getter]
    fn embedder(&self) -> &str {
        self.0.embedder_json()
    }

    #[getter]
    fn metadata(&self) -> &str {
        self.0.metadata()
    }

    #[getter]
    fn sha256(&self) -> &str {
        self.0.sha256()
    }

    #[getter]
    fn path(&self) -> Option<&std::path::Path> {
        self.0.path()
    }

    #[getter]
    fn mapped(&self) -> bool {
        self.0.is_mapped()
    }

    #[getter]
    fn level(&self) -> &'static str {
        self.0.level().name()
    }

    #[getter]
    fn centroids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Fresh(self.0.centroids().to_vec()).shaped(py, [self.0.n_clusters(), self.0.dim()])
    }

    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.counts())
    }

    #[getter]
    fn mean<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.mean())
    }

    #[getter]
    fn success<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.success())
    }

    #[getter]
    fn standard_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.standard_error())
    }

    #[getter]
    fn gain_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.gain_error())
    }

    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.cost())
    }

    #[getter]
    fn latency<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.0.latency())
    }

    #[getter]
    fn novelty_quantiles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Fresh(self.0.novelty_quantiles().to_vec()).flat(py)
    }

    #[getter]
    fn sharpness(&self) -> Option<f64> {
        self.0.blending().map(|blending| blending.sharpness)
    }

    #[getter]
    fn nearest(&self) -> Option<u32> {
        self.0.blending().map(|blending| blending.nearest)
    }

    #[getter]
    fn slopes<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shape = [self.0.n_models(), self.0.dim()];
        let shaped = |values: &[f32]| Fresh(values.to_vec()).shaped(py, shape);
        self.0.slopes().map(shaped).transpose()
    }

    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let flat = |values: &[f32]| Fresh(values.to_vec()).flat(py);
        self.0.offsets().map(flat).transpose()
    }

    /// By value, and not by its path alone: the file may have been replaced. The path is made
    /// absolute, for the other process may be in another folder.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let path = self.0.path();
        let path = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
        reduced("_artifact", (self.to_bytes(py), path).into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        format!(
            "<hypernova.Artifact: {} clusters of dimension {}, {} models, default {:?}>",
            self.n_clusters(),
            self.dim(),
            self.0.n_models(),
            self.default_model()
        )
    }
}

/// Nearest centroid and distance of each row of a matrix, by the search that routes.
#[pyfunction]
fn nearest_centroids<'py>(
    py: Python<'py>,
    matrix: &Bound<'py, PyAny>,
    centroids: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (_, dim) = array::shape2("centroids", centroids)?;
    let centroids: Vec<f32> = numbers("centroids", centroids)?;
    let matrix = matrix_f32(matrix, dim)?;
    let found = py
        .detach(|| core::nearest::nearest_many(&matrix, &centroids, dim))
        .map_err(raise)?;
    let (clusters, distances): (Vec<i32>, Vec<f32>) = found.into_iter().unzip();
    Ok((Fresh(clusters).flat(py)?, Fresh(distances).flat(py)?))
}

/// The compiled core of hypernova.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::pickle::{artifact, decision, decisions, ranking_entry};
    #[pymodule_export]
    use super::{Artifact, Decision, Decisions, RankingEntry, nearest_centroids};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods as _;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
