//! Decisions as Python sees them.

use std::sync::{Arc, OnceLock};

use hypernova_core as core;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyTuple};

use crate::Artifact;
use crate::array::Fresh;
use crate::errors::raise;
use crate::options;
use crate::pickle::{Reduced, reduced};

#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Decision {
    kind: Kind,
    #[pyo3(get)]
    cluster: u32,
    #[pyo3(get)]
    distance: f32,
    #[pyo3(get)]
    novelty: f32,
    #[pyo3(get)]
    reason: &'static str,
    #[pyo3(get)]
    propensity: f64,
    id: OnceLock<String>,
}

/// Where a decision's ranking is from.
enum Kind {
    /// Of an artifact of this process.
    Attached {
        artifact: Arc<core::Artifact>,
        decided: core::Decision,
        options: Arc<core::RouteOptions>,
        /// What was decided on; empty unless the ranking needs it.
        vector: Box<[f32]>,
    },
    /// Out of a pickle, which holds it.
    Detached(Box<core::DetachedDecision>),
}

impl Decision {
    pub(crate) fn new(
        artifact: &Arc<core::Artifact>,
        decided: core::Decision,
        options: Arc<core::RouteOptions>,
        vector: Vec<f32>,
    ) -> Self {
        Self {
            kind: Kind::Attached {
                artifact: Arc::clone(artifact),
                decided,
                options,
                vector: kept(artifact, vector).into(),
            },
            cluster: decided.cluster,
            distance: decided.distance,
            novelty: decided.novelty,
            reason: decided.reason.name(),
            propensity: decided.propensity,
            id: OnceLock::new(),
        }
    }

    pub(crate) fn detached(detached: core::DetachedDecision, id: Option<String>) -> Self {
        Self {
            cluster: detached.cluster(),
            distance: detached.distance(),
            novelty: detached.novelty(),
            reason: detached.reason().name(),
            propensity: detached.propensity(),
            kind: Kind::Detached(Box::new(detached)),
            id: id.map_or_else(OnceLock::new, OnceLock::from),
        }
    }
}

/// What is decided on, as far as rankings will need it.
fn kept(artifact: &core::Artifact, vectors: Vec<f32>) -> Vec<f32> {
    if artifact.ranks_by_vector() {
        vectors
    } else {
        Vec::new()
    }
}

#[pymethods]
impl Decision {
    #[getter]
    fn model(&self) -> &str {
        match &self.kind {
            Kind::Attached {
                artifact, decided, ..
            } => artifact.model_name(decided.model),
            Kind::Detached(detached) => detached.model(),
        }
    }

    /// Built when it is asked for.
    #[getter]
    fn ranking<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => {
                let entries = artifact.rank(decided, vector, options).into_iter();
                let name = |entry: &core::RankingEntry| artifact.model_name(entry.model);
                PyTuple::new(py, entries.map(|e| RankingEntry::new(name(&e), &e)))
            }
            Kind::Detached(detached) => {
                let entries = detached.ranking().iter();
                let name = |entry: &core::RankingEntry| detached.model_name(entry.model);
                PyTuple::new(py, entries.map(|e| RankingEntry::new(name(e), e)))
            }
        }
    }

    /// Given when it is asked for: it costs as much as a tenth of a decision.
    #[getter]
    fn id(&self) -> &str {
        self.id.get_or_init(core::id::next)
    }

    #[getter]
    fn artifact(&self) -> &str {
        match &self.kind {
            Kind::Attached { artifact, .. } => artifact.sha256(),
            Kind::Detached(detached) => detached.artifact_sha256(),
        }
    }

    fn after_failure(&self, model: &Bound<'_, PyAny>) -> PyResult<Self> {
        const ARGUMENT: &str = "after_failure";
        let expected = "the name of a model";
        match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => {
                let model = options::model(artifact, ARGUMENT, expected, model)?;
                let (next, left) = artifact
                    .after_failure(decided, vector, options, model)
                    .map_err(raise)?;
                Ok(Self::new(artifact, next, Arc::new(left), vector.to_vec()))
            }
            Kind::Detached(detached) => {
                let unknown = |name: &str| detached.unknown_model(name);
                let model = options::name(ARGUMENT, expected, model, unknown)?;
                let next = detached.after_failure(model).map_err(raise)?;
                Ok(Self::detached(next, None))
            }
        }
    }

    /// With its ranking, and without the artifact: a pool sends one for each prompt.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let data = match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => artifact.detach(decided, vector, options).to_bytes(),
            Kind::Detached(detached) => detached.to_bytes(),
        };
        let state = (PyBytes::new(py, &data), self.id());
        reduced("_decision", state.into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        format!(
            "<hypernova.Decision: {:?}, reason={:?}, cluster={}, novelty={:.3}>",
            self.model(),
            self.reason,
            self.cluster,
            self.novelty
        )
    }
}

#[derive(PartialEq)]
#[pyclass(frozen, get_all, eq, module = "hypernova._core")]
pub(crate) struct RankingEntry {
    model: String,
    success: f64,
    cost_usd: Option<f64>,
    latency_s: Option<f64>,
    n: f64,
    utility: f64,
}

/// The values of a [`RankingEntry`], in order.
type Values<'a> = (&'a str, f64, Option<f64>, Option<f64>, f64, f64);

impl RankingEntry {
    pub(crate) fn new(model: &str, entry: &core::RankingEntry) -> Self {
        Self {
            model: model.to_owned(),
            success: entry.success,
            cost_usd: entry.cost_usd,
            latency_s: entry.latency_s,
            n: entry.n,
            utility: entry.utility,
        }
    }

