//! Texts as arguments, and the calls that go on for many of them.
//!
//! Not here: what of a text is read, which the core knows.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// Between two looks for a signal, such as that of Ctrl-C: taking the GIL may last as long as
/// another thread computes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Texts between two calls of a progress function.
const PROGRESS_EVERY: usize = 256;

/// Name a text in a message.
pub(crate) fn label(index: Option<usize>) -> String {
    index.map_or_else(|| "the text".into(), |index| format!("text {index}"))
}

/// A str as UTF-8. A lone surrogate, which no UTF-8 has, is the replacement character.
pub(crate) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    if let Ok(text) = text.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
    let mut bytes = bytes.cast_into::<PyBytes>()?.as_bytes().to_vec();
    let mut at = 0;
    while let Some([first, second, ..]) = bytes.get(at..) {
        if *first == 0xED && *second >= 0xA0 {
            bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
        }
        at += 1;
    }
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The text of an argument, or the error that it is none.
pub(crate) fn text<'a>(value: &'a Bound<'_, PyAny>, index: Option<usize>) -> PyResult<Cow<'a, str>> {
    utf8(value.cast::<PyString>().map_err(|_| no_text(value, index))?)
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
    index: impl Fn(usize) -> usize,
) -> (Vec<Cow<'a, str>>, Option<PyErr>) {
    let mut texts = Vec::with_capacity(objects.len());
    for (at, object) in objects.iter().enumerate() {
        match text(object, Some(index(at))) {
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
