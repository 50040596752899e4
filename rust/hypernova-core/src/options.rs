//! What a caller may ask for, checked against an artifact.
//!
//! Not here: what is made of it ([`crate::policy`]).

use crate::artifact::Artifact;
use crate::error::Error;
use crate::format::Policy;

/// What a caller asks for, by name. What is `None` is the artifact's default.
///
/// [`Request::default`] asks for nothing; set the fields.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Success per USD.
    pub cost_weight: Option<f64>,
    /// Success per second.
    pub latency_weight: Option<f64>,
    /// Dearest expected cost of a task, in USD; infinity lifts the artifact's limit.
    pub max_cost_usd: Option<f64>,
    /// Least shrunk success estimate.
    pub min_success: Option<f64>,
    /// Models to choose from.
    pub allow: Option<Vec<String>>,
    /// Models not to choose.
    pub deny: Option<Vec<String>>,
    /// Expected cost of a task by model, in USD, instead of the profile's.
    pub prices: Option<Vec<(String, f64)>>,
    /// The model that the conversation is with.
    pub previous_model: Option<String>,
    /// Utility that leaving it must gain.
    pub switch_cost: Option<f64>,
    /// Chance with which any model that meets the limits is drawn.
    pub explore: Option<f64>,
    /// What the draws follow from.
    pub seed: u64,
    /// What a novel prompt gets.
    pub on_novel: OnNovel,
}

/// What a prompt gets that is unlike all training prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnNovel {
    /// What the whole table proves, which most often is the default model.
    #[default]
    Default,
    /// The best utility over the whole table, proven or not.
    BestOverall,
    /// An error.
    Error,
}

impl OnNovel {
    /// The one of this name.
    ///
    /// # Errors
    ///
    /// [`Error::OnNovel`] if there is none.
    pub fn named(name: &str) -> Result<Self, Error> {
        match name {
            "default" => Ok(Self::Default),
            "best_overall" => Ok(Self::BestOverall),
            "error" => Ok(Self::Error),
            _ => Err(Error::OnNovel(name.to_owned())),
        }
    }
}

/// A request that has been checked against an artifact, with names resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteOptions {
    pub(crate) cost_weight: f64,
    pub(crate) latency_weight: f64,
    /// `None` is no limit.
    pub(crate) max_cost_usd: Option<f64>,
    pub(crate) min_success: f64,
    /// One entry a model; `None` allows all.
    pub(crate) allowed: Option<Box<[bool]>>,
    /// One entry a model, NaN where the caller gave none; `None` gives none at all.
    pub(crate) prices: Option<Box<[f64]>>,
    pub(crate) previous: Option<u32>,
    pub(crate) switch_cost: f64,
    pub(crate) explore: f64,
    pub(crate) seed: u64,
    pub(crate) on_novel: OnNovel,
}

