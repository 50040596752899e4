//! A detached decision answers as its artifact does, and damaged bytes are refused.
//!
//! Not here: pickles (`tests/router/test_pickle.py`).

mod support;

use hypernova_core::detached::batch_to_bytes;
use hypernova_core::{
    Artifact, Decision, DetachedDecision, Error, Group, OnNovel, Price, PromptFacts, PromptLength,
    Request, RouteOptions,
};
use support::{SplitMix, blended, grouped, values, with_tokens};

/// An artifact of up to 40 models, more than a message names; it blends if `seed` is odd.
fn artifact(random: &mut SplitMix, seed: u64) -> Artifact {
    let models = [1, 2, 5, 40][random.below(4)];
    let mut plain = values(4, 3, models, seed);
    if random.below(4) == 0 {
        plain.policy.max_cost_usd = Some(0.015);
    }
    let mut values = if seed % 2 == 1 {
        blended(plain, seed)
    } else {
        plain
    };
    if random.below(2) == 0 {
        values = grouped(values, 3, random.bits());
    }
    if random.below(2) == 0 {
        values = with_tokens(values, seed);
    }
    Artifact::build(&values).expect("the values are valid")
}

/// Facts of a prompt: a group of the artifact, another or none, and a length.
fn facts(random: &mut SplitMix, artifact: &Artifact) -> PromptFacts {
    let group = match random.below(5) {
        0 => Group::Unstated,
        at => artifact.group(&format!("group {at}")),
    };
    let number = f64::from(random.fraction()) * 4000.0;
    let length = [
        PromptLength::Unknown,
        PromptLength::Chars(number),
        PromptLength::Tokens(number),
    ][random.below(3)];
    PromptFacts::new(group, length)
}

/// Options of a request, with facts, and prices for the tokens of some models.
fn options(random: &mut SplitMix, artifact: &Artifact) -> RouteOptions {
    let mut options = RouteOptions::resolve(artifact, &request(random, artifact)).unwrap();
    let facts = facts(random, artifact);
    options.group(facts.group);
    options.length(facts.length).unwrap();
    for model in 0..artifact.n_models() as u32 {
        let [input, output] = [0.0, 0.0].map(|_| f64::from(random.fraction()) * 9.0);
        let price = Price::Tokens { input, output };
        if random.below(2) == 0 {
            // Not of a model whose tokens are unknown.
            let _ = options.price(artifact, artifact.model_name(model), price);
        }
    }
    options
}

fn request(random: &mut SplitMix, artifact: &Artifact) -> Request {
    let name = |random: &mut SplitMix| {
        let model = random.below(artifact.n_models()) as u32;
        artifact.model_name(model).to_owned()
    };
    let names = |random: &mut SplitMix, share: usize| -> Option<Vec<String>> {
        (random.below(share) == 0).then(|| (0..6).map(|_| name(random)).collect())
    };
    let maybe = |random: &mut SplitMix, scale: f64| {
        (random.below(2) == 0).then(|| f64::from(random.fraction()) * scale)
    };
    let mut request = Request::default();
    request.cost_weight = maybe(random, 50.0);
    request.latency_weight = maybe(random, 0.1);
    request.max_cost_usd = maybe(random, 0.04);
    request.min_success = maybe(random, 0.5);
    request.allow = names(random, 3);
    request.deny = names(random, 3);
    request.prices = (random.below(2) == 0).then(|| vec![(name(random), Price::Task(0.01))]);
    request.previous_model = (random.below(3) == 0).then(|| name(random));
    request.switch_cost = maybe(random, 0.2);
    request.explore = maybe(random, 1.0);
    request.seed = random.bits();
    request.on_novel = [OnNovel::Default, OnNovel::BestOverall][random.below(2)];
    request
}

