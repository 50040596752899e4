//! Blended clusters and corrected estimates equal a second implementation and values by hand.
//!
//! Not here: the search for the nearest (`kernels.rs`), the rule on one row (`rule.rs`).
//!
//! The oracle below is written from `FORMAT.md` alone, with a vector for each of its quantities.
//! It takes `exp` from the same library, so all values must be equal bit for bit.

#![expect(clippy::float_cmp, reason = "answers are equal bit by bit")]

#[macro_use]
mod support;

use hypernova_core::format::Blending;
use hypernova_core::{
    Artifact, ArtifactValues, Group, LinearCorrection, PromptLength, Reason, Request, RouteOptions,
    SimdLevel, TokenProfiles,
};
use support::{
    EntryValues, SplitMix, blended, entry_values, grouped, neutral_policy, priced, values,
    with_tokens,
};

const NAN: f32 = f32::NAN;

/// Add up `term` of two vectors in sixteen partial sums.
fn partial_sums(x: &[f32], y: &[f32], term: fn(f32, f32) -> f32) -> f32 {
    let mut p = [0.0_f32; 16];
    for j in 0..x.len() {
        p[j % 16] += term(x[j], y[j]);
    }
    for w in [8, 4, 2, 1] {
        for i in 0..w {
            p[i] += p[i + w];
        }
    }
    p[0]
}

fn squared(x: &[f32], y: &[f32]) -> f32 {
    partial_sums(x, y, |x, y| (x - y) * (x - y))
}

/// Rows and shares of a vector that is not novel.
fn shares(values: &ArtifactValues, vector: &[f32]) -> Vec<(usize, f64)> {
    let centroids = values.centroids.chunks(vector.len());
    let mut near: Vec<(f32, usize)> = centroids
        .enumerate()
        .map(|(c, centroid)| (squared(vector, centroid), c))
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    near.truncate(
        values
            .blending
            .map_or(1, |blending| blending.nearest as usize),
    );
    let first = near[0].0;
    let sharpness = values.blending.map_or(1.0, |blending| blending.sharpness);
    let weight = |s: f32| {
        if s == first {
            return 1.0;
        }
        (-(sharpness * (f64::from(s) - f64::from(first))) / 2.0).exp()
    };
    let sum: f64 = near.iter().map(|n| weight(n.0)).sum();
    near.iter().map(|n| (n.1, weight(n.0) / sum)).collect()
}

/// The oracle's estimates of a model.
#[derive(Clone, Debug)]
struct Expected {
    success: f64,
    gain_error: f64,
    cost: Option<f64>,
    latency: Option<f64>,
    n: f64,
}

fn expected(values: &ArtifactValues, vector: &[f32], model: usize) -> Expected {
    let models = values.models.len();
    let shares = shares(values, vector);
    let cell = |c: usize| c * models + model;
    let known = |table: &[f32]| {
        let known: Vec<_> = shares
            .iter()
            .filter(|s| !table[cell(s.0)].is_nan())
            .collect();
        let sum: f64 = known
            .iter()
            .map(|s| s.1 * f64::from(table[cell(s.0)]))
            .sum();
        let all: f64 = known.iter().map(|s| s.1).sum();
        (all != 0.0).then(|| sum / all)
    };
    let mean = |table: &[f32]| -> f64 {
        let terms = shares.iter().map(|s| s.1 * f64::from(table[cell(s.0)]));
        terms.sum()
    };
    let mut success = mean(&values.success);
    if let Some(correction) = &values.correction {
        let slope = &correction.slopes[model * vector.len()..][..vector.len()];
        let dot = partial_sums(vector, slope, |x, y| x * y);
        if dot.is_finite() {
            success += f64::from(correction.offsets[model]) + f64::from(dot);
        }
    }
    Expected {
        success: success.clamp(0.0, 1.0),
        gain_error: mean(&values.gain_error),
        cost: known(&values.cost),
        latency: known(&values.latency),
        n: shares.iter().map(|s| s.1 * values.counts[cell(s.0)]).sum(),
    }
}

