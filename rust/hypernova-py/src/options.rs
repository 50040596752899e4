//! Route options: the keyword arguments that state a caller's limits and weights.
//!
//! Not here: the rules for their values, which the core knows. Each is read straight into the
//! core's form, without a copy of a name in between: reading them once took longer than deciding.

use std::sync::Arc;

use hypernova_core as core;
use hypernova_core::options::unknown_model;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyDict, PyFloat, PyFrozenSet, PyList, PyMapping, PySet, PyString, PyTuple,
};

use crate::convert::{dict, escaped, unexpected, wrong_type};
use crate::errors::{PolicyError, raise};

/// An argument that was given, unless it was `None`.
pub(crate) type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Define [`Arguments`] by the names of the route options: the crate's one list of them, but for
/// the signature of `Artifact.decide`, which PyO3 wants spelled out.
macro_rules! arguments {
    ($($name:ident)*) => {
        /// The arguments as they came.
        pub(crate) struct Arguments<'a, 'py> {
            $(pub(crate) $name: Given<'a, 'py>,)*
        }

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl<'a, 'py> Arguments<'a, 'py> {
            fn are_all_absent(&self) -> bool {
                $(self.$name.is_none())&&*
            }

            /// Arguments by their places in `NAMES`.
            fn of(values: &'a [Option<Bound<'py, PyAny>>]) -> Self {
                let mut values = values.iter().map(Option::as_ref);
                Self { $($name: values.next().flatten(),)* }
            }
        }
    };
}

arguments! {
    cost_weight latency_weight max_cost_usd min_success allow deny prices
    previous_model switch_cost explore explore_seed on_novel
    group prompt_chars input_tokens
}

impl Arguments<'_, '_> {
    /// Check them against an artifact; without any they are its `defaults`.
    pub(crate) fn resolve(
        &self,
        artifact: &core::Artifact,
        defaults: &Arc<core::RouteOptions>,
    ) -> PyResult<Arc<core::RouteOptions>> {
        if self.are_all_absent() {
            return Ok(Arc::clone(defaults));
        }
        self.read(artifact).map(Arc::new)
    }

