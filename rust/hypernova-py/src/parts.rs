//! The values of an artifact by name: the arguments of `Artifact.build` and `Artifact.replace`.
//!
//! Not here: the rules for these values, which the core knows.

use hypernova_core as core;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use crate::array::{Fresh, numbers, shape2};
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
        parts.groups = artifact
            .groups()
            .map(|groups| owned_groups(artifact, &groups));
        parts.tokens = owned_tokens(artifact);
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
            "margin" => parts.policy.margin = number(name, value)?,
            "novelty_limit" => parts.policy.novelty_limit = number(name, value)?,
            "shrinkage" => parts.policy.shrinkage = number(name, value)?,
            "sharpness" => self.sharpness = optional(value, |v| number(name, v))?,
            "n_nearest" => self.n_nearest = index(name, value)?,
            "slopes" => self.slopes = optional(value, |v| numbers(name, v))?,
            "offsets" => self.offsets = optional(value, |v| numbers(name, v))?,
            "group_profiles" => parts.groups = optional(value, groups)?,
            "token_profiles" => parts.tokens = optional(value, tokens)?,
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
    each_name("models", expected, value, |index, rule| {
        core::Error::ModelNames { index, rule }
    })
}

fn each_name(
    argument: &str,
    expected: &str,
    value: &Bound<'_, PyAny>,
    error: fn(usize, &'static str) -> core::Error,
) -> PyResult<Vec<String>> {
    let names: Vec<Bound<'_, PyString>> =
        (value.extract()).map_err(|_| wrong_type(argument, expected, value))?;
    let name = |(index, name)| convert::utf8(name, |_| error(index, "it must be UTF-8"));
    names.iter().enumerate().map(name).collect()
}

/// The items of an argument that is a mapping of arrays.
fn items<'py>(argument: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let mapping = value.cast::<PyMapping>();
    let expected = "a mapping from names to arrays";
    convert::dict(mapping.map_err(|_| wrong_type(argument, expected, value))?)
}

/// An item of a mapping that must be there.
fn item<'py>(argument: &str, of: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let missing = || PyTypeError::new_err(format!("{argument} lacks {name:?}"));
    of.get_item(name)?.ok_or_else(missing)
}

/// Refuse an item that is none of the names.
fn check_names(argument: &str, of: &Bound<'_, PyDict>, names: &[&str]) -> PyResult<()> {
    for (name, _) in of {
        if !names.iter().any(|known| name.eq(known).unwrap_or(false)) {
            let (name, known) = (name.repr()?, names.join(", "));
            let message = format!("{argument} has {name}, which is none of {known}");
            return Err(PyTypeError::new_err(message));
        }
    }
    Ok(())
}

const OF_GROUPS: [&str; 11] = [
    "names",
    "tasks",
    "counts",
    "mean",
    "success",
    "standard_error",
    "gain_error",
    "cost",
    "latency",
    "offsets",
    "slopes",
];

fn groups(value: &Bound<'_, PyAny>) -> PyResult<core::GroupProfiles> {
    const ARGUMENT: &str = "group_profiles";
    let given = items(ARGUMENT, value)?;
    check_names(ARGUMENT, &given, &OF_GROUPS)?;
    let of = |name: &str| item(ARGUMENT, &given, name);
    let f32s = |name: &str| numbers(&format!("{ARGUMENT}[{name:?}]"), &of(name)?);
    let f64s = |name: &str| numbers(&format!("{ARGUMENT}[{name:?}]"), &of(name)?);
    let expected = "names of groups, such as a list of str";
    Ok(core::GroupProfiles {
        names: each_name(
            "group_profiles['names']",
            expected,
            &of("names")?,
            |index, rule| core::Error::GroupNames { index, rule },
        )?,
        tasks: f64s("tasks")?,
        counts: f64s("counts")?,
        mean: f32s("mean")?,
        success: f32s("success")?,
        standard_error: f32s("standard_error")?,
        gain_error: f32s("gain_error")?,
        cost: f32s("cost")?,
        latency: f32s("latency")?,
        correction: match (given.contains("offsets")?, given.contains("slopes")?) {
            (true, true) => Some(core::GroupCorrection {
                offsets: f32s("offsets")?,
                slopes: f32s("slopes")?,
            }),
            (false, false) => None,
            _ => {
                let message = format!("{ARGUMENT}: slopes and offsets go together");
                return Err(PyTypeError::new_err(message));
            }
        },
    })
}

const OF_TOKENS: [&str; 5] = [
    "per_prompt",
    "input",
    "output",
    "group_input",
    "group_output",
];

