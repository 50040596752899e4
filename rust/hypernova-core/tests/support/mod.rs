//! Shared by the test files: random numbers, valid values, and helpers for artifacts.
//!
//! Not here: tests. Each test file is a crate of its own that uses some of this.

#![allow(dead_code, reason = "each test file uses some of it")]

pub mod forge;

/// Change some fields of a value whose type may gain fields.
macro_rules! with {
    ($base:expr, { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let mut made = $base;
        $(made.$field = with!(@ $field $(, $value)?);)*
        made
    }};
    (@ $field:ident) => { $field };
    (@ $field:ident, $value:expr) => { $value };
}

use std::path::Path;
use std::sync::Arc;

use hypernova_core::format::{Blending, Policy};
use hypernova_core::text::ReadingRules;
use hypernova_core::text::embedder::{EmbedderSettings, LookupEmbedder};
use hypernova_core::text::table::LookupTable;
use hypernova_core::text::word_piece::WordPieceTokenizer;
use hypernova_core::{
    Artifact, ArtifactValues, Decision, Error, Group, GroupCorrection, GroupProfiles,
    LinearCorrection, Price, PromptLength, RankingEntry, Reason, RouteOptions, TokenProfiles,
};

/// The generator `SplitMix64`: the same numbers in every run, without a dependency.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number from 0 to just under 1.
    pub fn fraction(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// About normally distributed, with variance 1.
    pub fn normal(&mut self) -> f32 {
        let sum: f32 = (0..12).map(|_| self.fraction()).sum();
        sum - 6.0
    }
}

/// Identity of an embedder of that dimension.
pub fn embedder(dim: u32) -> String {
    let fingerprint = "0123456789abcdef".repeat(4);
    format!(
        r#"{{"name": "test", "dim": {dim}, "fingerprint": "{fingerprint}", "kind": "vectors"}}"#
    )
}

/// Defaults under which only the success estimates count.
pub fn neutral_policy() -> Policy {
    with!(Policy::new(0), { shrinkage: 2.0 })
}

/// Valid values of this shape, drawn by `seed`.
pub fn values(clusters: u32, dim: u32, models: u32, seed: u64) -> ArtifactValues {
    let mut random = SplitMix(seed);
    let cells = (clusters as usize + 1) * models as usize;
    let centroids = (0..clusters * dim).map(|_| random.normal()).collect();
    let counts: Vec<f64> = (0..cells).map(|_| random.below(5) as f64 * 1.5).collect();
    let mean = counts
        .iter()
        .map(|&n| if n == 0.0 { 0.0 } else { random.fraction() })
        .collect();
    let mut draw = |scale: f32, unknown: usize| -> Vec<f32> {
        (0..cells)
            .map(|_| {
                if unknown > 0 && random.below(unknown) == 0 {
                    return f32::NAN;
                }
                random.fraction() * scale
            })
            .collect()
    };
    let policy = with!(neutral_policy(), {
        guard_z: 1.0,
        novelty_limit: 0.95,
        default_model: models / 2,
    });
    let names = (0..models).map(|m| format!("model {m}")).collect();
    let made = ArtifactValues::new(clusters, dim, names, policy, embedder(dim));
    with!(made, {
        centroids,
        counts,
        mean,
        success: draw(1.0, 0),
        standard_error: draw(0.3, 0),
        gain_error: draw(0.1, 0),
        cost: draw(0.02, 4),
        latency: draw(20.0, 4),
        novelty: vec![0.25, 0.5, 1.0, 2.0, 8.0],
        metadata: r#"{"made": "by a test"}"#.into(),
    })
}

/// A small artifact: 3 clusters, dimension 5, 4 models.
pub fn small() -> ArtifactValues {
    let mut small = values(3, 5, 4, 11);
    small.counts[3] = 0.0;
    small.mean[3] = 0.0;
    small
}

/// The same values with blended clusters and corrected estimates.
pub fn blended(mut values: ArtifactValues, seed: u64) -> ArtifactValues {
    let mut random = SplitMix(seed);
    let mut draw = |n: usize| (0..n).map(|_| random.normal() * 0.1).collect();
    let models = values.models.len();
    values.correction = Some(LinearCorrection {
        offsets: draw(models),
        slopes: draw(models * values.dim as usize),
    });
    values.blending = Some(Blending {
        sharpness: 0.75,
        nearest: 1 + (seed % 16) as u32,
    });
    values
}

