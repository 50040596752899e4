//! Find the clusters of a blend, as many as count for a decision, with the bounds of the corrections.
//!
//! Not here: how far a cluster may be to count (`estimate.rs`), the bounds (`prune.rs`, `screen.rs`).
//!
//! A query is coded once for both bounds, and its values are found finite in passing: the square of
//! one that is not is not finite either.

use super::bounds::Query;
use super::dispatch;
use super::int8::{CodedQuery, GROUP, QUERY_BATCH, QueryCodes, ROWS};
use super::intervals::Intervals;
use super::level::SimdLevel;
use super::prune::{BLOCK, MAX_DIM, Pruner};
use super::screen::Screen;
use super::search::check_finite;
use super::top_k::TopK;
use crate::error::Error;

/// The nearest centroids, as far as they were searched for.
pub(crate) struct Near {
    /// The first of those that [`super::nearest_k`] finds, in its order: all of them, or those within
    /// `limit`.
    pub(crate) top_k: TopK,
    /// How many of those that [`super::nearest_k`] finds are not in `top_k`.
    pub(crate) missing: usize,
    /// The squared distance of each missing one is above this.
    pub(crate) limit: f32,
    /// Whether there are intervals.
    pub(crate) is_screened: bool,
    /// Bounds of the dot products of the vector and the slopes.
    pub(crate) intervals: Intervals,
}

impl Near {
    /// None, before a search for the `count` nearest.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            top_k: TopK::new(count),
            missing: 0,
            limit: f32::INFINITY,
            is_screened: false,
            intervals: Intervals::EMPTY,
        }
    }
}

/// A search for the `count` nearest of `centroids` that may leave out those whose squared distance
/// is larger than the least by more than `gap`.
#[derive(Clone, Copy)]
pub(crate) struct NearSearch<'a> {
    pub(crate) level: SimdLevel,
    pub(crate) centroids: &'a [f32],
    pub(crate) pruner: Option<&'a Pruner>,
    pub(crate) screen: Option<&'a Screen>,
    pub(crate) count: usize,
    pub(crate) gap: f32,
}

impl NearSearch<'_> {
    /// Search for a vector. What is found is put into `near`, which is new.
    ///
    /// # Errors
    ///
    /// [`Error::VectorNotFinite`].
    pub(crate) fn one(self, vector: &[f32], near: &mut Near) -> Result<(), Error> {
        if self.pruner.is_none() && self.screen.is_none() {
            return self.without_codes(vector, near);
        }
        // The vector's codes are on the stack, in a buffer that is not much too large.
        match vector.len().div_ceil(GROUP) {
            0..=96 => self.one_in::<96>(vector, near),
            97..=128 => self.one_in::<128>(vector, near),
            129..=384 => self.one_in::<384>(vector, near),
            _ => self.one_in::<{ MAX_DIM / GROUP }>(vector, near),
        }
    }

    fn without_codes(self, vector: &[f32], near: &mut Near) -> Result<(), Error> {
        check_finite(self.level, vector)?;
        near.top_k = dispatch::search(self.level, vector, self.centroids, near.top_k);
        Ok(())
    }

    fn one_in<const GROUPS: usize>(self, vector: &[f32], near: &mut Near) -> Result<(), Error> {
        let mut codes = QueryCodes::<GROUPS>::new();
        let Some(query) = self.coded(vector, &mut codes) else {
            return self.without_codes(vector, near);
        };
        let Self {
            level,
            centroids,
            count,
            ..
        } = self;
        if let Some(screen) = self.screen {
            near.is_screened = true;
            screen.intervals(level, &query, &codes, &mut near.intervals);
        }
        match self.pruner {
            Some(pruner) if pruner.is_one_block() => {
                let mut dots = [[0_i32; ROWS]; BLOCK / ROWS];
                pruner.dots(level, &codes, &mut dots);
                self.find_in_block(pruner, &query, &dots, near);
            }
            Some(pruner) if pruner.pays_for(count) => {
                let top_k = near.top_k;
                near.top_k = pruner.search_coded(level, &query, &codes, centroids, top_k, count);
            }
            _ => near.top_k = dispatch::search(level, vector, centroids, near.top_k),
        }
        Ok(())
    }

    /// Search for each of four vectors, with one pass over the codes; false where this is not faster
    /// or not possible.
    pub(crate) fn four(self, vectors: &[f32], near: &mut [Near; QUERY_BATCH]) -> bool {
        let found = match (vectors.len() / QUERY_BATCH).div_ceil(GROUP) {
            0..=96 => self.four_in::<96>(vectors, near),
            97..=128 => self.four_in::<128>(vectors, near),
            129..=384 => self.four_in::<384>(vectors, near),
            _ => None,
        };
        found.is_some()
    }

    fn four_in<const GROUPS: usize>(
        self,
        vectors: &[f32],
        near: &mut [Near; QUERY_BATCH],
    ) -> Option<()> {
        let SimdLevel::Avx512Vnni(cpu) = self.level else {
            return None; // other levels spend more time on products than on reading codes
        };
        let (pruner, screen) = self.pruner.zip(self.screen)?;
        if !pruner.is_one_block() {
            return None;
        }
        let dim = vectors.len() / QUERY_BATCH;
        let mut codes = [const { QueryCodes::<GROUPS>::new() }; QUERY_BATCH];
        let mut queries = [None; QUERY_BATCH];
        for (i, vector) in vectors.chunks_exact(dim).enumerate() {
            queries[i] = Some(self.coded(vector, &mut codes[i])?);
        }
        let of_slopes = screen.dots_batch(cpu, &codes);
        let of_centroids = pruner.dots_batch(cpu, &codes);
        for (i, near) in near.iter_mut().enumerate() {
            let query = queries[i].as_ref()?;
            near.is_screened = true;
            screen.intervals_of(self.level, query, &of_slopes[i], &mut near.intervals);
            self.find_in_block(pruner, query, &of_centroids[i], near);
        }
        Some(())
    }

    /// Code a vector; `None` if its values are too large, too small or not finite.
    fn coded<'v, const GROUPS: usize>(
        self,
        vector: &'v [f32],
        codes: &mut QueryCodes<GROUPS>,
    ) -> Option<Query<'v>> {
        let is_finite = |coded: &CodedQuery| coded.squared.is_finite();
        let coded = dispatch::encode_query(self.level, vector, codes).filter(is_finite)?;
        let max_length = self.pruner.map_or(0.0, |pruner| pruner.max_length);
        Some(Query::new(vector, coded, max_length))
    }

    fn find_in_block(
        self,
        pruner: &Pruner,
        query: &Query<'_>,
        dots: &[[i32; ROWS]; BLOCK / ROWS],
        near: &mut Near,
    ) {
        let Self {
            level,
            centroids,
            count,
            gap,
            ..
        } = self;
        near.limit = pruner.near(level, query, centroids, dots, gap, count, &mut near.top_k);
        if near.limit < f32::INFINITY {
            // Bounds left a farther one open and may have ruled out a nearer one.
            near.top_k.keep_up_to(near.limit);
            near.missing = count.min(pruner.rows()) - near.top_k.as_slice().len();
        }
    }
}
