//! The class `Decision`.
//!
//! Not here: the entries of its ranking (see `ranking`), and many decisions as columns (see
//! `decisions`).

use std::sync::{Arc, OnceLock};

use hypernova_core as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::array::Vector;
use crate::convert::{Reduced, escaped, reduced};
use crate::errors::raise;
use crate::options;
use crate::ranking::RankingEntry;

/// The ranking of the models for a prompt, and why the first of them was taken.
///
/// A pickle holds it with its ranking and its id, and without the artifact that made it; a copy is
/// the object itself.
///
/// Example:
///     >>> import hypernova
///     >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
///     >>> decision.model == decision.ranking[0].model
///     True
///     >>> decision.after_failure(decision.model).reason
///     'fallback'
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct Decision {
    kind: Kind,
    /// Index of the nearest cluster.
    #[pyo3(get)]
    cluster: u32,
    /// Euclidean distance from that cluster's centroid.
    #[pyo3(get)]
    distance: f32,
    /// Share of the training prompts that lie nearer to their centroids, 0 to 1.
    #[pyo3(get)]
    novelty: f32,
    /// Why the model was taken.
    ///
    /// - ``routed``: the outcomes of prompts like it say that this model beats the default one
    /// - ``default_no_evidence``: the default model; nothing is proven to beat it for prompts
    ///   like it
    /// - ``default_novel``: the prompt is unlike the training prompts, so the whole table decides
    /// - ``constrained``: the first choice was not allowed
    /// - ``stayed``: another model does not gain enough to leave the conversation's
    /// - ``explored``: drawn, to learn how it does
    /// - ``fallback``: a model that went before it has failed
    /// - ``best_overall``: the prompt is unlike the training prompts; the best of the whole table
    #[pyo3(get)]
    reason: &'static str,
    /// Chance with which the model was taken, 0 to 1; 1 unless the caller explores.
    #[pyo3(get)]
    propensity: f64,
    /// Whether the caller named a group that the artifact does not hold.
    ///
    /// The prompt was then decided as if none was named.
    #[pyo3(get)]
    unknown_group: bool,
    id: OnceLock<String>,
    shadow: Option<Box<Shadow>>,
}

/// The decision of another artifact for the same prompt.
enum Shadow {
    Decided(Py<Decision>),
    /// The artifact's sha256, and the code of the error.
    Failed(String, String),
}

/// Where a decision's ranking is from.
enum Kind {
    /// Of an artifact of this process.
    Attached {
        artifact: Arc<core::Artifact>,
        decided: core::Decision,
        options: Arc<core::RouteOptions>,
        /// The prompt's; empty unless the ranking needs it.
        vector: Vector,
    },
    /// Out of a pickle, which holds it.
    Detached(Box<core::DetachedDecision>),
}

impl Decision {
    /// Return the artifact that decided and the vector, if they are kept.
    pub(crate) fn grounds(&self) -> Option<(&Arc<core::Artifact>, &[f32])> {
        match &self.kind {
            Kind::Attached {
                artifact, vector, ..
            } if !vector.is_empty() => Some((artifact, vector)),
            Kind::Attached { .. } | Kind::Detached(_) => None,
        }
    }

    pub(crate) fn new(
        artifact: &Arc<core::Artifact>,
        decided: core::Decision,
        options: Arc<core::RouteOptions>,
        vector: impl Into<Vector>,
    ) -> Self {
        let vector = if artifact.ranks_by_vector() {
            vector.into()
        } else {
            Vec::new().into()
        };
        Self {
            kind: Kind::Attached {
                artifact: Arc::clone(artifact),
                decided,
                options,
                vector,
            },
            cluster: decided.cluster,
            distance: decided.distance,
            novelty: decided.novelty,
            reason: decided.reason.name(),
            propensity: decided.propensity,
            unknown_group: decided.facts.group == core::Group::Unknown,
            id: OnceLock::new(),
            shadow: None,
        }
    }

    pub(crate) fn detached(detached: core::DetachedDecision, id: Option<String>) -> Self {
        Self {
            cluster: detached.cluster(),
            distance: detached.distance(),
            novelty: detached.novelty(),
            reason: detached.reason().name(),
            propensity: detached.propensity(),
            unknown_group: detached.has_unknown_group(),
            kind: Kind::Detached(Box::new(detached)),
            id: id.map_or_else(OnceLock::new, OnceLock::from),
            shadow: None,
        }
    }

