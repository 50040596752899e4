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
    made.blending = (random.below(6) > 0).then_some(Blending {
        sharpness: one(random, &[1.0, 1e-300, 1e300]),
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

/// Give one of the clusters a share of about 2 to the power of `-bits` at a prompt.
fn sharpen(values: &mut ArtifactValues, prompt: &[f32], cluster: usize, bits: f64) {
    let distance = |row: &[f32]| f64::from(nearest(SimdLevel::Scalar, prompt, row).squared);
    let behind = distance(&values.centroids[cluster * prompt.len()..][..prompt.len()])
        - distance(&values.centroids);
    if let Some(blending) = &mut values.blending
        && behind > 0.0
    {
        blending.sharpness = 2.0 * bits * std::f64::consts::LN_2 / behind;
    }
}

/// Move one model to the success of another at a prompt, or the margin to a gain, each exactly or a
/// unit in the last place beside it.
fn tie(random: &mut SplitMix, values: &mut ArtifactValues, prompt: &[f32]) {
    let free = with!(values.clone(), { policy: with!(values.policy, { margin: 0.0 }) });
    let artifact = Artifact::build(&free).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let decision = artifact.decide(prompt, &options).unwrap();
    let ranking = artifact.rank(&decision, prompt, &options);
    // Most often of the first two and the default model, which lies behind those that are proven.
    let mut any = || {
        let reach = one(random, &[2, 3, ranking.len()]);
        ranking[random.below(reach.min(ranking.len()))]
    };
    let [a, b] = [any(), any()];
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
    let cases = std::env::var("HYPERNOVA_CASES").map_or(1_000, |n| n.parse().unwrap());
    let from = std::env::var("HYPERNOVA_FROM").map_or(0, |n| n.parse().unwrap());
    let (mut routed, mut kept) = (0, 0);
    for seed in from..from + cases {
        let mut random = SplitMix(seed);
        let mut values = drawn(&mut random);
        let dim = values.dim as usize;
        let prompts = prompts(&mut random, &values, 9);
        let clusters = values.clusters as usize;
        if random.below(4) > 0 {
            let prompt = &prompts[random.below(9) * dim..][..dim];
            let bits = one(&mut random, &[1.0, 10.0, 16.9, 17.1, 18.0, 25.0, 52.0]);
            sharpen(&mut values, prompt, random.below(clusters), bits);
        }
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

/// Clusters that are left out at first decide together: which of two models is first, and whether
/// the margin is exceeded. Near their share of `2^-17`, they move a gain by nearly all that is allowed
/// for.
#[test]
fn clusters_that_are_left_out_decide_together() {
    let (clusters, dim, models) = (24, 24, 14);
    for far in 2..8 {
        for (at, other, default) in [(0, 13, 5), (13, 0, 5), (0, 5, 5), (13, 5, 5)] {
            for sign in [1.0, -1.0] {
                let mut values = values(clusters, dim, models, 0);
                let bits = 17.02_f32;
                let off = (bits * 2.0 * std::f32::consts::LN_2).sqrt();
                for (c, centroid) in values.centroids.chunks_mut(dim as usize).enumerate() {
                    centroid.fill(0.5);
                    centroid[c] += match c {
                        0 => 0.0,
                        _ if c <= far => off,
                        _ => 100.0,
                    };
                }
                values.blending = Some(Blending {
                    sharpness: 1.0,
                    nearest: far as u32 + 1,
                });
                values.correction = Some(LinearCorrection {
                    offsets: vec![0.0; models as usize],
                    slopes: vec![0.0; (models * dim) as usize],
                });
                values.policy = with!(neutral_policy(), { default_model: default });
                let margin = if other == default { 0.875 } else { 0.0 };
                values.policy.margin = margin.into();
                // A twentieth less than what the far clusters add to the difference of the two.
                let added = far as f32 * (-bits).exp2() * (1.0 - sign * margin);
                let lead = 0.95 * added * sign;
                for (c, row) in values.success.chunks_mut(models as usize).enumerate() {
                    row.fill(0.125);
                    [row[at], row[other as usize]] = match c {
                        0 => [0.5 + margin / 2.0 - lead, 0.5 - margin / 2.0],
                        _ if sign > 0.0 => [1.0, 0.0],
                        _ => [0.0, 1.0],
                    };
                }
                let right = if sign > 0.0 { at as u32 } else { other };
                let prompt = vec![0.5; dim as usize];
                for level in SimdLevel::available() {
                    let artifact = Artifact::build(&values).unwrap().with_level(level);
                    let options = RouteOptions::defaults(&artifact);
                    let many = artifact.decide_many(&prompt.repeat(5), &options).unwrap();
                    let found = many
                        .iter()
                        .map(|decision| decision.model)
                        .collect::<Vec<_>>();
                    assert_eq!(
                        found, [right; 5],
                        "{level:?}, {far} far, {at} and {other}, {sign}"
                    );
                }
            }
        }
    }
}

/// The codes of cluster 1 leave open whether it lies within the distance that is searched at first,
/// those of cluster 2 prove that it does not, and yet cluster 2 is the nearer: the blend takes two.
#[test]
fn a_cluster_that_codes_leave_open_takes_no_place_of_a_nearer_one() {
    let (clusters, dim, models) = (6, 100, 14);
    let mut values = values(clusters, dim, models, 0);
    let mut random = SplitMix(3);
    for (c, centroid) in values.centroids.chunks_mut(dim as usize).enumerate() {
        // Values that differ are coded with an error, equal ones without.
        let mut squared = 0.0;
        for value in &mut *centroid {
            *value = if c == 1 { random.normal() } else { 1.0 };
            squared += *value * *value;
        }
        let length = [0.0_f32, 1.03, 1.01, 100.0, 100.0, 100.0][c].sqrt() / squared.sqrt();
        for value in centroid {
            *value = 0.5 + *value * length;
        }
    }
    // Clusters that are farther by a squared distance above 1 are left out.
    values.blending = Some(Blending {
        sharpness: 34.0 * std::f64::consts::LN_2,
        nearest: 2,
    });
    values.correction = Some(LinearCorrection {
        offsets: vec![0.0; models as usize],
        slopes: vec![0.0; (models * dim) as usize],
    });
    values.policy = with!(neutral_policy(), { default_model: 5 });
    for (c, row) in values.success.chunks_mut(models as usize).enumerate() {
        row.fill(0.125);
        row[..2].copy_from_slice(&[[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]][c.min(2)]);
    }
    let prompt = vec![0.5; dim as usize];
    for level in SimdLevel::available() {
        let artifact = Artifact::build(&values).unwrap().with_level(level);
        let options = RouteOptions::defaults(&artifact);
        let many = artifact.decide_many(&prompt.repeat(5), &options).unwrap();
        assert!(many.iter().all(|decision| decision.model == 1), "{level:?}");
    }
}

/// Standard errors have no upper limit: that of a far cluster can outweigh its share.
#[test]
fn errors_of_far_clusters_count_under_a_guard() {
    let (clusters, dim, models) = (20, 20, 14);
    let mut values = values(clusters, dim, models, 0);
    for (c, centroid) in values.centroids.chunks_mut(dim as usize).enumerate() {
        centroid.fill(0.5);
        centroid[c] += if c == 0 { 0.0 } else { 6.0 };
    }
    values.blending = Some(Blending {
        sharpness: 1.0,
        nearest: 3,
    });
    values.correction = Some(LinearCorrection {
        offsets: vec![0.0; models as usize],
        slopes: vec![0.0; (models * dim) as usize],
    });
    values.policy = with!(neutral_policy(), { default_model: 5, guard_z: 1.0 });
    for row in values.success.chunks_mut(models as usize) {
        row.fill(0.125);
        row[0] = 0.5;
    }
    values.gain_error.fill(0.0);
    values.gain_error[models as usize] = 1e9; // of model 0 in cluster 1
    let prompt = vec![0.5; dim as usize];
    for level in SimdLevel::available() {
        let artifact = Artifact::build(&values).unwrap().with_level(level);
        let options = RouteOptions::defaults(&artifact);
        let many = artifact.decide_many(&prompt.repeat(5), &options).unwrap();
        assert!(many.iter().all(|decision| decision.model == 5), "{level:?}");
    }
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
