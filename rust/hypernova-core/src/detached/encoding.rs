//! The byte encoding of decisions, for another process of the same version.
//!
//! Not here: the artifact's own file, which is meant to be stored ([`crate::format`]). The layout
//! of these bytes is private to this module and may change with every version.
//!
//! A single decision travels without its artifact, as a [`DetachedDecision`]; the decisions of a
//! batch travel beside it, as rows of fixed length. All numbers are little-endian.

use std::collections::HashSet;
use std::sync::Arc;

use super::decision::{DetachedDecision, Origin};
use crate::artifact::Artifact;
use crate::decide::Decision;
use crate::error::Error;
use crate::id::is_hex;
use crate::nearest::check_finite;
use crate::options::{Group, OnNovel, Price, PromptFacts, PromptLength, RouteOptions};
use crate::policy::{RankingEntry, Reason};

/// Version of both layouts; a change of either increments it.
const VERSION: u8 = 3;
/// Length of a row of a batch, in bytes.
const ROW: usize = 39;

impl DetachedDecision {
    /// Encode the decision for [`Self::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.push(VERSION);
        put_text(&mut to, &self.origin.sha256);
        put_text(&mut to, &self.origin.limits);
        to.extend(self.cluster.to_le_bytes());
        to.extend(self.distance.to_le_bytes());
        to.extend(self.novelty.to_le_bytes());
        to.push(code(self.reason));
        to.extend(self.propensity.to_le_bytes());
        put_text(&mut to, self.group.as_deref().unwrap_or_default());
        to.push(self.unknown_group.into());
        to.extend((self.origin.names.len() as u32).to_le_bytes());
        for (name, &allowed) in self.origin.names.iter().zip(&self.allowed) {
            put_text(&mut to, name);
            to.push(allowed.into());
        }
        to.extend(self.origin.default_model.to_le_bytes());
        to.extend((self.ranking.len() as u32).to_le_bytes());
        for entry in &self.ranking {
            to.extend(entry.model.to_le_bytes());
            let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
            let (cost, latency) = (known(entry.cost_usd), known(entry.latency_s));
            for value in [entry.success, cost, latency, entry.n, entry.utility] {
                to.extend(value.to_le_bytes());
            }
        }
        to
    }

    /// Decode and validate bytes of [`Self::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`Error::State`] if the bytes are of another version, truncated, or no valid decision.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader {
            of: "decision",
            left: bytes,
        };
        from.version()?;
        let sha256 = from.text()?;
        from.check(is_hex(&sha256, 64), "the artifact's sha256")?;
        let limits = from.text()?;
        let (cluster, distance, novelty) = (from.u32()?, from.f32()?, from.f32()?);
        from.check(distance >= 0.0, "the distance")?;
        from.check((0.0..=1.0).contains(&novelty), "the novelty")?;
        let reason = from.reason()?;
        let propensity = from.propensity()?;
        let group = Some(from.text()?).filter(|name| !name.is_empty());
        let unknown_group = from.flag()?;
        from.check(!(unknown_group && group.is_some()), "the group")?;
        // A name takes at least 5 bytes, and an entry 44: a forged count reserves no memory.
        let models = from.count(5)?;
        let (mut names, mut allowed) = (Vec::with_capacity(models), vec![false; models]);
        for allowed in &mut allowed {
            names.push(from.text()?);
            *allowed = from.flag()?;
        }
        // A failed model is found by its name, so names must be distinct.
        let distinct = names.iter().collect::<HashSet<_>>().len() == models;
        from.check(distinct, "a name")?;
        let default_model = from.u32()?;
        from.check((default_model as usize) < models, "the default model")?;
        let ranked = from.count(44)?;
        from.check(ranked > 0, "an empty ranking")?;
        let (mut ranking, mut may_be_ranked) = (Vec::with_capacity(ranked), allowed.clone());
        for _ in 0..ranked {
            let model = from.u32()?;
            let may = may_be_ranked.get_mut(model as usize);
            let may = may.is_some_and(|may| std::mem::replace(may, false));
            from.check(may, "a model of the ranking")?;
            let success = from.f64()?;
            let (cost, latency) = (from.f64()?, from.f64()?);
            let (n, utility) = (from.f64()?, from.f64()?);
            let are_numbers = ![success, n, utility].iter().any(|value| value.is_nan());
            from.check(are_numbers, "an estimate")?;
            let known = |value: f64| (!value.is_nan()).then_some(value);
            ranking.push(RankingEntry {
                model,
                success,
                cost_usd: known(cost),
                latency_s: known(latency),
                n,
                utility,
            });
        }
        from.check(from.left.is_empty(), "the length")?;
        Ok(Self {
            origin: Arc::new(Origin {
                sha256,
                names,
                default_model,
                limits,
            }),
            allowed: allowed.into(),
            ranking,
            cluster,
            distance,
            novelty,
            reason,
            propensity,
            group,
            unknown_group,
        })
    }
}

