//! The keyword arguments that state a caller's wishes.
//!
//! Each is read straight into the core's form, without a dict or a copy of a name in
//! between: reading them once took longer than deciding.

use std::sync::Arc;

use hypernova_core as core;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString};

use crate::errors::raise;

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
        defaults: &Arc<core::Wishes>,
    ) -> PyResult<Arc<core::Wishes>> {
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

    fn read(&self, artifact: &core::Artifact) -> PyResult<core::Wishes> {
        let mut wishes = core::Wishes::defaults(artifact);
        if let Some(value) = number("cost_weight", self.cost_weight)? {
            wishes.cost_weight(value).map_err(raise)?;
        }
        if let Some(value) = number("latency_weight", self.latency_weight)? {
            wishes.latency_weight(value).map_err(raise)?;
        }
        if let Some(value) = number("max_cost_usd", self.max_cost_usd)? {
            wishes.max_cost_usd(value).map_err(raise)?;
        }
        if let Some(value) = number("min_success", self.min_success)? {
            wishes.min_success(value).map_err(raise)?;
        }
        if let Some(models) = self.allow {
            wishes.allow_none(artifact);
            each_name("allow", models, |name| wishes.allow(artifact, name))?;
        }
        if let Some(models) = self.deny {
            each_name("deny", models, |name| wishes.deny(artifact, name))?;
        }
        if let Some(prices) = self.prices {
            for (name, usd) in dict("prices", prices)? {
                let name = text("prices", "a name of a model as key", &name)?;
                let usd = float("prices", &usd)?;
                wishes.price(artifact, name, usd).map_err(raise)?;
            }
        }
        if let Some(model) = self.previous_model {
            let name = text("previous_model", "the name of a model", model)?;
            wishes.previous_model(artifact, name).map_err(raise)?;
        }
        if let Some(value) = number("switch_cost", self.switch_cost)? {
            wishes.switch_cost(value).map_err(raise)?;
        }
        if let Some(rate) = number("explore", self.explore)? {
            let seed = match self.explore_seed {
                Some(seed) => seed.extract()?,
                None => core::id::seed(),
            };
            wishes.explore(rate, seed).map_err(raise)?;
        }
        if let Some(what) = self.on_novel {
            let name = text("on_novel", "a str", what)?;
            wishes.on_novel(core::OnNovel::named(name).map_err(raise)?);
        }
        Ok(wishes)
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
        e
    })
}

fn text<'a>(argument: &str, expected: &str, value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let name = value.cast::<PyString>();
    name.map_err(|_| wrong(argument, expected, value))?.to_str()
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
    argument: &str,
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
            .try_for_each(|name| each(text(argument, expected, &name)?).map_err(raise));
    }
    for name in (models.try_iter()).map_err(|_| wrong(argument, expected, models))? {
        each(text(argument, expected, &name?)?).map_err(raise)?;
    }
    Ok(())
}