    pub(crate) fn of(values: (String, f64, Option<f64>, Option<f64>, f64, f64)) -> Self {
        let (model, success, cost_usd, latency_s, n, utility) = values;
        Self {
            model,
            success,
            cost_usd,
            latency_s,
            n,
            utility,
        }
    }

    fn values(&self) -> Values<'_> {
        (
            &self.model,
            self.success,
            self.cost_usd,
            self.latency_s,
            self.n,
            self.utility,
        )
    }
}

#[pymethods]
impl RankingEntry {
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.values().into_pyobject(py)?.hash()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        reduced("_ranking_entry", self.values().into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        let cost = self
            .cost_usd
            .map_or("None".into(), |cost| format!("{cost:.6}"));
        format!(
            "<hypernova.RankingEntry: {:?}, success={:.4}, cost_usd={cost}, n={}, utility={:.4}>",
            self.model, self.success, self.n, self.utility
        )
    }
}

/// Columns of many decisions; read-only arrays.
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Decisions {
    /// The object itself, so that a pickle of several batches holds it once.
    artifact: Py<Artifact>,
    decided: Vec<core::Decision>,
    options: Arc<core::RouteOptions>,
    /// What was decided on, row by row; empty unless rankings need it.
    matrix: Vec<f32>,
    #[pyo3(get)]
    model_indices: Py<PyAny>,
    #[pyo3(get)]
    clusters: Py<PyAny>,
    #[pyo3(get)]
    distances: Py<PyAny>,
    #[pyo3(get)]
    novelties: Py<PyAny>,
    #[pyo3(get)]
    reason_codes: Py<PyAny>,
}

impl Decisions {
    pub(crate) fn new(
        py: Python<'_>,
        artifact: Py<Artifact>,
        decided: Vec<core::Decision>,
        options: Arc<core::RouteOptions>,
        matrix: Vec<f32>,
    ) -> PyResult<Self> {
        #[expect(
            clippy::cast_possible_wrap,
            reason = "both counts come from u32 fields of the file; more than i32::MAX of either \
                      would be a file of terabytes"
        )]
        let signed = |of: fn(&core::Decision) -> u32| -> PyResult<Py<PyAny>> {
            let column: Vec<i32> = decided.iter().map(|d| of(d) as i32).collect();
            Ok(Fresh(column).flat(py)?.unbind())
        };
        let float = |of: fn(&core::Decision) -> f32| -> PyResult<Py<PyAny>> {
            let column: Vec<f32> = decided.iter().map(of).collect();
            Ok(Fresh(column).flat(py)?.unbind())
        };
        let code = |reason| core::Reason::ALL.iter().position(|r| *r == reason);
        let codes: Vec<u8> = decided
            .iter()
            .map(|d| code(d.reason).unwrap_or_default() as u8)
            .collect();
        Ok(Self {
            model_indices: signed(|d| d.model)?,
            clusters: signed(|d| d.cluster)?,
            distances: float(|d| d.distance)?,
            novelties: float(|d| d.novelty)?,
            reason_codes: Fresh(codes).flat(py)?.unbind(),
            matrix: kept(artifact.get().core(), matrix),
            artifact,
            decided,
            options,
        })
    }

    fn at(&self, at: usize) -> Option<Decision> {
        let decided = self.decided.get(at)?;
        let artifact = self.artifact.get().core();
        let dim = artifact.dim();
        let vector = self.matrix.get(at * dim..(at + 1) * dim).unwrap_or(&[]);
        let vector = vector.to_vec();
        let options = Arc::clone(&self.options);
        Some(Decision::new(artifact, *decided, options, vector))
    }
}

#[pymethods]
impl Decisions {
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let artifact = self.artifact.get().core();
        let models = artifact.n_models() as u32;
        PyTuple::new(py, (0..models).map(|m| artifact.model_name(m)))
    }

    #[getter]
    #[expect(clippy::unused_self, reason = "a getter")]
    fn reasons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, core::Reason::ALL.map(core::Reason::name))
    }

    fn __len__(&self) -> usize {
        self.decided.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let all: PyResult<Vec<_>> = (0..self.decided.len())
            .filter_map(|i| self.at(i))
            .map(|d| Bound::new(py, d))
            .collect();
        PyList::new(py, all?)?.try_iter()
    }

    fn __getitem__(&self, index: &Bound<'_, PyAny>) -> PyResult<Decision> {
        let none = || PyIndexError::new_err("no such decision");
        let index: isize = index.extract().map_err(|e: PyErr| {
            if e.is_instance_of::<PyOverflowError>(index.py()) {
                return none();
            }
            e
        })?;
        let at = if index < 0 {
            self.decided.len().checked_sub(index.unsigned_abs())
        } else {
            Some(index.unsigned_abs())
        };
        at.and_then(|at| self.at(at)).ok_or_else(none)
    }

    /// With its artifact, which rankings need; the vectors only where they do.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let rows = core::detached::batch_to_bytes(&self.decided, &self.options);
        let vectors = core::detached::vectors_to_bytes(&self.matrix);
        let [rows, vectors] = [rows, vectors].map(|bytes| PyBytes::new(py, &bytes));
        let state = (self.artifact.bind(py), rows, vectors);
        reduced("_decisions", state.into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        format!("<hypernova.Decisions: {}>", self.decided.len())
    }
}