impl RouteOptions {
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
            previous: None,
            switch_cost: 0.0,
            explore: 0.0,
            seed: 0,
            on_novel: OnNovel::Default,
        }
    }

    /// Whether they ask for nothing but what the policy says. By value: they may have
    /// been made for another artifact.
    pub(crate) fn are_defaults(&self, policy: &Policy) -> bool {
        self.allowed.is_none()
            && self.prices.is_none()
            && self.previous.is_none()
            && self.explore == 0.0
            && self.on_novel == OnNovel::Default
            && self.cost_weight.to_bits() == policy.cost_weight.to_bits()
            && self.latency_weight.to_bits() == policy.latency_weight.to_bits()
            && self.max_cost_usd.map(f64::to_bits) == policy.max_cost_usd.map(f64::to_bits)
            && self.min_success.to_bits() == policy.min_success.to_bits()
    }

    /// Check a request and resolve its names.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a number out of range, [`Error::UnknownModel`] for a
    /// name that the artifact does not hold.
    pub fn resolve(artifact: &Artifact, request: &Request) -> Result<Self, Error> {
        let mut options = Self::defaults(artifact);
        if let Some(weight) = request.cost_weight {
            options.cost_weight(weight)?;
        }
        if let Some(weight) = request.latency_weight {
            options.latency_weight(weight)?;
        }
        if let Some(limit) = request.max_cost_usd {
            options.max_cost_usd(limit)?;
        }
        if let Some(least) = request.min_success {
            options.min_success(least)?;
        }
        if let Some(names) = &request.allow {
            options.allow_none(artifact);
            for name in names {
                options.allow(artifact, name)?;
            }
        }
        for name in request.deny.iter().flatten() {
            options.deny(artifact, name)?;
        }
        for (name, usd) in request.prices.iter().flatten() {
            options.price(artifact, name, *usd)?;
        }
        if let Some(name) = &request.previous_model {
            options.previous_model(artifact, name)?;
        }
        if let Some(utility) = request.switch_cost {
            options.switch_cost(utility)?;
        }
        if let Some(rate) = request.explore {
            options.explore(rate, request.seed)?;
        }
        options.on_novel = request.on_novel;
        Ok(options)
    }

    /// Ask for this much success per USD.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless it is finite and at least 0.
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

    /// Take only models whose expected cost is known and not above this, in USD. Infinity
    /// is no limit: then models of unknown cost are taken, too.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless it is at least 0.
    pub fn max_cost_usd(&mut self, limit: f64) -> Result<(), Error> {
        self.max_cost_usd = if limit == f64::INFINITY {
            None
        } else if is_at_least_0(limit) {
            Some(limit)
        } else {
            return Err(Error::Option {
                argument: "max_cost_usd".into(),
                value: limit,
                rule: "a number, at least 0; inf is no limit",
            });
        };
        Ok(())
    }

    /// Take only models whose shrunk success estimate is at least this.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless it is from 0 to 1.
    pub fn min_success(&mut self, least: f64) -> Result<(), Error> {
        self.min_success = from_0_to_1("min_success", least)?;
        Ok(())
    }

    /// Allow no model, but those that [`Self::allow`] names after this.
    pub fn allow_none(&mut self, artifact: &Artifact) {
        self.allowed = Some(vec![false; artifact.n_models()].into());
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
        let all = || vec![true; artifact.n_models()].into();
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
        let none = || vec![f64::NAN; artifact.n_models()].into();
        self.prices.get_or_insert_with(none)[model] = usd;
        Ok(())
    }

    /// Stay with this model unless another one gains more than [`Self::switch_cost`].
    ///
    /// # Errors
    ///
    /// As [`Self::allow`].
    pub fn previous_model(&mut self, artifact: &Artifact, name: &str) -> Result<(), Error> {
        self.previous = Some(index(artifact, "previous_model", name)? as u32);
        Ok(())
    }

    /// Ask this gain in utility of a model that takes the place of the previous one.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn switch_cost(&mut self, utility: f64) -> Result<(), Error> {
        self.switch_cost = at_least_0("switch_cost", utility)?;
        Ok(())
    }

    /// With this chance take any of the models that meet the limits, each as likely as
    /// the others. The same seed draws the same for the same row of a batch.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless the rate is from 0 to 1.
    pub fn explore(&mut self, rate: f64, seed: u64) -> Result<(), Error> {
        self.explore = from_0_to_1("explore", rate)?;
        self.seed = seed;
        Ok(())
    }

    /// Say what a novel prompt gets.
    pub fn on_novel(&mut self, what: OnNovel) {
        self.on_novel = what;
    }

    /// What is left to ask for after a model has failed: all the same, without it, and
    /// without a conversation or a draw, which it has decided.
    pub(crate) fn without(&self, artifact: &Artifact, failed: &str) -> Result<Self, Error> {
        let mut left = self.clone();
        left.set_allowed(artifact, index(artifact, "after_failure", failed)?, false);
        left.previous = None;
        left.explore = 0.0;
        Ok(left)
    }

    /// A number from 0 to below 1 for a row of a batch.
    pub(crate) fn draw(&self, row: usize) -> f64 {
        // The top 53 bits, which an f64 holds exactly.
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (crate::id::mixed(self.seed, row as u64) >> 11) as f64 * STEP
    }

    /// How many models `allow` and `deny` leave.
    pub(crate) fn count_allowed(&self, models: usize) -> usize {
        self.allowed
            .as_ref()
            .map_or(models, |a| a.iter().filter(|&&x| x).count())
    }

    /// The limits in force, for a message.
    pub(crate) fn limits(&self) -> String {
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
    Err(Error::Option {
        argument: argument.into(),
        value,
        rule: "a finite number, at least 0",
    })
}

fn from_0_to_1(argument: &str, value: f64) -> Result<f64, Error> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::Option {
        argument: argument.into(),
        value,
        rule: "a number from 0 to 1",
    })
}

fn index(artifact: &Artifact, argument: &'static str, name: &str) -> Result<usize, Error> {
    let found = artifact.model_index(name).map(|model| model as usize);
    found.ok_or_else(|| unknown_model(artifact, argument, name))
}

/// The error for a name that the artifact does not hold, in the argument that gave it.
#[must_use]
pub fn unknown_model(artifact: &Artifact, argument: &'static str, name: &str) -> Error {
    unknown_among(argument, name, artifact.n_models(), |m| {
        artifact.model_name(m)
    })
}

/// The error for a name that none of some models has.
pub(crate) fn unknown_among<'a>(
    argument: &'static str,
    name: &str,
    models: usize,
    name_of: impl Fn(u32) -> &'a str,
) -> Error {
    /// Names that a message lists at most.
    const SHOWN: u32 = 30;
    let models = models as u32;
    let mut known: Vec<_> = (0..models.min(SHOWN)).map(name_of).collect();
    let more = format!("and {} more", models.saturating_sub(SHOWN));
    if models > SHOWN {
        known.push(&more);
    }
    Error::UnknownModel {
        argument,
        name: name.to_owned(),
        known: known.join(", "),
    }
}
