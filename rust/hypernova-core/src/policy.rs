//! The policy: the rule that turns estimates and route options into a ranking.
//!
//! Not here: the estimates (`estimate.rs`) and the options ([`crate::options`]). `FORMAT.md`
//! states the rule under *Meaning*; all of it is computed in f64.

use std::cmp::Ordering;

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::{BlendedEstimates, Estimates, PIECE, known};
use crate::nearest::{Contest, Near, contenders};
use crate::options::{OnNovel, Price, PromptLength, RouteOptions};

/// A model in a ranking, with its estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RankingEntry {
    /// Index of the model.
    pub model: u32,
    /// Success estimate, 0 to 1.
    pub success: f64,
    /// Expected cost of a task in USD, the caller's price if given.
    pub cost_usd: Option<f64>,
    /// Expected latency in seconds.
    pub latency_s: Option<f64>,
    /// Number of outcomes in the cluster, blended as the success estimate is.
    pub n: f64,
    /// Success less weighted cost and latency; the ranking goes by it.
    pub utility: f64,
}

/// A model's estimates and their components, with the results of the rule's tests.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelEstimate {
    /// Index of the model.
    pub model: u32,
    /// Success by the profiles: of the cluster, blended with others where the artifact
    /// blends, or of the whole table if the prompt is novel.
    pub profile: f64,
    /// Linear correction of the success.
    pub correction: f64,
    /// Success estimate: profile plus correction, limited to 0 to 1.
    pub success: f64,
    /// Expected cost of a task in USD, the caller's price if given.
    pub cost_usd: Option<f64>,
    /// Expected latency in seconds.
    pub latency_s: Option<f64>,
    /// Number of outcomes in the cluster, blended as the profiles are.
    pub n: f64,
    /// Success less weighted cost and latency.
    pub utility: f64,
    /// Utility less that of the default model.
    pub gain: f64,
    /// Gain above which the model is proven to beat the default model.
    pub bound: f64,
    /// Whether it ranks before the default model; false for the default model itself.
    pub proven: bool,
    /// Whether the model meets the caller's limits.
    pub candidate: bool,
}

/// Why the rule chose the first model of the ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is proven to beat the default model in its cluster.
    Routed,
    /// It is the default model, and no model is proven to beat it here.
    DefaultNoEvidence,
    /// The prompt is novel, so the whole table decided.
    DefaultNovel,
    /// The first model of the ranking does not meet the caller's limits.
    Constrained,
    /// The conversation stays with its model: a switch gains too little.
    Stayed,
    /// It was drawn at random, to explore.
    Explored,
    /// A model that was ranked before it has failed.
    Fallback,
    /// The prompt is novel, and it has the best utility over the whole table.
    BestOverall,
}

impl Reason {
    /// All reasons; the position of a reason is its code in columnar results.
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

    /// The name in the API and in logs.
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

/// Estimates of adjacent models, as the ranking needs them.
struct Piece {
    /// The first of the models.
    from: usize,
    /// Whether success was read.
    has_success: bool,
    success: [f64; PIECE],
    /// 0 where the policy's guard does not count them.
    gain_error: [f64; PIECE],
    /// The caller's price if given, NaN where unknown; not read unless the options need costs.
    cost: [f64; PIECE],
    /// NaN where unknown; not read unless the options need latencies.
    latency: [f64; PIECE],
}

/// Ranks models by their estimates under the caller's options.
struct Ranker<'a, E> {
    estimates: &'a E,
    options: &'a RouteOptions,
    length: PromptLength,
    /// Input tokens of an empty prompt and of each further character, by model.
    prompt_tokens: Option<&'a [f32]>,
    models: usize,
    guard_z: f64,
    /// Gain in success that does not count; 0 for a prompt of a named group.
    margin: f64,
    /// Whether utility alone ranks, without the default model's precedence.
    unguarded: bool,
    /// Cost that replaces an unknown one under a cost weight.
    dearest: f64,
    /// Latency that replaces an unknown one under a latency weight.
    slowest: f64,
    /// Rank key of the default model.
    default: RankKey,
    /// The models that were last read.
    piece: Piece,
}

