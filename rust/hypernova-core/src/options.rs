//! Route options: the caller's limits and weights, checked against an artifact.
//!
//! Not here: their effect on the ranking ([`crate::policy`]).

use crate::artifact::Artifact;
use crate::error::Error;
use crate::format::Policy;

/// Route options as a caller states them, with models by name. `None` is the artifact's default.
///
/// Start from [`Request::default`] and set fields.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Success that one USD is worth; at least 0.
    pub cost_weight: Option<f64>,
    /// Success that one second is worth; at least 0.
    pub latency_weight: Option<f64>,
    /// Highest expected cost of a task, in USD; infinity removes the artifact's limit.
    pub max_cost_usd: Option<f64>,
    /// Lowest success estimate, 0 to 1.
    pub min_success: Option<f64>,
    /// Names of the models to choose from.
    pub allow: Option<Vec<String>>,
    /// Names of models that are left out.
    pub deny: Option<Vec<String>>,
    /// Prices by model, from which expected costs follow, instead of the profile's.
    pub prices: Option<Vec<(String, Price)>>,
    /// Name of the prompt's group.
    pub group: Option<String>,
    /// Length of the prompt, which prices for tokens read.
    pub length: PromptLength,
    /// Name of the model that answered the conversation so far.
    pub previous_model: Option<String>,
    /// Utility that a switch from the previous model must gain; at least 0.
    pub switch_cost: Option<f64>,
    /// Probability of drawing from all candidates, 0 to 1.
    pub explore: Option<f64>,
    /// Seed of the draws.
    pub seed: u64,
    /// The answer to a novel prompt.
    pub on_novel: OnNovel,
}

/// Price of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Price {
    /// Expected USD of a task.
    Task(f64),
    /// USD of a million input tokens and of a million output tokens.
    Tokens {
        /// Of a million input tokens.
        input: f64,
        /// Of a million output tokens.
        output: f64,
    },
}

impl Price {
    /// Whether each of its numbers is finite and at least 0.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Task(usd) => is_at_least_0(usd),
            Self::Tokens { input, output } => is_at_least_0(input) && is_at_least_0(output),
        }
    }
}

/// Length of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PromptLength {
    /// Not stated: that of the profile's tasks is expected.
    #[default]
    Unknown,
    /// Number of characters (Unicode code points).
    Chars(f64),
    /// Number of input tokens, the same for all models.
    Tokens(f64),
}

/// The group of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// Not stated.
    #[default]
    Unstated,
    /// The group at this index.
    Known(u32),
    /// A group that the artifact does not hold: the prompt is decided as if none was stated.
    Unknown,
}

/// The facts that a caller states about one prompt, besides its vector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PromptFacts {
    /// Its group.
    pub group: Group,
    /// Its length.
    pub length: PromptLength,
}

impl PromptFacts {
    /// State the group and the length of a prompt.
    #[must_use]
    pub fn new(group: Group, length: PromptLength) -> Self {
        Self { group, length }
    }

    /// Whether the caller named a group that the artifact holds.
    pub(crate) fn names_group(self) -> bool {
        matches!(self.group, Group::Known(_))
    }
}

/// The answer to a novel prompt, which is unlike all training prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnNovel {
    /// A model that the whole table proves better, else the default model.
    #[default]
    Default,
    /// The model with the best utility over the whole table, proven or not.
    BestOverall,
    /// [`Error::Novel`].
    Error,
}

impl OnNovel {
    /// Parse `"default"`, `"best_overall"` or `"error"`.
    ///
    /// # Errors
    ///
    /// [`Error::OnNovel`] for any other name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        match name {
            "default" => Ok(Self::Default),
            "best_overall" => Ok(Self::BestOverall),
            "error" => Ok(Self::Error),
            _ => Err(Error::OnNovel(name.to_owned())),
        }
    }
}

