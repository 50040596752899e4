//! Files that obey `FORMAT.md` are read as they were written.
//!
//! Not here: files that break a rule (`refused.rs`), decisions (`rule.rs`), and a second reader
//! of the same files (`tests/core/test_format.py`).

#![expect(unsafe_code, reason = "files are mapped")]

#[macro_use]
mod support;

use std::path::{Path, PathBuf};

use hypernova_core::format::{EmbedderKind, Policy};
use hypernova_core::{Artifact, ArtifactValues, Error, Mmap};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::forge::{Draft, Section};
use support::{
    assert_same, blended, exercise, file, grouped, small, values, values_of, variant, with_tokens,
};

/// Build an artifact, save it, and open it again.
fn saved(values: &ArtifactValues) -> (Artifact, Artifact) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    let built = Artifact::build(values).unwrap();
    built.save(&path).unwrap();
    let opened = Artifact::open(&path).unwrap();
    assert_eq!(opened.path(), Some(path.as_path()));
    (built, opened)
}

#[test]
fn an_opened_file_has_the_saved_values() {
    let mut two = values(1, 1, 1, 3);
    two.models = vec!["β-大/mini 2".into()];
    two.metadata = String::new();
    two.policy.max_cost_usd = Some(0.25);
    two.embedder = two.embedder.replace("vectors", "text");
    let mut blending = blended(small(), 4);
    blending.correction = None;
    let mut corrected = blended(values(7, 83, 25, 5), 5);
    corrected.blending = None;
    let both = blended(two.clone(), 6);
    let groups = grouped(values(7, 83, 25, 5), 11, 4);
    let groups_corrected = grouped(small(), 3, 5);
    let tokens = with_tokens(small(), 6);
    let all = with_tokens(grouped(both.clone(), 1, 7), 8);
    for values in [
        small(),
        two,
        values(7, 83, 25, 5),
        blending,
        corrected,
        both,
        groups,
        groups_corrected,
        tokens,
        all,
    ] {
        let (built, opened) = saved(&values);
        assert_same(&values_of(&built), &values);
        assert_same(&values_of(&opened), &values);
        assert_eq!(built.bytes(), opened.bytes());
        assert_eq!(built.sha256(), opened.sha256());
        let by_vector = values.blending.is_some() || values.correction.is_some();
        let newest = values.groups.is_some() || values.tokens.is_some();
        let minor = if newest { 2 } else { u16::from(by_vector) };
        assert_eq!(opened.version(), (1, minor));
        let groups = values.groups.as_ref();
        let in_groups = groups.is_some_and(|groups| groups.correction.is_some());
        assert_eq!(opened.ranks_by_vector(), by_vector || in_groups);
        let names = groups.map_or(&[][..], |groups| &groups.names);
        assert_eq!(opened.n_groups(), names.len());
        for (i, name) in names.iter().enumerate() {
            assert_eq!(opened.group_index(name), Some(i as u32));
        }
        assert_eq!(opened.group_index("no such group"), None);
        assert_eq!(opened.embedder().name, "test");
        assert_eq!(opened.embedder().fingerprint, "0123456789abcdef".repeat(4));
        let text = values.embedder.contains("\"text\"");
        assert_eq!(opened.embedder().kind == EmbedderKind::Text, text);
        for (i, name) in values.models.iter().enumerate() {
            assert_eq!(opened.model_index(name), Some(i as u32));
        }
        assert_eq!(opened.model_index("no such model"), None);
        exercise(&opened);
    }
}

#[test]
fn the_same_values_give_the_same_bytes() {
    let mut other_nan = small();
    let mut newer = with_tokens(grouped(small(), 4, 1), 2);
    let expected = [file(&other_nan), file(&newer)];
    let groups = newer.groups.as_mut().expect("the values have groups");
    let tokens = newer.tokens.as_mut().expect("the values have tokens");
    for values in [
        &mut other_nan.cost,
        &mut groups.cost,
        &mut groups.latency,
        &mut tokens.input,
        &mut tokens.group_output,
    ] {
        assert!(values.iter().any(|v| v.is_nan()));
        for v in values.iter_mut().filter(|v| v.is_nan()) {
            *v = f32::from_bits(0xFFC0_1234);
        }
    }
    assert_eq!([file(&other_nan), file(&newer)], expected);
}

