//! The classes `Decision` and `RankingEntry`.
//!
//! Not here: many decisions as columns (see `decisions`).

use std::sync::{Arc, OnceLock};

use hypernova_core as core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::array::{Fresh, Vector};
use crate::artifact::Artifact;
use crate::convert::{Reduced, reduced};
use crate::errors::raise;
use crate::options;

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
#[derive(FromPyObject)]
pub(crate) enum Shadow {
    #[pyo3(transparent)]
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

    /// Make the decision of a pickle again, with its shadow: a decision, or the two texts of a
    /// failure.
    pub(crate) fn unpickled(
        detached: core::DetachedDecision,
        id: String,
        shadow: Option<Shadow>,
    ) -> Self {
        Self {
            shadow: shadow.map(Box::new),
            ..Self::detached(detached, Some(id))
        }
    }

    /// The same decision, of the same id, with a shadow.
    fn shadowed(&self, shadow: Shadow) -> Self {
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
            shadow: Some(Box::new(shadow)),
            ..*self
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
    ///     shadow: The decision of the other artifact for the same prompt.
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
    fn with_shadow(&self, shadow: Py<Self>) -> Self {
        self.shadowed(Shadow::Decided(shadow))
    }

    /// Return the decision with the failure of another artifact as its shadow.
    ///
    /// Args:
    ///     artifact: The sha256 of the other artifact.
    ///     error: The code of its error.
    ///
    /// Returns:
    ///     The same decision, with the same id.
    fn with_failed_shadow(&self, artifact: String, error: String) -> Self {
        self.shadowed(Shadow::Failed(artifact, error))
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
        match &self.kind {
            Kind::Attached {
                artifact,
                decided,
                options,
                vector,
            } => {
                let model = options::model(artifact, ARGUMENT, expected, model)?;
                let (next, left) = artifact
                    .after_failure(decided, vector, options, model)
                    .map_err(raise)?;
                Ok(Self::new(artifact, next, Arc::new(left), vector.to_vec()))
            }
            Kind::Detached(detached) => {
                let unknown = |name: &str| detached.unknown_model(name);
                let model = options::name(ARGUMENT, expected, model, unknown)?;
                let next = detached.after_failure(model).map_err(raise)?;
                Ok(Self::detached(next, None))
            }
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

    /// Return the artifact that decided and the prompt's vector, for a log's sketch.
    ///
    /// Returns:
    ///     The artifact and the vector, float32 (dim,); None for a decision out of a pickle, and
    ///     where no ranking needs the vector, because the artifact neither blends clusters nor
    ///     corrects estimates.
    fn _grounds<'py>(&self, py: Python<'py>) -> PyResult<Option<(Artifact, Bound<'py, PyAny>)>> {
        match &self.kind {
            Kind::Attached {
                artifact, vector, ..
            } if !vector.is_empty() => {
                let artifact = Artifact::of(Arc::clone(artifact));
                Ok(Some((artifact, Fresh(vector.to_vec()).flat(py)?)))
            }
            Kind::Attached { .. } | Kind::Detached(_) => Ok(None),
        }
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
        let shadow = match self.shadow.as_deref() {
            None => py.None(),
            Some(Shadow::Decided(decision)) => decision.clone_ref(py).into_any(),
            Some(Shadow::Failed(artifact, error)) => {
                (artifact, error).into_pyobject(py)?.into_any().unbind()
            }
        };
        let state = (PyBytes::new(py, &data), self.id(), shadow);
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

/// A model's place in a ranking; equal to an entry with the same values.
///
/// Example:
///     >>> import hypernova
///     >>> entry = hypernova.Router.open().artifact.rank_unread()[0]
///     >>> list(entry.to_dict())
///     ['model', 'success', 'cost_usd', 'latency_s', 'n', 'utility']
#[derive(PartialEq)]
#[pyclass(frozen, get_all, eq, module = "hypernova._core")]
pub(crate) struct RankingEntry {
    /// Name of the model.
    model: String,
    /// Success estimate for the prompt, 0 to 1.
    ///
    /// Where the artifact has shares it is blended over the nearest clusters, and where it has a
    /// linear correction, that of the vector is added.
    success: f64,
    /// Expected cost of a task in USD, the caller's price if given; None if unknown.
    cost_usd: Option<f64>,
    /// Expected latency of a task in seconds; None if unknown.
    latency_s: Option<f64>,
    /// Number of outcomes that were counted there; may be fractional.
    n: f64,
    /// Success less weighted cost and latency: the ranking goes by it.
    utility: f64,
}

/// The values of a [`RankingEntry`], in order.
type Values<'a> = (&'a str, f64, Option<f64>, Option<f64>, f64, f64);

impl RankingEntry {
    pub(crate) fn new(model: &str, entry: &core::RankingEntry) -> Self {
        Self {
            model: model.to_owned(),
            success: entry.success,
            cost_usd: entry.cost_usd,
            latency_s: entry.latency_s,
            n: entry.n,
            utility: entry.utility,
        }
    }

    pub(crate) fn of(values: (String, f64, Option<f64>, Option<f64>, f64, f64)) -> Self {
        let (model, success, cost_usd, latency_s, n, utility) = values;
        Self {
            model,
            success,
            cost_usd,
            latency_s,
            n,
            utility,
        }
    }

    fn values(&self) -> Values<'_> {
        (
            &self.model,
            self.success,
            self.cost_usd,
            self.latency_s,
            self.n,
            self.utility,
        )
    }
}

#[pymethods]
impl RankingEntry {
    /// Give the values of the entry by name, for JSON and logs.
    ///
    /// Returns:
    ///     A dict of ``model``, ``success``, ``cost_usd``, ``latency_s``, ``n`` and ``utility``.
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("model", &self.model)?;
        dict.set_item("success", self.success)?;
        dict.set_item("cost_usd", self.cost_usd)?;
        dict.set_item("latency_s", self.latency_s)?;
        dict.set_item("n", self.n)?;
        dict.set_item("utility", self.utility)?;
        Ok(dict)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.values().into_pyobject(py)?.hash()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        reduced("_ranking_entry", self.values().into_pyobject(py)?)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        let cost = self
            .cost_usd
            .map_or("None".into(), |cost| format!("{cost:.6}"));
        format!(
            "<hypernova.RankingEntry: {:?}, success={:.4}, cost_usd={cost}, n={}, utility={:.4}>",
            self.model, self.success, self.n, self.utility
        )
    }
}
