//! Open and use a fuzzed file; the fuzz targets call this.
//!
//! Not here: the source of the bytes (`fuzz_targets/`).

use std::sync::Arc;

use hypernova_core::text::ReadingRules;
use hypernova_core::text::embedder::{EmbedderSettings, LookupEmbedder, TextError};
use hypernova_core::text::table::{LookupTable, Scratch};
use hypernova_core::text::word_piece::WordPieceTokenizer;
use hypernova_core::{
    Artifact, Error, Group, Price, Profile, PromptLength, Request, RouteOptions, SimdLevel,
};

/// Open any bytes as an artifact; if they are accepted, read every value and decide. This must
/// never panic.
///
/// # Panics
///
/// If the core breaks a guarantee about accepted artifacts.
pub fn open(bytes: &[u8]) {
    let artifact = match Artifact::from_bytes(bytes) {
        Ok(artifact) => artifact,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error:?}");
            return;
        }
    };
    read(&artifact);
    decide(&artifact);
}

/// Read any bytes as an ONNX file; if its graph is a lookup, embed tokens at every SIMD level. This
/// must never panic.
///
/// # Panics
///
/// If two levels give different vectors, or a vector is not finite.
pub fn lookup(bytes: &[u8]) {
    let mut table = match LookupTable::from_bytes(bytes) {
        Ok(Some(table)) => table,
        Ok(None) => return,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error:?}");
            return;
        }
    };
    let last = u32::try_from(table.vocabulary() - 1).expect("ids have 32 bits");
    let mut scratch = Scratch::default();
    for tokens in [
        &[][..],
        &[0],
        &[last],
        &[
            0,
            last,
            last,
            0,
            1.min(last),
            2.min(last),
            1.min(last),
            last / 2,
        ],
    ] {
        let mut first: Option<Result<Vec<u32>, String>> = None;
        for level in SimdLevel::available() {
            table = table.with_level(level);
            let mut vector = vec![f32::NAN; table.dim()];
            let found = match table.embed(tokens, &mut scratch, &mut vector) {
                Ok(()) => {
                    assert!(vector.iter().all(|v| v.is_finite()));
                    Ok(vector.iter().map(|v| v.to_bits()).collect())
                }
                Err(error) => {
                    assert!(matches!(error, Error::SumNotFinite), "{error}");
                    Err(error.to_string())
                }
            };
            assert_eq!(
                first.get_or_insert_with(|| found.clone()),
                &found,
                "{level:?}"
            );
        }
    }
    for token in [last.saturating_add(1), u32::MAX] {
        let beyond = table.embed(&[token], &mut scratch, &mut vec![0.0; table.dim()]);
        assert!(token == last || matches!(beyond, Err(Error::Token { .. })));
    }
}

/// Embedders of each golden table at each SIMD level, which read by all rules; those of a table
/// stand together.
///
/// # Panics
///
/// If a golden table is not sound.
#[must_use]
pub fn embedders() -> Vec<LookupEmbedder> {
    let tables: [&[u8]; 3] = [
        include_bytes!("../hypernova-core/tests/golden/lookup/pairs.onnx"),
        include_bytes!("../hypernova-core/tests/golden/lookup/weighted.onnx"),
        include_bytes!("../hypernova-core/tests/golden/lookup/plain.onnx"),
    ];
    let tokenizer = WordPieceTokenizer::from_json(include_bytes!("tokenizer.json"));
    let tokenizer = tokenizer.expect("the file is sound");
    let tokenizer = Arc::new(tokenizer.expect("it is of BERT's kind"));
    let mut made = Vec::new();
    for bytes in tables {
        for level in SimdLevel::available() {
            let table = LookupTable::from_bytes(bytes).expect("the golden file is sound");
            let table = table.expect("it is a lookup").with_level(level);
            let settings = EmbedderSettings {
                reading: ReadingRules {
                    head_chars: 96,
                    tail_chars: 32,
                    lead_chars: 20,
                    has_lead: true,
                    skip_courtesy: true,
                },
                lead_weight: 0.5,
                prompt: "sort the ".into(),
                special_tokens: true,
                max_tokens: Some(48),
                tail_tokens: 8,
                dim: table.dim(),
                normalize: true,
            };
            let embedder = LookupEmbedder::new(tokenizer.clone(), Arc::new(table), settings);
            made.push(embedder.expect("the settings fit"));
        }
    }
    made
}

