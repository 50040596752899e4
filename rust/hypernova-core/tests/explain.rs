//! An explanation agrees with the decision: same clusters, same estimates, same order.
//!
//! Not here: whether the estimates are right (`blend.rs`, `rule.rs`).

#![expect(clippy::float_cmp, reason = "the same computation, so the same bits")]

mod support;

use hypernova_core::explain::MIN_CLUSTERS;
use hypernova_core::{Artifact, Group, Price, PromptLength, Request, RouteOptions};
use support::{SplitMix, blended, grouped, in_row, values, variant, with_tokens};

fn vector(random: &mut SplitMix, dim: usize, scale: f32) -> Vec<f32> {
    (0..dim).map(|_| random.normal() * scale).collect()
}

/// Artifacts of every kind: plain, blended, with a guard, with and without a margin, with fewer
/// clusters than explained.
fn artifacts() -> Vec<Artifact> {
    let mut made = Vec::new();
    for seed in 0..12 {
        let (clusters, models) = (1 + 3 * (seed % 4), 1 + seed % 5);
        let mut plain = values(clusters as u32, 6, models as u32, seed);
        plain.policy.margin = [0.0, 0.1][seed as usize % 2];
        made.push(Artifact::build(&plain).expect("valid"));
        let blended = blended(plain.clone(), seed);
        for own in [plain, blended.clone()] {
            let groups = 1 + (seed % 4) as usize;
            let own = with_tokens(grouped(own, groups, seed), seed);
            made.push(Artifact::build(&own).expect("valid"));
        }
        made.push(Artifact::build(&blended).expect("valid"));
    }
    made
}

#[test]
fn the_explanation_has_the_decisions_estimates_in_the_rankings_order() {
    let mut random = SplitMix(3);
    let (mut novel, mut limited, mut of_groups, mut by_margin) = (0, 0, 0, 0);
    for artifact in artifacts() {
        for round in 0..40 {
            let scale = [0.2, 1.0, 6.0][round % 3];
            let vector = vector(&mut random, artifact.dim(), scale);
            let mut request = Request::default();
            request.cost_weight = (round % 2 == 0).then_some(3.0);
            request.max_cost_usd = (round % 5 == 0).then_some(0.01);
            request.min_success = (round % 7 == 0).then_some(0.4);
            request.group = (round % 4 > 0).then(|| format!("group {}", round % 4));
            request.length = [PromptLength::Unknown, PromptLength::Chars(900.0)][round % 2];
            let mut options = RouteOptions::resolve(&artifact, &request).expect("valid");
            for model in 0..artifact.n_models() as u32 {
                let price = Price::Tokens {
                    input: 3.0,
                    output: 15.0,
                };
                // Not of a model whose tokens are unknown.
                let _ = options.price(&artifact, artifact.model_name(model), price);
            }
            let said = artifact.explain(&vector, &options).expect("finite");
            assert_eq!(said.models.len(), artifact.n_models());
            let decision = match artifact.decide(&vector, &options) {
                Ok(decision) => decision,
                Err(error) => {
                    assert_eq!(variant(&error), "NoCandidate");
                    assert!(said.models.iter().all(|m| !m.candidate));
                    continue;
                }
            };
            let ranking = artifact.rank(&decision, &vector, &options);
            let left: Vec<_> = said.models.iter().filter(|m| m.candidate).collect();
            limited += usize::from(left.len() < artifact.n_models());
            assert_eq!(left.len(), ranking.len());
            for (entry, standing) in ranking.iter().zip(left) {
                assert_eq!(standing.model, entry.model);
                assert_eq!(standing.success, entry.success);
                assert_eq!(standing.cost_usd, entry.cost_usd);
                assert_eq!(standing.latency_s, entry.latency_s);
                assert_eq!(standing.n, entry.n);
                assert_eq!(standing.utility, entry.utility);
                let sum = (standing.profile + standing.correction).clamp(0.0, 1.0);
                assert_eq!(sum, standing.success);
                let default = artifact.policy().default_model;
                let proven = standing.model != default && standing.gain > standing.bound;
                assert_eq!(standing.proven, proven);
                let of_default = said.models.iter().find(|m| m.model == default);
                let claimed = standing.success - of_default.expect("all are listed").success;
                let taken = match decision.facts.group {
                    Group::Known(_) => 0.0,
                    _ => claimed.max(0.0).min(artifact.policy().margin),
                };
                assert!(standing.bound >= taken);
                by_margin += usize::from(taken > 0.0);
            }
            assert_eq!(said.clusters[0].cluster, decision.cluster);
            assert_eq!(said.clusters[0].distance, decision.distance);
            assert_eq!(said.novelty, decision.novelty);
            assert_eq!(said.novel, decision.row as usize == artifact.n_clusters());
            novel += usize::from(said.novel);
            let grouped = matches!(decision.facts.group, Group::Known(_));
            of_groups += usize::from(grouped);
            assert!(!(said.novel && grouped));
            let shares: f64 = said.clusters.iter().map(|near| near.share).sum();
            let expected = if said.novel || grouped { 0.0 } else { 1.0 };
            assert!((shares - expected).abs() < 1e-9);
            let blended = artifact
                .blending()
                .map_or(1, |blending| blending.nearest as usize);
            let listed = blended.max(MIN_CLUSTERS).min(artifact.n_clusters());
            assert_eq!(said.clusters.len(), listed);
            assert!(said.clusters.is_sorted_by(|a, b| a.distance <= b.distance));
            assert!(said.clusters.iter().skip(blended).all(|n| n.share == 0.0));
        }
    }
    assert!(
        novel > 20 && limited > 20 && of_groups > 20 && by_margin > 20,
        "the cases occur: {novel}, {limited}, {of_groups}, {by_margin}"
    );
}