/// Open a file that no other test writes to.
fn opened_with(path: &Path, mmap: Mmap) -> Result<Artifact, Error> {
    // SAFETY: the tests do not write to a file while an artifact is mapped from it.
    unsafe { Artifact::open_with(path, mmap) }
}

#[test]
#[cfg(windows)]
fn saving_over_a_mapped_file_is_refused_in_one_line_and_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    Artifact::build(&small()).unwrap().save(&path).unwrap();
    let mapped = opened_with(&path, Mmap::Always).unwrap();
    let new = Artifact::build(&values(4, 6, 2, 9)).unwrap();
    let said = new.save(&path).unwrap_err().to_string();
    assert!(said.contains("while a process has it mapped"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_same(&values_of(&mapped), &small());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(mapped);
    let read = opened_with(&path, Mmap::Auto).unwrap();
    new.save(&path).unwrap(); // over a file that is in use, but not mapped
    assert_same(&values_of(&read), &small());
}

#[test]
#[cfg(not(windows))]
fn saving_replaces_a_mapped_file_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    Artifact::build(&small()).unwrap().save(&path).unwrap();
    // SAFETY: the file is only replaced, never written to.
    let old = unsafe { Artifact::map(&path) }.unwrap();
    assert!(old.is_mapped());
    let new = values(4, 6, 2, 9);
    Artifact::build(&new).unwrap().save(&path).unwrap();
    assert_same(&values_of(&old), &small());
    assert_same(&values_of(&Artifact::open(&path).unwrap()), &new);
    old.save(&path).unwrap(); // over a newer one, from its own mapping
    assert_same(&values_of(&Artifact::open(&path).unwrap()), &small());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_file_is_the_same_artifact_read_or_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    // Smaller than one read, larger, and larger than `Auto` reads.
    for clusters in [3, 5_000, 20_000] {
        let built = Artifact::build(&values(clusters, 64, 2, 9)).unwrap();
        built.save(&path).unwrap();
        let large = built.bytes().len() as u64 > Mmap::AUTO_LIMIT;
        assert_eq!(large, clusters == 20_000 && !cfg!(windows));
        for (mmap, mapped) in [
            (Mmap::Never, false),
            (Mmap::Always, true),
            (Mmap::Auto, large),
        ] {
            let opened = opened_with(&path, mmap).unwrap();
            assert_eq!(opened.is_mapped(), mapped);
            assert!(opened.bytes() == built.bytes(), "{mmap:?}");
            // No load of a kernel crosses a cache line.
            assert_eq!(opened.bytes().as_ptr().align_offset(64), 0);
        }
        assert!(!Artifact::open(&path).unwrap().is_mapped());
        assert_eq!(built.bytes().as_ptr().align_offset(64), 0);
    }
}

#[test]
fn an_artifact_in_memory_stays_when_the_file_is_cut_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    Artifact::build(&small()).unwrap().save(&path).unwrap();
    let opened = Artifact::open(&path).unwrap();
    std::fs::write(&path, b"nothing").unwrap();
    assert_same(&values_of(&opened), &small());
}