/// Embed any text with each of [`embedders`], twice: at every SIMD level the bits are the same.
///
/// # Panics
///
/// If two vectors of a table differ, or one has not length 1.
pub fn embed(embedders: &[LookupEmbedder], text: &str) {
    let embedded = |embedder: &LookupEmbedder| -> Result<Vec<u32>, TextError> {
        let mut vector = vec![f32::NAN; embedder.dim()];
        embedder.embed(text, &mut vector)?;
        let squares: f32 = vector.iter().map(|v| v * v).sum();
        assert!((squares - 1.0).abs() < 1e-4, "{squares}");
        Ok(vector.iter().map(|v| v.to_bits()).collect())
    };
    for of_table in embedders.chunk_by(|a, b| a.dim() == b.dim()) {
        let first = embedded(&of_table[0]);
        let read = of_table[0].tokens(text);
        assert!(first.is_err() || read.is_ok());
        for embedder in of_table {
            assert_eq!(embedded(embedder), first, "{text:?}");
        }
    }
}

/// Call every accessor: shapes and values are as the format demands.
fn read(artifact: &Artifact) {
    let (k, d, m) = (artifact.n_clusters(), artifact.dim(), artifact.n_models());
    assert_eq!(artifact.centroids().len(), k * d);
    assert!(artifact.centroids().iter().all(|v| v.is_finite()));
    assert!(artifact.novelty_quantiles().is_sorted());
    assert!(artifact.novelty_quantiles().len() >= 2);
    assert!((artifact.policy().default_model as usize) < m);
    let margin = artifact.policy().margin;
    assert!(margin.is_finite() && margin >= 0.0);
    if let Some(blending) = artifact.blending() {
        assert!(blending.sharpness.is_finite() && blending.sharpness > 0.0);
        assert!((1..=16).contains(&blending.nearest));
    }
    for (values, length) in [(artifact.offsets(), m), (artifact.slopes(), m * d)] {
        let values = values.unwrap_or_default();
        assert!(values.is_empty() || values.len() == length);
        assert!(values.iter().all(|v| v.is_finite()));
    }
    read_groups_and_tokens(artifact);
    for model in 0..m as u32 {
        let name = artifact.model_name(model);
        assert!(!name.is_empty());
        assert_eq!(artifact.model_index(name), Some(model));
    }
    assert_eq!(artifact.version().0, 1);
    assert_eq!(artifact.embedder().fingerprint.len(), 64);
    assert!(!artifact.embedder_json().is_empty());
    assert_eq!(artifact.sha256().len(), 64);
    assert!(artifact.metadata().len() < artifact.bytes().len());
    assert!(!format!("{artifact:?}").is_empty());
}

fn read_groups_and_tokens(artifact: &Artifact) {
    let (k, d, m, g) = (
        artifact.n_clusters(),
        artifact.dim(),
        artifact.n_models(),
        artifact.n_groups(),
    );
    let groups = artifact.groups();
    assert_eq!(groups.is_some(), g > 0);
    if let Some(groups) = groups {
        assert_eq!(groups.tasks.len(), g);
        assert!(groups.tasks.iter().all(|v| v.is_finite() && *v >= 0.0));
        read_profile(&groups.profile, g * m);
        if let Some((offsets, slopes)) = groups.correction {
            assert_eq!([offsets.len(), slopes.len()], [g * m, m * d]);
            assert!(offsets.iter().chain(slopes).all(|v| v.is_finite()));
        }
    }
    for group in 0..g as u32 {
        let name = artifact.group_name(group);
        assert!(!name.is_empty());
        assert_eq!(artifact.group(name), Group::Known(group));
    }
    let own = artifact.profile();
    read_profile(&own, (k + 1) * m);
    let of_prompt = artifact.prompt_tokens();
    assert_eq!(of_prompt.is_some(), own.input_tokens.is_some());
    assert_eq!(of_prompt.map_or(2 * m, <[f32]>::len), 2 * m);
    let of_groups = groups.is_some_and(|groups| groups.profile.input_tokens.is_some());
    assert_eq!(of_groups, g > 0 && of_prompt.is_some());
}

