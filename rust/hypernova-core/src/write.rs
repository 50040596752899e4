//! Turn values into the bytes of an artifact, and bytes into a file.
//!
//! Not here: checks of the values. The bytes that are made are parsed like
//! anyone's ([`crate::Artifact::build`]), so that there is one set of rules.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::Error;
use crate::format::{
    ENTRY_LEN, FLAG_REQUIRED, HEAD_CRC_AT, HEADER_LEN, MAGIC, MAJOR, MINOR, Policy, Soft, Tag,
    align, head_checksum, tag,
};

/// The values of an artifact. Names, shapes and rules are those of `FORMAT.md`.
///
/// [`Parts::new`] makes them without profiles; fill in the fields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parts {
    /// Number of clusters, `k`.
    pub clusters: u32,
    /// Dimension of a vector, `d`.
    pub dim: u32,
    /// Centroids, `k` x `d`.
    pub centroids: Vec<f32>,
    /// Outcomes counted, `(k + 1)` x `m`.
    pub counts: Vec<f64>,
    /// Mean score, `(k + 1)` x `m`.
    pub mean: Vec<f32>,
    /// Shrunk success estimate, `(k + 1)` x `m`.
    pub success: Vec<f32>,
    /// Standard error of the estimate, `(k + 1)` x `m`.
    pub standard_error: Vec<f32>,
    /// Standard error of the paired gain over the default model, `(k + 1)` x `m`.
    pub gain_error: Vec<f32>,
    /// Mean cost in USD, `(k + 1)` x `m`; NaN where unknown.
    pub cost: Vec<f32>,
    /// Mean latency in seconds, `(k + 1)` x `m`; NaN where unknown.
    pub latency: Vec<f32>,
    /// Names of the `m` models.
    pub models: Vec<String>,
    /// Defaults of the decision rule.
    pub policy: Policy,
    /// The embedder's identity, a JSON object.
    pub embedder: String,
    /// Novelty quantiles.
    pub novelty: Vec<f32>,
    /// How the artifact was made, a JSON object.
    pub metadata: String,
    /// How the profiles of several clusters are blended; `None` takes the nearest alone.
    pub soft: Option<Soft>,
    /// What is added to the blended success estimates; `None` adds nothing.
    pub correction: Option<LinearCorrection>,
}

impl Parts {
    /// Parts of that shape, whose arrays and metadata are still empty; nothing is blended or
    /// lifted.
    #[must_use]
    pub fn new(
        clusters: u32,
        dim: u32,
        models: Vec<String>,
        policy: Policy,
        embedder: String,
    ) -> Self {
        Self {
            clusters,
            dim,
            centroids: Vec::new(),
            counts: Vec::new(),
            mean: Vec::new(),
            success: Vec::new(),
            standard_error: Vec::new(),
            gain_error: Vec::new(),
            cost: Vec::new(),
            latency: Vec::new(),
            models,
            policy,
            embedder,
            novelty: Vec::new(),
            metadata: String::new(),
            soft: None,
            correction: None,
        }
    }
}

/// A linear function of the vector for each model.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearCorrection {
    /// Its value where the vector is 0, `m`.
    pub offsets: Vec<f32>,
    /// Its slope, `m` x `d`.
    pub slopes: Vec<f32>,
}

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

/// Write `bytes` to `path` so that at every moment either the old file or the
/// whole new one stands there.
///
/// A reader may have the old file mapped, so it is never written in place: a
/// temporary file in the same folder is written, synced, and renamed over it.
///
/// # Errors
///
/// [`Error::Write`] in [`Error::InFile`]; the temporary file is gone and what stood
/// at `path` is as it was: it may be a device, or the disk may be full.
pub(crate) fn save(bytes: &[u8], path: &Path) -> Result<(), Error> {
    let fail = |action| move |source: io::Error| Error::Write { action, source }.in_file(path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A rename would put a file in the place of a device or a pipe, such as /dev/null, or of
    // the link /dev/stdout.
    if let Ok(there) = fs::metadata(path) {
        let open_already = ["/dev", "/dev/fd"].contains(&folder.to_str().unwrap_or_default())
            || folder.starts_with("/proc");
        if open_already || !(there.is_file() || there.is_dir()) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(fail("replace")(source));
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hypernova-").suffix(".tmp");
    // A temporary file is private by default; an artifact has the mode that the
    // process gives to any new file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder
        .tempfile_in(folder)
        .map_err(fail("create a temporary file beside it"))?;
    file.write_all(bytes).map_err(fail("write"))?;
    file.as_file().sync_all().map_err(fail("sync"))?;
    file.persist(path)
        .map_err(|e| fail("rename the temporary file to it")(e.error))?;
    // The rename itself is durable once the folder is synced; where folders
    // cannot be opened (Windows) the system takes care of that.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}
