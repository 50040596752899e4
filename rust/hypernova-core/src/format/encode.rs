//! Turn values into the bytes of an artifact.
//!
//! Not here: checks of the values. The bytes that are made are parsed like
//! anyone's ([`crate::Artifact::build`]), so that there is one set of rules.

use super::layout::{
    ENTRY_LEN, FLAG_REQUIRED, HEAD_CRC_AT, HEADER_LEN, MAGIC, MAJOR, MINOR, align, head_checksum,
};
use super::tag::{self, Tag};
use super::values::{Parts, Policy, Soft};

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

fn soft_bytes(soft: Soft) -> Vec<u8> {
    let mut bytes = f64_bytes(&[soft.sharpness]);
    bytes.extend(soft.nearest.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// Lay the values out as a file. The result has still to be parsed.
pub(crate) fn encode(parts: &Parts) -> Vec<u8> {
    let required = FLAG_REQUIRED;
    let mut sections: Vec<(Tag, u32, Vec<u8>)> = vec![
        (tag::CENTROIDS, required, f32_bytes(&parts.centroids)),
        (tag::COUNTS, required, f64_bytes(&parts.counts)),
        (tag::MEAN, required, f32_bytes(&parts.mean)),
        (tag::SUCCESS, required, f32_bytes(&parts.success)),
        (
            tag::STANDARD_ERROR,
            required,
            f32_bytes(&parts.standard_error),
        ),
        (tag::GAIN_ERROR, required, f32_bytes(&parts.gain_error)),
        (tag::COST, required, f32_bytes(&parts.cost)),
        (tag::LATENCY, required, f32_bytes(&parts.latency)),
        (tag::MODELS, required, name_bytes(&parts.models)),
        (tag::POLICY, required, policy_bytes(&parts.policy)),
        (tag::EMBEDDER, required, parts.embedder.as_bytes().to_vec()),
        (tag::NOVELTY, required, f32_bytes(&parts.novelty)),
        (tag::METADATA, 0, parts.metadata.as_bytes().to_vec()),
    ];
    // A file that holds neither is one of version 1.0, byte for byte.
    let minor = if parts.soft.is_some() || parts.correction.is_some() {
        MINOR
    } else {
        0
    };
    if let Some(soft) = parts.soft {
        sections.push((tag::SOFT, required, soft_bytes(soft)));
    }
    if let Some(correction) = &parts.correction {
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
    file.extend(parts.clusters.to_le_bytes());
    file.extend(parts.dim.to_le_bytes());
    file.extend((parts.models.len() as u32).to_le_bytes());
    file.resize(HEAD_CRC_AT, 0);
    file.extend(head_checksum(&file, &table).to_le_bytes());
    file.extend(table);
    file.resize(body_start, 0);
    file.extend(body);
    file
}
