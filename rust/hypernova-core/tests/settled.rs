//! Decisions that bounds settle equal those of all estimates, where these all but tie.
//!
//! Not here: estimates and rankings by a second implementation (`blend.rs`).
//!
//! A request that allows every model by name asks for the same decision, and is decided by all
//! estimates over all clusters. `HYPERNOVA_CASES` is the number of drawn artifacts, for longer runs.

#[macro_use]
mod support;

use hypernova_core::format::Blending;
use hypernova_core::nearest::nearest;
use hypernova_core::{
    Artifact, ArtifactValues, LinearCorrection, OnNovel, Reason, Request, RouteOptions, SimdLevel,
};
use support::{SplitMix, neutral_policy, values};

/// One of some values.
fn one<T: Copy>(random: &mut SplitMix, of: &[T]) -> T {
    of[random.below(of.len())]
}

/// Values of an artifact in which many successes are equal or a few units in the last place apart.
fn drawn(random: &mut SplitMix) -> ArtifactValues {
    let clusters = one(random, &[1, 2, 3, 4, 5, 8, 16, 17, 40, 129]);
    let dim = one(random, &[1, 2, 5, 16, 17, 33, 100]);
    let models = one(random, &[1, 2, 3, 12, 13, 24, 31, 32, 33]);
    let mut made = values(clusters, dim, models, random.bits());
    let (models, dim) = (models as usize, dim as usize);
    let size = one(random, &[1.0, 1.0, 1.0, 1e-3, 1e-15, 1e14]);
    for value in &mut made.centroids {
        *value *= size;
    }
    // Rows and clusters far from most prompts.
    for row in made.centroids.chunks_mut(dim) {
        match random.below(6) {
            0 => row.fill(0.0),
            1 => row.iter_mut().for_each(|value| *value *= 4.0),
            _ => (),
        }
    }
    let base = one(random, &[0.0, 0.25, 0.5, 1.0]);
    let unit = one(random, &[0.0, f32::EPSILON / 4.0, 1e-6, 1e-3, 0.1]);
    for success in &mut made.success {
        *success = (base + unit * (random.below(5) as f32 - 2.0)).clamp(0.0, 1.0);
    }
    let flat = random.below(2) == 0;
    for (i, error) in made.gain_error.iter_mut().enumerate() {
        *error = if flat {
            0.0
        } else {
            *error * unit * (i % 3) as f32
        };
    }
    let slope = one(random, &[0.0, 1e-23, 1e-9, 1e-5, 1e-2, 1.0, 1e14, 3e38]);
    let offset = one(random, &[0.0, 1e-9, 1e-3, 0.2]);
    let correction = LinearCorrection {
        offsets: (0..models).map(|_| random.normal() * offset).collect(),
        slopes: (0..models * dim)
            .map(|_| random.fraction() * slope)
            .collect(),
    };
    made.correction = (random.below(5) > 0).then_some(correction);
    // The share of a cluster at the mean distance is 2 to the power of about -`bits`.
    let bits = one(random, &[0.1, 1.0, 5.0, 16.0, 17.0, 18.0, 30.0, 2000.0]);
    let sharpness = bits / (f64::from(size) * f64::from(size) * dim as f64);
    made.blending = (random.below(6) > 0).then_some(Blending {
        sharpness: one(random, &[sharpness, sharpness, sharpness, 1e-300, 1e300]),
        nearest: one(random, &[1, 2, 4, 8, 16]),
    });
    made.policy = with!(neutral_policy(), { default_model: random.below(models) as u32 });
    made.policy.novelty_limit = 1.0;
    made.policy.guard_z = one(random, &[0.0, 0.0, 0.5, 1e300]);
    made.policy.margin = one(random, &[0.0, 0.0, f64::from(unit), 1e-9, 0.999, 1.0, 2.0]);
    made
}

/// Prompts near centroids, between two, on one, and anywhere.
fn prompts(random: &mut SplitMix, values: &ArtifactValues, count: usize) -> Vec<f32> {
    let dim = values.dim as usize;
    let rows = values.centroids.len() / dim;
    let mut all = Vec::new();
    for _ in 0..count {
        let [a, b] = [(); 2].map(|()| &values.centroids[random.below(rows) * dim..][..dim]);
        let noise = one(random, &[0.0, 1e-6, 0.1, 1.0, 1e-20, 1e6]);
        let part = one(random, &[0.0, 0.5, 0.5 + f32::EPSILON, 0.3]);
        for (a, b) in a.iter().zip(b) {
            let value = a + (b - a) * part;
            let off = random.normal() * noise * value.abs().max(1e-10);
            all.push((value + off).clamp(-1e30, 1e30));
        }
    }
    all
}