    /// The same decision, of the same id, with the failure of a shadow; or why it cannot be logged.
    pub(crate) fn failed(&self, artifact: String, error: String) -> Result<Self, String> {
        if !core::id::is_sha256(&artifact) {
            let found: String = artifact.chars().take(80).collect();
            return Err(format!(
                "artifact is {found:?}; expected a sha256, 64 hexadecimal digits in lower case"
            ));
        }
        if !core::id::is_code(&error) {
            let found: String = error.chars().take(80).collect();
            return Err(format!(
                "error is {found:?}; expected a code, such as \"no_candidate\": 1 to 64 letters \
                 a to z, digits and underscores"
            ));
        }
        Ok(self.with(Some(Shadow::Failed(artifact, error))))
    }

    /// The same decision, of the same id, with another shadow or none.
    fn with(&self, shadow: Option<Shadow>) -> Self {
        let kind = match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => Kind::Attached {
                artifact: Arc::clone(artifact),
                decided: *decided,
                options: Arc::clone(options),
                vector: vector.to_vec().into(),
            },
            Kind::Detached(detached) => Kind::Detached(detached.clone()),
        };
        Self {
            kind,
            id: OnceLock::from(self.id().to_owned()),
            shadow: shadow.map(Box::new),
            ..*self
        }
    }

    /// Decide again after a model of the artifact has failed.
    fn without(&self, failed: &str) -> Result<Self, core::Error> {
        match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => {
                let (next, left) = artifact.after_failure(decided, vector, options, failed)?;
                Ok(Self::new(artifact, next, Arc::new(left), vector.to_vec()))
            }
            Kind::Detached(detached) => Ok(Self::detached(detached.after_failure(failed)?, None)),
        }
    }
}

/// The vectors if rankings will need them, or else none.
pub(crate) fn kept(artifact: &core::Artifact, vectors: Vec<f32>) -> Vec<f32> {
    if artifact.ranks_by_vector() {
        vectors
    } else {
        Vec::new()
    }
}

impl Decision {
    fn entries(&self) -> Vec<RankingEntry> {
        match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => {
                let entries = artifact.rank(decided, vector, options).into_iter();
                let name = |entry: &core::RankingEntry| artifact.model_name(entry.model);
                entries.map(|e| RankingEntry::new(name(&e), &e)).collect()
            }
            Kind::Detached(detached) => {
                let entries = detached.ranking().iter();
                let name = |entry: &core::RankingEntry| detached.model_name(entry.model);
                entries.map(|e| RankingEntry::new(name(e), e)).collect()
            }
        }
    }
}

#[pymethods]
impl Decision {
    /// Name of the model to call: the first of ``ranking``.
    #[getter]
    fn model(&self) -> &str {
        match &self.kind {
            Kind::Attached {
                artifact, decided, ..
            } => artifact.model_name(decided.model),
            Kind::Detached(detached) => detached.model(),
        }
    }

    /// Name of the group whose profile decided: the one that the caller named.
    ///
    /// None if none was named, or one that the artifact does not hold.
    #[getter]
    fn group(&self) -> Option<&str> {
        match &self.kind {
            Kind::Attached {
                artifact, decided, ..
            } => match decided.facts.group {
                core::Group::Known(group) => Some(artifact.group_name(group)),
                core::Group::Unstated | core::Group::Unknown => None,
            },
            Kind::Detached(detached) => detached.group(),
        }
    }

