//! Lookup tables: the golden vectors at every level, and files that are damaged.
//!
//! Not here: onnxruntime's vectors, and graphs of other structure, which the tests in Python hold.

use std::path::{Path, PathBuf};

use hypernova_core::text::onnx::LookupGraph;
use hypernova_core::text::table::{LookupTable, Scratch};
use hypernova_core::{Error, Mmap, SimdLevel};

const NAMES: [&str; 3] = ["pairs", "plain", "weighted"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lookup")
}

fn golden(name: &str) -> PathBuf {
    folder().join(name).with_extension("onnx")
}

fn open(name: &str) -> LookupTable {
    let table = LookupTable::open(&golden(name), None);
    table.unwrap().expect("the graph is a lookup")
}

fn embed(table: &LookupTable, tokens: &[u32]) -> Result<Vec<f32>, Error> {
    let mut vector = vec![f32::NAN; table.dim()];
    table.embed(tokens, &mut Scratch::default(), &mut vector)?;
    Ok(vector)
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn golden_vectors_are_the_same_at_every_level_and_in_every_storage() {
    let stated = std::fs::read(folder().join("vectors.json")).unwrap();
    let stated: serde_json::Value = serde_json::from_slice(&stated).unwrap();
    for name in NAMES {
        let path = golden(name);
        #[expect(unsafe_code, reason = "maps a golden file, which nobody writes")]
        // SAFETY: nobody writes to the golden files.
        let mapped = unsafe { LookupTable::open_with(&path, Mmap::Always, None) }.unwrap();
        let copied = LookupTable::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
        let mut tables = vec![mapped.unwrap(), copied.unwrap()];
        assert_eq!(
            tables
                .iter()
                .map(LookupTable::is_mapped)
                .collect::<Vec<_>>(),
            [true, false]
        );
        tables.extend(SimdLevel::available().map(|level| open(name).with_level(level)));
        let mut scratch = Scratch::default(); // one for all, of longer texts and shorter ones
        for entry in stated[name].as_array().unwrap() {
            let tokens: Vec<u32> = serde_json::from_value(entry["tokens"].clone()).unwrap();
            let vector: Vec<f32> = serde_json::from_value(entry["vector"].clone()).unwrap();
            for table in &tables {
                let mut found = vec![f32::NAN; table.dim()];
                table.embed(&tokens, &mut scratch, &mut found).unwrap();
                assert_eq!(bits(&found), bits(&vector), "{name} {tokens:?} {table:?}");
            }
        }
    }
}

#[test]
fn a_vector_of_another_dimension_and_an_unknown_token_are_refused() {
    let table = open("pairs");
    assert_eq!([table.dim(), table.vocabulary()], [33, 40]);
    let refused = table.embed(&[1], &mut Scratch::default(), &mut [0.0; 32]);
    assert!(matches!(
        refused,
        Err(Error::VectorDim {
            expected: 33,
            found: 32
        })
    ));
    for token in [40, 55, 56, u32::MAX] {
        assert!(matches!(
            embed(&table, &[0, token]),
            Err(Error::Token {
                index: 1,
                vocabulary: 40,
                ..
            })
        ));
    }
}

#[test]
fn the_sha256_is_that_of_the_file() {
    let sha256 = "0123456789abcdef".repeat(4);
    for mmap in [Mmap::Always, Mmap::Never] {
        #[expect(unsafe_code, reason = "maps a golden file, which nobody writes")]
        // SAFETY: nobody writes to the golden files.
        let open =
            |sha256: &str| unsafe { LookupTable::open_with(&golden("pairs"), mmap, Some(sha256)) };
        let error = open(&sha256).unwrap_err();
        let Error::Sha256 { expected, found } = error.root() else {
            panic!("{error}");
        };
        assert_eq!(*expected, sha256);
        assert!(open(found).unwrap().is_some());
        assert!(open(&found.to_uppercase()).unwrap().is_some());
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_no_lookup() {
    for name in NAMES {
        let bytes = std::fs::read(golden(name)).unwrap();
        for length in 0..bytes.len() {
            match LookupGraph::recognise(&bytes[..length]) {
                Ok(None) | Err(Error::Model { .. }) => {}
                // Its last field says that it might use other operators, which it does not.
                Ok(Some(_)) if length == bytes.len() - "com.microsoft".len() - 6 => {}
                other => panic!("{name} cut to {length}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_gives_an_error_or_a_table_that_stays_within_the_file() {
    for name in NAMES {
        let mut bytes = std::fs::read(golden(name)).unwrap();
        for at in 0..bytes.len() {
            let bit = 1 << (at % 8);
            bytes[at] ^= bit;
            match LookupTable::from_bytes(&bytes) {
                Ok(Some(table)) => {
                    let last = table.vocabulary() as u32 - 1;
                    let tokens = [0, last, 0, 1.min(last), 2.min(last), last];
                    match embed(&table, &tokens) {
                        Ok(vector) => assert!(vector.iter().all(|v| v.is_finite())),
                        Err(error) => assert!(matches!(error, Error::SumNotFinite)),
                    }
                }
                Ok(None) => {}
                Err(error) => assert!(!error.to_string().contains('\n')),
            }
            bytes[at] ^= bit;
        }
    }
}