/// Move one model to the success of another at a prompt, or the margin to a gain, each exactly or a
/// unit in the last place beside it.
fn tie(random: &mut SplitMix, values: &mut ArtifactValues, prompt: &[f32]) {
    let free = with!(values.clone(), { policy: with!(values.policy, { margin: 0.0 }) });
    let artifact = Artifact::build(&free).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let decision = artifact.decide(prompt, &options).unwrap();
    let ranking = artifact.rank(&decision, prompt, &options);
    let [a, b] = [(); 2].map(|()| ranking[random.below(ranking.len())]);
    let step = random.below(3);
    if random.below(2) == 0 {
        let gain = (a.success - b.success).abs();
        values.policy.margin = match step {
            0 => gain.next_up(),
            1 => gain.next_down().max(0.0),
            _ => gain,
        };
        values.policy.default_model = if a.success < b.success {
            a.model
        } else {
            b.model
        };
    } else if let Some(correction) = &mut values.correction {
        let offset = &mut correction.offsets[b.model as usize];
        *offset += (a.success - b.success) as f32;
        *offset = match step {
            0 => offset.next_up(),
            1 => offset.next_down(),
            _ => *offset,
        };
    }
}

#[test]
fn settled_decisions_are_those_of_all_estimates() {
    let cases = std::env::var("HYPERNOVA_CASES").map_or(1_500, |n| n.parse().unwrap());
    let from = std::env::var("HYPERNOVA_FROM").map_or(0, |n| n.parse().unwrap());
    let (mut routed, mut kept) = (0, 0);
    for seed in from..from + cases {
        let mut random = SplitMix(seed);
        let mut values = drawn(&mut random);
        let dim = values.dim as usize;
        let prompts = prompts(&mut random, &values, 9);
        for _ in 0..random.below(4) {
            let prompt = &prompts[random.below(9) * dim..][..dim];
            tie(&mut random, &mut values, prompt);
        }
        let weights = one(&mut random, &[0.0, 0.0, 0.0, 0.05, 1e308]);
        let request = with!(Request::default(), {
            cost_weight: Some(weights),
            latency_weight: Some(one(&mut random, &[0.0, weights / 100.0])),
            on_novel: one(&mut random, &[OnNovel::Default, OnNovel::BestOverall]),
        });
        let all = with!(request.clone(), { allow: Some(values.models.clone()) });
        let plain = Artifact::build(&values)
            .unwrap()
            .with_level(SimdLevel::Scalar);
        let [options, by_all] = [request, all].map(|r| RouteOptions::resolve(&plain, &r).unwrap());
        let right: Vec<_> = prompts
            .chunks(dim)
            .map(|prompt| {
                let right = plain.decide(prompt, &by_all).unwrap();
                let near = nearest(SimdLevel::Scalar, prompt, &values.centroids);
                assert_eq!(
                    (right.cluster, right.distance),
                    (near.index, near.squared.sqrt())
                );
                right
            })
            .collect();
        for decision in &right {
            routed += usize::from(decision.reason == Reason::Routed);
            kept += usize::from(decision.reason == Reason::DefaultNoEvidence);
        }
        for level in SimdLevel::available() {
            let artifact = Artifact::build(&values).unwrap().with_level(level);
            let case = format!("{level:?}, seed {seed}");
            let many = artifact.decide_many(&prompts, &options).unwrap();
            assert_eq!(many, right, "{case}, batch");
            let many = artifact.decide_many(&prompts, &by_all).unwrap();
            assert_eq!(many, right, "{case}, batch of all estimates");
            for (prompt, right) in prompts.chunks(dim).zip(&right) {
                let found = artifact.decide(prompt, &options).unwrap();
                assert_eq!(found, *right, "{case}");
                let ranking = artifact.rank(right, prompt, &options);
                assert_eq!(ranking[0].model, right.model, "{case}");
            }
        }
    }
    assert!(
        routed > cases as usize && kept > cases as usize,
        "{routed} {kept}"
    );
}

/// A correction whose slope is so small that the squares of most of its values underflow.
#[test]
fn slopes_whose_squares_underflow_count() {
    let (dim, models) = (16, 14);
    let mut values = values(2, dim, models, 0);
    values.success.fill(0.25);
    values.policy = with!(neutral_policy(), { default_model: 5 });
    let mut correction = LinearCorrection {
        offsets: vec![0.0; models as usize],
        slopes: vec![0.0; (models * dim) as usize],
    };
    correction.slopes[0] = 1e-20;
    correction.slopes[1..16].fill(2.5e-23);
    // Between the whole correction of model 0 and that by its first slope.
    correction.offsets[1] = 1e-6 + 2e-8;
    values.correction = Some(correction);
    values.policy.novelty_limit = 1.0;
    values.novelty = vec![1e16; values.novelty.len()];
    let prompt = vec![1e14; dim as usize];
    for level in SimdLevel::available() {
        let artifact = Artifact::build(&values).unwrap().with_level(level);
        let options = RouteOptions::defaults(&artifact);
        let decision = artifact.decide(&prompt, &options).unwrap();
        assert_eq!(decision.model, 0, "{level:?}");
    }
}