/// The oracle's ranking without limits, under two weights.
fn ranking(values: &ArtifactValues, vector: &[f32], weights: [f64; 2]) -> Vec<EntryValues> {
    let models = values.models.len();
    let all: Vec<Expected> = (0..models).map(|m| expected(values, vector, m)).collect();
    let largest = |of: fn(&Expected) -> Option<f64>| all.iter().filter_map(of).fold(0.0, f64::max);
    let (dearest, slowest) = (largest(|e| e.cost), largest(|e| e.latency));
    let utility = |e: &Expected| {
        let cost = weights[0] * e.cost.unwrap_or(dearest);
        e.success - cost - weights[1] * e.latency.unwrap_or(slowest)
    };
    let default = values.policy.default_model as usize;
    let part = |m: usize| {
        let gain = utility(&all[m]) - utility(&all[default]);
        let claimed = (all[m].success - all[default].success).max(0.0);
        let uncounted = claimed.min(values.policy.margin);
        match m {
            _ if m == default => 1,
            _ if gain > uncounted + values.policy.guard_z * all[m].gain_error => 0,
            _ => 2,
        }
    };
    let mut order: Vec<usize> = (0..models).collect();
    order.sort_by(|&a, &b| {
        let falling = utility(&all[b]).partial_cmp(&utility(&all[a])).unwrap();
        part(a).cmp(&part(b)).then(falling).then(a.cmp(&b))
    });
    let entry = |m: usize| {
        let e = &all[m];
        (m as u32, e.success, e.cost, e.latency, e.n, utility(e))
    };
    order.into_iter().map(entry).collect()
}

/// Zeros of either sign are equal; all other values are compared by bits.
#[test]
fn rankings_are_those_of_the_oracle_at_every_level() {
    let (mut routed, mut kept) = (0, 0);
    for seed in 0..150 {
        let mut random = SplitMix(seed);
        let shape = [
            1 + random.below(20),
            1 + random.below(40),
            1 + random.below(6),
        ];
        let [clusters, dim, models] = shape.map(|n| n as u32);
        let mut values = blended(values(clusters, dim, models, seed), random.bits());
        values.policy.novelty_limit = 1.0;
        values.policy.guard_z = 0.5;
        values.policy.margin = [0.0, 0.03][random.below(2)];
        if let Some(blending) = &mut values.blending {
            blending.sharpness = [1e-6, 0.01, 0.3, 2.0, 50.0][random.below(5)];
        }
        match random.below(6) {
            0 => values.blending = None,
            1 => values.correction = None,
            _ => (),
        }
        let queries: Vec<f32> = (0..5 * dim).map(|_| random.normal()).collect();
        let weights = [[0.0, 0.0], [5.0, 0.01]][random.below(2)];
        let request = with!(Request::default(), {
            cost_weight: Some(weights[0]),
            latency_weight: Some(weights[1]),
        });
        for level in SimdLevel::available() {
            let artifact = Artifact::build(&values).unwrap().with_level(level);
            let options = RouteOptions::resolve(&artifact, &request).unwrap();
            let many = artifact.decide_many(&queries, &options).unwrap();
            for (query, decision) in queries.chunks(dim as usize).zip(many) {
                assert_eq!(artifact.decide(query, &options).unwrap(), decision);
                let right = ranking(&values, query, weights);
                let case = format!("{level:?}, {shape:?}, seed {seed}");
                let found = artifact.rank(&decision, query, &options);
                let found: Vec<EntryValues> = found.iter().map(entry_values).collect();
                assert_eq!(found, right, "{case}");
                assert_eq!(decision.model, right[0].0, "{case}");
                assert_eq!(
                    decision.cluster as usize,
                    shares(&values, query)[0].0,
                    "{case}"
                );
                if decision.reason == Reason::Routed {
                    routed += 1;
                } else {
                    assert_eq!(decision.reason, Reason::DefaultNoEvidence, "{case}");
                    kept += 1;
                }
            }
        }
    }
    assert!(routed > 200 && kept > 200, "{routed} {kept}");
}

