//! From a vector to a decision: the whole serving path of the core.
//!
//! Not here: the search ([`crate::nearest`]), what is expected of each model
//! (`estimate.rs`) and the rule ([`crate::policy`]).

use std::sync::atomic::Ordering;

use crate::artifact::Artifact;
use crate::error::Error;
use crate::estimate::{Blend, Row};
use crate::nearest::{FOUR, Nearest, TopK, check_finite};
use crate::options::{OnNovel, RouteOptions};
use crate::policy::{Choice, Entry, Reason, choose, no_candidate, rank, rank_unread};

/// What was decided for one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// Index of the model.
    pub model: u32,
    /// Index of the nearest centroid.
    pub cluster: u32,
    /// Row of the profiles that was used: the cluster, blended with others where
    /// the artifact blends, or the number of clusters if the prompt is novel.
    pub row: u32,
    /// Euclidean distance from the nearest centroid.
    pub distance: f32,
    /// Share of the training prompts that lie nearer to their centroids.
    pub novelty: f32,
    /// Why this model.
    pub reason: Reason,
    /// Chance with which it was taken; 1 unless the caller explores.
    pub propensity: f64,
}

impl Decision {
    /// A decision of its values, as when one that was kept comes back.
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
        }
    }
}

/// Novelty of a distance, by the rule of `FORMAT.md`.
fn novelty(quantiles: &[f32], distance: f32) -> f32 {
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
    /// Decide for one vector. Allocates nothing unless it fails.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] or [`Error::VectorNotFinite`] for a vector that is
    /// not `dim` finite values; [`Error::NoCandidate`] if the options leave no model.
    ///
    /// # Panics
    ///
    /// If the options are another artifact's with another number of models.
    pub fn decide(&self, vector: &[f32], options: &RouteOptions) -> Result<Decision, Error> {
        self.decide_at(0, vector, options)
    }

    fn decide_at(
        &self,
        at: usize,
        vector: &[f32],
        options: &RouteOptions,
    ) -> Result<Decision, Error> {
        if vector.len() != self.dim() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: vector.len(),
            });
        }
        check_finite(self.level(), vector)?;
        if self.ranks_by_vector() {
            let few = self.few(vector);
            return self.decide_near(at, vector, few.as_slice()[0], Some(&few), options);
        }
        self.decide_near(at, vector, self.nearest(vector), None, options)
    }

    /// Decide for a vector whose nearest centroid was found, and the few nearest if they
    /// count; `at` is its row.
    fn decide_near(
        &self,
        at: usize,
        vector: &[f32],
        found: Nearest,
        few: Option<&TopK>,
        options: &RouteOptions,
    ) -> Result<Decision, Error> {
        let distance = found.squared.sqrt();
        let (novelty, novel) = self.novelty_of(distance);
        let row = if novel {
            self.n_clusters() as u32
        } else {
            found.index
        };
        if novel && options.on_novel == OnNovel::Error {
            return Err(Error::Novel {
                row: None,
                novelty: novelty.into(),
                limit: self.policy().novelty_limit,
            });
        }
        let chosen = match few {
            Some(few) if !novel => {
                let blend = Blend::new(self, few.as_slice(), vector);
                choose(self, &blend, novel, options, at)
            }
            _ => self.choose_in_row(row as usize, novel, options, at),
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
        })
    }

    /// Novelty of a vector at this distance from its nearest centroid, and whether it is
    /// above the limit.
    pub(crate) fn novelty_of(&self, distance: f32) -> (f32, bool) {
        let novelty = novelty(self.novelty_quantiles(), distance);
        (novelty, f64::from(novelty) > self.policy().novelty_limit)
    }

    /// The rule for one row of the profiles.
    ///
    /// Under the artifact's defaults the answer is always the same, so the first is kept
    /// for all that follow: the model times the
    /// number of reasons, plus the reason's position, plus 1; 0 as
    /// long as there is none. Threads may find it twice, and find the same.
    fn choose_in_row(
        &self,
        row: usize,
        novel: bool,
        options: &RouteOptions,
        at: usize,
    ) -> Result<Choice, Error> {
        const REASONS: u32 = Reason::ALL.len() as u32;
        if !options.are_defaults(self.policy()) {
            return choose(self, &Row::new(self, row), novel, options, at);
        }
        let kept = &self.chosen[row];
        if let Some(code) = kept.load(Ordering::Relaxed).checked_sub(1) {
            return Ok(Choice {
                model: code / REASONS,
                reason: Reason::ALL[(code % REASONS) as usize],
                propensity: 1.0,
            });
        }
        let chosen = choose(self, &Row::new(self, row), novel, options, at)?;
        let code = chosen.model.checked_mul(REASONS);
        if let Some(code) = code.and_then(|c| c.checked_add(chosen.reason as u32 + 1)) {
            kept.store(code, Ordering::Relaxed);
        }
        Ok(chosen)
    }

    /// The clusters whose profiles count for a vector that is not novel.
    fn few(&self, vector: &[f32]) -> TopK {
        let count = self.soft().map_or(1, |soft| soft.nearest as usize);
        self.nearest_k(vector, count)
    }

    /// Whether [`Self::rank`] needs the vector that was decided on: only where the
    /// artifact blends clusters or corrects estimates.
    #[must_use]
    pub fn ranks_by_vector(&self) -> bool {
        self.soft().is_some() || self.slopes().is_some()
    }

    /// All models that the options allow, the best first; the first is the decision.
    ///
    /// `vector` is what was decided on. Unless [`Self::ranks_by_vector`] it is not
    /// looked at and may be empty.
    ///
    /// # Panics
    ///
    /// If the vector is needed and has another dimension, or the decision or the
    /// options are another artifact's with other numbers of clusters or models.
    #[must_use]
    pub fn rank(&self, decision: &Decision, vector: &[f32], options: &RouteOptions) -> Vec<Entry> {
        let (row, model) = (decision.row as usize, decision.model);
        let novel = row == self.n_clusters();
        if novel || !self.ranks_by_vector() {
            return rank(self, &Row::new(self, row), novel, options, model);
        }
        assert_eq!(vector.len(), self.dim());
        let few = self.few(vector);
        let blend = Blend::new(self, few.as_slice(), vector);
        rank(self, &blend, novel, options, model)
    }

    /// All models that the options allow for a prompt of which nothing can be read, by the
    /// whole table: the default model first if it is allowed, or the conversation's if
    /// leaving it does not gain enough. Empty if the options leave no model.
    ///
    /// # Panics
    ///
    /// As [`Self::rank`].
    #[must_use]
    pub fn rank_unread(&self, options: &RouteOptions) -> Vec<Entry> {
        rank_unread(self, &Row::new(self, self.n_clusters()), options)
    }

    /// The next model to try after one has failed, and the options without it, for the
    /// failure after that. `vector` is what was decided on, as in [`Self::rank`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the artifact does not hold the model;
    /// [`Error::NoCandidate`] if it was the last one that the options allow.
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

    /// Decide for every row of a matrix, rows x `dim`.
    ///
    /// # Errors
    ///
    /// As [`Self::decide`], with the row; a matrix whose length is no multiple of
    /// `dim` is [`Error::VectorDim`].
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
        self.decide_more(matrix, options, &mut decided)?;
        Ok(decided)
    }

    /// As [`Self::decide_many`] for rows that come some at a time: what is decided is
    /// added to `decided`, and errors count the rows from its first.
    ///
    /// # Errors
    ///
    /// As [`Self::decide_many`].
    ///
    /// # Panics
    ///
    /// As [`Self::decide`].
    pub fn decide_more(
        &self,
        matrix: &[f32],
        options: &RouteOptions,
        decided: &mut Vec<Decision>,
    ) -> Result<(), Error> {
        let rows = matrix.chunks_exact(self.dim());
        if !rows.remainder().is_empty() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: rows.remainder().len(),
            });
        }
        for some in matrix.chunks(FOUR * self.dim()) {
            let found = self.search_four(some);
            for (i, vector) in some.chunks_exact(self.dim()).enumerate() {
                let one = match found {
                    Some(found) => self.decide_near(decided.len(), vector, found[i], None, options),
                    None => self.decide_at(decided.len(), vector, options),
                };
                decided.push(one.map_err(|e| e.at_row(decided.len()))?);
            }
        }
        Ok(())
    }

    /// The nearest centroids to four vectors, if they can be searched for at once.
    fn search_four(&self, vectors: &[f32]) -> Option<[Nearest; FOUR]> {
        let four = vectors.len() == FOUR * self.dim() && !self.ranks_by_vector();
        (four && check_finite(self.level(), vectors).is_ok()).then(|| self.nearest_four(vectors))?
    }
}