/// Route options that have been checked against an artifact, with models as indices.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteOptions {
    pub(crate) cost_weight: f64,
    pub(crate) latency_weight: f64,
    /// `None` is no limit.
    pub(crate) max_cost_usd: Option<f64>,
    pub(crate) min_success: f64,
    /// One entry per model; `None` allows all.
    pub(crate) allowed: Option<Box<[bool]>>,
    /// One entry per model, `None` for the profile's cost; `None` if no price was given.
    pub(crate) prices: Option<Box<[Option<Price>]>>,
    pub(crate) facts: PromptFacts,
    pub(crate) previous: Option<u32>,
    pub(crate) switch_cost: f64,
    pub(crate) explore: f64,
    pub(crate) seed: u64,
    pub(crate) on_novel: OnNovel,
}

impl RouteOptions {
    /// Create the artifact's default options. Allocates nothing.
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
            facts: PromptFacts::default(),
            previous: None,
            switch_cost: 0.0,
            explore: 0.0,
            seed: 0,
            on_novel: OnNovel::Default,
        }
    }

    /// Whether the options equal the defaults of `policy`. Compares values: the options may have
    /// been resolved for another artifact.
    pub(crate) fn are_defaults(&self, policy: &Policy) -> bool {
        self.allowed.is_none()
            && self.prices.is_none()
            && self.facts.group == Group::Unstated
            && self.previous.is_none()
            && self.explore == 0.0
            && self.on_novel == OnNovel::Default
            && self.cost_weight.to_bits() == policy.cost_weight.to_bits()
            && self.latency_weight.to_bits() == policy.latency_weight.to_bits()
            && self.max_cost_usd.map(f64::to_bits) == policy.max_cost_usd.map(f64::to_bits)
            && self.min_success.to_bits() == policy.min_success.to_bits()
    }

    /// Whether utility loses by cost or latency.
    pub(crate) fn weigh(&self) -> bool {
        self.cost_weight != 0.0 || self.latency_weight != 0.0
    }

    /// Whether they may leave out some models.
    pub(crate) fn limit_models(&self) -> bool {
        self.allowed.is_some() || self.max_cost_usd.is_some() || self.min_success > 0.0
    }

    /// Check a request and resolve its names of models.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for a number out of range, [`Error::UnknownModel`] for a name that the
    /// artifact does not hold.
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
        if let Some(limit) = request.min_success {
            options.min_success(limit)?;
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
        for (name, price) in request.prices.iter().flatten() {
            options.price(artifact, name, *price)?;
        }
        if let Some(name) = &request.group {
            options.group(artifact.group(name));
        }
        options.length(request.length)?;
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

    /// Set the success that one USD is worth.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless it is finite and at least 0.
    pub fn cost_weight(&mut self, weight: f64) -> Result<(), Error> {
        self.cost_weight = at_least_0("cost_weight", weight)?;
        Ok(())
    }

    /// Set the success that one second is worth.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn latency_weight(&mut self, weight: f64) -> Result<(), Error> {
        self.latency_weight = at_least_0("latency_weight", weight)?;
        Ok(())
    }

    /// Leave out models whose expected cost in USD is above `limit` or unknown. Infinity is no
    /// limit, and keeps models of unknown cost.
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

    /// Leave out models whose success estimate is below `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless it is from 0 to 1.
    pub fn min_success(&mut self, limit: f64) -> Result<(), Error> {
        self.min_success = from_0_to_1("min_success", limit)?;
        Ok(())
    }

    /// Leave out all models, except those that later calls of [`Self::allow`] name.
    pub fn allow_none(&mut self, artifact: &Artifact) {
        self.allowed = Some(vec![false; artifact.n_models()].into());
    }

    /// Allow the model called `name`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the artifact does not hold it.
    pub fn allow(&mut self, artifact: &Artifact, name: &str) -> Result<(), Error> {
        self.set_allowed(artifact, index(artifact, "allow", name)?, true);
        Ok(())
    }

    /// Leave out the model called `name`, even if it was allowed before.
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

    /// Set a model's price, from which its expected cost follows, instead of the profile's.
    ///
    /// # Errors
    ///
    /// As [`Self::allow`] and [`Self::cost_weight`]; [`Error::TokensUnknown`] for a price for
    /// tokens of a model whose tokens the artifact does not know.
    pub fn price(&mut self, artifact: &Artifact, name: &str, price: Price) -> Result<(), Error> {
        let model = index(artifact, "prices", name)?;
        if !price.is_valid() {
            let argument = format!("prices[{name:?}]");
            match price {
                Price::Task(usd) => at_least_0(&argument, usd)?,
                Price::Tokens { input, output } => {
                    at_least_0(&format!("{argument}[0]"), input)?;
                    at_least_0(&format!("{argument}[1]"), output)?
                }
            };
        }
        if matches!(price, Price::Tokens { .. }) && !artifact.knows_tokens(model) {
            return Err(Error::TokensUnknown {
                model: name.to_owned(),
            });
        }
        let none = || vec![None; artifact.n_models()].into();
        self.prices.get_or_insert_with(none)[model] = Some(price);
        Ok(())
    }

    /// State the prompt's group, of [`Artifact::group`].
    pub fn group(&mut self, group: Group) {
        self.facts.group = group;
    }

    /// State the prompt's length.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn length(&mut self, length: PromptLength) -> Result<(), Error> {
        match length {
            PromptLength::Unknown => 0.0,
            PromptLength::Chars(chars) => at_least_0("prompt_chars", chars)?,
            PromptLength::Tokens(tokens) => at_least_0("input_tokens", tokens)?,
        };
        self.facts.length = length;
        Ok(())
    }

    /// Set the conversation's model, which is kept unless another gains more than
    /// [`Self::switch_cost`].
    ///
    /// # Errors
    ///
    /// As [`Self::allow`].
    pub fn previous_model(&mut self, artifact: &Artifact, name: &str) -> Result<(), Error> {
        self.previous = Some(index(artifact, "previous_model", name)? as u32);
        Ok(())
    }

    /// Set the utility that a switch from the previous model must gain.
    ///
    /// # Errors
    ///
    /// As [`Self::cost_weight`].
    pub fn switch_cost(&mut self, utility: f64) -> Result<(), Error> {
        self.switch_cost = at_least_0("switch_cost", utility)?;
        Ok(())
    }

    /// Draw uniformly from all candidates with probability `rate`. The same seed draws the same
    /// model for the same row of a batch.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] unless the rate is from 0 to 1.
    pub fn explore(&mut self, rate: f64, seed: u64) -> Result<(), Error> {
        self.explore = from_0_to_1("explore", rate)?;
        self.seed = seed;
        Ok(())
    }

    /// Set the answer to a novel prompt.
    pub fn on_novel(&mut self, answer: OnNovel) {
        self.on_novel = answer;
    }

    /// Options for the decision after a failure: without the failed model, and without
    /// conversation or draw, which the first decision has used.
    pub(crate) fn without(&self, artifact: &Artifact, failed: &str) -> Result<Self, Error> {
        let mut left = self.clone();
        left.set_allowed(artifact, index(artifact, "after_failure", failed)?, false);
        left.previous = None;
        left.explore = 0.0;
        Ok(left)
    }

    /// Draw a number from 0 to below 1 for a row of a batch.
    pub(crate) fn draw(&self, row: usize) -> f64 {
        // The top 53 bits, which an f64 holds exactly.
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (crate::id::splitmix64(self.seed, row as u64) >> 11) as f64 * STEP
    }

    /// Number of models that `allow` and `deny` leave.
    pub(crate) fn count_allowed(&self, models: usize) -> usize {
        self.allowed
            .as_ref()
            .map_or(models, |a| a.iter().filter(|&&x| x).count())
    }

    /// Name the limits in force, for a message.
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

/// Create the error for an argument with a name that the artifact does not hold.
#[must_use]
pub fn unknown_model(artifact: &Artifact, argument: &'static str, name: &str) -> Error {
    unknown_model_among(argument, name, artifact.n_models(), |m| {
        artifact.model_name(m)
    })
}

/// Create the error for a name that none of `models` models has.
pub(crate) fn unknown_model_among<'a>(
    argument: &'static str,
    name: &str,
    models: usize,
    name_of: impl Fn(u32) -> &'a str,
) -> Error {
    /// Maximum number of names in a message.
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