/// Give the last model all values of the first.
fn twin(values: &mut ArtifactValues) {
    let (models, dim) = (values.models.len(), values.dim as usize);
    let tables = [
        &mut values.success,
        &mut values.gain_error,
        &mut values.cost,
        &mut values.latency,
    ];
    for table in tables {
        for row in table.chunks_mut(models) {
            row[models - 1] = row[0];
        }
    }
    if let Some(own) = &mut values.correction {
        own.offsets[models - 1] = own.offsets[0];
        own.slopes.copy_within(..dim, (models - 1) * dim);
    }
}

/// Enough models for corrections to be screened, with successes so close that few are ruled out, and
/// models that are equal but for their indices, or but for one cluster: that it is far away, and has
/// next to no share, must not hide it.
#[test]
fn screened_decisions_are_those_of_the_oracle_at_every_level() {
    let (mut routed, mut kept, mut ties, mut far) = (0, 0, 0, 0);
    for seed in 0..120 {
        let mut random = SplitMix(seed + 1_000);
        let dim = 1 + random.below(140);
        let models = 12 + random.below(21);
        let clusters = 1 + random.below(40);
        let shape = [clusters, dim, models].map(|n| n as u32);
        let mut values = values(shape[0], shape[1], shape[2], seed);
        let close = [1.0, 0.1, 0.01, 0.001][random.below(4)];
        for success in &mut values.success {
            *success = 0.5 + (*success - 0.5) * close;
        }
        for error in &mut values.gain_error {
            *error *= close;
        }
        let steep = [1.0, 0.01, 1e-4][random.below(3)] / (dim as f32);
        values.correction = Some(LinearCorrection {
            offsets: (0..models).map(|_| random.normal() * 0.1 * close).collect(),
            slopes: (0..models * dim).map(|_| random.normal() * steep).collect(),
        });
        values.blending = (random.below(3) > 0).then_some(Blending {
            sharpness: [0.01, 0.5, 3.0, 50.0][random.below(4)],
            nearest: 1 + random.below(12) as u32,
        });
        values.policy = with!(neutral_policy(), { default_model: random.below(models) as u32 });
        values.policy.guard_z = [0.0, 0.5, 20.0][random.below(3)];
        values.policy.margin = [0.0, 0.01 * f64::from(close)][random.below(2)];
        let last = models - 1;
        if random.below(3) > 0 {
            twin(&mut values);
            // Perhaps better or worse in one cluster.
            let off = [0.0, 0.01, -0.01][random.below(3)] * close;
            let success = &mut values.success[random.below(clusters) * models + last];
            *success = (*success + off).clamp(0.0, 1.0);
        }
        let mut queries: Vec<f32> = (0..20 * dim).map(|_| random.normal()).collect();
        // Half of them near a centroid.
        for query in queries.chunks_mut(dim).step_by(2) {
            let near = &values.centroids[random.below(clusters) * dim..];
            for (value, at) in query.iter_mut().zip(near) {
                *value = at + *value * 0.1;
            }
        }
        let weights = [[0.0, 0.0], [0.05, 0.0001]][random.below(2)];
        let request = with!(Request::default(), {
            cost_weight: Some(weights[0]),
            latency_weight: Some(weights[1]),
        });
        for level in SimdLevel::available() {
            let artifact = Artifact::build(&values).unwrap().with_level(level);
            let options = RouteOptions::resolve(&artifact, &request).unwrap();
            let many = artifact.decide_many(&queries, &options).unwrap();
            for (query, of_many) in queries.chunks(dim).zip(many) {
                let decision = artifact.decide(query, &options).unwrap();
                assert_eq!(decision, of_many);
                let right = ranking(&values, query, weights);
                let case = format!("{level:?}, {shape:?}, seed {seed}");
                assert_eq!(decision.model, right[0].0, "{case}");
                let reason = if right[0].0 == values.policy.default_model {
                    Reason::DefaultNoEvidence
                } else {
                    Reason::Routed
                };
                assert_eq!(decision.reason, reason, "{case}");
                let near = shares(&values, query)[0].0;
                assert_eq!(decision.cluster as usize, near, "{case}");
                let row = &values.success[near * models..][..models];
                far += usize::from(decision.model as usize == last && row[last] == row[0]);
                assert_eq!(
                    artifact.rank(&decision, query, &options)[0].model,
                    right[0].0
                );
                let stay = with!(request.clone(), {
                    previous_model: Some(values.models[right[3].0 as usize].clone()),
                    switch_cost: Some(right[0].5 - right[3].5),
                });
                let stay = RouteOptions::resolve(&artifact, &stay);
                if let Ok(stay) = stay {
                    let stayed = artifact.decide(query, &stay).unwrap();
                    assert_eq!(stayed.model, right[3].0, "{case}");
                    assert_eq!(stayed.reason, Reason::Stayed, "{case}");
                }
                ties += usize::from(decision.model == 0);
                if decision.reason == Reason::Routed {
                    routed += 1;
                } else {
                    kept += 1;
                }
            }
        }
    }
    // Each level that this CPU has decides the same cases.
    let levels = SimdLevel::available().count();
    assert!(
        routed > 500 * levels && kept > 200 * levels && ties > 50 * levels && far > 10 * levels,
        "{routed} {kept} {ties} {far}"
    );
}

