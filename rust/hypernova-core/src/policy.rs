//! The rule that turns estimates and the caller's options into a ranking.
//!
//! Not here: the estimates (`estimate.rs`) and the options ([`crate::options`]). The rule is
//! stated in `FORMAT.md` under *Meaning*; all of it is computed in f64.

use std::cmp::Ordering;

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::Estimates;
use crate::options::{OnNovel, RouteOptions};

/// A place in a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
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

/// Where the rule puts a model, and the parts of what puts it there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Standing {
    /// Index of the model.
    pub model: u32,
    /// Success by the profiles: of the cluster, blended with others where the artifact
    /// blends, or of the whole table if the prompt is novel.
    pub profile: f64,
    /// What the linear correction adds to that.
    pub correction: f64,
    /// Both together, within 0 and 1: the success estimate.
    pub success: f64,
    /// Expected cost of a task in USD, the caller's price if given.
    pub cost_usd: Option<f64>,
    /// Expected latency in seconds.
    pub latency_s: Option<f64>,
    /// Outcomes counted in the cluster, blended as the profiles are.
    pub n: f64,
    /// Success less weighted cost and latency.
    pub utility: f64,
    /// Utility less that of the default model.
    pub gain: f64,
    /// The gain that the guard asks for before a model may go before the default one.
    pub bound: f64,
    /// Whether it goes before the default model; false for that model itself.
    pub proven: bool,
    /// Whether it meets the caller's limits.
    pub candidate: bool,
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
    /// The conversation stays with its model: another one does not gain enough.
    Stayed,
    /// It was drawn, to learn how it does.
    Explored,
    /// A model that went before it has failed.
    Fallback,
    /// The prompt is novel, and this is the best of the whole table.
    BestOverall,
}

impl Reason {
    /// All reasons; the position is the code in columnar results.
    pub const ALL: [Self; 8] = [
        Self::Routed,
        Self::DefaultNoEvidence,
        Self::DefaultNovel,
        Self::Constrained,
        Self::Stayed,
        Self::Explored,
        Self::Fallback,
        Self::BestOverall,
    ];

    /// The name that users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::DefaultNoEvidence => "default_no_evidence",
            Self::DefaultNovel => "default_novel",
            Self::Constrained => "constrained",
            Self::Stayed => "stayed",
            Self::Explored => "explored",
            Self::Fallback => "fallback",
            Self::BestOverall => "best_overall",
        }
    }
}

/// What is expected of the models, seen through the caller's options.
struct View<'a, E> {
    estimates: &'a E,
    options: &'a RouteOptions,
    models: usize,
    guard_z: f64,
    /// Whether utility alone ranks.
    unguarded: bool,
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
    fn new(
        artifact: &'a Artifact,
        estimates: &'a E,
        novel: bool,
        options: &'a RouteOptions,
    ) -> Self {
        let unguarded = novel && options.on_novel == OnNovel::BestOverall;
        let models = artifact.n_models();
        let policy = artifact.policy();
        let mut this = Self {
            estimates,
            options,
            models,
            guard_z: policy.guard_z,
            unguarded,
            dearest: 0.0,
            slowest: 0.0,
            default: Place {
                part: if unguarded { OTHER } else { DEFAULT },
                success: 0.0,
                utility: 0.0,
                model: policy.default_model as usize,
            },
        };
        if options.cost_weight != 0.0 {
            this.dearest = (0..models).filter_map(|m| this.cost(m)).fold(0.0, f64::max);
        }
        if options.latency_weight != 0.0 {
            this.slowest = (0..models)
                .filter_map(|m| estimates.latency(m))
                .fold(0.0, f64::max);
        }
        this.default.success = estimates.success(this.default.model);
        this.default.utility = this.utility(this.default.model, this.default.success);
        this
    }

    fn cost(&self, model: usize) -> Option<f64> {
        let price = self.options.prices.as_ref().map_or(f64::NAN, |p| p[model]);
        if price.is_nan() {
            self.estimates.cost(model)
        } else {
            Some(price)
        }
    }

    fn utility(&self, model: usize, success: f64) -> f64 {
        let mut utility = success;
        if self.options.cost_weight != 0.0 {
            utility -= self.options.cost_weight * self.cost(model).unwrap_or(self.dearest);
        }
        if self.options.latency_weight != 0.0 {
            let latency = self.estimates.latency(model);
            utility -= self.options.latency_weight * latency.unwrap_or(self.slowest);
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
        // Before it is asked for: that takes 2% fewer instructions than where it is.
        let bound = self.bound(model);
        let proven = !self.unguarded && utility - self.default.utility > bound;
        Place {
            part: if proven { PROVEN } else { OTHER },
            success,
            utility,
            model,
        }
    }

    /// The gain over the default model above which a model is proven.
    fn bound(&self, model: usize) -> f64 {
        self.guard_z * self.estimates.gain_error(model)
    }

    fn is_candidate(&self, place: &Place) -> bool {
        let model = place.model;
        if self.options.allowed.as_ref().is_some_and(|a| !a[model]) {
            return false;
        }
        if let Some(limit) = self.options.max_cost_usd
            && self.cost(model).is_none_or(|cost| cost > limit)
        {
            return false;
        }
        place.success >= self.options.min_success
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

/// What the rule takes.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) model: u32,
    pub(crate) reason: Reason,
    /// Chance with which it was taken.
    pub(crate) propensity: f64,
}

/// The model that the rule takes, and why. Allocates nothing. `at` is the row of the
/// batch, which draws for itself.
pub(crate) fn choose<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
    at: usize,
) -> Result<Choice, Error> {
    let view = View::new(artifact, estimates, novel, options);
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
        return Err(no_candidate(view.models, options));
    };
    let reason = if first.model != taken.model {
        Reason::Constrained
    } else if view.unguarded {
        Reason::BestOverall
    } else if novel {
        Reason::DefaultNovel
    } else if taken.part == PROVEN {
        Reason::Routed
    } else {
        Reason::DefaultNoEvidence
    };
    let (taken, reason) = view
        .stay(taken)
        .map_or((taken, reason), |previous| (previous, Reason::Stayed));
    if options.explore > 0.0 {
        return Ok(view.explore(taken, reason, at));
    }
    Ok(Choice {
        model: taken.model as u32,
        reason,
        propensity: 1.0,
    })
}

