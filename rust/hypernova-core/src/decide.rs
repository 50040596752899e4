//! Decide: from a vector to a model, the serving path of the core.
//!
//! Not here: the search ([`crate::nearest`]), the estimates (`estimate.rs`) and the rule
//! ([`crate::policy`]).

use std::sync::atomic::Ordering;

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::{BlendedEstimates, RowEstimates};
use crate::nearest::{Near, NearSearch, Nearest, QUERY_BATCH, TopK, check_finite};
use crate::options::{Group, OnNovel, PromptFacts, PromptLength, RouteOptions};
use crate::policy::{
    Choice, RankingEntry, Reason, choose, goes_by_success, no_candidate, rank, rank_without_vector,
    settle,
};
use crate::profile::Groups;

/// The decision for one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// Index of the chosen model.
    pub model: u32,
    /// Index of the nearest centroid.
    pub cluster: u32,
    /// Row of the profiles that the estimates came from: the cluster, or the number of clusters
    /// (the whole table) if the prompt is novel, or that number plus 1 plus the index of the group
    /// that the caller named. Where the artifact blends, other clusters contributed too.
    pub row: u32,
    /// Euclidean distance from the nearest centroid.
    pub distance: f32,
    /// Share of the training prompts that lie nearer to their centroids.
    pub novelty: f32,
    /// Why the rule chose this model.
    pub reason: Reason,
    /// Probability with which the model was drawn; 1 unless the caller explores.
    pub propensity: f64,
    /// The facts that the caller stated about the prompt.
    pub facts: PromptFacts,
}

impl Decision {
    /// Assemble a decision about a prompt without stated facts, such as one that was stored.
    #[must_use]
    pub fn new(
        model: u32,
        cluster: u32,
        row: u32,
        distance: f32,
        novelty: f32,
        reason: Reason,
        propensity: f64,
    ) -> Self {
        Self {
            model,
            cluster,
            row,
            distance,
            novelty,
            reason,
            propensity,
            facts: PromptFacts::default(),
        }
    }

    /// Return the decision with the facts that the caller stated about the prompt.
    #[must_use]
    pub fn with_facts(self, facts: PromptFacts) -> Self {
        Self { facts, ..self }
    }
}

/// Compute the novelty of a distance (`FORMAT.md`, *Novelty*).
fn novelty_among(quantiles: &[f32], distance: f32) -> f32 {
    let i = quantiles.partition_point(|&q| q <= distance);
    if i == 0 {
        return 0.0;
    }
    if i == quantiles.len() {
        return 1.0;
    }
    let (low, high) = (f64::from(quantiles[i - 1]), f64::from(quantiles[i]));
    let part = (f64::from(distance) - low) / (high - low);
    (((i - 1) as f64 + part) / (quantiles.len() - 1) as f64) as f32
}

impl Artifact {
    /// Choose a model for one vector. Allocates nothing unless it fails.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] or [`Error::VectorNotFinite`] for a vector that is not `dim` finite
    /// values; [`Error::NoCandidate`] if the options leave no model; [`Error::Novel`] for a
    /// novel prompt under [`OnNovel::Error`].
    ///
    /// # Panics
    ///
    /// If the options were resolved for an artifact with another number of models.
    pub fn decide(&self, vector: &[f32], options: &RouteOptions) -> Result<Decision, Error> {
        self.decide_at(0, vector, options, options.facts)
    }

    /// Decide for the vector that is row `at` of a batch, as [`Self::decide_many`] does.
    pub(crate) fn decide_row(
        &self,
        at: usize,
        vector: &[f32],
        options: &RouteOptions,
        facts: PromptFacts,
    ) -> Result<Decision, Error> {
        self.decide_at(at, vector, options, facts)
            .map_err(|error| error.at_row(at))
    }