/// Two models that are equal but in clusters too far away to be searched for at first.
#[test]
fn far_clusters_decide_where_near_ones_leave_two_models_equal() {
    let (clusters, dim, models) = (40, 32, 14);
    let last = models as usize - 1;
    for bits in 4_u8..48 {
        for (seed, off) in [(0, 0.0625), (1, -0.0625)] {
            let mut values = values(clusters, dim, models, seed);
            // The shares of clusters 1 to 4 are 2 to the power of -bits.
            let far = (f32::from(bits) * 2.0 * std::f32::consts::LN_2).sqrt();
            for (c, centroid) in values.centroids.chunks_mut(dim as usize).enumerate() {
                centroid.fill(0.5);
                centroid[c % 32] += match c {
                    0 => 0.0,
                    1..5 => far,
                    _ => 100.0,
                };
            }
            values.blending = Some(Blending {
                sharpness: 1.0,
                nearest: 8,
            });
            values.correction = Some(LinearCorrection {
                offsets: vec![0.0; models as usize],
                slopes: vec![0.001; (models * dim) as usize],
            });
            values.policy = with!(neutral_policy(), { default_model: 5 });
            for (c, row) in values.success.chunks_mut(models as usize).enumerate() {
                row.fill(0.25);
                (row[0], row[last]) = (0.5, 0.5);
                if c == 1 {
                    row[last] += off;
                }
            }
            let query = vec![0.5; dim as usize];
            let right = if off > 0.0 { models - 1 } else { 0 };
            assert_eq!(ranking(&values, &query, [0.0; 2])[0].0, right);
            for level in SimdLevel::available() {
                let artifact = Artifact::build(&values).unwrap().with_level(level);
                let options = RouteOptions::defaults(&artifact);
                let decision = artifact.decide(&query, &options).unwrap();
                assert_eq!(decision.model, right, "{level:?}, {bits}, {off}");
                assert_eq!(decision.reason, Reason::Routed);
                let many = artifact.decide_many(&query.repeat(5), &options).unwrap();
                assert_eq!(many, [decision; 5], "{level:?}, {bits}, {off}");
            }
        }
    }
}

