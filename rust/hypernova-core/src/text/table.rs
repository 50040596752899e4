//! Embed tokens with the tables of a lookup graph: look rows up, add them, bring them to length 1.
//!
//! Not here: the graph and its checks ([`super::onnx`]), the order of the additions (`sum/`), and
//! tokens of a text ([`super::word_piece`]).
//!
//! A vector agrees with that of onnxruntime for the same graph and a mask of ones to 1e-6; it does
//! not depend on other texts, threads or the SIMD level.

use std::path::Path;

use super::onnx::{LookupGraph, Part};
use super::sum::{Pick, add_rows, to_unit};
use crate::error::Error;
use crate::file::{Mmap, Storage};
use crate::nearest::{SimdLevel, check_finite};

/// A lookup graph with the file that holds its tables, in memory or mapped: immutable, and safe to
/// share among threads.
pub struct LookupTable {
    storage: Storage,
    graph: LookupGraph,
    level: SimdLevel,
}

/// Memory of [`LookupTable::embed`], which grows to the longest text.
#[derive(Debug, Default)]
pub struct Scratch {
    picks: Vec<Pick>,
}

impl std::fmt::Debug for LookupTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookupTable")
            .field("dim", &self.dim())
            .field("vocabulary", &self.vocabulary())
            .field("mapped", &self.is_mapped())
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl LookupTable {
    /// Read the ONNX file at `path` into memory, and recognise its graph.
    ///
    /// Returns `None` if the graph is no lookup: it is one for onnxruntime, if for any.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around the operating system's error, around [`Error::Sha256`] if the file
    /// has another SHA-256 than `sha256` (64 hex digits), or around an error of
    /// [`LookupGraph::recognise`]; [`Error::SimdLevel`] if `HYPERNOVA_SIMD` names a level that this
    /// CPU lacks.
    #[expect(unsafe_code, reason = "a function that can map, and is told not to")]
    pub fn open(path: &Path, sha256: Option<&str>) -> Result<Option<Self>, Error> {
        // SAFETY: the file is read into memory.
        unsafe { Self::open_with(path, Mmap::Never, sha256) }
    }

    /// Read or map the ONNX file at `path`, and recognise its graph.
    ///
    /// Processes that map the same file share its pages, and hold those alone that they use.
    ///
    /// # Safety
    ///
    /// As [`crate::Artifact::map`] where the file is mapped: with [`Mmap::Always`], and with
    /// [`Mmap::Auto`] if it is larger than [`Mmap::AUTO_LIMIT`].
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub unsafe fn open_with(
        path: &Path,
        mmap: Mmap,
        sha256: Option<&str>,
    ) -> Result<Option<Self>, Error> {
        let level = SimdLevel::from_env()?;
        // SAFETY: the caller vouches for the file.
        let storage = unsafe { Storage::any(path, mmap, sha256) };
        storage
            .and_then(|storage| Self::new(storage, level))
            .map_err(|error| error.in_file(path))
    }

    /// Copy the bytes of an ONNX file, and recognise its graph.
    ///
    /// # Errors
    ///
    /// As [`LookupGraph::recognise`]; [`Error::SimdLevel`] if `HYPERNOVA_SIMD` names a level that
    /// this CPU lacks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let level = SimdLevel::from_env()?;
        Self::new(Storage::copied(bytes), level)
    }

    fn new(storage: Storage, level: SimdLevel) -> Result<Option<Self>, Error> {
        let graph = LookupGraph::recognise(storage.bytes())?;
        Ok(graph.map(|graph| Self {
            storage,
            graph,
            level,
        }))
    }

    /// The same table at another SIMD level, for tests and measurements: its vectors are the same.
    #[must_use]
    pub fn with_level(mut self, level: SimdLevel) -> Self {
        self.level = level;
        self
    }

    /// Dimension of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.graph.dim()
    }

    /// Number of tokens: a token is below it.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.graph.vocabulary()
    }

    /// Whether the file is mapped.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.storage.is_mapped()
    }

    /// Embed a text's tokens into `vector`. No token gives a vector of zeros.
    ///
    /// `scratch` may come from any earlier call.
    ///
    /// # Errors
    ///
    /// [`Error::VectorDim`] if `vector` has not [`Self::dim`] values, [`Error::Token`] for a token
    /// that the table lacks, and [`Error::SumNotFinite`] if the rows hold NaN or an infinity, or
    /// their sum exceeds float32. `vector` then holds any values.
    pub fn embed(
        &self,
        tokens: &[u32],
        scratch: &mut Scratch,
        vector: &mut [f32],
    ) -> Result<(), Error> {
        if vector.len() != self.dim() {
            return Err(Error::VectorDim {
                expected: self.dim(),
                found: vector.len(),
            });
        }
        let vocabulary = self.vocabulary();
        if let Some(index) = tokens
            .iter()
            .position(|&token| token as usize >= vocabulary)
        {
            return Err(Error::Token {
                index,
                token: tokens[index],
                vocabulary,
            });
        }
        let mut rest = &mut *vector;
        for part in self.graph.parts() {
            let (sums, behind) = rest.split_at_mut(part.dim());
            let table = pick(part, self.storage.bytes(), tokens, &mut scratch.picks);
            add_rows(self.level, part.element(), table, &scratch.picks, sums);
            if let Some(unit) = part.unit() {
                to_unit(self.level, sums, unit.least)?;
            }
            rest = behind;
        }
        match self.graph.unit() {
            Some(unit) => to_unit(self.level, vector, unit.least),
            None => check_finite(self.level, vector).map_err(|_| Error::SumNotFinite),
        }
    }
}

/// List the rows of a part: those of the tokens, then those of the pairs that have one. Returns the
/// table that they stand in.
fn pick<'a>(part: &'a Part, file: &'a [u8], tokens: &[u32], picks: &mut Vec<Pick>) -> &'a [u8] {
    let stride = part.dim() * part.element().size();
    let scale = part.scale(file);
    let weigh = |row: usize| Pick {
        start: row * stride,
        weight: scale.map_or(1.0, |scale| f32::from_le_bytes(scale[row])),
    };
    picks.clear();
    picks.extend(tokens.iter().map(|&token| weigh(token as usize)));
    if let Some(pairs) = part.pairs() {
        let keys = pairs.keys(file);
        for (&first, &second) in tokens.iter().zip(tokens.iter().skip(1)) {
            let bucket = pairs.hash.bucket(first, second);
            if u64::from_le_bytes(keys[bucket]) == pairs.hash.key(first, second) {
                picks.push(weigh(pairs.offset + bucket));
            }
        }
    }
    part.rows(file)
}
