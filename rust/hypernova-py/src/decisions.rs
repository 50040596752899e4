//! The class `Decisions`: many decisions as columns.
//!
//! Not here: a single decision (see `decision`).

use std::sync::Arc;

use hypernova_core as core;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyTuple};

use crate::array::Fresh;
use crate::convert::{Reduced, reduced};
use crate::decision::{Decision, kept};

/// The decisions for the n rows of a matrix: columns, and a sequence of `Decision`.
///
/// Columns are read-only arrays (n,). A pickle holds the artifact as well, by value; a copy is the
/// object itself.
///
/// Example:
///     >>> import hypernova
///     >>> artifact = hypernova.Router.open().artifact
///     >>> decisions = artifact.decide_many(artifact.centroids[:3])
///     >>> decisions.models[decisions.model_indices[0]] == decisions[0].model
///     True
///     >>> len(decisions)
///     3
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Decisions {
    /// The `Artifact` of Python, so that a pickle of several batches holds it once.
    artifact: Py<PyAny>,
    inner: Arc<core::Artifact>,
    decided: Vec<core::Decision>,
    options: Arc<core::RouteOptions>,
    /// The vectors, row by row; empty unless rankings need them.
    vectors: Vec<f32>,
    /// Indices of the models into ``models``, int32.
    #[pyo3(get)]
    model_indices: Py<PyAny>,
    /// Indices of the nearest clusters, int32.
    #[pyo3(get)]
    clusters: Py<PyAny>,
    /// Euclidean distances from the nearest centroids, float32.
    #[pyo3(get)]
    distances: Py<PyAny>,
    /// Shares of the training prompts that lie nearer to their centroids, float32, 0 to 1.
    #[pyo3(get)]
    novelties: Py<PyAny>,
    /// Indices of the reasons into ``reasons``, uint8.
    #[pyo3(get)]
    reason_codes: Py<PyAny>,
}

impl Decisions {
    pub(crate) fn new(
        artifact: &Bound<'_, PyAny>,
        inner: &Arc<core::Artifact>,
        decided: Vec<core::Decision>,
        options: Arc<core::RouteOptions>,
        vectors: Vec<f32>,
    ) -> PyResult<Self> {
        let py = artifact.py();
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
            vectors: kept(inner, vectors),
            artifact: artifact.clone().unbind(),
            inner: Arc::clone(inner),
            decided,
            options,
        })
    }

    fn at(&self, at: usize) -> Option<Decision> {
        let decided = self.decided.get(at)?;
        let (vector, options) = (self.vector(at).to_vec(), Arc::clone(&self.options));
        Some(Decision::new(&self.inner, *decided, options, vector))
    }

    /// The vector of a row; empty unless rankings need it.
    fn vector(&self, at: usize) -> &[f32] {
        let dim = self.inner.dim();
        self.vectors.get(at * dim..(at + 1) * dim).unwrap_or(&[])
    }
}

/// What a table of decisions has of each row's ranking, as columns.
struct Columns {
    success: Vec<f64>,
    cost_usd: Vec<f64>,
    latency_s: Vec<f64>,
    propensity: Vec<f64>,
    /// `others` of each row.
    next: Vec<i32>,
}

impl Columns {
    #[expect(
        clippy::cast_possible_wrap,
        reason = "as of the columns of `Decisions::new`"
    )]
    fn of(decisions: &Decisions, others: usize) -> Self {
        let rows = decisions.decided.len();
        let empty = || Vec::with_capacity(rows);
        let (success, cost_usd, latency_s, propensity) = (empty(), empty(), empty(), empty());
        let next = Vec::with_capacity(rows * others);
        let mut columns = Self {
            success,
            cost_usd,
            latency_s,
            propensity,
            next,
        };
        for (at, decided) in decisions.decided.iter().enumerate() {
            let vector = decisions.vector(at);
            let ranking = decisions.inner.rank(decided, vector, &decisions.options);
            // A decision has a model, so its ranking has a first place.
            let first = ranking.first();
            let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
            columns.success.push(known(first.map(|e| e.success)));
            columns.cost_usd.push(known(first.and_then(|e| e.cost_usd)));
            (columns.latency_s).push(known(first.and_then(|e| e.latency_s)));
            columns.propensity.push(decided.propensity);
            let others_of = ranking.iter().skip(1).map(|e| e.model as i32);
            let filled = others_of.chain(std::iter::repeat(-1)).take(others);
            columns.next.extend(filled);
        }
        columns
    }
}

#[pymethods]
impl Decisions {
    /// Names of all models of the artifact.
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let models = 0..self.inner.n_models() as u32;
        PyTuple::new(py, models.map(|m| self.inner.model_name(m)))
    }

    /// Names of all reasons; see `Decision.reason`.
    #[getter]
    #[expect(clippy::unused_self, reason = "a getter")]
    fn reasons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, core::Reason::ALL.map(core::Reason::name))
    }

    /// Give what a table of decisions has of each row's ranking, without an object for a row.
    ///
    /// Args:
    ///     others: Number of models after the first, from 0.
    ///
    /// Returns:
    ///     Arrays by name, NaN where unknown: ``success``, ``cost_usd`` and ``latency_s`` of the
    ///     first model and ``propensity``, float64 (n,); ``next``, int32 (n * others,), the indices
    ///     of the models after it, row by row, -1 where there are fewer.
    fn _columns<'py>(&self, py: Python<'py>, others: usize) -> PyResult<Bound<'py, PyDict>> {
        let columns = py.detach(|| Columns::of(self, others));
        let dict = PyDict::new(py);
        dict.set_item("success", Fresh(columns.success).flat(py)?)?;
        dict.set_item("cost_usd", Fresh(columns.cost_usd).flat(py)?)?;
        dict.set_item("latency_s", Fresh(columns.latency_s).flat(py)?)?;
        dict.set_item("propensity", Fresh(columns.propensity).flat(py)?)?;
        dict.set_item("next", Fresh(columns.next).flat(py)?)?;
        Ok(dict)
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

    // With its artifact, which rankings need; the vectors only where they do.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let rows = core::detached::batch_to_bytes(&self.decided, &self.options);
        let vectors = core::detached::vectors_to_bytes(&self.vectors);
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