/// Values whose one cluster is a group of others; the whole table stays in the last row.
fn as_cluster(values: &ArtifactValues, group: usize) -> ArtifactValues {
    /// The row of the group and the last one of the clusters.
    fn rows<T: Copy>(of_groups: &[T], own: &[T], group: usize, models: usize) -> Vec<T> {
        let row = of_groups[group * models..][..models].iter();
        row.chain(&own[own.len() - models..]).copied().collect()
    }
    let groups = values.groups.as_ref().expect("the values have groups");
    let models = values.models.len();
    let f32s = |of_groups: &[f32], own: &[f32]| rows(of_groups, own, group, models);
    with!(values.clone(), {
        clusters: 1,
        centroids: vec![0.0; values.dim as usize],
        counts: rows(&groups.counts, &values.counts, group, models),
        mean: f32s(&groups.mean, &values.mean),
        success: f32s(&groups.success, &values.success),
        standard_error: f32s(&groups.standard_error, &values.standard_error),
        gain_error: f32s(&groups.gain_error, &values.gain_error),
        cost: f32s(&groups.cost, &values.cost),
        latency: f32s(&groups.latency, &values.latency),
        // Neither novelty nor margin hold for a prompt of a known kind.
        policy: with!(values.policy, {
            novelty_limit: 1.0,
            margin: 0.0,
        }),
        blending: None,
        correction: groups.correction.as_ref().map(|own| LinearCorrection {
            offsets: own.offsets[group * models..][..models].to_vec(),
            slopes: own.slopes.clone(),
        }),
        groups: None,
        tokens: values.tokens.as_ref().map(|tokens| TokenProfiles {
            per_prompt: tokens.per_prompt.clone(),
            input: f32s(&tokens.group_input, &tokens.input),
            output: f32s(&tokens.group_output, &tokens.output),
            ..TokenProfiles::default()
        }),
    })
}

#[test]
fn a_group_decides_as_a_cluster_with_its_values_does() {
    let mut novel = 0;
    for seed in 0..120 {
        let mut random = SplitMix(seed);
        let dim = 1 + random.below(40) as u32;
        let plain = values(
            1 + random.below(6) as u32,
            dim,
            1 + random.below(6) as u32,
            seed,
        );
        let mut own = [plain.clone(), blended(plain, seed)][random.below(2)].clone();
        own.policy.novelty_limit = 0.5;
        own.policy.margin = [0.0, 0.03, 1.0][random.below(3)];
        let own = with_tokens(grouped(own, 3, random.bits()), seed);
        let queries: Vec<f32> = (0..4 * dim).map(|_| random.normal()).collect();
        let weights = [5.0, 0.01];
        let number = f64::from(random.fraction()) * 4000.0;
        let length = [
            PromptLength::Unknown,
            PromptLength::Chars(number),
            PromptLength::Tokens(number),
        ][random.below(3)];
        for level in SimdLevel::available() {
            let artifact = Artifact::build(&own).unwrap().with_level(level);
            for group in 0..3 {
                let alone = as_cluster(&own, group);
                let alone = Artifact::build(&alone).unwrap().with_level(level);
                let options = |of: &Artifact, prices: bool| {
                    let defaults = RouteOptions::defaults(of);
                    let mut options = if prices { priced(of) } else { defaults };
                    options.cost_weight(weights[0]).unwrap();
                    options.latency_weight(weights[1]).unwrap();
                    options.length(length).unwrap();
                    options
                };
                for prices in [false, true] {
                    let mut stated = options(&artifact, prices);
                    stated.group(Group::Known(group as u32));
                    let many = artifact.decide_many(&queries, &stated).unwrap();
                    for (query, found) in queries.chunks(dim as usize).zip(many) {
                        assert_eq!(artifact.decide(query, &stated).unwrap(), found);
                        let by_cluster = options(&alone, prices);
                        let right = alone.decide(query, &by_cluster).unwrap();
                        let case = format!("{level:?}, seed {seed}, group {group}, {prices}");
                        assert_eq!(found.model, right.model, "{case}");
                        assert_eq!(found.reason, right.reason, "{case}");
                        let row = artifact.n_clusters() + 1 + group;
                        assert_eq!(found.row as usize, row, "{case}");
                        let ranked = artifact.rank(&found, query, &stated);
                        assert_eq!(ranked, alone.rank(&right, query, &by_cluster), "{case}");
                        if !prices {
                            let ranked: Vec<_> = ranked.iter().map(entry_values).collect();
                            let right = ranking(&as_cluster(&own, group), query, weights);
                            assert_eq!(ranked, right, "{case}");
                        }
                        // The nearest centroid and the novelty are those of the vector.
                        let without = artifact.decide(query, &options(&artifact, prices)).unwrap();
                        assert_eq!(found.cluster, without.cluster, "{case}");
                        assert_eq!(found.novelty, without.novelty, "{case}");
                        novel += usize::from(without.reason == Reason::DefaultNovel);
                    }
                }
            }
        }
    }
    assert!(novel > 200, "{novel}");
}

