//! Map each error of the core to the Python class that users catch.

use hypernova_core::Error;
use pyo3::PyErr;

/// The classes themselves live in `hypernova/errors.py`, so that they are
/// ordinary Python and pickle.
mod python {
    pyo3::import_exception!(hypernova.errors, ArtifactError);
    pyo3::import_exception!(hypernova.errors, ArtifactWriteError);
    pyo3::import_exception!(hypernova.errors, EmbedderError);
    pyo3::import_exception!(hypernova.errors, KernelError);
    pyo3::import_exception!(hypernova.errors, NoCandidateError);
    pyo3::import_exception!(hypernova.errors, NotFoundError);
    pyo3::import_exception!(hypernova.errors, NovelPromptError);
    pyo3::import_exception!(hypernova.errors, PolicyError);
    pyo3::import_exception!(hypernova.errors, TextError);
    pyo3::import_exception!(hypernova.errors, UnpicklingError);
    pyo3::import_exception!(hypernova.errors, UnknownModelError);
    pyo3::import_exception!(hypernova.errors, VectorError);
}

pub(crate) use python::{
    ArtifactWriteError, EmbedderError, NotFoundError, PolicyError, TextError, UnpicklingError,
    VectorError,
};

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` takes"
)]
pub(crate) fn raise(error: Error) -> PyErr {
    let message = error.to_string();
    match error.root() {
        Error::NotFound => python::NotFoundError::new_err(message),
        Error::Write { .. } => python::ArtifactWriteError::new_err(message),
        Error::VectorDim { .. } | Error::VectorNotFinite { .. } => {
            python::VectorError::new_err(message)
        }
        Error::UnknownModel { .. } => python::UnknownModelError::new_err(message),
        Error::Novel { .. } => python::NovelPromptError::new_err(message),
        Error::Option { .. } | Error::OnNovel(_) | Error::TokensUnknown { .. } => {
            python::PolicyError::new_err(message)
        }
        Error::SimdLevel { .. } => python::KernelError::new_err(message),
        Error::State { .. } => python::UnpicklingError::new_err(message),
        Error::Tokenizer { .. }
        | Error::Model { .. }
        | Error::Tensor { .. }
        | Error::Sha256 { .. }
        | Error::Token { .. }
        | Error::SumNotFinite => python::EmbedderError::new_err(message),
        Error::NoCandidate { .. } => python::NoCandidateError::new_err(message),
        _ => python::ArtifactError::new_err(message),
    }
}

/// As [`raise`], of a file of an embedder.
pub(crate) fn raise_of_embedder(error: Error) -> PyErr {
    match error.root() {
        Error::Read { .. } | Error::Folder | Error::Empty => {
            python::EmbedderError::new_err(error.to_string())
        }
        _ => raise(error),
    }
}
