//! Decisions as Python sees them.

use std::sync::{Arc, OnceLock};

use hypernova_core as core;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyTuple};

use crate::array::Fresh;
use crate::errors::raise;
use crate::wishes;

#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Decision {
    artifact: Arc<core::Artifact>,
    decided: core::Decision,
    wishes: Arc<core::Wishes>,
    /// What was decided on; empty unless the ranking needs it.
    vector: Box<[f32]>,
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

impl Decision {
    pub(crate) fn new(
        artifact: &Arc<core::Artifact>,
        decided: core::Decision,
        wishes: Arc<core::Wishes>,
        vector: Vec<f32>,
    ) -> Self {
        Self {
            artifact: Arc::clone(artifact),
            decided,
            wishes,
            vector: kept(artifact, vector).into(),
            cluster: decided.cluster,
            distance: decided.distance,
            novelty: decided.novelty,
            reason: decided.reason.name(),
            propensity: decided.propensity,
            id: OnceLock::new(),
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
        self.artifact.model_name(self.decided.model)
    }

    /// Built when it is asked for.
    #[getter]
    fn ranking<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let entries = self
            .artifact
            .rank(&self.decided, &self.vector, &self.wishes);
        PyTuple::new(
            py,
            entries
                .into_iter()
                .map(|entry| RankingEntry::new(&self.artifact, entry)),
        )
    }

    /// Given when it is asked for: it costs as much as a tenth of a decision.
    #[getter]
    fn id(&self) -> &str {
        self.id.get_or_init(core::id::next)
    }

    #[getter]
    fn artifact(&self) -> &str {
        self.artifact.sha256()
    }

    fn after_failure(&self, model: &Bound<'_, PyAny>) -> PyResult<Self> {
        let expected = "the name of a model";
        let model = wishes::model(&self.artifact, "after_failure", expected, model)?;
        let (next, left) = self
            .artifact
            .after_failure(&self.decided, &self.vector, &self.wishes, model)
            .map_err(raise)?;
        let vector = self.vector.to_vec();
        Ok(Self::new(&self.artifact, next, Arc::new(left), vector))
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

#[pyclass(frozen, get_all, module = "hypernova._core")]
pub(crate) struct RankingEntry {
    model: String,
    success: f64,
    cost_usd: Option<f64>,
    latency_s: Option<f64>,
    n: f64,
    utility: f64,
}

impl RankingEntry {
    fn new(artifact: &core::Artifact, entry: core::Entry) -> Self {
        Self {
            model: artifact.model_name(entry.model).to_owned(),
            success: entry.success,
            cost_usd: entry.cost_usd,
            latency_s: entry.latency_s,
            n: entry.n,
            utility: entry.utility,
        }
    }
}

#[pymethods]
impl RankingEntry {
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
    artifact: Arc<core::Artifact>,
    decided: Vec<core::Decision>,
    wishes: Arc<core::Wishes>,
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
        artifact: &Arc<core::Artifact>,
        decided: Vec<core::Decision>,
        wishes: Arc<core::Wishes>,
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
            artifact: Arc::clone(artifact),
            decided,
            wishes,
            matrix: kept(artifact, matrix),
        })
    }

    fn at(&self, at: usize) -> Option<Decision> {
        let decided = self.decided.get(at)?;
        let dim = self.artifact.dim();
        let vector = self.matrix.get(at * dim..(at + 1) * dim).unwrap_or(&[]);
        let vector = vector.to_vec();
        Some(Decision::new(
            &self.artifact,
            *decided,
            Arc::clone(&self.wishes),
            vector,
        ))
    }
}

#[pymethods]
impl Decisions {
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let models = self.artifact.models() as u32;
        PyTuple::new(py, (0..models).map(|m| self.artifact.model_name(m)))
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

    fn __repr__(&self) -> String {
        format!("<hypernova.Decisions: {}>", self.decided.len())
    }
}