/// Call `see` with decisions of random artifacts under random options, and their vectors.
fn each_decision(mut see: impl FnMut(&mut SplitMix, &Artifact, &[f32], &RouteOptions, Decision)) {
    let mut random = SplitMix(15);
    let mut seen = 0;
    for seed in 0..300 {
        let artifact = artifact(&mut random, seed);
        let options = options(&mut random, &artifact);
        let query: Vec<f32> = (0..3).map(|_| random.normal() * 3.0).collect();
        if let Ok(decision) = artifact.decide(&query, &options) {
            see(&mut random, &artifact, &query, &options, decision);
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen}");
}

fn assert_says_the_same(
    artifact: &Artifact,
    vector: &[f32],
    options: &RouteOptions,
    decision: &Decision,
    detached: &DetachedDecision,
) {
    assert_eq!(detached.artifact_sha256(), artifact.sha256());
    assert_eq!(detached.model(), artifact.model_name(decision.model));
    let default_model = artifact.model_name(artifact.policy().default_model);
    assert_eq!(detached.default_model(), default_model);
    assert_eq!(detached.cluster(), decision.cluster);
    assert_eq!(detached.distance().to_bits(), decision.distance.to_bits());
    assert_eq!(detached.novelty().to_bits(), decision.novelty.to_bits());
    assert_eq!(detached.reason(), decision.reason);
    let (group, unknown) = match decision.facts.group {
        Group::Unstated => (None, false),
        Group::Known(group) => (Some(artifact.group_name(group)), false),
        Group::Unknown => (None, true),
    };
    assert_eq!(detached.group(), group);
    assert_eq!(detached.has_unknown_group(), unknown);
    assert_eq!(
        detached.propensity().to_bits(),
        decision.propensity.to_bits()
    );
    let ranking = artifact.rank(decision, vector, options);
    assert_eq!(detached.ranking(), ranking);
    for entry in ranking {
        let expected = artifact.model_name(entry.model);
        assert_eq!(detached.model_name(entry.model), expected);
    }
}

#[test]
fn a_detached_decision_answers_as_its_artifact_until_no_model_is_left() {
    let mut ends = 0;
    each_decision(|random, artifact, vector, options, decision| {
        let (mut decision, mut options) = (decision, options.clone());
        let mut detached = artifact.detach(&decision, vector, &options);
        let unknown = detached.after_failure("model 99").unwrap_err().to_string();
        let expected = artifact.after_failure(&decision, vector, &options, "model 99");
        assert_eq!(unknown, expected.unwrap_err().to_string());
        loop {
            let bytes = detached.to_bytes();
            let again = DetachedDecision::from_bytes(&bytes).expect("they are its own");
            assert_eq!(again, detached);
            detached = again;
            assert_says_the_same(artifact, vector, &options, &decision, &detached);
            // Most often the chosen model, else any, allowed or not.
            let failed = match random.below(3) {
                0 => artifact.model_name(random.below(artifact.n_models()) as u32),
                _ => artifact.model_name(decision.model),
            };
            let expected = artifact.after_failure(&decision, vector, &options, failed);
            match (expected, detached.after_failure(failed)) {
                (Ok((next, left)), Ok(found)) => {
                    (decision, options, detached) = (next, left, found);
                }
                (Err(expected), Err(found)) => {
                    assert!(matches!(found, Error::NoCandidate { .. }), "{found:?}");
                    assert_eq!(found.to_string(), expected.to_string());
                    ends += 1;
                    break;
                }
                (expected, found) => panic!("{found:?}, not {expected:?}"),
            }
        }
    });
    assert!(ends > 150, "{ends}");
}

#[test]
fn a_batch_is_read_as_it_was_written() {
    let mut random = SplitMix(3);
    let mut read = 0;
    for seed in 0..24 {
        let artifact = artifact(&mut random, seed);
        let options = options(&mut random, &artifact);
        let matrix: Vec<f32> = (0..7 * 3).map(|_| random.normal() * 3.0).collect();
        let of_rows: Vec<_> = (0..7).map(|_| facts(&mut random, &artifact)).collect();
        let of_rows = (seed % 3 > 0).then_some(of_rows.as_slice());
        let mut decisions = Vec::new();
        let decided = artifact.decide_into(&matrix, &options, of_rows, &mut decisions);
        if decided.is_err() {
            continue;
        }
        for (at, decision) in decisions.iter().enumerate() {
            let expected = of_rows.map_or(decision.facts, |facts| facts[at]);
            assert_eq!(decision.facts, expected);
        }
        let kept: &[f32] = if artifact.ranks_by_vector() {
            &matrix
        } else {
            &[]
        };
        let vectors: Vec<u8> = kept.iter().flat_map(|v| v.to_le_bytes()).collect();
        let rows = batch_to_bytes(&decisions, &options);
        let (found, again, values) = artifact.batch_from_bytes(&rows, &vectors).unwrap();
        assert_eq!(found, decisions);
        assert_eq!(again, options);
        assert_eq!(values, kept);
        read += 1;

        // Every accepted batch can be ranked.
        let use_all = |rows: &[u8], vectors: &[u8]| match artifact.batch_from_bytes(rows, vectors) {
            Ok((decisions, options, values)) => {
                for (i, decision) in decisions.iter().enumerate() {
                    let vector = values.get(3 * i..3 * i + 3).unwrap_or(&[]);
                    let _ = artifact.rank(decision, vector, &options);
                    let _ = artifact.detach(decision, vector, &options);
                }
            }
            Err(error) => assert!(
                matches!(error, Error::State { .. } | Error::VectorNotFinite { .. }),
                "{error:?}"
            ),
        };
        for at in 0..rows.len() {
            use_all(&rows[..at], &vectors);
            let mut flipped = rows.clone();
            flipped[at] ^= 1 << random.below(8);
            use_all(&flipped, &vectors);
        }
        for at in 0..vectors.len() {
            assert!(artifact.batch_from_bytes(&rows, &vectors[..at]).is_err());
        }
        if let Some(last) = vectors.len().checked_sub(4) {
            let mut infinite = vectors.clone();
            infinite[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
            let error = artifact.batch_from_bytes(&rows, &infinite).unwrap_err();
            assert!(matches!(error, Error::VectorNotFinite { row: Some(6), .. }));
        }
    }
    assert!(read > 4, "{read}");
}

#[test]
fn bytes_that_are_damaged_are_refused_and_never_panic() {
    for group in ["group 0", "group 9"] {
        bytes_that_are_damaged_are_refused(group);
    }
}

fn bytes_that_are_damaged_are_refused(group: &str) {
    let values = grouped(blended(values(4, 3, 5, 1), 1), 3, 1);
    let artifact = Artifact::build(&values).unwrap();
    let mut options = RouteOptions::defaults(&artifact);
    options.group(artifact.group(group));
    let vector = [0.5, -1.0, 2.0];
    let decision = artifact.decide(&vector, &options).unwrap();
    let bytes = artifact.detach(&decision, &vector, &options).to_bytes();
    let refuse = |bytes: &[u8]| {
        let error = DetachedDecision::from_bytes(bytes).unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'));
    };
    for at in 0..bytes.len() {
        refuse(&bytes[..at]);
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            // An accepted decision answers until no model is left.
            let mut left = DetachedDecision::from_bytes(&flipped).ok();
            while let Some(one) = left {
                left = one.after_failure(one.model()).ok();
            }
        }
    }
    refuse(&[bytes.as_slice(), &[0]].concat());
    refuse(&[&[1], &bytes[1..]].concat()); // of another version
    // A count of 4 billion models reserves no memory.
    let group = artifact.group_index(group).map_or(0, |_| group.len());
    let models = 1 + 4 + 64 + 4 + "the caller's allow and deny".len() + 12 + 1 + 8 + 4 + group + 1;
    let mut many = bytes.clone();
    many[models..models + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refuse(&many);
}