/// Tier of a model in the ranking; the lower ranks first.
type Tier = u8;
const PROVEN: Tier = 0;
const DEFAULT: Tier = 1;
const OTHER: Tier = 2;

impl<'a, E: Estimates> Ranker<'a, E> {
    /// Read what all models have in common.
    fn new(
        artifact: &'a Artifact,
        estimates: &'a E,
        novel: bool,
        options: &'a RouteOptions,
        length: PromptLength,
    ) -> Self {
        let mut this = Self::without_default(artifact, estimates, novel, options, length);
        let at = this.default.model % PIECE;
        this.read(this.default.model / PIECE * PIECE);
        this.default.success = this.piece.success[at];
        this.default.utility = this.utility(at);
        this
    }

    /// As [`Self::new`], with no success estimate read, not even that of the default model.
    fn without_default(
        artifact: &'a Artifact,
        estimates: &'a E,
        novel: bool,
        options: &'a RouteOptions,
        length: PromptLength,
    ) -> Self {
        let unguarded = novel && options.on_novel == OnNovel::BestOverall;
        let policy = artifact.policy();
        let mut this = Self {
            estimates,
            options,
            length,
            prompt_tokens: artifact.prompt_tokens(),
            models: artifact.n_models(),
            guard_z: policy.guard_z,
            margin: if estimates.are_of_group() {
                0.0
            } else {
                policy.margin
            },
            unguarded,
            dearest: 0.0,
            slowest: 0.0,
            default: RankKey {
                tier: if unguarded { OTHER } else { DEFAULT },
                success: 0.0,
                utility: 0.0,
                model: policy.default_model as usize,
            },
            piece: Piece {
                from: usize::MAX,
                has_success: false,
                success: [0.0; PIECE],
                gain_error: [0.0; PIECE],
                cost: [0.0; PIECE],
                latency: [0.0; PIECE],
            },
        };
        if options.weigh() {
            for from in (0..this.models).step_by(PIECE) {
                this.read_tables(from);
                this.widen();
            }
        }
        this
    }

    /// Number of models in the piece.
    fn count(&self) -> usize {
        PIECE.min(self.models - self.piece.from)
    }

    /// Include the piece in the dearest and slowest of all.
    fn widen(&mut self) {
        let count = self.count();
        // `max` leaves NaN out.
        let costs = self.piece.cost[..count].iter().copied();
        self.dearest = costs.fold(self.dearest, f64::max);
        let latencies = self.piece.latency[..count].iter().copied();
        self.slowest = latencies.fold(self.slowest, f64::max);
    }

    /// Read the estimates of the models from `from` on, a multiple of [`PIECE`], unless they were
    /// read last.
    fn read(&mut self, from: usize) {
        if self.piece.from != from || !self.piece.has_success {
            self.read_tables(from);
            let into = &mut self.piece.success[..PIECE.min(self.models - from)];
            self.estimates.successes(from, into);
            self.piece.has_success = true;
        }
    }

    /// As [`Self::read`], without success.
    fn read_tables(&mut self, from: usize) {
        if self.piece.from == from {
            return;
        }
        (self.piece.from, self.piece.has_success) = (from, false);
        let count = self.count();
        let (estimates, options) = (self.estimates, self.options);
        // Times 0 they would add 0: they are finite, as the format demands.
        if self.guard_z != 0.0 {
            estimates.gain_errors(from, &mut self.piece.gain_error[..count]);
        }
        if options.cost_weight != 0.0 || options.max_cost_usd.is_some() {
            estimates.costs(from, &mut self.piece.cost[..count]);
            if let Some(prices) = &options.prices {
                for at in 0..count {
                    if prices[from + at].is_some() {
                        self.piece.cost[at] = self.cost(from + at).unwrap_or(f64::NAN);
                    }
                }
            }
        }
        if options.latency_weight != 0.0 {
            estimates.latencies(from, &mut self.piece.latency[..count]);
        }
    }

