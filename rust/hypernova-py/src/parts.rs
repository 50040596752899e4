//! The values of an artifact by name: the arguments of `Artifact.build` and `Artifact.replace`.
//!
//! Not here: the rules for these values, which the core knows.

use hypernova_core as core;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::array::{numbers, shape2};
use crate::convert::{self, Index, Number, unexpected, wrong_type};
use crate::errors::raise;

/// The arguments of `Artifact.build` that have no default.
const REQUIRED: [&str; 13] = [
    "models",
    "centroids",
    "counts",
    "mean",
    "success",
    "standard_error",
    "gain_error",
    "cost",
    "latency",
    "novelty",
    "embedder",
    "metadata",
    "default_model",
];
/// Clusters that have a share unless `n_nearest` says otherwise.
const N_NEAREST: u32 = 8;

/// Make an artifact of named values.
pub(crate) fn build(given: Option<&Bound<'_, PyDict>>) -> PyResult<core::Artifact> {
    const METHOD: &str = "Artifact.build";
    for name in REQUIRED {
        if !given.is_some_and(|given| given.contains(name).unwrap_or(false)) {
            let message = format!("{METHOD}() missing the required keyword argument '{name}'");
            return Err(PyTypeError::new_err(message));
        }
    }
    let mut draft = Draft {
        parts: core::ArtifactValues::new(0, 0, vec![], core::format::Policy::new(0), String::new()),
        sharpness: None,
        n_nearest: N_NEAREST,
        slopes: None,
        offsets: None,
    };
    draft.set_all(METHOD, given)?;
    draft.finish()
}

/// Make a copy of an artifact with other values under the names given.
pub(crate) fn replace(
    artifact: &core::Artifact,
    changes: Option<&Bound<'_, PyDict>>,
) -> PyResult<core::Artifact> {
    let mut draft = Draft::of(artifact)?;
    draft.set_all("Artifact.replace", changes)?;
    draft.finish()
}

/// The values of an artifact that is being made. Those that only make sense together are apart.
struct Draft {
    parts: core::ArtifactValues,
    sharpness: Option<f64>,
    n_nearest: u32,
    slopes: Option<Vec<f32>>,
    offsets: Option<Vec<f32>>,
}

impl Draft {
    fn of(artifact: &core::Artifact) -> PyResult<Self> {
        let (rows, dim) = (u32::try_from(artifact.n_clusters())?, artifact.dim());
        let models = (0..artifact.n_models() as u32).map(|m| artifact.model_name(m).to_owned());
        let (policy, embedder) = (*artifact.policy(), artifact.embedder_json());
        let dim = u32::try_from(dim)?;
        let mut parts =
            core::ArtifactValues::new(rows, dim, models.collect(), policy, embedder.to_owned());
        parts.centroids = artifact.centroids().to_vec();
        parts.counts = artifact.counts().to_vec();
        parts.mean = artifact.mean().to_vec();
        parts.success = artifact.success().to_vec();
        parts.standard_error = artifact.standard_error().to_vec();
        parts.gain_error = artifact.gain_error().to_vec();
        parts.cost = artifact.cost().to_vec();
        parts.latency = artifact.latency().to_vec();
        parts.novelty = artifact.novelty_quantiles().to_vec();
        artifact.metadata().clone_into(&mut parts.metadata);
        let blending = artifact.blending();
        Ok(Self {
            parts,
            sharpness: blending.map(|blending| blending.sharpness),
            n_nearest: blending.map_or(N_NEAREST, |blending| blending.nearest),
            slopes: artifact.slopes().map(<[f32]>::to_vec),
            offsets: artifact.offsets().map(<[f32]>::to_vec),
        })
    }

    fn set_all(&mut self, method: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        for (name, value) in given.into_iter().flatten() {
            let text = name.cast::<PyString>()?.to_str().unwrap_or_default();
            if !self.set(text, &value)? {
                return Err(unexpected(method, &name));
            }
        }
        Ok(())
    }

    /// Take a value; false if there is none of that name.
    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Self { parts, .. } = self;
        match name {
            "models" => parts.models = names(value)?,
            "centroids" => {
                let (rows, dim) = shape2(name, value)?;
                (parts.clusters, parts.dim) = (u32::try_from(rows)?, u32::try_from(dim)?);
                parts.centroids = numbers(name, value)?;
            }
            "counts" => parts.counts = numbers(name, value)?,
            "mean" => parts.mean = numbers(name, value)?,
            "success" => parts.success = numbers(name, value)?,
            "standard_error" => parts.standard_error = numbers(name, value)?,
            "gain_error" => parts.gain_error = numbers(name, value)?,
            "cost" => parts.cost = numbers(name, value)?,
            "latency" => parts.latency = numbers(name, value)?,
            "novelty" => parts.novelty = numbers(name, value)?,
            "embedder" => {
                let error = |detail| core::Error::Embedder { detail };
                parts.embedder = convert::json(name, value, error)?;
            }
            "metadata" => {
                let error = |detail| core::Error::Metadata { detail };
                parts.metadata = convert::json(name, value, error)?;
            }
            "default_model" => parts.policy.default_model = index(name, value)?,
            "cost_weight" => parts.policy.cost_weight = number(name, value)?,
            "latency_weight" => parts.policy.latency_weight = number(name, value)?,
            "max_cost_usd" => parts.policy.max_cost_usd = optional(value, |v| number(name, v))?,
            "min_success" => parts.policy.min_success = number(name, value)?,
            "guard_z" => parts.policy.guard_z = number(name, value)?,
            "novelty_limit" => parts.policy.novelty_limit = number(name, value)?,
            "shrinkage" => parts.policy.shrinkage = number(name, value)?,
            "sharpness" => self.sharpness = optional(value, |v| number(name, v))?,
            "n_nearest" => self.n_nearest = index(name, value)?,
            "slopes" => self.slopes = optional(value, |v| numbers(name, v))?,
            "offsets" => self.offsets = optional(value, |v| numbers(name, v))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> PyResult<core::Artifact> {
        let mut parts = self.parts;
        parts.blending = self.sharpness.map(|sharpness| core::format::Blending {
            sharpness,
            nearest: self.n_nearest,
        });
        parts.correction = match (self.slopes, self.offsets) {
            (Some(slopes), Some(offsets)) => Some(core::LinearCorrection { offsets, slopes }),
            (None, None) => None,
            _ => return Err(PyTypeError::new_err("slopes and offsets go together")),
        };
        core::Artifact::build(&parts).map_err(raise)
    }
}

fn names(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let expected = "names of models, such as a list of str";
    let names: Vec<Bound<'_, PyString>> =
        (value.extract()).map_err(|_| wrong_type("models", expected, value))?;
    let name = |(index, name)| {
        let rule = "it must be UTF-8";
        convert::utf8(name, |_| core::Error::ModelNames { index, rule })
    };
    names.iter().enumerate().map(name).collect()
}

fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number: PyResult<Number> = value.extract();
    (number.map(|number| number.0)).map_err(|e| named(e, name, "a number", value))
}

fn index(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let index: PyResult<Index> = value.extract();
    (index.map(|index| index.0)).map_err(|e| named(e, name, "a whole number", value))
}

/// An error of Python's conversion with the name of the argument, if it is about the type.
fn named(error: PyErr, name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    if error.is_instance_of::<PyTypeError>(value.py()) {
        return wrong_type(name, expected, value);
    }
    error
}

fn optional<'a, 'py, T>(
    value: &'a Bound<'py, PyAny>,
    read: impl FnOnce(&'a Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    if value.is_none() {
        return Ok(None);
    }
    read(value).map(Some)
}
