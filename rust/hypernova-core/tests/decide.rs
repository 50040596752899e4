//! From a vector to a decision: clusters, novelty, refusals, and many threads.
//!
//! Not here: the rule that ranks models (`rule.rs`).

#![expect(clippy::float_cmp, reason = "answers are equal bit by bit")]

#[macro_use]
mod support;

use hypernova_core::{Artifact, Decision, Error, Reason, Request, RouteOptions};
use support::{SplitMix, in_row, neutral_policy, values};

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

/// An artifact of dimension 1 with one cluster at the origin: a query is its distance.
fn with_quantiles(quantiles: &[f32], novelty_limit: f64) -> Artifact {
    let mut values = values(1, 1, 2, 1);
    values.centroids = vec![0.0];
    values.novelty = quantiles.to_vec();
    values.policy.novelty_limit = novelty_limit;
    Artifact::build(&values).expect("the values are valid")
}

fn decide(artifact: &Artifact, query: &[f32]) -> Decision {
    let options = RouteOptions::defaults(artifact);
    artifact.decide(query, &options).expect("a model is left")
}

#[test]
fn novelty_is_interpolated_between_quantiles() {
    let quarter = [0.25, 0.5, 1.0, 2.0];
    let cases: [(&[f32], f32, f64); 22] = [
        (&quarter, 0.0, 0.0),
        (&quarter, 0.25_f32.next_down(), 0.0),
        (&quarter, 0.25, 0.0),
        (&quarter, 0.375, 0.5 / 3.0),
        (&quarter, 0.5, 1.0 / 3.0),
        (&quarter, 0.75, 1.5 / 3.0),
        (&quarter, 1.0, 2.0 / 3.0),
        (&quarter, 1.5, 2.5 / 3.0),
        (&quarter, 2.0, 1.0),
        (&quarter, 1e30, 1.0), // its square is infinite
        (&[0.0, 1.0], 0.0, 0.0),
        (&[0.0, 1.0], 0.625, 0.625),
        (&[0.0, 1.0], 1.0, 1.0),
        (&[1.0, 1.0, 1.0, 2.0], 0.5, 0.0),
        (&[1.0, 1.0, 1.0, 2.0], 1.0, 2.0 / 3.0),
        (&[1.0, 1.0, 1.0, 2.0], 1.5, 2.5 / 3.0),
        (&[0.0, 0.0, 4.0], 0.0, 1.0 / 2.0),
        (&[0.0, 0.0], 0.0, 1.0),
        (&[3.0, 3.0], 2.0, 0.0),
        (&[3.0, 3.0], 3.0, 1.0),
        (&[1.0, 2.0, 2.0], 2.0, 1.0),
        (&[0.0, f32::MAX], 1.0, 1.0 / 3.402_823_466_385_288_6e38),
    ];
    for (quantiles, distance, novelty) in cases {
        let found = decide(&with_quantiles(quantiles, 1.0), &[distance]);
        let case = format!("{distance} in {quantiles:?}");
        assert_eq!(
            found.novelty.to_bits(),
            (novelty as f32).to_bits(),
            "{case}"
        );
        let infinite = distance >= 1e30;
        assert_eq!(
            found.distance,
            if infinite { INF } else { distance },
            "{case}"
        );
    }
}

#[test]
fn a_prompt_is_novel_above_the_limit() {
    let quantiles = [0.25, 0.5, 1.0, 2.0];
    let cases = [
        // limit, distance, novel
        (0.5, 0.75, false), // novelty is just the limit
        (0.5, 0.75_f32.next_up(), true),
        (0.0, 0.25, false),
        (0.0, 0.257_812_5, true),
        (0.9, 2.0, true),
        (1.0, 2.0, false), // a limit of 1 switches it off
        (1.0, 1e30, false),
        (1.0_f64.next_down(), 1e30, true),
    ];
    for (limit, distance, novel) in cases {
        let found = decide(&with_quantiles(&quantiles, limit), &[distance]);
        let case = format!("{distance} with the limit {limit}: {found:?}");
        assert_eq!(found.row, u32::from(novel), "{case}");
        assert_eq!(found.cluster, 0, "{case}");
        assert_eq!(found.reason == Reason::DefaultNovel, novel, "{case}");
    }
}

