//! How the classes pickle: the functions that make them again from what was sent.
//!
//! Not here: what the bytes mean and whether they are whole; the core writes and checks them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hypernova_core as core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::Artifact;
use crate::decision::{Decision, Decisions, RankingEntry};
use crate::errors::{StateError, raise};

/// The function, and its arguments, that make an object again: what `__reduce__` gives.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// Name one of the functions below, which a pickle finds by its name in this module.
pub(crate) fn reduced<'py>(
    function: &str,
    arguments: Bound<'py, PyTuple>,
) -> PyResult<Reduced<'py>> {
    let module = arguments.py().import("hypernova._core")?;
    Ok((module.getattr(function)?, arguments))
}

/// Take the arguments apart: anybody may have made them.
fn parts<'py, T>(of: &str, state: &Bound<'py, PyTuple>) -> PyResult<T>
where
    T: FromPyObjectOwned<'py>,
{
    state.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        let why = error.value(state.py());
        StateError::new_err(format!(
            "not what a pickled {of} holds: {why}; pickle it again, with this version of hypernova"
        ))
    })
}

/// Artifacts that came with a pickle and are in use: each is held once, however often it is
/// sent. Locked only while the GIL is held, so no fork finds it locked by another thread.
static IN_USE: Mutex<Vec<Weak<core::Artifact>>> = Mutex::new(Vec::new());

#[pyfunction(name = "_artifact")]
#[pyo3(signature = (*state))]
pub(crate) fn artifact(state: &Bound<'_, PyTuple>) -> PyResult<Artifact> {
    let (data, path): (Bound<'_, PyBytes>, Option<PathBuf>) = parts("artifact", state)?;
    let data = data.as_bytes();
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.retain(|artifact| artifact.strong_count() > 0);
    let same = (in_use.iter().filter_map(Weak::upgrade))
        .find(|artifact| artifact.bytes() == data && artifact.path() == path.as_deref());
    if let Some(same) = same {
        return Ok(Artifact::of(same));
    }
    let mut new = core::Artifact::from_bytes(data).map_err(raise)?;
    if let Some(path) = path {
        new = new.with_path(path);
    }
    let new = Arc::new(new);
    in_use.push(Arc::downgrade(&new));
    Ok(Artifact::of(new))
}

#[pyfunction(name = "_decision")]
#[pyo3(signature = (*state))]
pub(crate) fn decision(state: &Bound<'_, PyTuple>) -> PyResult<Decision> {
    let (data, id): (Bound<'_, PyBytes>, String) = parts("decision", state)?;
    if !core::id::is_id(&id) {
        return Err(StateError::new_err(format!(
            "not what a pickled decision holds: the id is {id:?}, expected 32 hexadecimal digits"
        )));
    }
    let detached = core::DetachedDecision::from_bytes(data.as_bytes()).map_err(raise)?;
    Ok(Decision::detached(detached, Some(id)))
}

#[pyfunction(name = "_ranking_entry")]
#[pyo3(signature = (*state))]
pub(crate) fn ranking_entry(state: &Bound<'_, PyTuple>) -> PyResult<RankingEntry> {
    parts("ranking entry", state).map(RankingEntry::of)
}

#[pyfunction(name = "_decisions")]
#[pyo3(signature = (*state))]
pub(crate) fn decisions(py: Python<'_>, state: &Bound<'_, PyTuple>) -> PyResult<Decisions> {
    let (artifact, rows, vectors): (Py<Artifact>, Bound<'_, PyBytes>, Bound<'_, PyBytes>) =
        parts("batch of decisions", state)?;
    let (decided, options, vectors) = (artifact.get().core())
        .batch_from_bytes(rows.as_bytes(), vectors.as_bytes())
        .map_err(raise)?;
    Decisions::new(py, artifact, decided, Arc::new(options), vectors)
}