/// Two clusters at -1 and 1 on a line, two models; other values are 0 or unknown.
fn line() -> ArtifactValues {
    with!(values(2, 1, 2, 1), {
        centroids: vec![-1.0, 1.0],
        counts: vec![2.0, 4.0, 6.0, 8.0, 100.0, 100.0],
        mean: vec![0.0; 6],
        success: vec![0.25, 0.5, 0.75, 0.5, 0.125, 0.375],
        gain_error: vec![0.0, 0.25, 0.0, 0.5, 0.0, 0.0],
        cost: vec![1.0, NAN, 2.0, 3.0, NAN, NAN],
        latency: vec![NAN, 4.0, NAN, 8.0, 1.0, 2.0],
        novelty: vec![4.0, 8.0],
        policy: neutral_policy(),
        blending: Some(Blending {
            sharpness: 1.0,
            nearest: 2,
        }),
    })
}

/// Model 0's entry in the ranking of a vector on the line.
fn entry_of_0(values: &ArtifactValues, x: f32) -> EntryValues {
    let artifact = Artifact::build(values).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let decision = artifact.decide(&[x], &options).unwrap();
    let ranking = artifact.rank(&decision, &[x], &options);
    assert_eq!(ranking[0].model, decision.model);
    entry_values(ranking.iter().find(|e| e.model == 0).unwrap())
}

fn entry(success: f64, cost_usd: Option<f64>, n: f64) -> EntryValues {
    (0, success, cost_usd, None, n, success)
}

#[test]
fn equal_distances_have_equal_shares() {
    assert_eq!(entry_of_0(&line(), 0.0), entry(0.5, Some(1.5), 4.0));
    // Also if both overflow, though infinity less infinity is NaN.
    assert_eq!(entry_of_0(&line(), 1e30), entry(0.5, Some(1.5), 4.0));
}

#[test]
fn a_cost_is_the_mean_over_the_clusters_where_it_is_known() {
    let mut values = line();
    values.cost[2] = NAN;
    assert_eq!(entry_of_0(&values, 0.0), entry(0.5, Some(1.0), 4.0));
    values.cost[0] = NAN;
    assert_eq!(entry_of_0(&values, 0.0), entry(0.5, None, 4.0));
}

#[test]
fn a_cost_with_a_share_of_0_is_unknown() {
    let mut values = line();
    values.blending = Some(Blending {
        sharpness: 1e9,
        nearest: 2,
    });
    values.cost[0] = NAN;
    assert_eq!(entry_of_0(&values, -1.0), entry(0.25, None, 2.0));
    assert_eq!(entry_of_0(&values, 1.0), entry(0.75, Some(2.0), 6.0));
}

#[test]
fn the_largest_and_the_smallest_sharpness_are_usable() {
    let mut values = line();
    let mut at = |sharpness, x| {
        values.blending = Some(Blending {
            sharpness,
            nearest: 2,
        });
        entry_of_0(&values, x).1
    };
    assert_eq!(at(f64::MAX, -1.0), 0.25);
    assert_eq!(at(f64::from_bits(1), -1.0), 0.5);
    values.centroids = vec![0.0, f32::MAX]; // its squared distance is infinite
    values.blending = Some(Blending {
        sharpness: f64::from_bits(1),
        nearest: 2,
    });
    assert_eq!(entry_of_0(&values, 0.0).1, 0.25);
}

#[test]
fn blending_one_cluster_gives_its_row() {
    let mut values = line();
    values.blending = Some(Blending {
        sharpness: 1.0,
        nearest: 1,
    });
    for (x, right) in [
        (-0.5, entry(0.25, Some(1.0), 2.0)),
        (0.5, entry(0.75, Some(2.0), 6.0)),
    ] {
        assert_eq!(entry_of_0(&values, x), right);
    }
}

