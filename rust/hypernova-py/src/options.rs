//! The keyword arguments that state a caller's options.
//!
//! Each is read straight into the core's form, without a dict or a copy of a name in
//! between: reading them once took longer than deciding.

use std::sync::Arc;

use hypernova_core as core;
use hypernova_core::options::unknown_model;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString};

use crate::errors::{PolicyError, raise};

/// An argument that was given, unless it was `None`.
pub(crate) type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The arguments as they came.
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) cost_weight: Given<'a, 'py>,
    pub(crate) latency_weight: Given<'a, 'py>,
    pub(crate) max_cost_usd: Given<'a, 'py>,
    pub(crate) min_success: Given<'a, 'py>,
    pub(crate) allow: Given<'a, 'py>,
    pub(crate) deny: Given<'a, 'py>,
    pub(crate) prices: Given<'a, 'py>,
    pub(crate) previous_model: Given<'a, 'py>,
    pub(crate) switch_cost: Given<'a, 'py>,
    pub(crate) explore: Given<'a, 'py>,
    pub(crate) explore_seed: Given<'a, 'py>,
    pub(crate) on_novel: Given<'a, 'py>,
}

impl Arguments<'_, '_> {
    /// Check them against an artifact; `defaults` are what they are if none was given.
    pub(crate) fn resolve(
        &self,
        artifact: &core::Artifact,
        defaults: &Arc<core::RouteOptions>,
    ) -> PyResult<Arc<core::RouteOptions>> {
        let Self {
            cost_weight: None,
            latency_weight: None,
            max_cost_usd: None,
            min_success: None,
            allow: None,
            deny: None,
            prices: None,
            previous_model: None,
            switch_cost: None,
            explore: None,
            explore_seed: None,
            on_novel: None,
        } = self
        else {
            return self.read(artifact).map(Arc::new);
        };
        Ok(Arc::clone(defaults))
    }

    /// As [`Self::resolve`], for arguments that came as a dict.
    pub(crate) fn resolve_dict(
        given: &Bound<'_, PyDict>,
        artifact: &core::Artifact,
        defaults: &Arc<core::RouteOptions>,
    ) -> PyResult<Arc<core::RouteOptions>> {
        const NAMES: [&str; 12] = [
            "cost_weight",
            "latency_weight",
            "max_cost_usd",
            "min_success",
            "allow",
            "deny",
            "prices",
            "previous_model",
            "switch_cost",
            "explore",
            "explore_seed",
            "on_novel",
        ];
        let mut values = NAMES.map(|_| None);
        for (name, value) in given {
            let at = NAMES
                .iter()
                .position(|known| name.eq(known).unwrap_or(false));
            let Some(at) = at else {
                let message = format!("unexpected keyword argument {}", name.repr()?);
                return Err(PyTypeError::new_err(message));
            };
            values[at] = (!value.is_none()).then_some(value);
        }
        let [
            cost_weight,
            latency_weight,
            max_cost_usd,
            min_success,
            allow,
            deny,
            prices,
            previous_model,
            switch_cost,
            explore,
            explore_seed,
            on_novel,
        ] = values.each_ref().map(Option::as_ref);
        let given = Arguments {
            cost_weight,
            latency_weight,
            max_cost_usd,
            min_success,
            allow,
            deny,
            prices,
            previous_model,
            switch_cost,
            explore,
            explore_seed,
            on_novel,
        };
        given.resolve(artifact, defaults)
    }

