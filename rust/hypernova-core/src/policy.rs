//! The rule that turns estimates and the caller's wishes into a ranking.
//!
//! Not here: the estimates (`estimate.rs`). The rule is stated in
//! `FORMAT.md` under *Meaning*; all of it is computed in f64.

use std::cmp::Ordering;

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::Estimates;
use crate::format::Policy;

/// What a caller asks for, by name. What is `None` is the artifact's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Success per USD.
    pub cost_weight: Option<f64>,
    /// Success per second.
    pub latency_weight: Option<f64>,
    /// Dearest expected cost of a task, in USD.
    pub max_cost_usd: Option<f64>,
    /// Least shrunk success estimate.
    pub min_success: Option<f64>,
    /// Models to choose from.
    pub allow: Option<Vec<String>>,
    /// Models not to choose.
    pub deny: Option<Vec<String>>,
    /// Expected cost of a task by model, in USD, instead of the profile's.
    pub prices: Option<Vec<(String, f64)>>,
}

/// A request that has been checked against an artifact, with names resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    cost_weight: f64,
    latency_weight: f64,
    max_cost_usd: Option<f64>,
    min_success: f64,
    /// One entry a model; `None` allows all.
    allowed: Option<Box<[bool]>>,
    /// One entry a model, NaN where the caller gave none; `None` gives none at all.
    prices: Option<Box<[f64]>>,
}

/// A place in a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Index of the model.
    pub model: u32,
    /// Shrunk success estimate.
    pub success: f64,
    /// Expected cost of a task in USD, the caller's price if given.
    pub cost_usd: Option<f64>,
    /// Expected latency in seconds.
    pub latency_s: Option<f64>,
    /// Outcomes counted in the cluster, blended as the success estimate is.
    pub n: f64,
    /// What the ranking goes by.
    pub utility: f64,
}

/// Why the first entry of a ranking is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The evidence of the cluster says that it beats the default model.
    Routed,
    /// It is the default model: nothing is proven to beat it here.
    DefaultNoEvidence,
    /// The prompt is too far from all training prompts to judge by its cluster.
    DefaultNovel,
    /// The first choice was not allowed.
    Constrained,
}

impl Reason {
    /// All reasons; the position is the code in columnar results.
    pub const ALL: [Self; 4] = [
        Self::Routed,
        Self::DefaultNoEvidence,
        Self::DefaultNovel,
        Self::Constrained,
    ];

    /// The name that users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::DefaultNoEvidence => "default_no_evidence",
            Self::DefaultNovel => "default_novel",
            Self::Constrained => "constrained",
        }
    }
}

impl Wishes {
    /// The artifact's defaults. Allocates nothing.
    #[must_use]
    pub fn defaults(artifact: &Artifact) -> Self {
        let policy = artifact.policy();
        Self {
            cost_weight: policy.cost_weight,
            latency_weight: policy.latency_weight,
            max_cost_usd: policy.max_cost_usd,
            min_success: policy.min_success,
            allowed: None,
            prices: None,
        }
    }

    /// Whether they ask for nothing but what the policy says. By value: they may have
    /// been made for another artifact.
    pub(crate) fn are_defaults(&self, policy: &Policy) -> bool {
        self.allowed.is_none()
            && self.prices.is_none()
            && self.cost_weight.to_bits() == policy.cost_weight.to_bits()
            && self.latency_weight.to_bits() == policy.latency_weight.to_bits()
            && self.max_cost_usd.map(f64::to_bits) == policy.max_cost_usd.map(f64::to_bits)
            && self.min_success.to_bits() == policy.min_success.to_bits()
    }

    /// Check a request and resolve its names.
    ///
    /// # Errors
    ///
    /// [`Error::Wish`] for a number out of range, [`Error::UnknownModel`] for a
    /// name that the artifact does not hold.
    pub fn resolve(artifact: &Artifact, request: &Request) -> Result<Self, Error> {
        let mut wishes = Self::defaults(artifact);
        if let Some(weight) = request.cost_weight {
            wishes.cost_weight(weight)?;
        }
        if let Some(weight) = request.latency_weight {
            wishes.latency_weight(weight)?;
        }
        if let Some(limit) = request.max_cost_usd {
            wishes.max_cost_usd(limit)?;
        }
        if let Some(least) = request.min_success {
            wishes.min_success(least)?;
        }
        if let Some(names) = &request.allow {
            wishes.allow_none(artifact);
            for name in names {
                wishes.allow(artifact, name)?;
            }
        }
        for name in request.deny.iter().flatten() {
            wishes.deny(artifact, name)?;
        }
        for (name, usd) in request.prices.iter().flatten() {
            wishes.price(artifact, name, *usd)?;
        }
        Ok(wishes)
    }

    /// Ask for this much success per USD.
    ///
    /// # Errors
    ///
    /// [`Error::Wish`] unless it is finite and at least 0.
    pub fn cost_weight(&mut self, weight: f64) -> Result<(), Error> {
        self.cost_weight = at_least_0("cost_weight", weight)?;
        Ok(())
    }