/// Encode the decisions of a batch and their options for [`Artifact::batch_from_bytes`].
#[must_use]
pub fn batch_to_bytes(decisions: &[Decision], options: &RouteOptions) -> Vec<u8> {
    let mut to = Vec::with_capacity(128 + ROW * decisions.len());
    to.push(VERSION);
    put_options(&mut to, options);
    for one in decisions {
        to.extend(one.model.to_le_bytes());
        to.extend(one.cluster.to_le_bytes());
        to.push((one.row != one.cluster && !matches!(one.facts.group, Group::Known(_))).into());
        to.extend(one.distance.to_le_bytes());
        to.extend(one.novelty.to_le_bytes());
        to.push(code(one.reason));
        to.extend(one.propensity.to_le_bytes());
        put_facts(&mut to, one.facts);
    }
    to
}

/// Encode the vectors of a batch for [`Artifact::batch_from_bytes`].
#[must_use]
pub fn vectors_to_bytes(vectors: &[f32]) -> Vec<u8> {
    vectors.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Decisions, their options, and their vectors where rankings need them.
pub type Batch = (Vec<Decision>, RouteOptions, Vec<f32>);

impl Artifact {
    /// Decode and validate bytes of [`batch_to_bytes`], and of [`vectors_to_bytes`], which must be
    /// empty unless [`Self::ranks_by_vector`].
    ///
    /// # Errors
    ///
    /// [`Error::State`] if the bytes are of another version, truncated, or of another artifact;
    /// [`Error::VectorNotFinite`] for a value that is not finite.
    pub fn batch_from_bytes(&self, bytes: &[u8], vectors: &[u8]) -> Result<Batch, Error> {
        let mut from = Reader {
            of: "batch of decisions",
            left: bytes,
        };
        from.version()?;
        let options = from.options(self)?;
        from.check(from.left.len().is_multiple_of(ROW), "the length")?;
        let mut decisions = Vec::with_capacity(from.left.len() / ROW);
        while !from.left.is_empty() {
            let (model, cluster) = (from.u32()?, from.u32()?);
            from.check((model as usize) < self.n_models(), "a model")?;
            from.check((cluster as usize) < self.n_clusters(), "a cluster")?;
            let novel = from.flag()?;
            let (distance, novelty) = (from.f32()?, from.f32()?);
            from.check(distance >= 0.0, "a distance")?;
            from.check((0.0..=1.0).contains(&novelty), "a novelty")?;
            let (reason, propensity) = (from.reason()?, from.propensity()?);
            let facts = from.facts(self)?;
            let row = match facts.group {
                Group::Known(group) => self.n_clusters() as u32 + 1 + group,
                Group::Unstated | Group::Unknown if novel => self.n_clusters() as u32,
                Group::Unstated | Group::Unknown => cluster,
            };
            decisions.push(Decision {
                model,
                cluster,
                row,
                distance,
                novelty,
                reason,
                propensity,
                facts,
            });
        }
        let stored = if self.ranks_by_vector() {
            decisions.len()
        } else {
            0
        };
        let length = size_of::<f32>() * stored * self.dim();
        from.check(vectors.len() == length, "the length of the vectors")?;
        let (values, _) = vectors.as_chunks();
        let values: Vec<f32> = values.iter().map(|&v| f32::from_le_bytes(v)).collect();
        for (row, vector) in values.chunks_exact(self.dim()).enumerate() {
            check_finite(self.level(), vector).map_err(|e| e.at_row(row))?;
        }
        Ok((decisions, options, values))
    }
}

fn put_options(to: &mut Vec<u8>, options: &RouteOptions) {
    // Without `..`, so that a new option does not compile until it is encoded.
    let RouteOptions {
        cost_weight,
        latency_weight,
        max_cost_usd,
        min_success,
        allowed,
        prices,
        facts,
        previous,
        switch_cost,
        explore,
        seed,
        on_novel,
    } = options;
    put_facts(to, *facts);
    for value in [
        *cost_weight,
        *latency_weight,
        max_cost_usd.unwrap_or(f64::NAN),
        *min_success,
        *switch_cost,
        *explore,
    ] {
        to.extend(value.to_le_bytes());
    }
    to.extend(seed.to_le_bytes());
    to.extend(previous.unwrap_or(u32::MAX).to_le_bytes());
    to.push(match on_novel {
        OnNovel::Default => 0,
        OnNovel::BestOverall => 1,
        OnNovel::Error => 2,
    });
    to.push(allowed.is_some().into());
    to.extend((allowed.iter().flatten()).map(|&allowed| u8::from(allowed)));
    to.push(prices.is_some().into());
    for price in prices.iter().flatten() {
        let (kind, numbers) = match *price {
            None => (0_u8, [0.0; 2]),
            Some(Price::Task(usd)) => (1, [usd, 0.0]),
            Some(Price::Tokens { input, output }) => (2, [input, output]),
        };
        to.push(kind);
        to.extend(numbers.into_iter().flat_map(f64::to_le_bytes));
    }
}

/// 13 bytes: the group, and the kind and number of the length.
fn put_facts(to: &mut Vec<u8>, facts: PromptFacts) {
    let group = match facts.group {
        Group::Unstated => u32::MAX,
        Group::Unknown => u32::MAX - 1,
        Group::Known(group) => group,
    };
    let (kind, number) = match facts.length {
        PromptLength::Unknown => (0_u8, 0.0),
        PromptLength::Chars(chars) => (1, chars),
        PromptLength::Tokens(tokens) => (2, tokens),
    };
    to.extend(group.to_le_bytes());
    to.push(kind);
    to.extend(number.to_le_bytes());
}

fn code(reason: Reason) -> u8 {
    let position = Reason::ALL.iter().position(|r| *r == reason);
    position.unwrap_or_default() as u8
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.as_bytes());
}

