//! From a text to a decision, one text or many on several threads.
//!
//! Not here: the vector of a text ([`super::embedder`]), and the decision for a vector
//! ([`crate::decide`]).

use std::num::NonZeroUsize;
use std::sync::Mutex;

use super::embedder::{BLOCK, FirstError, LookupEmbedder, TextError, locked, on_threads};
use crate::{Artifact, Decision, Error, PromptFacts, RouteOptions};

/// The reason why there is no decision for a text.
#[derive(Debug)]
pub enum RouteError {
    /// A text, by its index, has no vector.
    Text(usize, TextError),
    /// There is no decision for a vector.
    Decision(Error),
}

/// A decision with the vector that its ranking needs; without one where rankings need none.
pub type Routed = (Decision, Vec<f32>);

/// Decide for many texts, on several threads.
///
/// `go_on` is that of [`LookupEmbedder::embed_many`]; where it ends the work, decisions are missing.
///
/// A text without a vector goes before a vector without a decision: the texts are read as if all of
/// them were embedded first.
///
/// # Errors
///
/// The first text, by its index, that has no vector; else the first row that has no decision.
///
/// # Panics
///
/// As [`Artifact::decide`], or if there are fewer facts than texts.
pub fn route_many(
    artifact: &Artifact,
    embedder: &LookupEmbedder,
    texts: &[&str],
    options: &RouteOptions,
    facts: Option<&[PromptFacts]>,
    threads: NonZeroUsize,
    go_on: impl Fn(usize) -> bool + Sync,
) -> Result<Vec<Routed>, RouteError> {
    let (no_vector, no_decision) = (FirstError::default(), FirstError::default());
    let mut routed: Vec<Option<Routed>> = Vec::new();
    routed.resize_with(texts.len(), || None);
    let blocks = Mutex::new(
        texts
            .chunks(BLOCK)
            .zip(routed.chunks_mut(BLOCK))
            .enumerate(),
    );
    let keeps_vectors = artifact.ranks_by_vector();
    on_threads(texts.len(), threads, || {
        let mut vector = vec![0.0; embedder.dim()];
        loop {
            let block = locked(&blocks).next();
            let Some((block, (texts, routed))) = block else {
                return;
            };
            for (i, (text, routed)) in texts.iter().zip(routed).enumerate() {
                let at = block * BLOCK + i;
                if no_vector.is_before(at) {
                    return;
                }
                if let Err(error) = embedder.embed(text, &mut vector) {
                    no_vector.put(at, error);
                    return;
                }
                if no_decision.is_before(at) {
                    continue; // a text further on may have no vector
                }
                let facts = facts.map_or(options.facts, |facts| facts[at]);
                match artifact.decide_row(at, &vector, options, facts) {
                    Ok(decision) if keeps_vectors => *routed = Some((decision, vector.clone())),
                    Ok(decision) => *routed = Some((decision, Vec::new())),
                    Err(error) => no_decision.put(at, error),
                }
            }
            if !go_on(texts.len()) {
                return;
            }
        }
    });
    let texts_read = no_vector.into_result();
    texts_read.map_err(|(at, error)| RouteError::Text(at, error))?;
    let decided = no_decision.into_result();
    decided.map_err(|(_, error)| RouteError::Decision(error))?;
    Ok(routed.into_iter().flatten().collect())
}
