//! Python binding of `hypernova-core`: convert arguments, call, map errors.
//!
//! Not here: any decision; the functions of this crate return the answers of the core.
//!
//! Doc comments of classes, methods and functions that Python sees are their documentation there:
//! Google style, with Python's markup. `stub.py` beside this crate's manifest copies them into
//! `_core.pyi`.

#![allow(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "documentation that Python shows has Python's markup"
)]

mod array;
mod artifact;
mod batch;
mod convert;
mod decision;
mod decisions;
mod embedder;
mod errors;
mod grounds;
mod lookup;
mod options;
mod parts;
mod pickle;
mod ranking;
mod text;
mod word_piece;

// One wheel serves every CPython from 3.11 on. Only those without a GIL have no stable ABI, before
// 3.15, and get wheels of their own.
#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED)))]
compile_error!("hypernova is built for CPython's stable ABI: build with pyo3's feature abi3-py311");

use hypernova_core as core;
use pyo3::prelude::*;

use crate::array::{Fresh, matrix_f32, numbers};
use crate::errors::raise;

/// Find the nearest centroid of each row of a matrix, by the search that routes.
///
/// Of centroids at the same distance the one with the lowest index is taken.
///
/// Args:
///     matrix: float32 (n, dim), C-contiguous and finite.
///     centroids: float32 (k, dim), C-contiguous and finite, with k at least 1.
///
/// Returns:
///     Indices of the centroids, int32 (n,), and Euclidean distances from them, float32 (n,); both
///     are read-only.
///
/// Raises:
///     VectorError: A dtype, a shape, strides or a value is wrong.
///     KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.
///
/// Example:
///     >>> import numpy as np
///     >>> from hypernova._core import nearest_centroids
///     >>> centroids = np.eye(2, dtype=np.float32)
///     >>> clusters, distances = nearest_centroids(centroids[[1]], centroids)
///     >>> int(clusters[0]), float(distances[0])
///     (1, 0.0)
#[pyfunction]
fn nearest_centroids<'py>(
    py: Python<'py>,
    matrix: &Bound<'py, PyAny>,
    centroids: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (_, dim) = array::shape2("centroids", centroids)?;
    let centroids: Vec<f32> = numbers("centroids", centroids)?;
    let matrix = matrix_f32(matrix, dim)?;
    let found = py
        .detach(|| core::nearest::nearest_many(&matrix, &centroids, dim))
        .map_err(raise)?;
    let (clusters, distances): (Vec<i32>, Vec<f32>) = found.into_iter().unzip();
    Ok((Fresh(clusters).flat(py)?, Fresh(distances).flat(py)?))
}

/// Hash bytes with SHA-256.
///
/// A process that routes needs no other hash, and is spared ``hashlib`` with its OpenSSL.
///
/// Args:
///     data: Any bytes.
///
/// Returns:
///     64 hex digits.
///
/// Example:
///     >>> from hypernova._core import sha256
///     >>> sha256(b"")[:16]
///     'e3b0c44298fc1c14'
#[pyfunction]
fn sha256(py: Python<'_>, data: &[u8]) -> String {
    py.detach(|| core::sha256(data))
}

/// The compiled core: artifacts, nearest centroids, the decision rule.
// Nothing here counts on the GIL: no static is mutable, and a class is frozen or guards what it
// changes. It is PyO3's default, and written out because an interpreter without a GIL believes it.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::artifact::Artifact;
    #[pymodule_export]
    use super::decision::Decision;
    #[pymodule_export]
    use super::decisions::Decisions;
    #[pymodule_export]
    use super::embedder::LookupEmbedder;
    #[pymodule_export]
    use super::grounds::grounds;
    #[pymodule_export]
    use super::lookup::LookupTable;
    #[pymodule_export]
    use super::nearest_centroids;
    #[pymodule_export]
    use super::pickle::{artifact, decision, decisions, ranking_entry};
    #[pymodule_export]
    use super::ranking::RankingEntry;
    #[pymodule_export]
    use super::sha256;
    #[pymodule_export]
    use super::text::{ReadingRules, cut, cut_spans, is_blank, kept_spans, visible_span};
    #[pymodule_export]
    use super::word_piece::WordPieceTokenizer;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods as _;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