/// The same values with that many groups, corrected if `seed` is odd.
pub fn grouped(mut values: ArtifactValues, groups: usize, seed: u64) -> ArtifactValues {
    let mut random = SplitMix(seed);
    let models = values.models.len();
    let cells = groups * models;
    let counts: Vec<f64> = (0..cells).map(|_| random.below(5) as f64 * 0.5).collect();
    let mean = counts
        .iter()
        .map(|&n| if n == 0.0 { 0.0 } else { random.fraction() })
        .collect();
    let mut draw = |scale: f32| (0..cells).map(|_| random.fraction() * scale).collect();
    let mut made = GroupProfiles {
        // Not in the order of their names.
        names: (0..groups).rev().map(|g| format!("group {g}")).collect(),
        tasks: (0..groups).map(|g| g as f64 * 2.5).collect(),
        counts,
        mean,
        success: draw(1.0),
        standard_error: draw(0.3),
        gain_error: draw(0.1),
        cost: Vec::new(),
        latency: Vec::new(),
        correction: None,
    };
    made.cost = amounts(&mut random, cells, 0.02);
    made.latency = amounts(&mut random, cells, 20.0);
    if seed % 2 == 1 {
        let mut draw = |n: usize| (0..n).map(|_| random.normal() * 0.1).collect();
        made.correction = Some(GroupCorrection {
            offsets: draw(cells),
            slopes: draw(models * values.dim as usize),
        });
    }
    values.groups = Some(made);
    values
}

/// The same values with tokens, some of them unknown, also of its groups.
pub fn with_tokens(mut values: ArtifactValues, seed: u64) -> ArtifactValues {
    let mut random = SplitMix(seed);
    let models = values.models.len();
    let cells = (values.clusters as usize + 1) * models;
    let of_groups = values.groups.as_ref().map_or(0, |g| g.counts.len());
    let mut draw = |n: usize, scale: f32| amounts(&mut random, n, scale);
    values.tokens = Some(TokenProfiles {
        per_prompt: draw(2 * models, 8.0),
        input: draw(cells, 3000.0),
        output: draw(cells, 900.0),
        group_input: draw(of_groups, 3000.0),
        group_output: draw(of_groups, 900.0),
    });
    values
}

/// Numbers from 0 to `scale`, of which a quarter is unknown.
fn amounts(random: &mut SplitMix, n: usize, scale: f32) -> Vec<f32> {
    let mut draw = || {
        let known = random.below(4) > 0;
        if known {
            random.fraction() * scale
        } else {
            f32::NAN
        }
    };
    (0..n).map(|_| draw()).collect()
}

pub fn file(values: &ArtifactValues) -> Vec<u8> {
    Artifact::build(values)
        .expect("the values are valid")
        .bytes()
        .to_vec()
}

/// Name of the variant of an error, without the file it is in.
pub fn variant(error: &Error) -> String {
    let text = format!("{:?}", error.root());
    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
    text[..end].to_owned()
}

/// The values of an artifact, through its accessors.
pub fn values_of(artifact: &Artifact) -> ArtifactValues {
    let name = |m| artifact.model_name(m).to_owned();
    let made = ArtifactValues::new(
        artifact.n_clusters() as u32,
        artifact.dim() as u32,
        (0..artifact.n_models() as u32).map(name).collect(),
        *artifact.policy(),
        artifact.embedder_json().to_owned(),
    );
    with!(made, {
        centroids: artifact.centroids().to_vec(),
        counts: artifact.counts().to_vec(),
        mean: artifact.mean().to_vec(),
        success: artifact.success().to_vec(),
        standard_error: artifact.standard_error().to_vec(),
        gain_error: artifact.gain_error().to_vec(),
        cost: artifact.cost().to_vec(),
        latency: artifact.latency().to_vec(),
        novelty: artifact.novelty_quantiles().to_vec(),
        metadata: artifact.metadata().to_owned(),
        blending: artifact.blending(),
        correction: artifact.offsets().map(|offsets| LinearCorrection {
            offsets: offsets.to_vec(),
            slopes: artifact.slopes().expect("they go together").to_vec(),
        }),
        groups: groups_of(artifact),
        tokens: tokens_of(artifact),
    })
}