    /// Ask for this much success per second.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn latency_weight(&mut self, weight: f64) -> Result<(), Error> {
        self.latency_weight = at_least_0("latency_weight", weight)?;
        Ok(())
    }

    /// Take only models whose expected cost is known and not above this, in USD.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn max_cost_usd(&mut self, limit: f64) -> Result<(), Error> {
        self.max_cost_usd = Some(at_least_0("max_cost_usd", limit)?);
        Ok(())
    }

    /// Take only models whose shrunk success estimate is at least this.
    ///
    /// # Errors
    ///
    /// [`Error::Wish`] unless it is from 0 to 1.
    pub fn min_success(&mut self, least: f64) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&least) {
            return Err(Error::Wish {
                argument: "min_success".into(),
                value: least,
                rule: "a number from 0 to 1",
            });
        }
        self.min_success = least;
        Ok(())
    }

    /// Allow no model, but those that [`Self::allow`] names after this.
    pub fn allow_none(&mut self, artifact: &Artifact) {
        self.allowed = Some(vec![false; artifact.models()].into());
    }

    /// Allow a model.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the artifact does not hold it.
    pub fn allow(&mut self, artifact: &Artifact, name: &str) -> Result<(), Error> {
        self.set_allowed(artifact, index(artifact, "allow", name)?, true);
        Ok(())
    }

    /// Do not take a model, whether it was allowed before or not.
    ///
    /// # Errors
    ///
    /// As [`Self::allow`].
    pub fn deny(&mut self, artifact: &Artifact, name: &str) -> Result<(), Error> {
        self.set_allowed(artifact, index(artifact, "deny", name)?, false);
        Ok(())
    }

    fn set_allowed(&mut self, artifact: &Artifact, model: usize, to: bool) {
        let all = || vec![true; artifact.models()].into();
        self.allowed.get_or_insert_with(all)[model] = to;
    }

    /// Reckon with this expected cost of a task, in USD, instead of the profile's.
    ///
    /// # Errors
    ///
    /// As [`Self::allow`] and [`Self::cost_weight`].
    pub fn price(&mut self, artifact: &Artifact, name: &str, usd: f64) -> Result<(), Error> {
        let model = index(artifact, "prices", name)?;
        if !is_at_least_0(usd) {
            at_least_0(&format!("prices[{name:?}]"), usd)?;
        }
        let none = || vec![f64::NAN; artifact.models()].into();
        self.prices.get_or_insert_with(none)[model] = usd;
        Ok(())
    }

    /// How many models `allow` and `deny` leave.
    fn count_allowed(&self, models: usize) -> usize {
        self.allowed
            .as_ref()
            .map_or(models, |a| a.iter().filter(|&&x| x).count())
    }

    /// The limits in force, for a message.
    fn limits(&self) -> String {
        let mut limits = Vec::new();
        if let Some(limit) = self.max_cost_usd {
            limits.push(format!("max_cost_usd={limit:?}"));
        }
        if self.min_success > 0.0 {
            limits.push(format!("min_success={:?}", self.min_success));
        }
        if limits.is_empty() {
            return "the caller's allow and deny".into();
        }
        limits.join(" and ")
    }
}

fn is_at_least_0(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn at_least_0(argument: &str, value: f64) -> Result<f64, Error> {
    if is_at_least_0(value) {
        return Ok(value);
    }
    Err(Error::Wish {
        argument: argument.into(),
        value,
        rule: "a finite number, at least 0",
    })
}

fn index(artifact: &Artifact, argument: &'static str, name: &str) -> Result<usize, Error> {
    /// Names that a message lists at most.
    const SHOWN: u32 = 30;
    if let Some(model) = artifact.model_index(name) {
        return Ok(model as usize);
    }
    let models = artifact.models() as u32;
    let mut known: Vec<_> = (0..models.min(SHOWN))
        .map(|m| artifact.model_name(m).to_owned())
        .collect();
    if models > SHOWN {
        known.push(format!("and {} more", models - SHOWN));
    }
    Err(Error::UnknownModel {
        argument,
        name: name.to_owned(),
        known: known.join(", "),
    })
}

/// What is expected of the models, seen through the caller's wishes.
struct View<'a, E> {
    estimates: &'a E,
    wishes: &'a Wishes,
    models: usize,
    guard_z: f64,
    /// What an unknown cost counts as under a cost weight.
    dearest: f64,
    /// What an unknown latency counts as under a latency weight.
    slowest: f64,
    /// The default model's place.
    default: Place,
}

/// The part of a ranking that a model belongs to; the lower goes first.
type Part = u8;
const PROVEN: Part = 0;
const DEFAULT: Part = 1;
const OTHER: Part = 2;