    /// As [`Self::resolve`], for arguments of `method` that came as a dict.
    pub(crate) fn resolve_dict(
        method: &str,
        given: Option<&Bound<'_, PyDict>>,
        artifact: &core::Artifact,
        defaults: &Arc<core::RouteOptions>,
    ) -> PyResult<Arc<core::RouteOptions>> {
        let Some(given) = given else {
            return Ok(Arc::clone(defaults));
        };
        let mut values = [const { None }; NAMES.len()];
        for (name, value) in given {
            let text = name.cast::<PyString>()?.to_str().unwrap_or_default();
            let at = NAMES.iter().position(|known| *known == text);
            let at = at.ok_or_else(|| unexpected(method, &name))?;
            values[at] = (!value.is_none()).then_some(value);
        }
        Arguments::of(&values).resolve(artifact, defaults)
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
            for (name, price) in prices_of(prices)? {
                let name = model(artifact, "prices", "a name of a model as key", &name)?;
                let price = price_of(name, &price)?;
                options.price(artifact, name, price).map_err(raise)?;
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
        if let Some(name) = self.group {
            options.group(group(artifact, name)?);
        }
        if let Some(value) = number("prompt_chars", self.prompt_chars)? {
            let length = core::PromptLength::Chars(value);
            options.length(length).map_err(raise)?;
        }
        if let Some(value) = number("input_tokens", self.input_tokens)? {
            let length = core::PromptLength::Tokens(value);
            options.length(length).map_err(raise)?;
        }
        Ok(options)
    }
}

/// A route option that states a fact about a prompt, and how its value is read.
struct Fact {
    name: &'static str,
    /// A list of it, for messages.
    list: &'static str,
    read: fn(&core::Artifact, &Bound<'_, PyAny>, &mut core::PromptFacts) -> PyResult<()>,
}

/// The facts, in an order in which a number of tokens replaces a number of characters.
const FACTS: [Fact; 3] = [
    Fact {
        name: "group",
        list: "a list of the names of groups",
        read: |artifact, value, facts| {
            facts.group = group(artifact, value)?;
            Ok(())
        },
    },
    Fact {
        name: "prompt_chars",
        list: "a list of numbers",
        read: |_, value, facts| {
            facts.length = core::PromptLength::Chars(length("prompt_chars", value)?);
            Ok(())
        },
    },
    Fact {
        name: "input_tokens",
        list: "a list of numbers",
        read: |_, value, facts| {
            facts.length = core::PromptLength::Tokens(length("input_tokens", value)?);
            Ok(())
        },
    },
];

/// Facts of each row of a batch, where a list states one of them row by row; `None` where all
/// facts hold for all rows. The lists are taken out of the options.
pub(crate) fn facts_by_row(
    given: Option<&Bound<'_, PyDict>>,
    artifact: &core::Artifact,
    rows: usize,
) -> PyResult<Option<Vec<core::PromptFacts>>> {
    let Some(given) = given else {
        return Ok(None);
    };
    // For each fact the one value of all rows, or a value for each.
    let (mut stated, mut by_row) = (Vec::new(), false);
    for fact in &FACTS {
        let Some(value) = given.get_item(fact.name)?.filter(|value| !value.is_none()) else {
            continue;
        };
        if let Some(values) = row_by_row(fact, &value, rows)? {
            given.del_item(fact.name)?;
            by_row = true;
            stated.push((fact, values));
        } else {
            stated.push((fact, vec![value]));
        }
    }
    if !by_row {
        return Ok(None);
    }
    let mut facts = vec![core::PromptFacts::default(); rows];
    for (fact, values) in stated {
        for (value, facts) in values.iter().cycle().zip(&mut facts) {
            if !value.is_none() {
                (fact.read)(artifact, value, facts)?;
            }
        }
    }
    Ok(Some(facts))
}

/// The values of a list that states a fact row by row; `None` for one value, which is read as that
/// of `decide` is.
fn row_by_row<'py>(
    fact: &Fact,
    value: &Bound<'py, PyAny>,
    rows: usize,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyFloat>() {
        return Ok(None);
    }
    // What has no order states nothing about a row, and bytes are a name that was not decoded.
    let is_set = value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>();
    if is_set || value.cast::<PyMapping>().is_ok() || value.is_instance_of::<PyBytes>() {
        let expected = format!("one value, or {}", fact.list);
        return Err(wrong_type(fact.name, &expected, value));
    }
    let Ok(values) = value.try_iter() else {
        return Ok(None);
    };
    // An iterator may never end.
    let values: Vec<_> = values.take(rows + 1).collect::<PyResult<_>>()?;
    if values.len() == rows {
        return Ok(Some(values));
    }
    let found = if values.len() > rows {
        "more".to_owned()
    } else {
        values.len().to_string()
    };
    let name = fact.name;
    Err(PolicyError::new_err(format!(
        "{name} has {found} values for {rows} prompts; it must be one value, or {} for all prompts",
        fact.list
    )))
}

fn length(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let found = float(argument, value)?;
    if found.is_finite() && found >= 0.0 {
        return Ok(found);
    }
    let rule = "it must be a finite number, at least 0";
    Err(PolicyError::new_err(format!(
        "{argument} is {found:?}; {rule}"
    )))
}

/// The group of a name; a name that is not UTF-8 is one that no artifact holds.
fn group(artifact: &core::Artifact, name: &Bound<'_, PyAny>) -> PyResult<core::Group> {
    let name = text("group", "the name of a group", name)?;
    let found = name.to_str().map(|name| artifact.group(name));
    Ok(found.unwrap_or(core::Group::Unknown))
}

/// USD of a task, or a pair: USD of a million input and of a million output tokens.
fn price_of(model: &str, value: &Bound<'_, PyAny>) -> PyResult<core::Price> {
    // A float first: it is the usual price, and numpy's are floats.
    if value.is_instance_of::<PyFloat>() {
        return float("prices", value).map(core::Price::Task);
    }
    let expected = "a number, or a pair of numbers for tokens";
    if !value.is_instance_of::<PyTuple>() && !value.is_instance_of::<PyList>() {
        return float_of("prices", expected, value).map(core::Price::Task);
    }
    let numbers: Vec<Bound<'_, PyAny>> = value.extract()?;
    let [input, output] = &numbers[..] else {
        let found = numbers.len();
        return Err(PolicyError::new_err(format!(
            "prices[{model:?}] has {found} numbers; it must be USD of a task, or a pair: USD of a \
             million input tokens and of a million output tokens"
        )));
    };
    Ok(core::Price::Tokens {
        input: float_of("prices", expected, input)?,
        output: float_of("prices", expected, output)?,
    })
}

fn number(argument: &str, value: Given<'_, '_>) -> PyResult<Option<f64>> {
    let Some(value) = value else {
        return Ok(None);
    };
    float(argument, value).map(Some)
}

fn float(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    float_of(argument, "a number", value)
}

fn float_of(argument: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    value.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyTypeError>(value.py()) {
            return wrong_type(argument, expected, value);
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
        wrong_type("explore_seed", &range, value)
    })
}

fn text<'a, 'py>(
    argument: &str,
    expected: &str,
    value: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyString>> {
    value
        .cast::<PyString>()
        .map_err(|_| wrong_type(argument, expected, value))
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

fn prices_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let expected = "a mapping from the name of a model to its price";
    let mapping = value.cast::<PyMapping>();
    dict(mapping.map_err(|_| wrong_type("prices", expected, value))?)
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
        return Err(wrong_type(argument, expected, models));
    }
    // The usual case, without an iterator of Python's.
    if let Ok(models) = models.cast::<PyList>() {
        return (models.iter())
            .try_for_each(|name| each(model(artifact, argument, expected, &name)?).map_err(raise));
    }
    for name in (models.try_iter()).map_err(|_| wrong_type(argument, expected, models))? {
        each(model(artifact, argument, expected, &name?)?).map_err(raise)?;
    }
    Ok(())
}
