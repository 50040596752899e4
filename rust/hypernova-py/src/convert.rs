//! Arguments that are neither arrays nor route options, and the values that a pickle holds.
//!
//! Not here: the rules for their values, which the core knows.

use std::path::PathBuf;

use hypernova_core as core;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};

use crate::errors::raise;

/// The error for an argument of the wrong type.
pub(crate) fn wrong_type(argument: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name();
    let found = found.map_or_else(|_| "another object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{argument}: expected {expected}, got {found}"))
}

/// The error for a keyword argument that a method does not have, as Python words it.
pub(crate) fn unexpected(method: &str, name: &Bound<'_, PyAny>) -> PyErr {
    match name.repr() {
        Ok(name) => PyTypeError::new_err(format!(
            "{method}() got an unexpected keyword argument {name}"
        )),
        Err(error) => error,
    }
}

/// A text that is not UTF-8, for a message: Python's strings may hold lone surrogates.
pub(crate) fn escaped(text: &Bound<'_, PyString>) -> String {
    let bytes = text.call_method1("encode", ("utf-8", "backslashreplace"));
    bytes
        .and_then(|bytes| bytes.extract::<Vec<u8>>())
        .map_or_else(
            |_| text.to_string_lossy().into_owned(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
}

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
            .map_err(|_| wrong_type("mmap", expected, &value))?;
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

/// An index or a count for a file. One beyond the range is the largest, which no rule allows.
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

/// A JSON object for a file: a mapping, which the package's one writer puts down, or the text of
/// one, which is taken as it stands.
pub(crate) fn json(
    argument: &str,
    value: &Bound<'_, PyAny>,
    error: impl FnOnce(String) -> core::Error,
) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return utf8(text, error);
    }
    let expected = "a mapping, or the text of a JSON object";
    let mapping = value.cast::<PyMapping>();
    let object = dict(mapping.map_err(|_| wrong_type(argument, expected, value))?)?;
    let module = value.py().import("hypernova.artifact.metadata")?;
    let text = module.getattr("canonical_json")?.call1((object,))?;
    utf8(text.cast::<PyString>()?, error)
}

/// A copy of a mapping, which nobody else can change while its items are read: another thread might
/// change the caller's own, as might the conversion of an item.
pub(crate) fn dict<'py>(mapping: &Bound<'py, PyMapping>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = mapping.cast::<PyDict>() {
        return dict.copy();
    }
    let dict = PyDict::new(mapping.py());
    dict.update(mapping)?;
    Ok(dict)
}

/// A JSON text of a file as Python's values.
pub(crate) fn parsed<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.getattr("loads")?.call1((text,))
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

/// The function, and its arguments, that make an object again: the value of `__reduce__`.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// Name one of the functions of `pickle.rs`, which a pickle finds by its name in the module.
pub(crate) fn reduced<'py>(
    function: &str,
    arguments: Bound<'py, PyTuple>,
) -> PyResult<Reduced<'py>> {
    let module = arguments.py().import("hypernova._core")?;
    Ok((module.getattr(function)?, arguments))
}