impl<'a, E: Estimates> View<'a, E> {
    fn new(artifact: &'a Artifact, estimates: &'a E, wishes: &'a Wishes) -> Self {
        let models = artifact.models();
        let policy = artifact.policy();
        let mut this = Self {
            estimates,
            wishes,
            models,
            guard_z: policy.guard_z,
            dearest: 0.0,
            slowest: 0.0,
            default: Place {
                part: DEFAULT,
                success: 0.0,
                utility: 0.0,
                model: policy.default_model as usize,
            },
        };
        if wishes.cost_weight != 0.0 {
            this.dearest = (0..models).filter_map(|m| this.cost(m)).fold(0.0, f64::max);
        }
        if wishes.latency_weight != 0.0 {
            this.slowest = (0..models)
                .filter_map(|m| estimates.latency(m))
                .fold(0.0, f64::max);
        }
        this.default.success = estimates.success(this.default.model);
        this.default.utility = this.utility(this.default.model, this.default.success);
        this
    }

    fn cost(&self, model: usize) -> Option<f64> {
        let price = self.wishes.prices.as_ref().map_or(f64::NAN, |p| p[model]);
        if price.is_nan() {
            self.estimates.cost(model)
        } else {
            Some(price)
        }
    }

    fn utility(&self, model: usize, success: f64) -> f64 {
        let mut utility = success;
        if self.wishes.cost_weight != 0.0 {
            utility -= self.wishes.cost_weight * self.cost(model).unwrap_or(self.dearest);
        }
        if self.wishes.latency_weight != 0.0 {
            let latency = self.estimates.latency(model);
            utility -= self.wishes.latency_weight * latency.unwrap_or(self.slowest);
        }
        utility
    }

    /// Place of a model in the ranking before limits: the lower goes first.
    fn place(&self, model: usize) -> Place {
        if model == self.default.model {
            return self.default;
        }
        let success = self.estimates.success(model);
        let utility = self.utility(model, success);
        let bound = self.guard_z * self.estimates.gain_error(model);
        let proven = utility - self.default.utility > bound;
        Place {
            part: if proven { PROVEN } else { OTHER },
            success,
            utility,
            model,
        }
    }

    fn is_candidate(&self, place: &Place) -> bool {
        let model = place.model;
        if self.wishes.allowed.as_ref().is_some_and(|a| !a[model]) {
            return false;
        }
        if let Some(limit) = self.wishes.max_cost_usd
            && self.cost(model).is_none_or(|cost| cost > limit)
        {
            return false;
        }
        place.success >= self.wishes.min_success
    }
}

#[derive(Clone, Copy)]
struct Place {
    part: Part,
    success: f64,
    utility: f64,
    model: usize,
}

impl Place {
    /// Whether it goes before another one of a lower index.
    fn is_before_lower(&self, other: &Self) -> bool {
        self.part < other.part || (self.part == other.part && self.utility > other.utility)
    }

    fn order(&self, other: &Self) -> Ordering {
        // No utility is NaN: what is subtracted is never negative. Unlike
        // `total_cmp`, this takes 0 and -0 for equal.
        let falling = other.utility.partial_cmp(&self.utility);
        self.part
            .cmp(&other.part)
            .then(falling.unwrap_or(Ordering::Equal))
            .then(self.model.cmp(&other.model))
    }
}

/// The model that the rule takes, and why. Allocates nothing.
pub(crate) fn choose<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    wishes: &Wishes,
) -> Result<(u32, Reason), Error> {
    let view = View::new(artifact, estimates, wishes);
    let mut first: Option<Place> = None;
    let mut taken: Option<Place> = None;
    for model in 0..view.models {
        let place = view.place(model);
        if first.is_none_or(|f| place.is_before_lower(&f)) {
            first = Some(place);
        }
        if taken.is_none_or(|t| place.is_before_lower(&t)) && view.is_candidate(&place) {
            taken = Some(place);
        }
    }
    let (Some(first), Some(taken)) = (first, taken) else {
        return Err(Error::NoCandidate {
            row: 0,
            cluster: 0, // the caller knows it
            models: view.models,
            allowed: wishes.count_allowed(view.models),
            limits: wishes.limits(),
        });
    };
    let reason = if first.model != taken.model {
        Reason::Constrained
    } else if novel {
        Reason::DefaultNovel
    } else if taken.part == PROVEN {
        Reason::Routed
    } else {
        Reason::DefaultNoEvidence
    };
    Ok((taken.model as u32, reason))
}

/// All models that the wishes allow, the best first.
pub(crate) fn rank<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    wishes: &Wishes,
) -> Vec<Entry> {
    let view = View::new(artifact, estimates, wishes);
    let mut places = Vec::with_capacity(view.models);
    places.extend((0..view.models).map(|m| view.place(m)));
    places.retain(|place| view.is_candidate(place));
    places.sort_unstable_by(Place::order);
    let entry = |place: Place| Entry {
        model: place.model as u32,
        success: place.success,
        cost_usd: view.cost(place.model),
        latency_s: estimates.latency(place.model),
        n: estimates.count(place.model),
        utility: place.utility,
    };
    places.into_iter().map(entry).collect()
}
