//! Texts as arguments of an embedder, and the calls that go on for many of them.
//!
//! Not here: a str as UTF-8 (see `text`), and what of a text is read, which the core knows.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use hypernova_core::text::ReadingRules;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::text::text_for;

/// Between two looks for a signal, such as that of Ctrl-C: taking the GIL may last as long as
/// another thread computes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Texts between two calls of a progress function.
const PROGRESS_EVERY: usize = 256;

/// Name a text in a message.
pub(crate) fn label(index: Option<usize>) -> String {
    index.map_or_else(|| "the text".into(), |index| format!("text {index}"))
}

/// The text of an argument as the rules read it, or the error that it is none.
pub(crate) fn read<'a>(
    value: &'a Bound<'_, PyAny>,
    rules: &ReadingRules,
    index: Option<usize>,
) -> PyResult<Cow<'a, str>> {
    text_for(
        value
            .cast::<PyString>()
            .map_err(|_| no_text(value, index))?,
        rules,
    )
}

fn no_text(value: &Bound<'_, PyAny>, index: Option<usize>) -> PyErr {
    let found = value.get_type().name();
    let found = found.map_or_else(|_| "another object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{} is {found}, expected str", label(index)))
}

/// The objects of a sequence, kept alive while their texts are read without the GIL.
pub(crate) fn objects<'py>(texts: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(texts) = texts.cast::<PyList>() {
        return Ok(texts.iter().collect());
    }
    if let Ok(texts) = texts.cast::<PyTuple>() {
        return Ok(texts.iter().collect());
    }
    texts.try_iter()?.collect()
}

/// The texts of objects, up to the first that is none, with the error for that one.
pub(crate) fn texts<'a>(
    objects: &'a [Bound<'_, PyAny>],
    rules: &ReadingRules,
    index: impl Fn(usize) -> usize,
) -> (Vec<Cow<'a, str>>, Option<PyErr>) {
    let mut texts = Vec::with_capacity(objects.len());
    for (at, object) in objects.iter().enumerate() {
        match read(object, rules, Some(index(at))) {
            Ok(text) => texts.push(text),
            Err(error) => return (texts, Some(error)),
        }
    }
    (texts, None)
}

/// Looks for signals and reports progress while threads work without the GIL.
pub(crate) struct Watch {
    caller: ThreadId,
    progress: Option<Py<PyAny>>,
    /// Texts that were done and not reported.
    pending: AtomicUsize,
    state: Mutex<(Instant, Option<PyErr>)>,
}

impl Watch {
    pub(crate) fn new(progress: Option<&Bound<'_, PyAny>>) -> Self {
        Self {
            caller: thread::current().id(),
            progress: progress.map(|progress| progress.clone().unbind()),
            pending: AtomicUsize::new(0),
            state: Mutex::new((Instant::now(), None)),
        }
    }

    /// Count texts that are done; false where the work is to end.
    pub(crate) fn go_on(&self, texts: usize) -> bool {
        let pending = self.pending.fetch_add(texts, Ordering::Relaxed) + texts;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if thread::current().id() == self.caller && state.1.is_none() {
            let report = self.progress.is_some() && pending >= PROGRESS_EVERY;
            if report || state.0.elapsed() >= LOOK_EVERY {
                let called = Python::attach(|py| {
                    py.check_signals()?;
                    if report { self.report(py) } else { Ok(()) }
                });
                *state = (Instant::now(), called.err());
            }
        }
        state.1.is_none()
    }

    fn report(&self, py: Python<'_>) -> PyResult<()> {
        let pending = self.pending.swap(0, Ordering::Relaxed);
        match &self.progress {
            Some(progress) if pending > 0 => progress.call1(py, (pending,)).map(drop),
            _ => Ok(()),
        }
    }

    /// Report the rest, or give the exception that ended the work.
    pub(crate) fn finish(self, py: Python<'_>, is_done: bool) -> PyResult<()> {
        if is_done {
            self.report(py)?;
        }
        let state = self.state.into_inner();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .map_or(Ok(()), Err)
    }
}
