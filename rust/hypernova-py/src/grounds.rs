//! What a decision was made from, for the sketches of a log.
//!
//! Not here: sketches, which Python makes.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::array::Fresh;
use crate::artifact::Artifact;
use crate::decision::Decision;

/// Return the artifact that decided and the prompt's vector, for a log's sketch.
///
/// Args:
///     decision: A decision.
///
/// Returns:
///     The artifact and the vector, float32 (dim,); None for a decision out of a pickle, and
///     where no ranking needs the vector, because the artifact neither blends clusters nor
///     corrects estimates.
#[pyfunction(name = "_grounds")]
pub(crate) fn grounds<'py>(
    py: Python<'py>,
    decision: &Decision,
) -> PyResult<Option<(Artifact, Bound<'py, PyAny>)>> {
    let Some((artifact, vector)) = decision.grounds() else {
        return Ok(None);
    };
    let vector = Fresh(vector.to_vec()).flat(py)?;
    Ok(Some((Artifact::of(Arc::clone(artifact)), vector)))
}
