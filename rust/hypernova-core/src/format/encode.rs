//! Encode values as the bytes of an artifact.
//!
//! Not here: checks of the values. [`crate::Artifact::build`] parses the bytes like any
//! file, so that there is one set of rules.

use super::layout::{
    ENTRY_LEN, FLAG_REQUIRED, HEAD_CRC_AT, HEADER_LEN, MAGIC, MAJOR, MINOR, align, head_checksum,
};
use super::tag::{self, Tag};
use super::values::{ArtifactValues, Blending, Policy};

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    // One bit pattern for every NaN: the same values give the same bytes.
    let canonical = |v: &f32| if v.is_nan() { f32::NAN } else { *v };
    values
        .iter()
        .flat_map(|v| canonical(v).to_le_bytes())
        .collect()
}

fn f64_bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn name_bytes(names: &[String]) -> Vec<u8> {
    let mut starts = Vec::with_capacity(4 * (names.len() + 1));
    let mut text = Vec::new();
    for name in names {
        starts.extend((text.len() as u32).to_le_bytes());
        text.extend_from_slice(name.as_bytes());
    }
    starts.extend((text.len() as u32).to_le_bytes());
    starts.extend(text);
    starts
}

fn policy_bytes(policy: &Policy) -> Vec<u8> {
    let mut bytes = f64_bytes(&[
        policy.cost_weight,
        policy.latency_weight,
        policy.max_cost_usd.unwrap_or(f64::NAN),
        policy.min_success,
        policy.guard_z,
        policy.novelty_limit,
        policy.shrinkage,
    ]);
    bytes.extend(policy.default_model.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn blending_bytes(blending: Blending) -> Vec<u8> {
    let mut bytes = f64_bytes(&[blending.sharpness]);
    bytes.extend(blending.nearest.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// Encode values as a file, unchecked.
pub(crate) fn encode(values: &ArtifactValues) -> Vec<u8> {
    let required = FLAG_REQUIRED;
    let mut sections: Vec<(Tag, u32, Vec<u8>)> = vec![
        (tag::CENTROIDS, required, f32_bytes(&values.centroids)),
        (tag::COUNTS, required, f64_bytes(&values.counts)),
        (tag::MEAN, required, f32_bytes(&values.mean)),
        (tag::SUCCESS, required, f32_bytes(&values.success)),
        (
            tag::STANDARD_ERROR,
            required,
            f32_bytes(&values.standard_error),
        ),
        (tag::GAIN_ERROR, required, f32_bytes(&values.gain_error)),
        (tag::COST, required, f32_bytes(&values.cost)),
        (tag::LATENCY, required, f32_bytes(&values.latency)),
        (tag::MODELS, required, name_bytes(&values.models)),
        (tag::POLICY, required, policy_bytes(&values.policy)),
        (tag::EMBEDDER, required, values.embedder.as_bytes().to_vec()),
        (tag::NOVELTY, required, f32_bytes(&values.novelty)),
        (tag::METADATA, 0, values.metadata.as_bytes().to_vec()),
    ];
    // A file without either section is one of version 1.0, byte for byte.
    let minor = if values.blending.is_some() || values.correction.is_some() {
        MINOR
    } else {
        0
    };
    if let Some(blending) = values.blending {
        sections.push((tag::SOFT, required, blending_bytes(blending)));
    }
    if let Some(correction) = &values.correction {
        let mut bytes = f32_bytes(&correction.offsets);
        bytes.extend(f32_bytes(&correction.slopes));
        sections.push((tag::SLOPES, required, bytes));
    }
    let aligned = |x| align(x).expect("a length in memory is far from overflow");

    let mut table = Vec::with_capacity(sections.len() * ENTRY_LEN);
    let mut body: Vec<u8> = Vec::new();
    let body_start = aligned(HEADER_LEN + sections.len() * ENTRY_LEN);
    for (tag, flags, bytes) in &sections {
        body.resize(aligned(body_start + body.len()) - body_start, 0);
        table.extend(tag.0);
        table.extend(flags.to_le_bytes());
        table.extend(((body_start + body.len()) as u64).to_le_bytes());
        table.extend((bytes.len() as u64).to_le_bytes());
        table.extend(crc32fast::hash(bytes).to_le_bytes());
        table.extend([0; 4]);
        body.extend_from_slice(bytes);
    }

    let mut file = Vec::with_capacity(body_start + body.len());
    file.extend(MAGIC);
    file.extend(MAJOR.to_le_bytes());
    file.extend(minor.to_le_bytes());
    file.extend((sections.len() as u32).to_le_bytes());
    file.extend(((body_start + body.len()) as u64).to_le_bytes());
    file.extend(values.clusters.to_le_bytes());
    file.extend(values.dim.to_le_bytes());
    file.extend((values.models.len() as u32).to_le_bytes());
    file.resize(HEAD_CRC_AT, 0);
    file.extend(head_checksum(&file, &table).to_le_bytes());
    file.extend(table);
    file.resize(body_start, 0);
    file.extend(body);
    file
}
