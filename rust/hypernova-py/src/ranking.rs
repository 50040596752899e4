//! The class `RankingEntry`.
//!
//! Not here: the decision whose ranking it is in (see `decision`).

use hypernova_core as core;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{Reduced, reduced};

/// A model's place in a ranking; equal to an entry with the same values.
///
/// Example:
///     >>> import hypernova
///     >>> entry = hypernova.Router.open().artifact.rank_unread()[0]
///     >>> list(entry.to_dict())
///     ['model', 'success', 'cost_usd', 'latency_s', 'n', 'utility']
#[derive(PartialEq)]
#[pyclass(frozen, get_all, eq, module = "hypernova._core")]
pub(crate) struct RankingEntry {
    /// Name of the model.
    model: String,
    /// Success estimate for the prompt, 0 to 1.
    ///
    /// Where the artifact has shares it is blended over the nearest clusters, and where it has a
    /// linear correction, that of the vector is added.
    success: f64,
    /// Expected cost of a task in USD, the caller's price if given; None if unknown.
    cost_usd: Option<f64>,
    /// Expected latency of a task in seconds; None if unknown.
    latency_s: Option<f64>,
    /// Number of outcomes that were counted there; may be fractional.
    n: f64,
    /// Success less weighted cost and latency: the ranking goes by it.
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
    /// Give the values of the entry by name, for JSON and logs.
    ///
    /// Returns:
    ///     A dict of ``model``, ``success``, ``cost_usd``, ``latency_s``, ``n`` and ``utility``.
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("model", &self.model)?;
        dict.set_item("success", self.success)?;
        dict.set_item("cost_usd", self.cost_usd)?;
        dict.set_item("latency_s", self.latency_s)?;
        dict.set_item("n", self.n)?;
        dict.set_item("utility", self.utility)?;
        Ok(dict)
    }

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