#[test]
fn the_nearest_cluster_gives_the_row() {
    let mut values = values(3, 2, 2, 1);
    values.centroids = vec![0.0, 0.0, 4.0, 0.0, 0.0, 4.0];
    values.success = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5];
    values.gain_error = vec![0.0; 8];
    values.policy = neutral_policy();
    let artifact = Artifact::build(&values).unwrap();
    let cases = [
        ([1.0, 1.0], 0, 0, 2.0_f32.sqrt()),
        ([3.0, 0.0], 1, 1, 1.0),
        ([0.0, 7.0], 2, 0, 3.0),
        ([2.0, 0.0], 0, 0, 2.0), // as far from 0 as from 1
        ([2.0, 2.0], 0, 0, 8.0_f32.sqrt()),
        ([4.0, 4.0], 1, 1, 4.0), // as far from 1 as from 2
    ];
    for (query, cluster, model, distance) in cases {
        let found = decide(&artifact, &query);
        assert_eq!((found.cluster, found.row), (cluster, cluster), "{query:?}");
        assert_eq!(
            (found.model, found.distance),
            (model, distance),
            "{query:?}"
        );
    }
    let queries: Vec<f32> = cases.iter().flat_map(|c| c.0).collect();
    let options = RouteOptions::defaults(&artifact);
    let alone: Vec<_> = cases.iter().map(|c| decide(&artifact, &c.0)).collect();
    assert_eq!(artifact.decide_many(&queries, &options).unwrap(), alone);
    assert_eq!(artifact.decide_many(&[], &options).unwrap(), []);
}

#[test]
fn the_decision_is_the_first_of_the_ranking() {
    let mut random = SplitMix(3);
    for seed in 0..200 {
        let artifact = Artifact::build(&values(3, 2, 6, seed)).unwrap();
        let maybe = |random: &mut SplitMix, scale: f64| {
            (random.below(2) == 0).then(|| f64::from(random.fraction()) * scale)
        };
        let request = with!(Request::default(), {
            cost_weight: maybe(&mut random, 50.0),
            latency_weight: maybe(&mut random, 0.1),
            max_cost_usd: maybe(&mut random, 0.02),
            min_success: maybe(&mut random, 0.5),
            deny: Some(vec!["model 2".into()]),
        });
        let options = RouteOptions::resolve(&artifact, &request).unwrap();
        for _ in 0..20 {
            let query = [random.normal() * 3.0, random.normal() * 3.0];
            match artifact.decide(&query, &options) {
                Ok(decision) => {
                    let ranking = artifact.rank(&decision, &query, &options);
                    assert_eq!(ranking[0].model, decision.model);
                    assert!(ranking.iter().all(|e| e.model != 2));
                }
                Err(error) => {
                    assert!(matches!(error, Error::NoCandidate { .. }), "{error:?}");
                    let rows =
                        (0..=3).filter(|&r| artifact.rank(&in_row(r), &[], &options).is_empty());
                    assert!(rows.count() > 0);
                }
            }
        }
    }
}

#[test]
fn no_candidate_names_cluster_and_limits() {
    let mut values = values(2, 1, 4, 1);
    values.centroids = vec![0.0, 10.0];
    values.cost = vec![0.0; 12];
    values.cost[4..8].fill(1.0); // cluster 1 is dear
    values.novelty = vec![100.0, 100.0];
    let artifact = Artifact::build(&values).unwrap();
    let request = with!(Request::default(), {
        max_cost_usd: Some(0.5),
        deny: Some(vec!["model 0".into()]),
    });
    let options = RouteOptions::resolve(&artifact, &request).unwrap();
    let expect = |found: Result<Vec<Decision>, Error>, at: Option<usize>| match found {
        Err(Error::NoCandidate {
            row,
            cluster,
            models,
            allowed,
            limits,
        }) => {
            assert_eq!((row, cluster, models, allowed), (at, 1, 4, 3));
            assert_eq!(limits, "max_cost_usd=0.5");
        }
        other => panic!("{other:?}"),
    };
    assert!(artifact.decide(&[1.0], &options).is_ok());
    expect(artifact.decide(&[9.0], &options).map(|d| vec![d]), None);
    expect(
        artifact.decide_many(&[1.0, 2.0, 9.0, 9.0], &options),
        Some(2),
    );
}