/// Reads fields from the front of some bytes.
struct Reader<'a> {
    /// The kind of object, for messages.
    of: &'static str,
    left: &'a [u8],
}

impl Reader<'_> {
    fn check(&self, holds: bool, what: &'static str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(self.wrong(what)) }
    }

    fn wrong(&self, what: &'static str) -> Error {
        Error::State { of: self.of, what }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((taken, left)) = self.left.split_first_chunk() else {
            return Err(self.wrong("the length"));
        };
        self.left = left;
        Ok(*taken)
    }

    fn version(&mut self) -> Result<(), Error> {
        let [version] = self.take()?;
        self.check(version == VERSION, "the version")
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.take().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, Error> {
        self.take().map(f32::from_le_bytes)
    }

    fn f64(&mut self) -> Result<f64, Error> {
        self.take().map(f64::from_le_bytes)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        let [flag] = self.take()?;
        self.check(flag < 2, "a flag")?;
        Ok(flag == 1)
    }

    /// Read a number of items of at least `each` bytes, which must fit the remaining bytes.
    fn count(&mut self, each: usize) -> Result<usize, Error> {
        let count = self.u32()? as usize;
        self.check(count <= self.left.len() / each, "a count")?;
        Ok(count)
    }

    fn text(&mut self) -> Result<String, Error> {
        let length = self.count(1)?;
        let (text, left) = self.left.split_at(length);
        let text = std::str::from_utf8(text);
        self.check(text.is_ok(), "a text")?;
        self.left = left;
        Ok(text.unwrap_or_default().to_owned())
    }

    fn reason(&mut self) -> Result<Reason, Error> {
        let [code] = self.take()?;
        let reason = Reason::ALL.get(usize::from(code)).copied();
        reason.ok_or_else(|| self.wrong("a reason"))
    }

    fn weight(&mut self) -> Result<f64, Error> {
        let weight = self.f64()?;
        self.check(weight.is_finite() && weight >= 0.0, "an option")?;
        Ok(weight)
    }

    fn options(&mut self, artifact: &Artifact) -> Result<RouteOptions, Error> {
        let models = artifact.n_models();
        let facts = self.facts(artifact)?;
        let (cost_weight, latency_weight) = (self.weight()?, self.weight()?);
        let max_cost_usd = self.f64()?;
        let (min_success, switch_cost) = (self.weight()?, self.weight()?);
        let (explore, seed) = (self.propensity()?, self.take().map(u64::from_le_bytes)?);
        let previous = self.u32()?;
        let known = previous == u32::MAX || (previous as usize) < models;
        self.check(known, "the previous model")?;
        let on_novel = match self.take()? {
            [0] => OnNovel::Default,
            [1] => OnNovel::BestOverall,
            [2] => OnNovel::Error,
            _ => return Err(self.wrong("on_novel")),
        };
        let mut allowed = None;
        if self.flag()? {
            let flags: Result<Box<[bool]>, _> = (0..models).map(|_| self.flag()).collect();
            allowed = Some(flags?);
        }
        let mut prices = None;
        if self.flag()? {
            let read: Result<Box<[_]>, _> = (0..models).map(|_| self.price()).collect();
            prices = Some(read?);
        }
        Ok(RouteOptions {
            cost_weight,
            latency_weight,
            max_cost_usd: (!max_cost_usd.is_nan()).then_some(max_cost_usd),
            min_success,
            allowed,
            prices,
            facts,
            previous: (previous != u32::MAX).then_some(previous),
            switch_cost,
            explore,
            seed,
            on_novel,
        })
    }

    fn price(&mut self) -> Result<Option<Price>, Error> {
        let [kind] = self.take()?;
        let [input, output] = [self.f64()?, self.f64()?];
        let price = match kind {
            0 => return Ok(None),
            1 => Price::Task(input),
            2 => Price::Tokens { input, output },
            _ => return Err(self.wrong("a price")),
        };
        self.check(price.is_valid(), "a price")?;
        Ok(Some(price))
    }

    fn facts(&mut self, artifact: &Artifact) -> Result<PromptFacts, Error> {
        let group = match self.u32()? {
            u32::MAX => Group::Unstated,
            group if group == u32::MAX - 1 => Group::Unknown,
            group => {
                self.check((group as usize) < artifact.n_groups(), "a group")?;
                Group::Known(group)
            }
        };
        let ([kind], number) = (self.take()?, self.weight()?);
        let length = match kind {
            0 => PromptLength::Unknown,
            1 => PromptLength::Chars(number),
            2 => PromptLength::Tokens(number),
            _ => return Err(self.wrong("a length")),
        };
        Ok(PromptFacts::new(group, length))
    }

    fn propensity(&mut self) -> Result<f64, Error> {
        let propensity = self.f64()?;
        self.check((0.0..=1.0).contains(&propensity), "a propensity")?;
        Ok(propensity)
    }
}
