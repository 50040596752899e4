//! The class `Artifact`: opened or built, asked for decisions, read, copied with changes, saved.
//!
//! Not here: the names and the conversion of the values that it is built of (see `parts`).

use std::sync::Arc;

use hypernova_core as core;
use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::array::{Fresh, Matrix, Vector, numbers, vector_f32};
use crate::convert::{self, Mmap, Reduced, reduced};
use crate::decision::Decision;
use crate::decisions::Decisions;
use crate::errors::{ArtifactWriteError, NotFoundError, raise};
use crate::options::{Arguments, Given, facts_by_row};
use crate::parts;
use crate::ranking::RankingEntry;

/// Values of all centroids above which a single search releases the GIL: some 2 us.
const FREE_ABOVE: usize = 200_000;
/// Rows that are copied at a time: as many as the core searches for at once. They stay in
/// the nearest cache until they are decided; 8 and 16 took some 2% longer.
const ROWS_AT_A_TIME: usize = 4;

/// Decide for every row of a matrix that others may write to. Returns the decisions, and the
/// vectors if rankings will need them.
fn decide_some_at_a_time(
    artifact: &core::Artifact,
    matrix: &Matrix,
    options: &core::RouteOptions,
    facts: Option<&[core::PromptFacts]>,
) -> Result<(Vec<core::Decision>, Vec<f32>), core::Error> {
    let mut decided = Vec::with_capacity(matrix.len() / artifact.dim());
    let at_a_time = ROWS_AT_A_TIME * artifact.dim();
    // In one allocation: where it grew, new pages took longer than the decisions.
    let keeps = artifact.ranks_by_vector();
    let len = if keeps {
        matrix.len()
    } else {
        matrix.len().min(at_a_time)
    };
    let mut kept = vec![0.0; len];
    for start in (0..matrix.len()).step_by(at_a_time) {
        let count = (matrix.len() - start).min(at_a_time);
        let some = if keeps { &mut kept[start..] } else { &mut kept };
        let some = &mut some[..count];
        matrix.copy(start, some);
        artifact.decide_into(some, options, facts, &mut decided)?;
    }
    if !keeps {
        kept.clear();
    }
    Ok((decided, kept))
}

/// All that routing needs, in one immutable and validated object that threads may share.
///
/// `hypernova.fit` makes one, `open` reads one from a ``.hnv`` file, and `replace` copies one with
/// changes. A pickle holds it by value, with its path made absolute; a copy is the object itself.
///
/// Arrays are read-only copies. Of k clusters and m models, a profile array is (k + 1, m): a row
/// for each cluster and a last one for the whole table, a column for each model.
///
/// Example:
///     >>> import hypernova
///     >>> artifact = hypernova.Router.open().artifact  # the bundled one
///     >>> artifact.default_model in artifact.models
///     True
///     >>> artifact.success.shape == (artifact.n_clusters + 1, artifact.n_models)
///     True
///     >>> artifact.decide(artifact.centroids[0]).cluster
///     0
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Artifact {
    inner: Arc<core::Artifact>,
    /// The route options of a caller who gives none.
    defaults: Arc<core::RouteOptions>,
}

impl From<core::Artifact> for Artifact {
    fn from(artifact: core::Artifact) -> Self {
        Self::of(Arc::new(artifact))
    }
}

impl Artifact {
    pub(crate) fn of(artifact: Arc<core::Artifact>) -> Self {
        let defaults = Arc::new(core::RouteOptions::defaults(&artifact));
        Self {
            inner: artifact,
            defaults,
        }
    }

    pub(crate) fn core(&self) -> &Arc<core::Artifact> {
        &self.inner
    }

    /// Decide for a vector that no other thread can reach.
    pub(crate) fn decide_owned(
        &self,
        py: Python<'_>,
        vector: Vector,
        options: Arc<core::RouteOptions>,
    ) -> PyResult<Decision> {
        // To release the GIL and take it back costs about as much as a small search.
        let decided = if self.inner.n_clusters() * self.inner.dim() > FREE_ABOVE {
            py.detach(|| self.inner.decide(&vector, &options))
        } else {
            self.inner.decide(&vector, &options)
        }
        .map_err(raise)?;
        Ok(Decision::new(&self.inner, decided, options, vector))
    }

