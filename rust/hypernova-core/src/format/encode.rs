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

/// The sections of groups and tokens, in the order in which they are stored.
fn optional_sections(values: &ArtifactValues) -> impl Iterator<Item = (Tag, Vec<u8>)> {
    let mut sections = Vec::new();
    if let Some(groups) = &values.groups {
        sections.extend([
            (tag::GROUP_TASKS, f64_bytes(&groups.tasks)),
            (tag::GROUP_NAMES, name_bytes(&groups.names)),
            (tag::GROUP_COUNTS, f64_bytes(&groups.counts)),
            (tag::GROUP_MEAN, f32_bytes(&groups.mean)),
            (tag::GROUP_SUCCESS, f32_bytes(&groups.success)),
            (tag::GROUP_STANDARD_ERROR, f32_bytes(&groups.standard_error)),
            (tag::GROUP_GAIN_ERROR, f32_bytes(&groups.gain_error)),
            (tag::GROUP_COST, f32_bytes(&groups.cost)),
            (tag::GROUP_LATENCY, f32_bytes(&groups.latency)),
        ]);
        if let Some(correction) = &groups.correction {
            let mut bytes = f32_bytes(&correction.offsets);
            bytes.extend(f32_bytes(&correction.slopes));
            sections.push((tag::GROUP_CORRECTION, bytes));
        }
    }
    if let Some(tokens) = &values.tokens {
        sections.extend([
            (tag::PROMPT_TOKENS, f32_bytes(&tokens.per_prompt)),
            (tag::INPUT_TOKENS, f32_bytes(&tokens.input)),
            (tag::OUTPUT_TOKENS, f32_bytes(&tokens.output)),
        ]);
        if values.groups.is_some() {
            sections.extend([
                (tag::GROUP_INPUT_TOKENS, f32_bytes(&tokens.group_input)),
                (tag::GROUP_OUTPUT_TOKENS, f32_bytes(&tokens.group_output)),
            ]);
        }
    }
    sections.into_iter()
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
    // The lowest version that has all sections: a file without new ones is an old one, byte for byte.
    // Not "above 0": a margin that is refused must reach the checks.
    let has_margin = values.policy.margin != 0.0;
    let minor = if has_margin {
        MINOR
    } else if values.groups.is_some() || values.tokens.is_some() {
        2
    } else {
        u16::from(values.blending.is_some() || values.correction.is_some())
    };
    if let Some(blending) = values.blending {
        sections.push((tag::SOFT, required, blending_bytes(blending)));
    }
    if let Some(correction) = &values.correction {
        let mut bytes = f32_bytes(&correction.offsets);
        bytes.extend(f32_bytes(&correction.slopes));
        sections.push((tag::SLOPES, required, bytes));
    }
    if has_margin {
        sections.push((tag::MARGIN, required, f64_bytes(&[values.policy.margin])));
    }
    // Not required: no decision of a caller who names no group and no price for tokens needs them.
    sections.extend(optional_sections(values).map(|(tag, bytes)| (tag, 0, bytes)));
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