fn groups_of(artifact: &Artifact) -> Option<GroupProfiles> {
    let groups = artifact.groups()?;
    let profile = groups.profile;
    let names = 0..artifact.n_groups() as u32;
    Some(GroupProfiles {
        names: names.map(|g| artifact.group_name(g).to_owned()).collect(),
        tasks: groups.tasks.to_vec(),
        counts: profile.counts.to_vec(),
        mean: profile.mean.to_vec(),
        success: profile.success.to_vec(),
        standard_error: profile.standard_error.to_vec(),
        gain_error: profile.gain_error.to_vec(),
        cost: profile.cost.to_vec(),
        latency: profile.latency.to_vec(),
        correction: (groups.correction).map(|(offsets, slopes)| GroupCorrection {
            offsets: offsets.to_vec(),
            slopes: slopes.to_vec(),
        }),
    })
}

fn tokens_of(artifact: &Artifact) -> Option<TokenProfiles> {
    let own = artifact.profile();
    let groups = artifact.groups().map(|groups| groups.profile);
    let of_groups = |tokens: Option<&[f32]>| tokens.unwrap_or_default().to_vec();
    Some(TokenProfiles {
        per_prompt: artifact.prompt_tokens()?.to_vec(),
        input: own.input_tokens?.to_vec(),
        output: own.output_tokens?.to_vec(),
        group_input: of_groups(groups.and_then(|groups| groups.input_tokens)),
        group_output: of_groups(groups.and_then(|groups| groups.output_tokens)),
    })
}

/// Assert that values are equal bit for bit, so that NaN equals NaN and -0 is not 0.
pub fn assert_same(found: &ArtifactValues, expected: &ArtifactValues) {
    let f32s = |p: &ArtifactValues| -> Vec<Vec<u32>> {
        [
            &p.centroids,
            &p.mean,
            &p.success,
            &p.standard_error,
            &p.gain_error,
            &p.cost,
            &p.latency,
            &p.novelty,
        ]
        .map(|values| values.iter().map(|v| v.to_bits()).collect())
        .into()
    };
    let counts =
        |p: &ArtifactValues| -> Vec<u64> { p.counts.iter().map(|v| v.to_bits()).collect() };
    assert_eq!(f32s(found), f32s(expected));
    assert_eq!(counts(found), counts(expected));
    assert_eq!(
        (found.clusters, found.dim),
        (expected.clusters, expected.dim)
    );
    assert_eq!(found.models, expected.models);
    assert_eq!(found.policy, expected.policy);
    assert_eq!(found.embedder, expected.embedder);
    assert_eq!(found.metadata, expected.metadata);
    assert_eq!(found.blending, expected.blending);
    let correction = |p: &ArtifactValues| -> Option<[Vec<u32>; 2]> {
        let correction = p.correction.as_ref()?;
        Some(
            [&correction.offsets, &correction.slopes]
                .map(|v| v.iter().map(|v| v.to_bits()).collect()),
        )
    };
    assert_eq!(correction(found), correction(expected));
    assert_eq!(bits_of_groups(found), bits_of_groups(expected));
    assert_eq!(bits_of_tokens(found), bits_of_tokens(expected));
}

type Bits = Vec<Vec<u64>>;

fn bits(arrays: &[&[f32]]) -> Bits {
    let bits = |values: &&[f32]| values.iter().map(|v| v.to_bits().into()).collect();
    arrays.iter().map(bits).collect()
}

fn bits_of_groups(values: &ArtifactValues) -> Option<(Vec<String>, Bits)> {
    let groups = values.groups.as_ref()?;
    let mut made = bits(&[
        &groups.mean,
        &groups.success,
        &groups.standard_error,
        &groups.gain_error,
        &groups.cost,
        &groups.latency,
    ]);
    for counts in [&groups.tasks, &groups.counts] {
        made.push(counts.iter().map(|v| v.to_bits()).collect());
    }
    if let Some(own) = &groups.correction {
        made.extend(bits(&[&own.offsets, &own.slopes]));
    }
    Some((groups.names.clone(), made))
}

fn bits_of_tokens(values: &ArtifactValues) -> Option<Bits> {
    let tokens = values.tokens.as_ref()?;
    Some(bits(&[
        &tokens.per_prompt,
        &tokens.input,
        &tokens.output,
        &tokens.group_input,
        &tokens.group_output,
    ]))
}