#[test]
fn a_vector_of_another_dimension_or_with_nan_is_refused() {
    let artifact = Artifact::build(&values(4, 6, 3, 1)).expect("valid");
    let options = RouteOptions::defaults(&artifact);
    let short = artifact
        .explain(&[0.0; 5], &options)
        .expect_err("too short");
    assert_eq!(variant(&short), "VectorDim");
    let nan = artifact.explain(&[f32::NAN; 6], &options).expect_err("NaN");
    assert_eq!(variant(&nan), "VectorNotFinite");
}

#[test]
fn without_a_vector_the_default_model_ranks_first_within_the_limits() {
    let mut random = SplitMix(9);
    let (mut default_denied, mut stayed) = (0, 0);
    for artifact in artifacts() {
        let models = artifact.n_models();
        let default = artifact.policy().default_model;
        for round in 0..30 {
            let denied = random.below(models) as u32;
            let previous = random.below(models) as u32;
            let mut request = Request::default();
            request.cost_weight = Some(2.0);
            request.deny = (round % 2 == 0).then(|| vec![artifact.model_name(denied).to_owned()]);
            request.previous_model =
                (round % 3 == 0).then(|| artifact.model_name(previous).to_owned());
            request.switch_cost = Some(0.2);
            request.explore = Some(0.9); // no one draws without a prompt
            let options = RouteOptions::resolve(&artifact, &request).expect("valid");
            let ranking = artifact.rank_without_vector(&options);
            let row = artifact.n_clusters() * models;
            let mut seen: Vec<_> = ranking.iter().map(|entry| entry.model).collect();
            for entry in &ranking {
                let whole = artifact.success()[row + entry.model as usize];
                assert_eq!(entry.success, f64::from(whole));
                assert!(round % 2 == 1 || entry.model != denied);
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), models - usize::from(round % 2 == 0));
            let Some(first) = ranking.first() else {
                continue;
            };
            if round % 3 == 0 && first.model == previous && previous != default {
                stayed += 1;
            } else if round % 2 == 0 && denied == default {
                default_denied += 1;
                let in_row = in_row(artifact.n_clusters() as u32);
                assert_eq!(artifact.rank(&in_row, &[], &options)[1..], ranking[1..]);
            } else {
                assert_eq!(first.model, default);
            }
        }
    }
    assert!(
        default_denied > 20 && stayed > 20,
        "{default_denied}, {stayed}"
    );
}