/// That nothing is left; the caller knows for which row of a batch, and which cluster.
pub(crate) fn no_candidate(models: usize, options: &RouteOptions) -> Error {
    no_candidate_of(models, options.count_allowed(models), options.limits())
}

/// As [`no_candidate`], where the options themselves are not at hand.
pub(crate) fn no_candidate_of(models: usize, allowed: usize, limits: String) -> Error {
    Error::NoCandidate {
        row: None,
        cluster: 0,
        models,
        allowed,
        limits,
    }
}

impl<E: Estimates> View<'_, E> {
    /// The model that the conversation is with, if leaving it does not gain enough.
    fn stay(&self, taken: Place) -> Option<Place> {
        let previous = self.options.previous?;
        if previous as usize == taken.model {
            return None;
        }
        let place = self.place(previous as usize);
        let gain = taken.utility - place.utility;
        (self.is_candidate(&place) && gain <= self.options.switch_cost).then_some(place)
    }

    /// The models that meet the limits in the order of the rule, but for the one at the
    /// place that `first` tells, which goes before all.
    fn rank(&self, first: impl FnOnce(&Self, &[Place]) -> usize) -> Vec<Entry> {
        let mut places = Vec::with_capacity(self.models);
        places.extend((0..self.models).map(|m| self.place(m)));
        places.retain(|place| self.is_candidate(place));
        places.sort_unstable_by(Place::order);
        if !places.is_empty() {
            let at = first(self, &places);
            places[..=at].rotate_right(1);
        }
        let entry = |place: Place| Entry {
            model: place.model as u32,
            success: place.success,
            cost_usd: self.cost(place.model),
            latency_s: self.estimates.latency(place.model),
            n: self.estimates.count(place.model),
            utility: place.utility,
        };
        places.into_iter().map(entry).collect()
    }

    /// With the chance that the caller options, another candidate instead.
    fn explore(&self, taken: Place, reason: Reason, at: usize) -> Choice {
        let rate = self.options.explore;
        let candidates = || (0..self.models).filter(|&m| self.is_candidate(&self.place(m)));
        let count = candidates().count();
        let share = rate / count as f64;
        let draw = self.options.draw(at);
        // A draw below the rate is spread evenly over the candidates.
        #[expect(clippy::cast_sign_loss, reason = "no draw is negative")]
        let drawn = (draw < rate).then(|| ((draw / share) as usize).min(count - 1));
        let model = drawn
            .and_then(|nth| candidates().nth(nth))
            .unwrap_or(taken.model);
        let was_first = model == taken.model;
        Choice {
            model: model as u32,
            reason: if was_first { reason } else { Reason::Explored },
            propensity: if was_first { 1.0 - rate + share } else { share },
        }
    }
}

/// All models that the options allow, the best first, but for `first`, which was decided.
pub(crate) fn rank<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
    first: u32,
) -> Vec<Entry> {
    View::new(artifact, estimates, novel, options).rank(|_, places| {
        let decided = |place: &Place| place.model == first as usize;
        places.iter().position(decided).unwrap_or(0)
    })
}

/// All models that the options allow where there is no vector to decide on: the
/// conversation's model if leaving it does not gain enough, else the default model if it
/// is allowed, then the others as the rule has them.
pub(crate) fn rank_unread<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    options: &RouteOptions,
) -> Vec<Entry> {
    View::new(artifact, estimates, true, options).rank(|view, places| {
        let at = |model| places.iter().position(|place| place.model == model);
        let first = at(view.default.model).unwrap_or(0);
        let stayed = places.get(first).and_then(|&place| view.stay(place));
        stayed.and_then(|place| at(place.model)).unwrap_or(first)
    })
}

/// Where every model stands, in the order of the rule, whether it meets the limits or not.
pub(crate) fn standings<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
) -> Vec<Standing> {
    let view = View::new(artifact, estimates, novel, options);
    let mut places: Vec<_> = (0..view.models).map(|m| view.place(m)).collect();
    places.sort_unstable_by(Place::order);
    let standing = |place: Place| Standing {
        model: place.model as u32,
        profile: estimates.profile(place.model),
        correction: estimates.correction(place.model),
        success: place.success,
        cost_usd: view.cost(place.model),
        latency_s: estimates.latency(place.model),
        n: estimates.count(place.model),
        utility: place.utility,
        gain: place.utility - view.default.utility,
        bound: view.bound(place.model),
        proven: place.part == PROVEN,
        candidate: view.is_candidate(&place),
    };
    places.into_iter().map(standing).collect()
}