#[test]
fn a_file_of_another_length_than_it_states_is_refused_alike_read_or_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.hnv");
    let whole = file(&values(5_000, 64, 2, 9));
    let with_length = |stated: u64| {
        let mut file = whole.clone();
        file[16..24].copy_from_slice(&stated.to_le_bytes());
        file
    };
    let files = [
        whole[..40].to_vec(),
        whole[..64].to_vec(),
        whole[..1 << 20].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], &[0]].concat(),
        [&whole[..], &vec![7; 3 << 20]].concat(),
        with_length(0),
        with_length(63),
        with_length(64),
        with_length(1 << 20),
        with_length((1 << 20) - 1),
        with_length(u64::MAX),
        with_length(u64::MAX - 1),
    ];
    for (at, file) in files.iter().enumerate() {
        std::fs::write(&path, file).unwrap();
        let said = |opened: Result<Artifact, Error>| opened.unwrap_err().to_string();
        let expected = said(opened_with(&path, Mmap::Always));
        assert_eq!(said(Artifact::open(&path)), expected, "file {at}");
        let alone = said(Artifact::from_bytes(file));
        assert_eq!(expected, format!("{}: {alone}", path.display()));
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.hnv");
    let named = |error: Error, path: &Path, expected: &str| {
        assert_eq!(variant(&error), expected, "{error:?}");
        assert!(matches!(error, Error::InFile { .. }), "{error:?}");
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{}: ", path.display())),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    };
    named(Artifact::open(&missing).unwrap_err(), &missing, "NotFound");
    named(
        Artifact::open(folder.path()).unwrap_err(),
        folder.path(),
        "Folder",
    );
    let empty = folder.path().join("empty.hnv");
    std::fs::write(&empty, b"").unwrap();
    named(Artifact::open(&empty).unwrap_err(), &empty, "Empty");
    let text = folder.path().join("text.hnv");
    std::fs::write(&text, b"hello").unwrap();
    named(Artifact::open(&text).unwrap_err(), &text, "NotAnArtifact");

    let artifact = Artifact::build(&small()).unwrap();
    let nowhere = missing.join("router.hnv");
    named(artifact.save(&nowhere).unwrap_err(), &nowhere, "Write");
    named(
        artifact.save(folder.path()).unwrap_err(),
        folder.path(),
        "Write",
    );
    let mut left: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    left.sort();
    assert_eq!(left, [empty, text], "no temporary file is left");
}

#[test]
fn the_bounds_themselves_are_accepted() {
    let mut values = small();
    values.success[0] = 0.0;
    values.success[1] = 1.0;
    values.mean[0] = if values.counts[0] == 0.0 { 0.0 } else { 1.0 };
    values.cost = vec![f32::NAN; 16];
    values.latency[3] = f32::MAX;
    values.novelty = vec![0.0, 0.0];
    values.counts[7] = f64::MIN_POSITIVE;
    values.centroids[2] = -f32::MAX;
    values.policy = with!(Policy::new(3), {
        cost_weight: f64::MAX,
        latency_weight: f64::MAX,
        max_cost_usd: Some(0.0),
        min_success: 1.0,
        guard_z: f64::MAX,
        margin: f64::MAX,
        novelty_limit: 0.0,
        shrinkage: 0.0,
    });
    let artifact = Artifact::build(&values).unwrap();
    assert_same(&values_of(&artifact), &values);
    exercise(&artifact);
}

#[test]
fn sections_that_a_later_minor_version_adds_are_skipped() {
    let mut draft = Draft::of(&file(&small()));
    draft.minor = 7;
    for at in [0, 5, 15] {
        let tag = [b'X', b'T', b'R', b'A' + at as u8];
        draft.sections.insert(at, Section::new(tag, 0, b"later"));
    }
    let artifact = Artifact::from_bytes(&draft.bytes()).unwrap();
    assert_eq!(artifact.version(), (1, 7));
    assert_same(&values_of(&artifact), &small());
    exercise(&artifact);
}

#[test]
fn a_reader_goes_by_the_sections_and_not_by_the_minor_version() {
    let both = blended(small(), 4);
    let mut draft = Draft::of(&file(&both));
    draft.minor = 0;
    let artifact = Artifact::from_bytes(&draft.bytes()).unwrap();
    assert_eq!(artifact.version(), (1, 0));
    assert_same(&values_of(&artifact), &both);
    draft.remove("SOFT");
    draft.remove("SLOP");
    assert_eq!(draft.bytes(), file(&small()), "a file without them is 1.0");
}

/// A file has the lowest version that knows its sections; a margin of 0 is none.
#[test]
fn a_file_without_a_margin_is_one_of_an_older_version() {
    let older = with_tokens(grouped(blended(small(), 4), 3, 5), 6);
    for (values, minor) in [(small(), 0), (blended(small(), 4), 1), (older, 2)] {
        let margin =
            |margin: f64| with!(values.clone(), { policy: with!(values.policy, { margin }) });
        assert_eq!(
            Artifact::from_bytes(&file(&values)).unwrap().version(),
            (1, minor)
        );
        for none in [0.0, -0.0] {
            assert_eq!(file(&margin(none)), file(&values));
        }
        let newer = margin(f64::MIN_POSITIVE);
        let artifact = Artifact::build(&newer).unwrap();
        assert_eq!(artifact.version(), (1, 3));
        let mut draft = Draft::of(artifact.bytes());
        assert_same(&values_of(&artifact), &newer);
        // Zeros, which this writer leaves out, are read.
        draft.section("MARG").body.fill(0);
        let zeros = Artifact::from_bytes(&draft.bytes()).unwrap();
        assert_same(&values_of(&zeros), &values);
        draft.remove("MARG");
        draft.minor = minor;
        assert_eq!(draft.bytes(), file(&values));
    }
}

/// The sections of groups and tokens are not required: a reader of 1.1, which does not know their
/// tags, reads the file as one without them.
#[test]
fn an_older_reader_skips_groups_and_tokens() {
    let older = blended(small(), 4);
    let newer = with_tokens(grouped(older.clone(), 3, 5), 6);
    let mut draft = Draft::of(&file(&newer));
    for section in &mut draft.sections[15..] {
        assert_eq!(section.flags, 0);
        section.tag[0] = b'X';
    }
    let artifact = Artifact::from_bytes(&draft.bytes()).unwrap();
    assert_same(&values_of(&artifact), &older);
    draft.sections.truncate(15);
    draft.minor = 1;
    assert_eq!(draft.bytes(), file(&older));
}

#[test]
fn groups_and_tokens_may_be_marked_as_required_and_stand_in_any_order() {
    let values = with_tokens(grouped(small(), 3, 5), 6);
    let mut draft = Draft::of(&file(&values));
    draft.sections.reverse();
    for section in &mut draft.sections {
        section.flags = 1;
    }
    let artifact = Artifact::from_bytes(&draft.bytes()).unwrap();
    assert_same(&values_of(&artifact), &values);
    exercise(&artifact);
}

#[test]
fn the_order_of_sections_is_free_and_metadata_may_be_missing() {
    let mut draft = Draft::of(&file(&small()));
    draft.sections.reverse();
    draft.remove("META");
    let artifact = Artifact::from_bytes(&draft.bytes()).unwrap();
    let mut expected = small();
    expected.metadata = String::new();
    assert_same(&values_of(&artifact), &expected);
}

#[test]
fn golden_files_are_read_and_written_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the golden files are in tests/golden") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "hnv") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let opened = Artifact::open(&path).unwrap();
        assert_eq!(opened.bytes(), bytes);
        assert_same(
            &values_of(&Artifact::from_bytes(&bytes).unwrap()),
            &values_of(&opened),
        );
        let again = Artifact::build(&values_of(&opened)).unwrap();
        assert_eq!(again.bytes(), bytes, "{}", path.display());
        assert_eq!(again.sha256(), opened.sha256());
        exercise(&opened);
        let stated = path.with_extension("json");
        let stated = std::fs::read(stated).expect("a golden file has a .json beside it");
        let stated: serde_json::Value = serde_json::from_slice(&stated).unwrap();
        assert_eq!(stated["sha256"], opened.sha256());
        assert_eq!(stated["bytes"], bytes.len());
        seen.push(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    seen.sort();
    for name in [
        "v1_0_small",
        "v1_0_text",
        "v1_1_small",
        "v1_1_text",
        "v1_2_small",
        "v1_2_text",
        "v1_3_small",
        "v1_3_text",
    ] {
        assert!(
            seen.iter().any(|s| s == name),
            "{name} is gone; found {seen:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn round_trips(clusters in 1_u32..6, dim in 1_u32..40, models in 1_u32..9, seed in any::<u64>()) {
        let mut values = blended(values(clusters, dim, models, seed), seed);
        if seed & 32 == 0 {
            values.blending = None;
        }
        if seed & 64 == 0 {
            values.correction = None;
        }
        if seed & 128 == 0 {
            values = grouped(values, 1 + (seed >> 8) as usize % 5, seed);
        }
        if seed & (1 << 20) == 0 {
            values = with_tokens(values, seed);
        }
        if seed & (1 << 21) == 0 {
            values.policy.margin = (seed >> 22) as f64 / 1e9;
        }
        let artifact = Artifact::build(&values).unwrap();
        assert_same(&values_of(&artifact), &values);
        let again = Artifact::build(&values_of(&artifact)).unwrap();
        prop_assert_eq!(again.bytes(), artifact.bytes());
        exercise(&artifact);
    }
}