    fn read(&self, artifact: &core::Artifact) -> PyResult<core::RouteOptions> {
        let mut options = core::RouteOptions::defaults(artifact);
        if let Some(value) = number("cost_weight", self.cost_weight)? {
            options.cost_weight(value).map_err(raise)?;
        }
        if let Some(value) = number("latency_weight", self.latency_weight)? {
            options.latency_weight(value).map_err(raise)?;
        }
        if let Some(value) = number("max_cost_usd", self.max_cost_usd)? {
            options.max_cost_usd(value).map_err(raise)?;
        }
        if let Some(value) = number("min_success", self.min_success)? {
            options.min_success(value).map_err(raise)?;
        }
        if let Some(models) = self.allow {
            options.allow_none(artifact);
            each_name(artifact, "allow", models, |name| {
                options.allow(artifact, name)
            })?;
        }
        if let Some(models) = self.deny {
            each_name(artifact, "deny", models, |name| {
                options.deny(artifact, name)
            })?;
        }
        if let Some(prices) = self.prices {
            for (name, usd) in dict("prices", prices)? {
                let name = model(artifact, "prices", "a name of a model as key", &name)?;
                let usd = float("prices", &usd)?;
                options.price(artifact, name, usd).map_err(raise)?;
            }
        }
        if let Some(name) = self.previous_model {
            let name = model(artifact, "previous_model", "the name of a model", name)?;
            options.previous_model(artifact, name).map_err(raise)?;
        }
        if let Some(value) = number("switch_cost", self.switch_cost)? {
            options.switch_cost(value).map_err(raise)?;
        }
        let seed = self.explore_seed.map(seed).transpose()?;
        if let Some(rate) = number("explore", self.explore)? {
            let seed = seed.unwrap_or_else(core::id::seed);
            options.explore(rate, seed).map_err(raise)?;
        }
        if let Some(what) = self.on_novel {
            let name = text("on_novel", "a str", what)?;
            let named = name.to_str().map_or_else(
                |_| Err(core::Error::OnNovel(escaped(name))),
                core::OnNovel::from_name,
            );
            options.on_novel(named.map_err(raise)?);
        }
        Ok(options)
    }
}

pub(crate) fn wrong(argument: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name();
    let found = found.map_or_else(|_| "another object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{argument}: expected {expected}, got {found}"))
}

fn number(argument: &str, value: Given<'_, '_>) -> PyResult<Option<f64>> {
    let Some(value) = value else {
        return Ok(None);
    };
    float(argument, value).map(Some)
}

fn float(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    value.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyTypeError>(value.py()) {
            return wrong(argument, "a number", value);
        }
        if e.is_instance_of::<PyOverflowError>(value.py()) {
            let rule = "is beyond the range of a float; it must be a number within it";
            return PolicyError::new_err(format!("{argument} {rule}"));
        }
        e
    })
}

fn seed(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let range = format!("a whole number from 0 to {}", u64::MAX);
    value.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyOverflowError>(value.py()) {
            let digits = value.str().map(|digits| digits.to_string());
            // Python itself does not write thousands of digits.
            let found = (digits.ok().filter(|digits| digits.len() <= 40))
                .unwrap_or_else(|| "an int of many digits".into());
            return PolicyError::new_err(format!("explore_seed is {found}; it must be {range}"));
        }
        wrong("explore_seed", &range, value)
    })
}

fn text<'a, 'py>(
    argument: &str,
    expected: &str,
    value: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyString>> {
    value
        .cast::<PyString>()
        .map_err(|_| wrong(argument, expected, value))
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

/// The name of a model. One that is not UTF-8 is a name that no artifact holds.
pub(crate) fn model<'a>(
    artifact: &core::Artifact,
    argument: &'static str,
    expected: &str,
    value: &'a Bound<'_, PyAny>,
) -> PyResult<&'a str> {
    let unknown = |name: &str| unknown_model(artifact, argument, name);
    name(argument, expected, value, unknown)
}

/// As [`model`], with the error for a name that is held by none.
pub(crate) fn name<'a>(
    argument: &str,
    expected: &str,
    value: &'a Bound<'_, PyAny>,
    unknown: impl FnOnce(&str) -> core::Error,
) -> PyResult<&'a str> {
    let name = text(argument, expected, value)?;
    name.to_str().map_err(|_| raise(unknown(&escaped(name))))
}

/// A dict as it is, and another mapping as a dict.
fn dict<'py>(argument: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let expected = "a mapping from the name of a model to its cost in USD";
    let mapping = value.cast::<PyMapping>();
    let mapping = mapping.map_err(|_| wrong(argument, expected, value))?;
    let dict = PyDict::new(value.py());
    dict.update(mapping)?;
    Ok(dict)
}

fn each_name(
    artifact: &core::Artifact,
    argument: &'static str,
    models: &Bound<'_, PyAny>,
    mut each: impl FnMut(&str) -> Result<(), core::Error>,
) -> PyResult<()> {
    let expected = "names of models, such as a list of str";
    // A single name would be taken for its letters.
    if models.is_instance_of::<PyString>() {
        return Err(wrong(argument, expected, models));
    }
    // The usual case, without an iterator of Python's.
    if let Ok(models) = models.cast::<PyList>() {
        return (models.iter())
            .try_for_each(|name| each(model(artifact, argument, expected, &name)?).map_err(raise));
    }
    for name in (models.try_iter()).map_err(|_| wrong(argument, expected, models))? {
        each(model(artifact, argument, expected, &name?)?).map_err(raise)?;
    }
    Ok(())
}
