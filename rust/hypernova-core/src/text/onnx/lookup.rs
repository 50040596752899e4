//! A lookup graph: where its tables stand in the file, and what is done with them.
//!
//! Not here: finding it in a model (`recognise.rs`), and the sums ([`crate::text::table`]).

use super::tensor::Data;

/// A graph that looks rows up and adds them, in one part or several side by side.
///
/// It holds the places of the tables in the file that it was recognised in, and no copy of them.
/// All places lie within that file, and all indices that tokens below [`Self::vocabulary`] lead to
/// within the tables.
#[derive(Debug)]
pub struct LookupGraph {
    pub(super) parts: Vec<Part>,
    /// Bring the whole vector to length 1.
    pub(super) unit: Option<Unit>,
    pub(super) dim: usize,
    pub(super) vocabulary: usize,
}

/// One table, and how its rows are added.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) rows: Data,
    pub(super) element: RowElement,
    pub(super) dim: usize,
    /// A float32 for each row.
    pub(super) scale: Option<Data>,
    pub(super) pairs: Option<Pairs>,
    pub(super) unit: Option<Unit>,
}

/// Type of the values of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowElement {
    Int8,
    Float32,
}

impl RowElement {
    /// Size in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Float32 => 4,
        }
    }
}

/// Division by the length, or by `least` where the length is smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit {
    pub(crate) least: f32,
}

/// Rows of pairs of neighbouring tokens, found by a hash of the pair.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// An int64 for each bucket: the pair that has the bucket's row.
    pub(super) keys: Data,
    pub(crate) hash: PairHash,
    /// Row of bucket 0.
    pub(crate) offset: usize,
}

/// Numbers that turn a pair of tokens into its bucket and its key. No sum or product of them with
/// tokens of the vocabulary exceeds 64 bits with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairHash {
    pub(crate) primes: [u64; 2],
    pub(crate) buckets: u64,
    pub(crate) multiplier: u64,
}

impl PairHash {
    #[inline]
    pub(crate) fn bucket(&self, first: u32, second: u32) -> usize {
        let mixed = u64::from(first) * self.primes[0] + u64::from(second) * self.primes[1];
        // Below the number of keys, which is a size in memory.
        (mixed % self.buckets) as usize
    }

    #[inline]
    pub(crate) fn key(&self, first: u32, second: u32) -> u64 {
        u64::from(first) * self.multiplier + u64::from(second)
    }
}

impl LookupGraph {
    /// Dimension of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of tokens: a token is below it.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn unit(&self) -> Option<Unit> {
        self.unit
    }
}

impl Part {
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn element(&self) -> RowElement {
        self.element
    }

    pub(crate) fn unit(&self) -> Option<Unit> {
        self.unit
    }

    pub(crate) fn pairs(&self) -> Option<&Pairs> {
        self.pairs.as_ref()
    }

    /// The table: rows one after the other, aligned to a byte.
    pub(crate) fn rows<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        self.rows.bytes(file)
    }

    /// The scales of the rows, aligned to a byte.
    pub(crate) fn scale<'a>(&'a self, file: &'a [u8]) -> Option<&'a [[u8; 4]]> {
        let scale = self.scale.as_ref()?;
        Some(scale.bytes(file).as_chunks().0)
    }
}

impl Pairs {
    /// The keys of the buckets, aligned to a byte.
    pub(crate) fn keys<'a>(&'a self, file: &'a [u8]) -> &'a [[u8; 8]] {
        self.keys.bytes(file).as_chunks().0
    }
}
