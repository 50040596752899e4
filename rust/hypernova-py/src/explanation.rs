//! An explanation as rows of values, which `hypernova/router/explanation.py` names.
//!
//! Not here: what it says; that is the core's.

use hypernova_core as core;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// `(novel, clusters, estimates)`; the fields of a row are those of `NearCluster` and
/// `ModelEstimate`, in their order.
pub(crate) fn rows<'py>(
    py: Python<'py>,
    artifact: &core::Artifact,
    said: &core::Explanation,
) -> PyResult<Bound<'py, PyTuple>> {
    let clusters = PyList::empty(py);
    for near in &said.clusters {
        clusters.append((near.cluster, near.distance, near.share))?;
    }
    let estimates = PyList::empty(py);
    for model in &said.models {
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
    (said.novel, clusters, estimates).into_pyobject(py)
}
