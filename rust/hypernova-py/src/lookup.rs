//! The class `LookupTable`: opened from an ONNX file, asked for vectors of tokens.
//!
//! Not here: texts, which have to be cut into tokens first.

use std::sync::Arc;

use hypernova_core as core;
use hypernova_core::text::table;
use pyo3::prelude::*;

use crate::array::Fresh;
use crate::convert::{self, Mmap};
use crate::errors::{NotFoundError, raise_of_embedder};

/// The tables of an ONNX file whose graph looks rows of tokens up and adds them.
///
/// Its vectors agree with those of onnxruntime for the same file to 1e-6, and are the same on every
/// CPU, bit by bit. For embedders whose tokens the core does not make.
///
/// Example:
///     >>> from importlib.resources import files
///     >>> from hypernova._core import LookupTable
///     >>> table = LookupTable.open(files("hypernova") / "bundled" / "static" / "model.onnx")
///     >>> table.embed([2023, 2003]).shape == (table.dim,)
///     True
#[pyclass(frozen, weakref, module = "hypernova._core")]
pub(crate) struct LookupTable(pub(crate) Arc<table::LookupTable>);

#[pymethods]
impl LookupTable {
    /// Read or map an ONNX file, and recognise its graph.
    ///
    /// Args:
    ///     path: An ONNX file.
    ///     sha256: The SHA-256 that the file must have, 64 hex digits; None for any.
    ///     mmap: As for `Artifact.open`.
    ///
    /// Returns:
    ///     The table, or None if the graph is no lookup.
    ///
    /// Raises:
    ///     ValueError: ``mmap`` is a str other than ``"auto"``.
    ///     TypeError: ``mmap`` is neither a str nor a bool.
    ///     NotFoundError: There is no such file.
    ///     EmbedderError: The file cannot be read, has another SHA-256, is cut short, or holds a
    ///         table that breaks a rule.
    ///     KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.
    #[staticmethod]
    #[pyo3(signature = (path, *, sha256=None, mmap=Mmap(core::Mmap::Auto)),
           text_signature = "(path, *, sha256=None, mmap='auto')")]
    #[expect(unsafe_code, reason = "may map a file")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that conversion gives"
    )]
    fn open(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        sha256: Option<&str>,
        mmap: Mmap,
    ) -> PyResult<Option<Self>> {
        let path = convert::path(path, NotFoundError::new_err)?;
        // SAFETY: as for `Artifact.open`, whose documentation asks the user not to write to a
        // mapped file.
        py.detach(|| unsafe { table::LookupTable::open_with(&path, mmap.0, sha256) })
            .map(|table| table.map(|table| Self(Arc::new(table))))
            .map_err(raise_of_embedder)
    }

    /// Dimension of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    /// Number of tokens; a token is below it.
    #[getter]
    fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    /// Whether the file is mapped.
    #[getter]
    fn is_mapped(&self) -> bool {
        self.0.is_mapped()
    }

    /// Embed a text's tokens.
    ///
    /// Args:
    ///     tokens: Ids of the tokens in their order, each at least 0 and below ``vocabulary``.
    ///
    /// Returns:
    ///     The vector, float32 (dim,), read-only; zeros for no token.
    ///
    /// Raises:
    ///     EmbedderError: A token is none of the table's, or its rows are not finite.
    ///     OverflowError: A token is negative, or does not fit 32 bits.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that conversion gives"
    )]
    fn embed<'py>(&self, py: Python<'py>, tokens: Vec<u32>) -> PyResult<Bound<'py, PyAny>> {
        let mut vector = vec![0.0; self.0.dim()];
        py.detach(|| {
            let mut scratch = table::Scratch::default();
            self.0.embed(&tokens, &mut scratch, &mut vector)
        })
        .map_err(raise_of_embedder)?;
        Fresh(vector).flat(py)
    }
}