#[test]
fn vectors_that_are_not_dim_finite_values_are_refused() {
    let artifact = Artifact::build(&values(3, 5, 2, 1)).unwrap();
    let options = RouteOptions::defaults(&artifact);
    for length in [0, 4, 6, 10] {
        match artifact.decide(&vec![0.0; length], &options) {
            Err(Error::VectorDim { expected: 5, found }) => assert_eq!(found, length),
            other => panic!("{other:?}"),
        }
    }
    for length in [1, 4, 6, 14] {
        let error = artifact.decide_many(&vec![0.0; length], &options);
        assert!(matches!(error, Err(Error::VectorDim { expected: 5, .. })));
    }
    for bad in [NAN, INF, -INF] {
        for at in 0..15 {
            let mut matrix = [0.0; 15];
            matrix[at] = bad;
            let expect = |found: Error, expected: (Option<usize>, usize)| match found {
                Error::VectorNotFinite { row, index, value } => {
                    assert_eq!((row, index), expected);
                    assert_eq!(value.to_bits(), bad.to_bits());
                }
                other => panic!("{other:?}"),
            };
            let (row, index) = (at / 5, at % 5);
            let vector = &matrix[5 * row..5 * row + 5];
            expect(
                artifact.decide(vector, &options).unwrap_err(),
                (None, index),
            );
            let many = artifact.decide_many(&matrix, &options);
            expect(many.unwrap_err(), (Some(row), index));
        }
    }
}

/// Compiles only for types that threads may share and send.
const fn shared_among_threads<T: Send + Sync>() {}
const _: () = shared_among_threads::<Artifact>();
const _: () = shared_among_threads::<RouteOptions>();
const _: () = shared_among_threads::<Error>();

#[test]
fn threads_share_an_artifact() {
    const THREADS: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hnv");
    Artifact::build(&values(20, 48, 9, 2))
        .unwrap()
        .save(&path)
        .unwrap();
    let artifact = Artifact::open(&path).unwrap();
    let options = RouteOptions::defaults(&artifact);
    let decisions = |seed| -> (Vec<Decision>, String) {
        let mut random = SplitMix(seed);
        let matrix: Vec<f32> = (0..500 * 48).map(|_| random.normal()).collect();
        let decisions = artifact.decide_many(&matrix, &options).unwrap();
        (decisions, artifact.sha256().to_owned())
    };
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| scope.spawn(move || decisions(seed)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let alone: Vec<_> = (0..THREADS).map(decisions).collect();
    assert_eq!(together, alone);
    assert_ne!(alone[0].0, alone[1].0);
}

#[test]
fn the_cached_choice_is_used_for_default_options_only() {
    let mut random = SplitMix(11);
    for seed in 0..20 {
        let mut values = values(40, 6, 9, seed);
        values.policy.novelty_limit = 0.9;
        let cheap = Artifact::build(&values).expect("the values are valid");
        values.policy.cost_weight = 30.0;
        let fresh = || Artifact::build(&values).expect("the values are valid");
        let dear = fresh();
        let explicit = with!(Request::default(), { cost_weight: Some(0.0) });
        let explicit = RouteOptions::resolve(&dear, &explicit).expect("a weight may be 0");
        for _ in 0..50 {
            let query: Vec<f32> = (0..6).map(|_| random.normal()).collect();
            let first = decide(&fresh(), &query);
            assert_eq!(decide(&dear, &query), first);
            assert_eq!(decide(&dear, &query), first, "as kept");
            let ranking = dear.rank(&first, &query, &RouteOptions::defaults(&dear));
            assert_eq!(ranking[0].model, first.model);
            // The defaults of the other artifact differ from this one's.
            let under = |options| dear.decide(&query, &options).expect("a model is left");
            let of_other = under(RouteOptions::defaults(&cheap));
            assert_eq!(of_other, under(explicit.clone()));
            assert_eq!(of_other, decide(&cheap, &query));
        }
    }
}
