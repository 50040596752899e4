//! Arguments that are neither arrays nor options: paths, texts, and numbers of a file.
//!
//! Not here: the rules for their values, which the core knows.

use std::path::PathBuf;

use hypernova_core as core;
use pyo3::exceptions::{PyOverflowError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::raise;
use crate::options::{escaped, wrong};

/// The argument `mmap`: `"auto"`, True or False.
pub(crate) struct Mmap(pub(crate) core::Mmap);

impl<'py> FromPyObject<'_, 'py> for Mmap {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(map) = value.extract::<bool>() {
            return Ok(Self(if map {
                core::Mmap::Always
            } else {
                core::Mmap::Never
            }));
        }
        let expected = "\"auto\", True or False";
        let text = value
            .cast::<PyString>()
            .map_err(|_| wrong("mmap", expected, &value))?;
        if text.to_string_lossy() == "auto" {
            return Ok(Self(core::Mmap::Auto));
        }
        let found = text.repr()?;
        Err(PyValueError::new_err(format!(
            "mmap is {found}; it must be {expected}"
        )))
    }
}

/// A number for a file. An int that is too large for a float is infinite, which no rule allows.
#[derive(Clone, Copy)]
pub(crate) struct Number(pub(crate) f64);

impl<'py> FromPyObject<'_, 'py> for Number {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.extract::<f64>() {
            Err(e) if e.is_instance_of::<PyOverflowError>(value.py()) => {
                let sign = if value.lt(0)? { -1.0 } else { 1.0 };
                Ok(Self(sign * f64::INFINITY))
            }
            found => found.map(Self),
        }
    }
}

/// An index or a count for a file. What is none is the largest, which no rule allows.
#[derive(Clone, Copy)]
pub(crate) struct Index(pub(crate) u32);

impl<'py> FromPyObject<'_, 'py> for Index {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.extract::<u32>() {
            Err(e) if e.is_instance_of::<PyOverflowError>(value.py()) => Ok(Self(u32::MAX)),
            found => found.map(Self),
        }
    }
}

/// A text for a file, or the error that it is no UTF-8.
pub(crate) fn utf8(
    text: &Bound<'_, PyString>,
    error: impl FnOnce(String) -> core::Error,
) -> PyResult<String> {
    let found = text.to_str().map(str::to_owned);
    found.map_err(|_| raise(error(format!("not UTF-8: {:.80}", escaped(text)))))
}

/// A path. One that the system cannot write down is the path of no file.
pub(crate) fn path(value: &Bound<'_, PyAny>, error: fn(String) -> PyErr) -> PyResult<PathBuf> {
    value.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyUnicodeEncodeError>(value.py()) {
            let name = value.str().map(|name| escaped(&name)).unwrap_or_default();
            return error(format!(
                "{name}: no file can have this name; check the path"
            ));
        }
        e
    })
}