    pub(crate) fn options(
        &self,
        method: &str,
        given: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Arc<core::RouteOptions>> {
        Arguments::resolve_dict(method, given, &self.inner, &self.defaults)
    }

    fn profile<'py, T: numpy::Element + Copy>(
        &self,
        py: Python<'py>,
        values: &[T],
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape = [self.inner.n_clusters() + 1, self.inner.n_models()];
        Fresh(values.to_vec()).shaped(py, shape)
    }
}

#[pymethods]
impl Artifact {
    /// Read or map a file and validate all of it.
    ///
    /// Args:
    ///     path: A ``.hnv`` file.
    ///     mmap: ``"auto"`` reads a file of up to 4 MiB into memory, where nobody can cut or change
    ///         it, and maps a larger one; True maps, and False reads, any file. A mapped file must
    ///         not be written to or cut while the artifact lives: its bytes would no longer be
    ///         those that were validated, and a page that is gone ends the process. To rename
    ///         another file over it, as `save` does, is safe. Windows refuses that of a mapped
    ///         file, so ``"auto"`` reads any file there.
    ///
    /// Raises:
    ///     ValueError: ``mmap`` is a str other than ``"auto"``.
    ///     TypeError: ``mmap`` is neither a str nor a bool.
    ///     NotFoundError: There is no such file.
    ///     ArtifactError: The file cannot be read or breaks a rule of FORMAT.md.
    ///     KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> hypernova.Router.open().artifact.save("router.hnv")
    ///     >>> hypernova.Artifact.open("router.hnv").path
    ///     PosixPath('router.hnv')
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
        // not to write to a mapped file. A small one is mapped only if the user asks for it.
        py.detach(|| unsafe { core::Artifact::open_with(&path, mmap.0) })
            .map(Self::from)
            .map_err(raise)
    }

    /// Validate a copy of the bytes of a file.
    ///
    /// Args:
    ///     data: The bytes, as `to_bytes` gives them.
    ///
    /// Raises:
    ///     ArtifactError: The bytes break a rule of FORMAT.md.
    ///     KernelError: As in `open`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        py.detach(|| core::Artifact::from_bytes(data))
            .map(Self::from)
            .map_err(raise)
    }

    /// Make an artifact of its values; their rules are those of FORMAT.md.
    ///
    /// Arrays are C-contiguous; shapes are of k clusters, m models and vectors of length dim.
    ///
    /// Args:
    ///     models: Names of the models, all different.
    ///     centroids: float32 (k, dim).
    ///     counts: float64 (k + 1, m), numbers of outcomes, at least 0.
    ///     mean: float32 (k + 1, m), mean scores, 0 to 1; 0 where nothing was counted.
    ///     success: float32 (k + 1, m), success estimates, 0 to 1.
    ///     standard_error: float32 (k + 1, m), of ``success``, at least 0.
    ///     gain_error: float32 (k + 1, m), of the paired gain over the default model, at least 0.
    ///     cost: float32 (k + 1, m), mean USD of a task; NaN where unknown.
    ///     latency: float32 (k + 1, m), mean seconds of a task; NaN where unknown.
    ///     novelty: float32 (q,), rising quantiles of the distances of training prompts.
    ///     embedder: Identity of the embedder, a mapping with ``kind``, ``name``, ``dim`` and
    ///         ``fingerprint``; or the text of a JSON object, which is taken as it stands.
    ///     metadata: How the artifact was made, a mapping; or a text, as ``embedder``.
    ///     default_model: Index of the default model.
    ///     cost_weight: Default of the route option, success per USD.
    ///     latency_weight: Default of the route option, success per second.
    ///     max_cost_usd: Default of the route option, USD; None is no limit.
    ///     min_success: Default of the route option, 0 to 1.
    ///     guard_z: Standard errors of the paired gain by which a model must beat the default
    ///         model, at least 0.
    ///     margin: Part of an estimated gain in success over the default model that does not count,
    ///         unless the caller names the prompt's group; at least 0.
    ///     novelty_limit: Novelty above which a prompt is novel, 0 to 1.
    ///     shrinkage: Number of outcomes with which the estimates lean on the overall rate.
    ///     sharpness: How fast a cluster's share falls with its squared distance, at least 0; with
    ///         None the nearest cluster counts alone.
    ///     n_nearest: Number of nearest clusters that have a share, 1 to 16; without ``sharpness``
    ///         it means nothing.
    ///     slopes: float32 (m, dim), of the linear correction; None is no correction.
    ///     offsets: float32 (m,), of the linear correction; None as ``slopes``.
    ///     group_profiles: Profiles of the g groups that a caller may name; None is no groups. A
    ///         mapping of ``names``; ``tasks``, float64 (g,), the number of tasks of each;
    ///         ``counts``, ``mean``, ``success``, ``standard_error``, ``gain_error``, ``cost`` and
    ///         ``latency``, (g, m) and else as those of clusters; and, both or neither,
    ///         ``offsets``, float32 (g, m), and ``slopes``, float32 (m, dim), of the linear
    ///         correction inside a group.
    ///     token_profiles: Tokens that the models read and write, NaN where unknown; None is
    ///         unknown for all. A mapping of ``per_prompt``, float32 (m, 2), the input tokens of an
    ///         empty prompt and of each further character; ``input`` and ``output``, float32
    ///         (k + 1, m), mean tokens of a task; and with groups ``group_input`` and
    ///         ``group_output``, float32 (g, m).
    ///
    /// Raises:
    ///     VectorError: An array is not C-contiguous or has the wrong dtype.
    ///     ArtifactError: A value breaks a rule of FORMAT.md.
    ///     TypeError: An argument is missing, unknown or of the wrong type, or only one of
    ///         ``slopes`` and ``offsets`` is given; also in a mapping.
    #[staticmethod]
    #[pyo3(
        signature = (**values),
        text_signature = "(*, models, centroids, counts, mean, success, standard_error, \
        gain_error, cost, latency, novelty, embedder, metadata, default_model, cost_weight=0.0, \
        latency_weight=0.0, max_cost_usd=None, min_success=0.0, guard_z=0.0, margin=0.0, \
        novelty_limit=1.0, shrinkage=0.0, sharpness=None, n_nearest=8, slopes=None, offsets=None, \
        group_profiles=None, token_profiles=None)"
    )]
    fn build(values: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        parts::build(values).map(Self::from)
    }

    /// Copy the artifact with other values.
    ///
    /// All that is not changed keeps its bits; ``path`` is None. Values that depend on each other
    /// are given together: other ``models`` need all profile arrays, and ``default_model`` is an
    /// index into them.
    ///
    /// Args:
    ///     **changes: Any arguments of `build`.
    ///
    /// Raises:
    ///     TypeError: `build` has no such argument, or as in `build`.
    ///     VectorError: As in `build`.
    ///     ArtifactError: As in `build`.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> artifact = hypernova.Router.open().artifact
    ///     >>> cheaper = artifact.replace(cost_weight=0.05)
    ///     >>> cheaper.policy["cost_weight"]
    ///     0.05
    ///     >>> cheaper.replace(cost_weight=0.0).sha256 == artifact.sha256
    ///     True
    #[pyo3(signature = (**changes))]
    fn replace(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        parts::replace(&self.inner, changes).map(Self::from)
    }

    /// Write the file: a temporary one beside it, synced, then renamed over it.
    ///
    /// Args:
    ///     path: Where to; a file that stands there is replaced as a whole.
    ///
    /// Raises:
    ///     ArtifactWriteError: The file could not be written, or a device or a pipe is there; a
    ///         file that stood there still stands.
    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = convert::path(path, ArtifactWriteError::new_err)?;
        py.detach(|| self.inner.save(&path)).map_err(raise)
    }

    /// Copy the bytes of the file.
    ///
    /// Returns:
    ///     The bytes that `save` writes; `sha256` is theirs.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.bytes())
    }

    /// Decide for one vector.
    ///
    /// Args:
    ///     vector: float32 (dim,), contiguous and finite, made by the artifact's embedder.
    ///     cost_weight: As in `hypernova.RouteOptions`, like all that follow; None is the
    ///         artifact's default.
    ///     latency_weight: Success per second.
    ///     max_cost_usd: USD of a task.
    ///     min_success: 0 to 1.
    ///     allow: Names of models.
    ///     deny: Names of models.
    ///     prices: By model, USD of a task, or USD of a million input and output tokens.
    ///     previous_model: Name of a model.
    ///     switch_cost: Utility.
    ///     explore: Chance, 0 to 1.
    ///     explore_seed: 0 to 2**64 - 1.
    ///     on_novel: ``"default"``, ``"best_overall"`` or ``"error"``.
    ///     group: Name of the prompt's group.
    ///     prompt_chars: Number of characters of the prompt.
    ///     input_tokens: Number of tokens of the prompt.
    ///
    /// Returns:
    ///     The decision.
    ///
    /// Raises:
    ///     VectorError: Dtype, shape, strides or a value of the vector are wrong.
    ///     UnknownModelError: An option names a model that the artifact does not hold.
    ///     NoCandidateError: The limits leave no model.
    ///     NovelPromptError: The vector is novel, and ``on_novel`` is ``"error"``.
    ///     PolicyError: An option is out of range.
    ///     TypeError: An option is of the wrong type, or there is none of that name.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> artifact = hypernova.Router.open().artifact
    ///     >>> vector = artifact.centroids[0]
    ///     >>> first = artifact.decide(vector).model
    ///     >>> artifact.decide(vector, deny=[first]).reason
    ///     'constrained'
    #[pyo3(signature = (vector, *, cost_weight=None, latency_weight=None, max_cost_usd=None,
        min_success=None, allow=None, deny=None, prices=None, previous_model=None,
        switch_cost=None, explore=None, explore_seed=None, on_novel=None, group=None,
        prompt_chars=None, input_tokens=None))]
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
        group: Given<'_, '_>,
        prompt_chars: Given<'_, '_>,
        input_tokens: Given<'_, '_>,
    ) -> PyResult<Decision> {
        // Not a dict, as the methods below have it: that takes longer than a small search.
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
            group,
            prompt_chars,
            input_tokens,
        };
        let options = given.resolve(&self.inner, &self.defaults)?;
        // Copied while the GIL is held: another thread may write to it.
        let vector = vector_f32(vector, self.inner.dim())?;
        self.decide_owned(py, vector, options)
    }

    /// Decide for each row of a matrix.
    ///
    /// Args:
    ///     matrix: float32 (n, dim), C-contiguous and finite.
    ///     **options: See `hypernova.BatchRouteOptions`; they hold for all rows, but ``group``,
    ///         ``prompt_chars`` and ``input_tokens`` may be lists with a value for each row.
    ///
    /// Returns:
    ///     The decisions as columns; an index gives a single `Decision`.
    ///
    /// Raises:
    ///     VectorError: As in `decide`, with the row.
    ///     UnknownModelError: As in `decide`.
    ///     NoCandidateError: The limits leave no model for a row, which is named.
    ///     NovelPromptError: A row is novel, and ``on_novel`` is ``"error"``.
    ///     PolicyError: As in `decide`.
    ///     TypeError: As in `decide`.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> artifact = hypernova.Router.open().artifact
    ///     >>> decisions = artifact.decide_many(artifact.centroids[:2], cost_weight=0.1)
    ///     >>> decisions.clusters.tolist()
    ///     [0, 1]
    #[pyo3(signature = (matrix, **options))]
    fn decide_many(
        slf: &Bound<'_, Self>,
        py: Python<'_>,
        matrix: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Decisions> {
        let Self { inner, .. } = slf.get();
        let matrix = Matrix::new(matrix, inner.dim())?;
        let facts = facts_by_row(options, inner, matrix.len() / inner.dim())?;
        let options = slf.get().options("Artifact.decide_many", options)?;
        let (decided, vectors) = py
            .detach(|| decide_some_at_a_time(inner, &matrix, &options, facts.as_deref()))
            .map_err(raise)?;
        Decisions::new(slf.as_any(), inner, decided, options, vectors)
    }

    /// Give the grounds of a decision as rows of values; `hypernova.Router.explain` names them.
    ///
    /// Limits that leave no model are no error here.
    ///
    /// Args:
    ///     vector: As in `decide`.
    ///     **options: See `hypernova.RouteOptions`.
    ///
    /// Returns:
    ///     Whether the vector is novel; a row for each of the nearest clusters, as
    ///     `hypernova.router.NearCluster` begins; a row for each model, as
    ///     `hypernova.router.ModelEstimate`.
    ///
    /// Raises:
    ///     VectorError: As in `decide`.
    ///     UnknownModelError: As in `decide`.
    ///     PolicyError: As in `decide`.
    ///     TypeError: As in `decide`.
    #[pyo3(signature = (vector, **options))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        vector: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let options = self.options("Artifact.explain", options)?;
        let vector = vector_f32(vector, self.inner.dim())?;
        let explanation = self.inner.explain(&vector, &options).map_err(raise)?;
        explanation_rows(py, &self.inner, &explanation)
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
    fn is_novel<'py>(
        &self,
        py: Python<'py>,
        distances: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let distances: Vec<f32> = numbers("distances", distances)?;
        let novel = |&distance: &f32| self.inner.novelty(distance).1;
        Fresh(distances.iter().map(novel).collect()).flat(py)
    }

    /// Rank the models for a prompt of which nothing can be read, such as an image.
    ///
    /// The default model comes first if it is allowed, or ``previous_model`` if leaving it does not
    /// gain more than ``switch_cost``; then the others in the order of the rule. Success, cost and
    /// latency are those of the whole table, and nothing is drawn.
    ///
    /// Args:
    ///     **options: See `hypernova.RouteOptions`.
    ///
    /// Returns:
    ///     The models that meet the limits, the first to ask first; empty if there is none.
    ///
    /// Raises:
    ///     UnknownModelError: As in `decide`.
    ///     PolicyError: As in `decide`.
    ///     TypeError: As in `decide`.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> artifact = hypernova.Router.open().artifact
    ///     >>> artifact.rank_unread()[0].model == artifact.default_model
    ///     True
    #[pyo3(signature = (**options))]
    fn rank_unread<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let options = self.options("Artifact.rank_unread", options)?;
        let entries = self.inner.rank_without_vector(&options);
        let name = |entry: &core::RankingEntry| self.inner.model_name(entry.model);
        PyTuple::new(py, entries.iter().map(|e| RankingEntry::new(name(e), e)))
    }

    /// Names of the models; an index into them means the same model everywhere.
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let models = 0..self.inner.n_models() as u32;
        PyTuple::new(py, models.map(|m| self.inner.model_name(m)))
    }

    /// Number of models, m.
    #[getter]
    fn n_models(&self) -> usize {
        self.inner.n_models()
    }

    /// Number of clusters, k.
    #[getter]
    fn n_clusters(&self) -> usize {
        self.inner.n_clusters()
    }

    /// Length of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    /// The groups that a caller may name: by name, the number of tasks of each.
    ///
    /// A new dict; empty where the artifact has no groups.
    #[getter]
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tasks = self.inner.groups().map_or(&[][..], |groups| groups.tasks);
        let dict = PyDict::new(py);
        for (group, tasks) in (0..).zip(tasks) {
            dict.set_item(self.inner.group_name(group), tasks)?;
        }
        Ok(dict)
    }

    /// Profiles of the groups, by name of the array; None where the artifact has no groups.
    ///
    /// A new dict of the arguments of `build` under ``group_profiles``.
    #[getter]
    fn group_profiles<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        parts::group_profiles(py, &self.inner)
    }

    /// Tokens of the models, by name of the array; None where they are unknown.
    ///
    /// A new dict of the arguments of `build` under ``token_profiles``.
    #[getter]
    fn token_profiles<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        parts::token_profiles(py, &self.inner)
    }

    /// Name of the default model: the best single model of the table.
    #[getter]
    fn default_model(&self) -> &str {
        self.inner.model_name(self.inner.policy().default_model)
    }

    /// Part of an estimated gain in success over the default model that does not count.
    ///
    /// 0 in an artifact without a margin. It protects prompts of kinds that the table lacks; a
    /// prompt whose group the caller names is decided without it.
    #[getter]
    fn margin(&self) -> f64 {
        self.inner.policy().margin
    }

    /// The policy: defaults of the route options, and the values of the decision rule.
    ///
    /// A new dict of ``cost_weight``, ``latency_weight``, ``max_cost_usd``, ``min_success``,
    /// ``guard_z``, ``margin``, ``novelty_limit``, ``shrinkage`` and ``default_model``, a name; the
    /// others are as in `build`. To change it changes nothing in the artifact; see `replace`.
    #[getter]
    fn policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let policy = self.inner.policy();
        let dict = PyDict::new(py);
        dict.set_item("cost_weight", policy.cost_weight)?;
        dict.set_item("latency_weight", policy.latency_weight)?;
        dict.set_item("max_cost_usd", policy.max_cost_usd)?;
        dict.set_item("min_success", policy.min_success)?;
        dict.set_item("guard_z", policy.guard_z)?;
        dict.set_item("margin", policy.margin)?;
        dict.set_item("novelty_limit", policy.novelty_limit)?;
        dict.set_item("shrinkage", policy.shrinkage)?;
        dict.set_item("default_model", self.default_model())?;
        Ok(dict)
    }

    /// Identity of the embedder that made the vectors, parsed at each read.
    ///
    /// A new dict with ``kind``, which is ``"text"`` or ``"vectors"``, ``name``, ``dim``,
    /// ``fingerprint`` and fields of the embedder's own. To change it changes nothing in the
    /// artifact; see `replace`.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> hypernova.Router.open().artifact.embedder["name"]
    ///     'static'
    #[getter]
    fn embedder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::parsed(py, self.inner.embedder_json())
    }

    /// The text of a JSON object that `embedder` is parsed from, as it stands in the file.
    #[getter]
    fn embedder_json(&self) -> &str {
        self.inner.embedder_json()
    }

    /// How the artifact was made, parsed at each read.
    ///
    /// A new dict; empty where the file holds no metadata, or something other than a JSON object.
    /// To change it changes nothing in the artifact; see `replace`.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> hypernova.Router.open().artifact.metadata["seed"]
    ///     0
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        match convert::parsed(py, self.inner.metadata()) {
            Ok(value) => Ok(value.cast_into().unwrap_or_else(|_| PyDict::new(py))),
            // Any program may have written it. Too deep is no more an object than malformed.
            Err(e) if e.is_instance_of::<PyValueError>(py) => Ok(PyDict::new(py)),
            Err(e) if e.is_instance_of::<PyRecursionError>(py) => Ok(PyDict::new(py)),
            Err(e) => Err(e),
        }
    }

    /// The text that `metadata` is parsed from, as in the file; empty if it has none.
    ///
    /// Any program may have written it: it need not be JSON.
    #[getter]
    fn metadata_json(&self) -> &str {
        self.inner.metadata()
    }

    /// The sha256 of the file's bytes, 64 hexadecimal digits: the artifact's own identity.
    #[getter]
    fn sha256(&self) -> &str {
        self.inner.sha256()
    }

    /// Path of the file that it was opened from; None if it was made otherwise.
    #[getter]
    fn path(&self) -> Option<&std::path::Path> {
        self.inner.path()
    }

    /// Whether the file is mapped, and must not be written in place.
    #[getter]
    fn mapped(&self) -> bool {
        self.inner.is_mapped()
    }

    /// Version of the file's format, major and minor.
    #[getter]
    fn version(&self) -> (u16, u16) {
        self.inner.version()
    }

    /// SIMD level of the search: scalar, neon, avx2, avx512 or avx512vnni.
    #[getter]
    fn level(&self) -> &'static str {
        self.inner.level().name()
    }

    /// Centroids of the clusters, float32 (k, dim).
    #[getter]
    fn centroids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let shape = [self.inner.n_clusters(), self.inner.dim()];
        Fresh(self.inner.centroids().to_vec()).shaped(py, shape)
    }

    /// Numbers of outcomes, float64 (k + 1, m); they may be fractional.
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.counts())
    }

    /// Mean scores, float32 (k + 1, m), 0 to 1; 0 where nothing was counted.
    #[getter]
    fn mean<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.mean())
    }

    /// Success estimates, float32 (k + 1, m), 0 to 1: shrunk mean scores.
    #[getter]
    fn success<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.success())
    }

    /// Standard errors of ``success``, float32 (k + 1, m).
    #[getter]
    fn standard_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.standard_error())
    }

    /// Standard errors of the paired gain over the default model, float32 (k + 1, m).
    #[getter]
    fn gain_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.gain_error())
    }

    /// Mean costs of a task in USD, float32 (k + 1, m); NaN where unknown.
    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.cost())
    }

    /// Mean latencies of a task in seconds, float32 (k + 1, m); NaN where unknown.
    #[getter]
    fn latency<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.profile(py, self.inner.latency())
    }

    /// Quantiles of the distances of training prompts to their centroids, float32 (q,).
    #[getter]
    fn novelty_quantiles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Fresh(self.inner.novelty_quantiles().to_vec()).flat(py)
    }

    /// How fast a cluster's share falls with its squared distance; None without shares.
    ///
    /// Then the nearest cluster counts alone.
    #[getter]
    fn sharpness(&self) -> Option<f64> {
        self.inner.blending().map(|blending| blending.sharpness)
    }

    /// Number of nearest clusters that have a share, 1 to 16; None as ``sharpness``.
    #[getter]
    fn n_nearest(&self) -> Option<u32> {
        self.inner.blending().map(|blending| blending.nearest)
    }

    /// Slopes of the linear correction, float32 (m, dim); None where there is none.
    #[getter]
    fn slopes<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shape = [self.inner.n_models(), self.inner.dim()];
        let shaped = |values: &[f32]| Fresh(values.to_vec()).shaped(py, shape);
        self.inner.slopes().map(shaped).transpose()
    }

    /// Offsets of the linear correction, its values at 0, float32 (m,); None as ``slopes``.
    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let flat = |values: &[f32]| Fresh(values.to_vec()).flat(py);
        self.inner.offsets().map(flat).transpose()
    }

    // By value, and not by its path alone: the file may have been replaced. The path is made
    // absolute, for the other process may be in another folder.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let path = self.inner.path();
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
            self.n_models(),
            self.default_model()
        )
    }
}

/// `(novel, clusters, estimates)`; the fields of a row are those of `NearCluster` and
/// `ModelEstimate` in `hypernova/router/explanation.py`, in their order.
fn explanation_rows<'py>(
    py: Python<'py>,
    artifact: &core::Artifact,
    explanation: &core::Explanation,
) -> PyResult<Bound<'py, PyTuple>> {
    let clusters = PyList::empty(py);
    for near in &explanation.clusters {
        clusters.append((near.cluster, near.distance, near.share))?;
    }
    let estimates = PyList::empty(py);
    for model in &explanation.models {
        estimates.append((
            artifact.model_name(model.model),
            model.success,
            model.profile,
            model.correction,
            model.n,
            model.cost_usd,
            model.latency_s,
            model.utility,
            model.gain,
            model.bound,
            model.proven,
            model.candidate,
        ))?;
    }
    (explanation.novel, clusters, estimates).into_pyobject(py)
}