    fn cost(&self, model: usize) -> Option<f64> {
        let prices = self.options.prices.as_ref();
        match prices.and_then(|prices| prices[model]) {
            None => self.estimates.cost(model),
            Some(Price::Task(usd)) => Some(usd),
            Some(Price::Tokens { input, output }) => self.cost_of_tokens(model, input, output),
        }
    }

    /// The cost by a price for tokens, if the tokens are known.
    fn cost_of_tokens(&self, model: usize, input: f64, output: f64) -> Option<f64> {
        let read = self.input_tokens(model)?;
        let written = self.estimates.output_tokens(model)?;
        let cost = (input * read + output * written) / 1e6;
        // A product that overflows may be multiplied by 0, and no utility may be NaN.
        cost.is_finite().then_some(cost)
    }

    /// Input tokens of the prompt: the stated number, or by its length, or those of the profile.
    fn input_tokens(&self, model: usize) -> Option<f64> {
        match self.length {
            PromptLength::Tokens(tokens) => return Some(tokens),
            PromptLength::Chars(chars) => {
                if let Some(of_prompt) = self.prompt_tokens {
                    let [base, each] = [of_prompt[2 * model], of_prompt[2 * model + 1]];
                    if !base.is_nan() && !each.is_nan() {
                        return Some(f64::from(base) + f64::from(each) * chars);
                    }
                }
            }
            PromptLength::Unknown => {}
        }
        self.estimates.input_tokens(model)
    }

    /// What the utility of the model at a place of the piece loses by its cost.
    fn loss_by_cost(&self, at: usize) -> f64 {
        if self.options.cost_weight == 0.0 {
            return 0.0;
        }
        self.options.cost_weight * known(self.piece.cost[at]).unwrap_or(self.dearest)
    }

    /// As [`Self::loss_by_cost`], by its latency.
    fn loss_by_latency(&self, at: usize) -> f64 {
        if self.options.latency_weight == 0.0 {
            return 0.0;
        }
        self.options.latency_weight * known(self.piece.latency[at]).unwrap_or(self.slowest)
    }

    /// Utility of the model at a place of the piece.
    fn utility(&self, at: usize) -> f64 {
        self.piece.success[at] - self.loss_by_cost(at) - self.loss_by_latency(at)
    }

    /// Rank key of the model at a place of the piece, whether it meets the limits or not.
    fn rank_key(&self, at: usize) -> RankKey {
        let model = self.piece.from + at;
        if model == self.default.model {
            return self.default;
        }
        let success = self.piece.success[at];
        let utility = self.utility(at);
        let claimed = success - self.default.success;
        let bound = self.bound(claimed, self.piece.gain_error[at]);
        let proven = !self.unguarded && utility - self.default.utility > bound;
        RankKey {
            tier: if proven { PROVEN } else { OTHER },
            success,
            utility,
            model,
        }
    }

    /// The gain over the default model above which a model is proven, if it claims to gain so much
    /// success.
    fn bound(&self, claimed: f64, gain_error: f64) -> f64 {
        // The margin takes from what a model claims to gain in success, and never more than that.
        // As `max` and `min`, which would look for NaN: there is none.
        let claimed = if claimed > 0.0 { claimed } else { 0.0 };
        let uncounted = if claimed < self.margin {
            claimed
        } else {
            self.margin
        };
        uncounted + self.guard_z * gain_error
    }

    /// Whether the model at a place of the piece meets the limits.
    fn is_candidate(&self, at: usize) -> bool {
        let model = self.piece.from + at;
        if self.options.allowed.as_ref().is_some_and(|a| !a[model]) {
            return false;
        }
        if let Some(limit) = self.options.max_cost_usd
            && known(self.piece.cost[at]).is_none_or(|cost| cost > limit)
        {
            return false;
        }
        self.piece.success[at] >= self.options.min_success
    }