fn tokens(value: &Bound<'_, PyAny>) -> PyResult<core::TokenProfiles> {
    const ARGUMENT: &str = "token_profiles";
    let given = items(ARGUMENT, value)?;
    check_names(ARGUMENT, &given, &OF_TOKENS)?;
    let f32s = |name: &str| {
        let value = item(ARGUMENT, &given, name)?;
        numbers(&format!("{ARGUMENT}[{name:?}]"), &value)
    };
    let of_groups = |name: &str| {
        if given.contains(name)? {
            f32s(name)
        } else {
            Ok(Vec::new())
        }
    };
    Ok(core::TokenProfiles {
        per_prompt: f32s("per_prompt")?,
        input: f32s("input")?,
        output: f32s("output")?,
        group_input: of_groups("group_input")?,
        group_output: of_groups("group_output")?,
    })
}

fn owned_groups(artifact: &core::Artifact, groups: &core::Groups<'_>) -> core::GroupProfiles {
    let profile = &groups.profile;
    core::GroupProfiles {
        names: (0..artifact.n_groups() as u32)
            .map(|group| artifact.group_name(group).to_owned())
            .collect(),
        tasks: groups.tasks.to_vec(),
        counts: profile.counts.to_vec(),
        mean: profile.mean.to_vec(),
        success: profile.success.to_vec(),
        standard_error: profile.standard_error.to_vec(),
        gain_error: profile.gain_error.to_vec(),
        cost: profile.cost.to_vec(),
        latency: profile.latency.to_vec(),
        correction: (groups.correction).map(|(offsets, slopes)| core::GroupCorrection {
            offsets: offsets.to_vec(),
            slopes: slopes.to_vec(),
        }),
    }
}

fn owned_tokens(artifact: &core::Artifact) -> Option<core::TokenProfiles> {
    let per_prompt = artifact.prompt_tokens()?;
    let copy = |values: Option<&[f32]>| values.map_or_else(Vec::new, <[f32]>::to_vec);
    let own = artifact.profile();
    let groups = artifact.groups().map(|groups| groups.profile);
    Some(core::TokenProfiles {
        per_prompt: per_prompt.to_vec(),
        input: copy(own.input_tokens),
        output: copy(own.output_tokens),
        group_input: copy(groups.and_then(|groups| groups.input_tokens)),
        group_output: copy(groups.and_then(|groups| groups.output_tokens)),
    })
}

/// The groups of an artifact under the names that `groups` reads.
pub(crate) fn group_profiles<'py>(
    py: Python<'py>,
    artifact: &core::Artifact,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(groups) = artifact.groups() else {
        return Ok(None);
    };
    let owned = owned_groups(artifact, &groups);
    let (rows, models) = (artifact.n_groups(), artifact.n_models());
    let shape = [rows, models];
    let dict = PyDict::new(py);
    dict.set_item("names", owned.names)?;
    dict.set_item("tasks", Fresh(owned.tasks).flat(py)?)?;
    dict.set_item("counts", Fresh(owned.counts).shaped(py, shape)?)?;
    dict.set_item("mean", Fresh(owned.mean).shaped(py, shape)?)?;
    dict.set_item("success", Fresh(owned.success).shaped(py, shape)?)?;
    dict.set_item(
        "standard_error",
        Fresh(owned.standard_error).shaped(py, shape)?,
    )?;
    dict.set_item("gain_error", Fresh(owned.gain_error).shaped(py, shape)?)?;
    dict.set_item("cost", Fresh(owned.cost).shaped(py, shape)?)?;
    dict.set_item("latency", Fresh(owned.latency).shaped(py, shape)?)?;
    if let Some(correction) = owned.correction {
        dict.set_item("offsets", Fresh(correction.offsets).shaped(py, shape)?)?;
        let shape = [models, artifact.dim()];
        dict.set_item("slopes", Fresh(correction.slopes).shaped(py, shape)?)?;
    }
    Ok(Some(dict))
}

/// The tokens of an artifact under the names that `tokens` reads.
pub(crate) fn token_profiles<'py>(
    py: Python<'py>,
    artifact: &core::Artifact,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(tokens) = owned_tokens(artifact) else {
        return Ok(None);
    };
    let (groups, models) = (artifact.n_groups(), artifact.n_models());
    let shape = [artifact.n_clusters() + 1, models];
    let dict = PyDict::new(py);
    dict.set_item(
        "per_prompt",
        Fresh(tokens.per_prompt).shaped(py, [models, 2])?,
    )?;
    dict.set_item("input", Fresh(tokens.input).shaped(py, shape)?)?;
    dict.set_item("output", Fresh(tokens.output).shaped(py, shape)?)?;
    if groups > 0 {
        let shape = [groups, models];
        dict.set_item("group_input", Fresh(tokens.group_input).shaped(py, shape)?)?;
        dict.set_item(
            "group_output",
            Fresh(tokens.group_output).shaped(py, shape)?,
        )?;
    }
    Ok(Some(dict))
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
