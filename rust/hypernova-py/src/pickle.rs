//! The functions by which a pickle makes objects of the classes again.
//!
//! Not here: `__reduce__`, which each class has; the meaning of the bytes, which the core writes
//! and checks.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hypernova_core as core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::artifact::Artifact;
use crate::decision::{Decision, RankingEntry, Shadow};
use crate::decisions::Decisions;
use crate::errors::{UnpicklingError, raise};

/// Take the arguments apart: anybody may have made them.
fn parts<'py, T>(of: &str, state: &Bound<'py, PyTuple>) -> PyResult<T>
where
    T: FromPyObjectOwned<'py>,
{
    state.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        let why = error.value(state.py());
        UnpicklingError::new_err(format!(
            "not what a pickled {of} holds: {why}; pickle it again, with this version of hypernova"
        ))
    })
}

/// Artifacts that came with a pickle and are in use: each is held once, however often it is
/// sent. Locked only while the GIL is held, so no fork finds it locked by another thread.
static IN_USE: Mutex<Vec<Weak<core::Artifact>>> = Mutex::new(Vec::new());

/// Make the `Artifact` of a pickle again.
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

/// Make the `Decision` of a pickle again.
#[pyfunction(name = "_decision")]
#[pyo3(signature = (*state))]
pub(crate) fn decision(state: &Bound<'_, PyTuple>) -> PyResult<Decision> {
    let (data, id, shadow): (Bound<'_, PyBytes>, String, Option<Shadow>) =
        parts("decision", state)?;
    if !core::id::is_id(&id) {
        return Err(UnpicklingError::new_err(format!(
            "not what a pickled decision holds: the id is {id:?}, expected 32 hexadecimal digits"
        )));
    }
    let detached = core::DetachedDecision::from_bytes(data.as_bytes()).map_err(raise)?;
    Ok(Decision::unpickled(detached, id, shadow))
}

/// Make the `RankingEntry` of a pickle again.
#[pyfunction(name = "_ranking_entry")]
#[pyo3(signature = (*state))]
pub(crate) fn ranking_entry(state: &Bound<'_, PyTuple>) -> PyResult<RankingEntry> {
    parts("ranking entry", state).map(RankingEntry::of)
}

/// Make the `Decisions` of a pickle again.
#[pyfunction(name = "_decisions")]
#[pyo3(signature = (*state))]
pub(crate) fn decisions(state: &Bound<'_, PyTuple>) -> PyResult<Decisions> {
    let (artifact, rows, vectors): (Bound<'_, Artifact>, Bound<'_, PyBytes>, Bound<'_, PyBytes>) =
        parts("batch of decisions", state)?;
    let inner = artifact.get().core();
    let (decided, options, vectors) = inner
        .batch_from_bytes(rows.as_bytes(), vectors.as_bytes())
        .map_err(raise)?;
    Decisions::new(
        artifact.as_any(),
        inner,
        decided,
        Arc::new(options),
        vectors,
    )
}