    /// A `RankingEntry` for each model that the options allow, the best first.
    #[getter]
    fn ranking<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.entries())
    }

    /// 32 hexadecimal digits that no other decision has, by which a log finds it.
    ///
    /// Given when first read: that takes a tenth of the time of a decision.
    #[getter]
    fn id(&self) -> &str {
        self.id.get_or_init(core::id::next)
    }

    /// The sha256 of the artifact that decided, 64 hexadecimal digits.
    #[getter]
    fn artifact(&self) -> &str {
        match &self.kind {
            Kind::Attached { artifact, .. } => artifact.sha256(),
            Kind::Detached(detached) => detached.artifact_sha256(),
        }
    }

    /// Name of the default model of the artifact that decided.
    #[getter]
    fn default_model(&self) -> &str {
        match &self.kind {
            Kind::Attached { artifact, .. } => artifact.model_name(artifact.policy().default_model),
            Kind::Detached(detached) => detached.default_model(),
        }
    }

    /// The decision of the router's shadow for the same prompt.
    ///
    /// None without a shadow, or if the shadow has failed. See `hypernova.Router.open`.
    #[getter]
    fn shadow<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, Self>> {
        match self.shadow.as_deref() {
            Some(Shadow::Decided(decision)) => Some(decision.bind(py)),
            Some(Shadow::Failed(..)) | None => None,
        }
    }

    /// The code of the error with which the shadow failed, such as ``"no_candidate"``.
    ///
    /// None without a shadow, or if it decided.
    #[getter]
    fn shadow_error(&self) -> Option<&str> {
        match self.shadow.as_deref() {
            Some(Shadow::Failed(_, error)) => Some(error),
            Some(Shadow::Decided(_)) | None => None,
        }
    }

    /// The sha256 of the shadow's artifact, also if it failed; None without a shadow.
    #[getter]
    fn shadow_artifact(&self) -> Option<&str> {
        self.shadow.as_deref().map(|shadow| match shadow {
            Shadow::Decided(decision) => decision.get().artifact(),
            Shadow::Failed(artifact, _) => artifact,
        })
    }

    /// Return the decision with that of another artifact as its shadow.
    ///
    /// Args:
    ///     shadow: The decision of the other artifact for the same prompt. A shadow that it has
    ///         itself is left out.
    ///
    /// Returns:
    ///     The same decision, with the same id and with the shadow.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> router = hypernova.Router.open()
    ///     >>> decision = router.route("Fix the race in the scheduler")
    ///     >>> both = decision.with_shadow(router.route("Fix the race in the scheduler"))
    ///     >>> both.id == decision.id, both.shadow.model == both.model
    ///     (True, True)
    pub(crate) fn with_shadow(&self, py: Python<'_>, shadow: Py<Self>) -> PyResult<Self> {
        // A chain of shadows would be dropped, and pickled, by recursion of its length.
        let shadow = match shadow.get().shadow {
            None => shadow,
            Some(_) => Py::new(py, shadow.get().with(None))?,
        };
        Ok(self.with(Some(Shadow::Decided(shadow))))
    }

    /// Return the decision with the failure of another artifact as its shadow.
    ///
    /// Args:
    ///     artifact: The sha256 of the other artifact.
    ///     error: The code of its error: 1 to 64 letters ``a`` to ``z``, digits and underscores.
    ///
    /// Returns:
    ///     The same decision, with the same id.
    ///
    /// Raises:
    ///     ValueError: ``artifact`` is no sha256 in lower case, or ``error`` no code.
    fn with_failed_shadow(
        &self,
        artifact: &Bound<'_, PyString>,
        error: &Bound<'_, PyString>,
    ) -> PyResult<Self> {
        self.failed(escaped(artifact), escaped(error))
            .map_err(PyValueError::new_err)
    }

    /// Decide again without a model that failed, and those that failed before it.
    ///
    /// The same options hold, but for ``previous_model`` and ``explore``, which have had their
    /// effect. The reason is ``fallback``, the id is another one, and there is no shadow.
    ///
    /// Args:
    ///     model: Name of the model that failed, most often this decision's.
    ///
    /// Returns:
    ///     The decision for one of the models that are left.
    ///
    /// Raises:
    ///     UnknownModelError: The artifact does not hold the model.
    ///     NoCandidateError: It was the last one that the options allow.
    ///     TypeError: ``model`` is not a str.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
    ///     >>> decision.after_failure(decision.model).model == decision.ranking[1].model
    ///     True
    fn after_failure(&self, model: &Bound<'_, PyAny>) -> PyResult<Self> {
        const ARGUMENT: &str = "after_failure";
        let expected = "the name of a model";
        let model = match &self.kind {
            Kind::Attached { artifact, .. } => options::model(artifact, ARGUMENT, expected, model),
            Kind::Detached(detached) => {
                let unknown = |name: &str| detached.unknown_model(name);
                options::name(ARGUMENT, expected, model, unknown)
            }
        };
        self.without(model?).map_err(raise)
    }

    /// Iterate over this decision and, as model after model fails, those of `after_failure`.
    ///
    /// A decision that the loop goes on from counts as failed, so leave the loop with the answer.
    ///
    /// Returns:
    ///     An iterator, which makes each decision when it is asked for it, and ends after the last
    ///     model that the options allow.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
    ///     >>> for attempt in decision.attempts():
    ///     ...     if attempt.model != decision.model:  # in place of a call that succeeds
    ///     ...         break
    ///     >>> attempt.model == decision.ranking[1].model, attempt.reason
    ///     (True, 'fallback')
    fn attempts(slf: Py<Self>) -> Attempts {
        Attempts {
            last: Attempt::First(slf),
        }
    }

    /// Give all values of the decision as plain ones, for JSON and logs.
    ///
    /// Returns:
    ///     A dict of ``model``, ``reason``, ``cluster``, ``distance``, ``novelty``, ``ranking``, a
    ///     list of what `RankingEntry.to_dict` gives, ``artifact``, ``id``, ``propensity``,
    ///     ``group`` and ``unknown_group``. That of the shadow is ``shadow.to_dict()``.
    ///
    /// Example:
    ///     >>> import hypernova
    ///     >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
    ///     >>> values = decision.to_dict()
    ///     >>> values["ranking"][0]["model"] == values["model"] == decision.model
    ///     True
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let entries = self.entries();
        let ranking: PyResult<Vec<_>> = entries.iter().map(|entry| entry.to_dict(py)).collect();
        let dict = PyDict::new(py);
        dict.set_item("model", self.model())?;
        dict.set_item("reason", self.reason)?;
        dict.set_item("cluster", self.cluster)?;
        dict.set_item("distance", self.distance)?;
        dict.set_item("novelty", self.novelty)?;
        dict.set_item("ranking", ranking?)?;
        dict.set_item("artifact", self.artifact())?;
        dict.set_item("id", self.id())?;
        dict.set_item("propensity", self.propensity)?;
        dict.set_item("group", self.group())?;
        dict.set_item("unknown_group", self.unknown_group)?;
        Ok(dict)
    }

    // With its ranking, and without the artifact: a pool sends one for each prompt.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let data = match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => artifact.detach(decided, vector, options).to_bytes(),
            Kind::Detached(detached) => detached.to_bytes(),
        };
        let (shadow, failed) = match self.shadow.as_deref() {
            None => (None, None),
            Some(Shadow::Decided(decision)) => (Some(decision.bind(py)), None),
            Some(Shadow::Failed(artifact, error)) => (None, Some((artifact, error))),
        };
        let state = (PyBytes::new(py, &data), self.id(), shadow, failed);
        reduced("_decision", state.into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        format!(
            "<hypernova.Decision: {:?}, reason={:?}, cluster={}, novelty={:.3}>",
            self.model(),
            self.reason,
            self.cluster,
            self.novelty
        )
    }
}

/// The iterator of `Decision.attempts`.
#[pyclass(module = "hypernova._core")]
pub(crate) struct Attempts {
    last: Attempt,
}

enum Attempt {
    /// To be given first.
    First(Py<Decision>),
    /// Given last: its model has failed when the next is asked for.
    Given(Py<Decision>),
    /// No model was left.
    None,
}

#[pymethods]
impl Attempts {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Py<Decision>>> {
        let next = match &self.last {
            Attempt::First(decision) => decision.clone_ref(py),
            Attempt::Given(decision) => {
                let failed = decision.get();
                match failed.without(failed.model()) {
                    Ok(next) => Py::new(py, next)?,
                    Err(core::Error::NoCandidate { .. }) => {
                        self.last = Attempt::None;
                        return Ok(None);
                    }
                    Err(error) => return Err(raise(error)),
                }
            }
            Attempt::None => return Ok(None),
        };
        self.last = Attempt::Given(next.clone_ref(py));
        Ok(Some(next))
    }
}