    /// Visit all models by rising index: read each piece, and call `each` with every place in it.
    fn visit(&mut self, mut each: impl FnMut(&Self, usize)) {
        for from in (0..self.models).step_by(PIECE) {
            self.read(from);
            for at in 0..self.count() {
                each(self, at);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct RankKey {
    tier: Tier,
    success: f64,
    utility: f64,
    model: usize,
}

impl RankKey {
    /// Whether it ranks before `other`, whose index is lower.
    fn is_before_lower(&self, other: &Self) -> bool {
        self.tier < other.tier || (self.tier == other.tier && self.utility > other.utility)
    }

    fn order(&self, other: &Self) -> Ordering {
        // No utility is NaN: infinities are only subtracted. Unlike `total_cmp`, this takes 0 and
        // -0 for equal.
        let falling = other.utility.partial_cmp(&self.utility);
        self.tier
            .cmp(&other.tier)
            .then(falling.unwrap_or(Ordering::Equal))
            .then(self.model.cmp(&other.model))
    }
}

/// The chosen model.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) model: u32,
    pub(crate) reason: Reason,
    /// Probability with which it was drawn.
    pub(crate) propensity: f64,
}

/// Choose a model. Allocates nothing. `at` is the row of the batch, which has its own draw.
pub(crate) fn choose<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
    length: PromptLength,
    at: usize,
) -> Result<Choice, Error> {
    let mut ranker = Ranker::new(artifact, estimates, novel, options, length);
    let mut first: Option<RankKey> = None;
    let mut taken: Option<RankKey> = None;
    ranker.visit(|ranker, at| {
        let key = ranker.rank_key(at);
        if first.is_none_or(|f| key.is_before_lower(&f)) {
            first = Some(key);
        }
        if taken.is_none_or(|t| key.is_before_lower(&t)) && ranker.is_candidate(at) {
            taken = Some(key);
        }
    });
    let (Some(first), Some(taken)) = (first, taken) else {
        return Err(no_candidate(ranker.models, options));
    };
    let reason = if first.model != taken.model {
        Reason::Constrained
    } else if ranker.unguarded {
        Reason::BestOverall
    } else if novel {
        Reason::DefaultNovel
    } else if taken.tier == PROVEN {
        Reason::Routed
    } else {
        Reason::DefaultNoEvidence
    };
    let (taken, reason) = ranker
        .stay(taken)
        .map_or((taken, reason), |previous| (previous, Reason::Stayed));
    if options.explore > 0.0 {
        return Ok(ranker.explore(taken, reason, at));
    }
    Ok(Choice {
        model: taken.model as u32,
        reason,
        propensity: 1.0,
    })
}

/// Whether success alone decides under the options, so that [`settle`] needs no blend of all clusters.
pub(crate) fn goes_by_success(artifact: &Artifact, options: &RouteOptions) -> bool {
    may_settle(artifact, options) && !options.weigh() && artifact.policy().guard_z == 0.0
}

/// Whether the choice is the first of the ranking of models that are few.
fn may_settle(artifact: &Artifact, options: &RouteOptions) -> bool {
    artifact.n_models() <= PIECE
        && !options.limit_models()
        && options.previous.is_none()
        && options.explore == 0.0
}

/// Choose a model for a prompt that is not novel by bounds of the success estimates: few of them are
/// computed, none if the bounds leave no doubt. `None` where the first of the ranking is not known by
/// them, or is not asked for.
///
/// The estimates are a blend of the clusters that are `near`; clusters may be missing only where
/// [`goes_by_success`].
pub(crate) fn settle(
    artifact: &Artifact,
    blend: &BlendedEstimates<'_>,
    near: &mut Near,
    options: &RouteOptions,
    length: PromptLength,
) -> Option<Choice> {
    const ZEROS: &[f64; PIECE] = &[0.0; PIECE];
    if !may_settle(artifact, options) {
        return None;
    }
    let (policy, models) = (artifact.policy(), artifact.n_models());
    let mut contest = Contest {
        profile: [0.0; PIECE],
        unknown: 0.0,
        offsets: [0.0; PIECE],
        gain_error: ZEROS,
        losses: None,
        models,
        default: policy.default_model as usize,
        margin: policy.margin,
        guard_z: policy.guard_z,
    };
    contest.unknown = blend.profiles(artifact, near, &mut contest.profile[..models]);
    let offsets = blend.offsets();
    contest.offsets[..offsets.len()].copy_from_slice(offsets);
    if !options.weigh() && policy.guard_z == 0.0 {
        return settle_contest(artifact, blend, near, &contest);
    }
    let mut ranker = Ranker::without_default(artifact, blend, false, options, length);
    ranker.read_tables(0);
    contest.gain_error = &ranker.piece.gain_error;
    let (mut by_cost, mut by_latency) = ([0.0; PIECE], [0.0; PIECE]);
    for (at, losses) in by_cost.iter_mut().zip(&mut by_latency).enumerate() {
        (*losses.0, *losses.1) = (ranker.loss_by_cost(at), ranker.loss_by_latency(at));
    }
    if options.weigh() {
        contest.losses = Some([&by_cost, &by_latency]);
    }
    settle_contest(artifact, blend, near, &contest)
}

fn settle_contest(
    artifact: &Artifact,
    blend: &BlendedEstimates<'_>,
    near: &mut Near,
    contest: &Contest<'_>,
) -> Option<Choice> {
    let level = artifact.level();
    let mut unknown = u32::MAX >> (PIECE - contest.models);
    let mut found = None;
    if near.is_screened {
        let by_bounds = contenders(level, contest, &near.intervals);
        unknown = by_bounds.rivals | 1 << by_bounds.first | 1 << contest.default;
        found = Some(by_bounds).filter(|found| found.rivals == 0);
    }
    let found = if let Some(found) = found {
        found
    } else {
        if !blend.multiply(unknown, &mut near.intervals) {
            return None;
        }
        contenders(level, contest, &near.intervals)
    };
    let reason = if found.first == contest.default {
        Reason::DefaultNoEvidence
    } else {
        Reason::Routed
    };
    (found.rivals == 0).then_some(Choice {
        model: found.first as u32,
        reason,
        propensity: 1.0,
    })
}

/// Create the error for options that leave no model; the caller adds row and cluster.
pub(crate) fn no_candidate(models: usize, options: &RouteOptions) -> Error {
    no_candidate_of(models, options.count_allowed(models), options.limits())
}

/// As [`no_candidate`], without the options themselves.
pub(crate) fn no_candidate_of(models: usize, allowed: usize, limits: String) -> Error {
    Error::NoCandidate {
        row: None,
        cluster: 0,
        models,
        allowed,
        limits,
    }
}

impl<E: Estimates> Ranker<'_, E> {
    /// The conversation's model, if it is a candidate and a switch to `taken` gains too little.
    fn stay(&mut self, taken: RankKey) -> Option<RankKey> {
        let previous = self.options.previous? as usize;
        if previous == taken.model {
            return None;
        }
        self.read(previous / PIECE * PIECE);
        let at = previous % PIECE;
        let key = self.rank_key(at);
        let gain = taken.utility - key.utility;
        (self.is_candidate(at) && gain <= self.options.switch_cost).then_some(key)
    }

    /// Rank the candidates by the rule, and then put the one at the position that `first` returns
    /// before all others.
    fn rank(mut self, first: impl FnOnce(&mut Self, &[RankKey]) -> usize) -> Vec<RankingEntry> {
        let mut keys = Vec::with_capacity(self.models);
        self.visit(|ranker, at| {
            if ranker.is_candidate(at) {
                keys.push(ranker.rank_key(at));
            }
        });
        keys.sort_unstable_by(RankKey::order);
        if !keys.is_empty() {
            let at = first(&mut self, &keys);
            keys[..=at].rotate_right(1);
        }
        let entry = |key: RankKey| RankingEntry {
            model: key.model as u32,
            success: key.success,
            cost_usd: self.cost(key.model),
            latency_s: self.estimates.latency(key.model),
            n: self.estimates.count(key.model),
            utility: key.utility,
        };
        keys.into_iter().map(entry).collect()
    }

    /// Draw among the candidates with the caller's probability, else keep `taken`.
    fn explore(&mut self, taken: RankKey, reason: Reason, at: usize) -> Choice {
        let rate = self.options.explore;
        let mut count = 0;
        self.visit(|ranker, at| count += usize::from(ranker.is_candidate(at)));
        let share = rate / count as f64;
        let draw = self.options.draw(at);
        // A draw below the rate is spread evenly over the candidates.
        #[expect(clippy::cast_sign_loss, reason = "no draw is negative")]
        let drawn = (draw < rate).then(|| ((draw / share) as usize).min(count - 1));
        let mut model = taken.model;
        let mut passed = 0;
        self.visit(|ranker, at| {
            if ranker.is_candidate(at) {
                if drawn == Some(passed) {
                    model = ranker.piece.from + at;
                }
                passed += 1;
            }
        });
        let was_first = model == taken.model;
        Choice {
            model: model as u32,
            reason: if was_first { reason } else { Reason::Explored },
            propensity: if was_first { 1.0 - rate + share } else { share },
        }
    }
}

/// Rank the candidates, and put the model `first`, which was chosen, before all others.
pub(crate) fn rank<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
    length: PromptLength,
    first: u32,
) -> Vec<RankingEntry> {
    Ranker::new(artifact, estimates, novel, options, length).rank(|_, keys| {
        let decided = |key: &RankKey| key.model == first as usize;
        keys.iter().position(decided).unwrap_or(0)
    })
}