    fn decide_at(
        &self,
        at: usize,
        vector: &[f32],
        options: &RouteOptions,
        facts: PromptFacts,
    ) -> Result<Decision, Error> {
        if vector.len() != self.dim() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: vector.len(),
            });
        }
        // The profile of a group is not blended with others.
        if self.blends_or_corrects() && !facts.names_group() {
            let mut near = Near::new(self.n_blended());
            self.blend_search(options).one(vector, &mut near)?;
            let nearest = near.top_k.as_slice()[0];
            return self.decide_from_nearest(at, vector, nearest, Some(&mut near), options, facts);
        }
        check_finite(self.level(), vector)?;
        self.decide_from_nearest(at, vector, self.nearest(vector), None, options, facts)
    }

    /// The search for the clusters that are blended.
    fn blend_search(&self, options: &RouteOptions) -> NearSearch<'_> {
        let gap = if goes_by_success(self, options) {
            BlendedEstimates::gap(self)
        } else {
            f32::INFINITY
        };
        self.near_search(self.n_blended(), gap)
    }

    /// Decide for a vector, given its nearest centroid, and the nearest ones where estimates are
    /// blended or corrected. `at` is the vector's row in its batch.
    fn decide_from_nearest(
        &self,
        at: usize,
        vector: &[f32],
        found: Nearest,
        near: Option<&mut Near>,
        options: &RouteOptions,
        facts: PromptFacts,
    ) -> Result<Decision, Error> {
        let distance = found.squared.sqrt();
        let (novelty, novel) = self.novelty(distance);
        let group = self.stated_group(facts);
        // A prompt whose kind is known is not novel, however it reads.
        let novel = novel && group.is_none();
        let row = match group {
            Some((_, group)) => self.n_clusters() as u32 + 1 + group,
            None if novel => self.n_clusters() as u32,
            None => found.index,
        };
        if novel && options.on_novel == OnNovel::Error {
            return Err(Error::Novel {
                row: None,
                novelty: novelty.into(),
                limit: self.policy().novelty_limit,
            });
        }
        let length = facts.length;
        let chosen = match (group, near) {
            (Some((groups, group)), _) => {
                let row = RowEstimates::of_group(self, &groups, group as usize, vector);
                choose(self, &row, novel, options, length, at)
            }
            (None, Some(near)) if !novel => self.choose_blended(vector, near, options, length, at),
            _ => self.choose_in_row(row as usize, novel, options, length, at),
        };
        let chosen = chosen.map_err(|e| e.in_cluster(found.index))?;
        Ok(Decision {
            model: chosen.model,
            cluster: found.index,
            row,
            distance,
            novelty,
            reason: chosen.reason,
            propensity: chosen.propensity,
            facts,
        })
    }

    /// Apply the rule to the blend of the clusters that are near.
    fn choose_blended(
        &self,
        vector: &[f32],
        near: &mut Near,
        options: &RouteOptions,
        length: PromptLength,
        at: usize,
    ) -> Result<Choice, Error> {
        let blend = BlendedEstimates::new(self, near.top_k.as_slice(), vector);
        if let Some(choice) = settle(self, &blend, near, options, length) {
            return Ok(choice);
        }
        if near.missing == 0 {
            return choose(self, &blend, false, options, length, at);
        }
        let top_k = self.blended_clusters(vector);
        let blend = BlendedEstimates::new(self, top_k.as_slice(), vector);
        choose(self, &blend, false, options, length, at)
    }

    /// The profiles of the groups, and the index of the one that the caller named, if the artifact
    /// holds it.
    pub(crate) fn stated_group(&self, facts: PromptFacts) -> Option<(Groups<'_>, u32)> {
        match facts.group {
            Group::Known(group) => Some((self.groups()?, group)),
            Group::Unstated | Group::Unknown => None,
        }
    }

    /// Novelty of a vector at this distance from its nearest centroid, and whether the prompt is
    /// novel.
    #[must_use]
    #[inline]
    pub fn novelty(&self, distance: f32) -> (f32, bool) {
        let novelty = novelty_among(self.novelty_quantiles(), distance);
        (novelty, f64::from(novelty) > self.policy().novelty_limit)
    }

    /// Apply the rule to one row of the profiles.
    ///
    /// Under default options the answer of a row never changes, so it is cached: the model
    /// times the number of reasons, plus the reason's position, plus 1; 0 is an empty entry.
    /// Two threads may both compute it, with the same result.
    fn choose_in_row(
        &self,
        row: usize,
        novel: bool,
        options: &RouteOptions,
        length: PromptLength,
        at: usize,
    ) -> Result<Choice, Error> {
        const REASONS: u32 = Reason::ALL.len() as u32;
        if !options.are_defaults(self.policy()) {
            let row = RowEstimates::new(self, row);
            return choose(self, &row, novel, options, length, at);
        }
        let cached = &self.default_choices[row];
        if let Some(code) = cached.load(Ordering::Relaxed).checked_sub(1) {
            return Ok(Choice {
                model: code / REASONS,
                reason: Reason::ALL[(code % REASONS) as usize],
                propensity: 1.0,
            });
        }
        let estimates = RowEstimates::new(self, row);
        let chosen = choose(self, &estimates, novel, options, length, at)?;
        let code = chosen.model.checked_mul(REASONS);
        if let Some(code) = code.and_then(|c| c.checked_add(chosen.reason as u32 + 1)) {
            cached.store(code, Ordering::Relaxed);
        }
        Ok(chosen)
    }

    /// Find the clusters that are blended for a vector that is not novel.
    fn blended_clusters(&self, vector: &[f32]) -> TopK {
        self.nearest_k(vector, self.n_blended())
    }

    /// Number of nearest clusters that are blended.
    fn n_blended(&self) -> usize {
        self.blending()
            .map_or(1, |blending| blending.nearest as usize)
    }

    /// Whether estimates are blended over clusters, or corrected by the vector.
    pub(crate) fn blends_or_corrects(&self) -> bool {
        self.blending().is_some() || self.slopes().is_some()
    }

    /// Whether [`Self::rank`] needs the vector: only where the artifact blends clusters or
    /// corrects estimates.
    #[must_use]
    pub fn ranks_by_vector(&self) -> bool {
        self.blends_or_corrects() || self.groups().is_some_and(|g| g.correction.is_some())
    }

    /// Rank all models that meet the limits, the best first; the first is the chosen model.
    ///
    /// `vector` is the one of the decision. Unless [`Self::ranks_by_vector`], it is not read
    /// and may be empty.
    ///
    /// # Panics
    ///
    /// If the vector is needed and has another dimension, or if decision or options come from
    /// an artifact with another number of clusters or models.
    #[must_use]
    pub fn rank(
        &self,
        decision: &Decision,
        vector: &[f32],
        options: &RouteOptions,
    ) -> Vec<RankingEntry> {
        let (row, model) = (decision.row as usize, decision.model);
        let novel = row == self.n_clusters();
        let length = decision.facts.length;
        if let Some((groups, group)) = self.stated_group(decision.facts) {
            if groups.correction.is_some() {
                assert_eq!(vector.len(), self.dim());
            }
            let row = RowEstimates::of_group(self, &groups, group as usize, vector);
            return rank(self, &row, novel, options, length, model);
        }
        if novel || !self.blends_or_corrects() {
            let row = RowEstimates::new(self, row);
            return rank(self, &row, novel, options, length, model);
        }
        assert_eq!(vector.len(), self.dim());
        let top_k = self.blended_clusters(vector);
        let blend = BlendedEstimates::new(self, top_k.as_slice(), vector);
        rank(self, &blend, novel, options, length, model)
    }

    /// Rank all models that meet the limits for a prompt without a vector, such as one that
    /// cannot be read. The whole table decides: the default model comes first if it is a
    /// candidate, or the conversation's model if leaving it gains too little. Empty if the
    /// options leave no model.
    ///
    /// # Panics
    ///
    /// As [`Self::rank`].
    #[must_use]
    pub fn rank_without_vector(&self, options: &RouteOptions) -> Vec<RankingEntry> {
        rank_without_vector(self, &RowEstimates::new(self, self.n_clusters()), options)
    }

    /// Decide again after a model has failed. Returns the next decision, and the options without
    /// the failed model, for a further failure. `vector` is the one of the decision, as in
    /// [`Self::rank`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the artifact does not hold the model;
    /// [`Error::NoCandidate`] if it was the last model that meets the limits.
    ///
    /// # Panics
    ///
    /// As [`Self::rank`].
    pub fn after_failure(
        &self,
        decision: &Decision,
        vector: &[f32],
        options: &RouteOptions,
        failed: &str,
    ) -> Result<(Decision, RouteOptions), Error> {
        let left = options.without(self, failed)?;
        let ranking = self.rank(decision, vector, &left);
        let Some(next) = ranking.first() else {
            return Err(no_candidate(self.n_models(), &left).in_cluster(decision.cluster));
        };
        let next = Decision {
            model: next.model,
            reason: Reason::Fallback,
            propensity: 1.0,
            ..*decision
        };
        Ok((next, left))
    }

    /// Choose a model for every row of a matrix, n x `dim`.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`], with the row; [`Error::VectorDim`] for a matrix whose length is no
    /// multiple of `dim`.
    ///
    /// # Panics
    ///
    /// As [`Self::decide`].
    pub fn decide_many(
        &self,
        matrix: &[f32],
        options: &RouteOptions,
    ) -> Result<Vec<Decision>, Error> {
        let mut decided = Vec::with_capacity(matrix.len() / self.dim());
        self.decide_into(matrix, options, None, &mut decided)?;
        Ok(decided)
    }

    /// Decide for a part of a matrix, as [`Self::decide_many`] does: decisions are appended to
    /// `decided`, and the row in an error counts from its first.
    ///
    /// `facts` are those of the rows of the whole matrix, if they differ from row to row; else
    /// those of the options hold for all.
    ///
    /// # Errors
    ///
    /// As [`Self::decide_many`].
    ///
    /// # Panics
    ///
    /// As [`Self::decide`], or if there are fewer facts than rows.
    pub fn decide_into(
        &self,
        matrix: &[f32],
        options: &RouteOptions,
        facts: Option<&[PromptFacts]>,
        decided: &mut Vec<Decision>,
    ) -> Result<(), Error> {
        let rows = matrix.chunks_exact(self.dim());
        if !rows.remainder().is_empty() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: rows.remainder().len(),
            });
        }
        for some in matrix.chunks(QUERY_BATCH * self.dim()) {
            if self.decide_four_near(some, options, facts, decided)? {
                continue;
            }
            let found = self.search_batch(some);
            for (i, vector) in some.chunks_exact(self.dim()).enumerate() {
                let at = decided.len();
                let facts = facts.map_or(options.facts, |facts| facts[at]);
                let one = match found {
                    Some(found) => {
                        self.decide_from_nearest(at, vector, found[i], None, options, facts)
                    }
                    None => self.decide_at(at, vector, options, facts),
                };
                decided.push(one.map_err(|e| e.at_row(at))?);
            }
        }
        Ok(())
    }

    /// Decide for four vectors with one search where estimates are blended or corrected; false for
    /// fewer vectors, or where one by one is needed or not slower. `facts` are those of all rows.
    fn decide_four_near(
        &self,
        vectors: &[f32],
        options: &RouteOptions,
        facts: Option<&[PromptFacts]>,
        decided: &mut Vec<Decision>,
    ) -> Result<bool, Error> {
        if vectors.len() != QUERY_BATCH * self.dim() || !self.blends_or_corrects() {
            return Ok(false);
        }
        let mut four = [(); QUERY_BATCH].map(|()| Near::new(self.n_blended()));
        if !self.blend_search(options).four(vectors, &mut four) {
            return Ok(false);
        }
        for (vector, near) in vectors.chunks_exact(self.dim()).zip(&mut four) {
            let at = decided.len();
            let facts = facts.map_or(options.facts, |facts| facts[at]);
            let nearest = near.top_k.as_slice()[0];
            // The profile of a group is not blended with others.
            let near = Some(near).filter(|_| !facts.names_group());
            let one = self.decide_from_nearest(at, vector, nearest, near, options, facts);
            decided.push(one.map_err(|e| e.at_row(at))?);
        }
        Ok(true)
    }

    /// Find the nearest centroid of each of four vectors at once; `None` for fewer vectors, or where
    /// a single search is needed or not slower.
    fn search_batch(&self, vectors: &[f32]) -> Option<[Nearest; QUERY_BATCH]> {
        let four = vectors.len() == QUERY_BATCH * self.dim() && !self.blends_or_corrects();
        (four && check_finite(self.level(), vectors).is_ok())
            .then(|| self.nearest_batch(vectors))?
    }
}