/// Model, success, cost, latency, n and utility of an entry.
pub type EntryValues = (u32, f64, Option<f64>, Option<f64>, f64, f64);

/// The values of an entry, for comparisons.
pub fn entry_values(entry: &RankingEntry) -> EntryValues {
    let (cost, latency) = (entry.cost_usd, entry.latency_s);
    (
        entry.model,
        entry.success,
        cost,
        latency,
        entry.n,
        entry.utility,
    )
}

/// A decision in this row of an artifact without blending or correction, to rank by; for no model,
/// so that none is put first.
pub fn in_row(row: u32) -> Decision {
    Decision::new(u32::MAX, 0, row, 0.0, 0.0, Reason::Routed, 1.0)
}

/// Read every value and decide: an accepted artifact may not panic.
pub fn exercise(artifact: &Artifact) {
    let values = values_of(artifact);
    assert_eq!(values.models.len(), artifact.n_models());
    let vector = vec![0.0; artifact.dim()];
    for group in (0..artifact.n_groups() as u32)
        .map(Group::Known)
        .chain([Group::Unstated])
    {
        let mut options = priced(artifact);
        options.group(group);
        for options in [RouteOptions::defaults(artifact), options] {
            match artifact.decide(&vector, &options) {
                Ok(decision) => {
                    let ranking = artifact.rank(&decision, &vector, &options);
                    assert_eq!(ranking[0].model, decision.model);
                    assert!(ranking.iter().all(|entry| !entry.utility.is_nan()));
                }
                Err(error) => assert_eq!(variant(&error), "NoCandidate"),
            }
        }
    }
}

/// Options with a price for the tokens of each model whose tokens are known, and the largest
/// length of a prompt.
pub fn priced(artifact: &Artifact) -> RouteOptions {
    let mut options = RouteOptions::defaults(artifact);
    let price = Price::Tokens {
        input: 0.0,
        output: 2.0,
    };
    for model in 0..artifact.n_models() as u32 {
        match options.price(artifact, artifact.model_name(model), price) {
            Ok(()) => {}
            Err(error) => assert_eq!(variant(&error), "TokensUnknown"),
        }
    }
    options.cost_weight(1.0).expect("it is a weight");
    let length = PromptLength::Chars(f64::MAX);
    options.length(length).expect("it is finite");
    options
}

/// A tokenizer of 38 words and the golden table of pairs, with the settings that a test changes.
pub fn lookup_embedder(change: impl FnOnce(&mut EmbedderSettings)) -> LookupEmbedder {
    let words = "sort the list of shops join two tables and count rows write a proof that is even";
    let special = ["[CLS]", "[SEP]", "[UNK]"];
    let vocab: serde_json::Map<_, _> = (special.into_iter().chain(words.split(' ')))
        .enumerate()
        .map(|(id, word)| (word.to_owned(), id.into()))
        .collect();
    let token = |id: usize| {
        serde_json::json!({"id": id, "special": true, "content": special[id], "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false})
    };
    let piece = |id: usize| serde_json::json!({"SpecialToken": {"id": special[id], "type_id": 0}});
    let own =
        |id: usize| serde_json::json!({"id": special[id], "ids": [id], "tokens": [special[id]]});
    let text = serde_json::json!({"Sequence": {"id": "A", "type_id": 0}});
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [token(0), token(1), token(2)],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": [piece(0), text, piece(1)],
            "pair": [], "special_tokens": {"[CLS]": own(0), "[SEP]": own(1)}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab},
    });
    let tokenizer = WordPieceTokenizer::from_json(file.to_string().as_bytes()).unwrap();
    let golden = "tests/golden/lookup/pairs.onnx";
    let table = LookupTable::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join(golden), None);
    let table = table.unwrap().unwrap();
    let mut settings = EmbedderSettings {
        reading: ReadingRules {
            head_chars: 1536,
            tail_chars: 512,
            lead_chars: 200,
            has_lead: false,
            skip_courtesy: false,
        },
        lead_weight: 0.0,
        prompt: String::new(),
        special_tokens: false,
        max_tokens: None,
        tail_tokens: 0,
        dim: table.dim(),
        normalize: true,
    };
    change(&mut settings);
    LookupEmbedder::new(Arc::new(tokenizer.unwrap()), Arc::new(table), settings).unwrap()
}