/// Rank the candidates for a prompt without a vector: first the conversation's model if a switch
/// gains too little, else the default model if it is a candidate; then the others by the rule.
pub(crate) fn rank_without_vector<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    options: &RouteOptions,
) -> Vec<RankingEntry> {
    Ranker::new(artifact, estimates, true, options, options.facts.length).rank(|ranker, keys| {
        let at = |model| keys.iter().position(|key| key.model == model);
        let first = at(ranker.default.model).unwrap_or(0);
        let stayed = keys.get(first).and_then(|&key| ranker.stay(key));
        stayed.and_then(|key| at(key.model)).unwrap_or(first)
    })
}

/// The estimates of all models in the order of the rule, whether they meet the limits or not.
pub(crate) fn model_estimates<E: Estimates>(
    artifact: &Artifact,
    estimates: &E,
    novel: bool,
    options: &RouteOptions,
) -> Vec<ModelEstimate> {
    let mut ranker = Ranker::new(artifact, estimates, novel, options, options.facts.length);
    let mut all = Vec::with_capacity(ranker.models);
    ranker.visit(|ranker, at| {
        let key = ranker.rank_key(at);
        let estimate = ModelEstimate {
            model: key.model as u32,
            profile: estimates.profile(key.model),
            correction: estimates.correction(key.model),
            success: key.success,
            cost_usd: ranker.cost(key.model),
            latency_s: estimates.latency(key.model),
            n: estimates.count(key.model),
            utility: key.utility,
            gain: key.utility - ranker.default.utility,
            bound: ranker.bound(
                key.success - ranker.default.success,
                ranker.piece.gain_error[at],
            ),
            proven: key.tier == PROVEN,
            candidate: ranker.is_candidate(at),
        };
        all.push((key, estimate));
    });
    all.sort_unstable_by(|(a, _), (b, _)| a.order(b));
    all.into_iter().map(|(_, estimate)| estimate).collect()
}