fn read_profile(profile: &Profile<'_>, cells: usize) {
    assert_eq!(profile.counts.len(), cells);
    assert!(profile.counts.iter().all(|v| v.is_finite() && *v >= 0.0));
    for shares in [profile.mean, profile.success] {
        assert_eq!(shares.len(), cells);
        assert!(shares.iter().all(|v| (0.0..=1.0).contains(v)));
    }
    for errors in [profile.standard_error, profile.gain_error] {
        assert_eq!(errors.len(), cells);
        assert!(errors.iter().all(|v| v.is_finite() && *v >= 0.0));
    }
    let (input, output) = (profile.input_tokens, profile.output_tokens);
    assert_eq!(input.is_some(), output.is_some());
    for known in [Some(profile.cost), Some(profile.latency), input, output]
        .into_iter()
        .flatten()
    {
        assert_eq!(known.len(), cells);
        let is_amount = |v: &f32| v.is_nan() || (v.is_finite() && *v >= 0.0);
        assert!(known.iter().all(is_amount));
    }
}

/// Options with a price for the tokens of each model whose tokens are known.
fn priced(artifact: &Artifact, group: Group, length: PromptLength) -> RouteOptions {
    let mut options = RouteOptions::defaults(artifact);
    for model in 0..artifact.n_models() as u32 {
        let price = Price::Tokens {
            input: 0.0,
            output: 2.0,
        };
        match options.price(artifact, artifact.model_name(model), price) {
            Ok(()) | Err(Error::TokensUnknown { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    options.cost_weight(1.0).expect("it is a weight");
    options.length(length).expect("it is finite");
    options.group(group);
    options
}

/// Decide: the chosen model is the first of the ranking, under any options.
fn decide(artifact: &Artifact) {
    let mut request = Request::default();
    request.cost_weight = Some(1.0);
    request.latency_weight = Some(0.5);
    request.min_success = Some(0.0);
    request.deny = Some(vec![artifact.model_name(0).to_owned()]);
    request.prices = Some(vec![(artifact.model_name(0).to_owned(), Price::Task(0.25))]);
    let asked = RouteOptions::resolve(artifact, &request).expect("the request is valid");
    let last = (artifact.n_groups() as u32).checked_sub(1);
    let group = last.map_or(Group::Unknown, Group::Known);
    let chars = priced(artifact, group, PromptLength::Chars(f64::MAX));
    let tokens = priced(artifact, Group::Unstated, PromptLength::Tokens(f64::MAX));
    for options in [RouteOptions::defaults(artifact), asked, chars, tokens] {
        for vector in [vec![0.0; artifact.dim()], vec![f32::MAX; artifact.dim()]] {
            match artifact.decide(&vector, &options) {
                Ok(decision) => {
                    let ranking = artifact.rank(&decision, &vector, &options);
                    assert_eq!(ranking[0].model, decision.model);
                    let mut estimates = ranking.iter().map(|e| e.success);
                    assert!(estimates.all(|v| (0.0..=1.0).contains(&v)));
                    assert!(ranking.iter().all(|e| !e.utility.is_nan()));
                    assert!((decision.cluster as usize) < artifact.n_clusters());
                    assert!((0.0..=1.0).contains(&decision.novelty));
                    assert!(decision.distance >= 0.0);
                }
                Err(Error::NoCandidate { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// Correct magic, version, stated length and all checksums that header and table still locate, so
/// that the checks after these are reached.
pub fn fix(file: &mut [u8]) {
    if file.len() < 64 {
        return;
    }
    let length = file.len();
    let u32_at = |file: &[u8], at: usize| {
        u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
    };
    let place = |file: &[u8], at: usize| {
        let value = u64::from(u32_at(file, at)) | (u64::from(u32_at(file, at + 4)) << 32);
        value.min(length as u64) as usize
    };
    file[..10].copy_from_slice(b"\x89HNV\r\n\x1a\n\x01\0");
    file[16..24].copy_from_slice(&(length as u64).to_le_bytes());
    let count = u32_at(file, 12).min(64) as usize;
    let table_end = length.min(64 + 32 * count);
    for at in (64..table_end.saturating_sub(31)).step_by(32) {
        let from = place(file, at + 8);
        let to = from.saturating_add(place(file, at + 16)).min(length);
        let checksum = crc32fast::hash(&file[from..to]);
        file[at + 24..at + 28].copy_from_slice(&checksum.to_le_bytes());
    }
    let head = [&file[..60], &file[64..table_end]].concat();
    file[60..64].copy_from_slice(&crc32fast::hash(&head).to_le_bytes());
}