#[test]
fn a_novel_prompt_is_judged_by_the_whole_table_alone() {
    let mut values = line();
    values.policy.novelty_limit = 0.5;
    values.correction = Some(LinearCorrection {
        offsets: vec![0.5, 0.5],
        slopes: vec![1.0, 1.0],
    });
    let right = (0, 0.125, None, Some(1.0), 100.0, 0.125);
    assert_eq!(entry_of_0(&values, 20.0), right);
}

#[test]
fn a_correction_is_added_and_limited_to_0_and_1() {
    let mut values = line();
    let corrected = |values: &mut ArtifactValues, offset: f32, slope: f32, x: f32| {
        values.correction = Some(LinearCorrection {
            offsets: vec![offset, 0.0],
            slopes: vec![slope, 0.0],
        });
        entry_of_0(values, x).1
    };
    assert_eq!(corrected(&mut values, 0.125, 0.0, 0.0), 0.625);
    assert_eq!(corrected(&mut values, -1.0, 0.0, 0.0), 0.0);
    assert_eq!(corrected(&mut values, 1.0, 0.0, 0.0), 1.0);
    assert_eq!(corrected(&mut values, f32::MAX, 0.0, 0.0), 1.0);
    values.blending = None;
    assert_eq!(corrected(&mut values, 0.125, -0.25, -0.5), 0.5);
    assert_eq!(corrected(&mut values, 0.0, 0.25, 0.5), 0.875);
    // A product that overflows leaves the estimate alone, its offset with it.
    assert_eq!(corrected(&mut values, 0.125, f32::MAX, 1e30), 0.25);
    assert_eq!(corrected(&mut values, 0.125, -f32::MAX, 1e30), 0.25);
}

#[test]
fn a_product_that_is_not_finite_is_no_correction() {
    let mut values = values(1, 2, 1, 1);
    values.success = vec![0.25; 2];
    values.novelty = vec![0.0, 1.0];
    values.policy.novelty_limit = 1.0;
    values.correction = Some(LinearCorrection {
        offsets: vec![0.5],
        slopes: vec![f32::MAX, -f32::MAX],
    });
    let artifact = Artifact::build(&values).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let query = [1e30, 1e30];
    let decision = artifact.decide(&query, &options).unwrap();
    assert_eq!(artifact.rank(&decision, &query, &options)[0].success, 0.25);
}

/// Guard and limits use the blended and corrected estimates.
#[test]
fn guard_and_limits_use_the_blended_estimates() {
    let mut values = line();
    values.policy.guard_z = 1.0;
    let taken = |values: &ArtifactValues, min_success| {
        let artifact = Artifact::build(values).unwrap();
        let request = with!(Request::default(), {
            min_success,
            max_cost_usd: Some(3.0),
        });
        let options = RouteOptions::resolve(&artifact, &request).unwrap();
        let decision = artifact.decide(&[0.0], &options).unwrap();
        (decision.model, decision.reason)
    };
    // Both are at 0.5; model 1's gain error is 0.375.
    assert_eq!(taken(&values, None), (0, Reason::DefaultNoEvidence));
    let correct = |values: &mut ArtifactValues, of_1: f32| {
        values.correction = Some(LinearCorrection {
            offsets: vec![0.0, of_1],
            slopes: vec![0.0; 2],
        });
    };
    correct(&mut values, 0.375);
    assert_eq!(taken(&values, None), (0, Reason::DefaultNoEvidence));
    assert_eq!(taken(&values, Some(0.75)), (1, Reason::Constrained));
    correct(&mut values, 0.375_f32.next_up());
    assert_eq!(taken(&values, None), (1, Reason::Routed));
}

#[test]
#[should_panic(expected = "assertion")]
fn a_ranking_that_needs_the_vector_refuses_another_length() {
    let artifact = Artifact::build(&line()).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let decision = artifact.decide(&[0.0], &options).unwrap();
    let _ = artifact.rank(&decision, &[], &options);
}
