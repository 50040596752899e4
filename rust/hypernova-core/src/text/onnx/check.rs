//! Check the tables and numbers of a graph that has the structure of a lookup.
//!
//! Not here: the structure (`recognise.rs`).

use super::lookup::{LookupGraph, PairHash, Pairs, Part, RowElement, Unit};
use super::model::{Argument, Dimension};
use super::tensor::{Data, Element, Tensor};
use crate::error::Error;

/// The numbers of vocabularies are those of `u32`.
const MAX_VOCABULARY: usize = u32::MAX as usize;

/// Constants of `(first * primes[0] + second * primes[1]) % buckets`.
pub(super) struct FoundBucket<'m, 'a> {
    pub(super) primes: [&'m Tensor<'a>; 2],
    pub(super) buckets: &'m Tensor<'a>,
}

/// Tensors that make the rows of pairs.
pub(super) struct FoundPairs<'m, 'a> {
    pub(super) bucket: FoundBucket<'m, 'a>,
    pub(super) keys: &'m Tensor<'a>,
    /// Of the first token in the key of a pair.
    pub(super) multiplier: &'m Tensor<'a>,
    pub(super) offset: &'m Tensor<'a>,
}

/// Tensors of one part.
pub(super) struct FoundPart<'m, 'a> {
    pub(super) rows: &'m Tensor<'a>,
    pub(super) element: RowElement,
    pub(super) scale: Option<&'m Tensor<'a>>,
    pub(super) pairs: Option<FoundPairs<'m, 'a>>,
    pub(super) unit: Option<Unit>,
}

/// A graph with the structure of a lookup.
pub(super) struct Found<'m, 'a> {
    pub(super) parts: Vec<FoundPart<'m, 'a>>,
    pub(super) unit: Option<Unit>,
    pub(super) output: &'m Argument<'a>,
    /// The first constant of the structure that cannot be read.
    pub(super) unreadable: Option<Error>,
}

impl Found<'_, '_> {
    /// Check the tables and numbers of a lookup.
    pub(super) fn check(self, file: &[u8]) -> Result<LookupGraph, Error> {
        if let Some(error) = self.unreadable {
            return Err(error);
        }
        let mut vocabulary = MAX_VOCABULARY;
        for part in &self.parts {
            vocabulary = vocabulary.min(part.tokens()?);
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            parts.push(part.check(file)?);
        }
        let dim = (parts.iter()).try_fold(0_usize, |sum, part| sum.checked_add(part.dim));
        let dim = dim.filter(|&dim| match self.output.shape[1] {
            Dimension::Fixed(stated) => stated == dim as u64,
            Dimension::Named(_) => true,
        });
        Ok(LookupGraph {
            dim: dim.ok_or_else(|| Error::Tensor {
                name: String::from_utf8_lossy(self.output.name).into(),
                detail: "its dimensions are not those of the parts together; export the embedder \
                         again"
                    .into(),
            })?,
            parts,
            unit: self.unit,
            vocabulary,
        })
    }
}

impl<'m, 'a> FoundPart<'m, 'a> {
    /// The tensors that have a value for each row or bucket.
    pub(super) fn tables(&self) -> impl Iterator<Item = &'m Tensor<'a>> + use<'m, 'a> {
        let keys = self.pairs.as_ref().map(|pairs| pairs.keys);
        [Some(self.rows), self.scale, keys].into_iter().flatten()
    }

    /// Number of rows, and of values in each.
    fn shape(&self) -> Result<(usize, usize), Error> {
        self.rows.count()?;
        match *self.rows.dims {
            // Their product is a size in memory, and so is each if neither is 0.
            [rows, dim] if rows > 0 && dim > 0 => Ok((rows as usize, dim as usize)),
            _ => Err(self
                .rows
                .refuse("expected at least one row and column".into())),
        }
    }

    /// Number of rows that are those of tokens.
    fn tokens(&self) -> Result<usize, Error> {
        let (rows, _) = self.shape()?;
        let Some(pairs) = &self.pairs else {
            return Ok(rows);
        };
        let offset = whole(pairs.offset)?;
        if offset == 0 || offset >= rows as u64 {
            return Err(pairs.offset.refuse(format!(
                "is {offset}; expected a row among the {rows} of the table, behind those of tokens"
            )));
        }
        Ok(offset as usize)
    }

    fn check(&self, file: &[u8]) -> Result<Part, Error> {
        let (count, dim) = self.shape()?;
        let rows = self.rows.data(match self.element {
            RowElement::Int8 => Element::Int8,
            RowElement::Float32 => Element::Float32,
        })?;
        let scale = (self.scale)
            .map(|scale| check_scale(file, scale, count))
            .transpose()?;
        let pairs = (self.pairs.as_ref())
            .map(|pairs| pairs.check(file, count))
            .transpose()?;
        Ok(Part {
            rows,
            element: self.element,
            dim,
            scale,
            pairs,
            unit: self.unit,
        })
    }
}

/// Check that there is a finite scale for each row.
fn check_scale(file: &[u8], scale: &Tensor<'_>, rows: usize) -> Result<Data, Error> {
    if scale.count()? != rows {
        let detail = format!(
            "has {} scales; expected one for each of {rows} rows",
            scale.dims[0]
        );
        return Err(scale.refuse(detail));
    }
    let data = scale.data(Element::Float32)?;
    let (values, _) = data.bytes(file).as_chunks();
    let mut values = values.iter().map(|&bytes| f32::from_le_bytes(bytes));
    if let Some(at) = values.position(|value| !value.is_finite()) {
        return Err(scale.refuse(format!(
            "value {at} is not finite; export the embedder again"
        )));
    }
    Ok(data)
}

impl FoundPairs<'_, '_> {
    fn check(&self, file: &[u8], rows: usize) -> Result<Pairs, Error> {
        let offset = whole(self.offset)?;
        let buckets = whole(self.bucket.buckets)?;
        let count = self.keys.count()?;
        if buckets == 0 || buckets > count as u64 {
            return Err(self.bucket.buckets.refuse(format!(
                "is {buckets}; expected at least 1 and at most the number of keys, {count}"
            )));
        }
        if offset
            .checked_add(buckets)
            .is_none_or(|end| end > rows as u64)
        {
            return Err(self.offset.refuse(format!(
                "is {offset}: with {buckets} buckets behind it, rows beyond the {rows} of the \
                 table would be read"
            )));
        }
        let last = offset.saturating_sub(1); // tokens have the rows before those of pairs
        let largest = |x: u64, y: u64| {
            let sum = last.checked_mul(x)?.checked_add(last.checked_mul(y)?)?;
            i64::try_from(sum).ok()
        };
        let too_large = |tensor: &Tensor<'_>, value: u64| {
            tensor.refuse(format!(
                "is {value}: with tokens up to {last} the products exceed 64 bits"
            ))
        };
        let primes = [whole(self.bucket.primes[0])?, whole(self.bucket.primes[1])?];
        if largest(primes[0], primes[1]).is_none() {
            let at = usize::from(primes[1] > primes[0]);
            return Err(too_large(self.bucket.primes[at], primes[at]));
        }
        let multiplier = whole(self.multiplier)?;
        let Some(last_key) = largest(multiplier, 1) else {
            return Err(too_large(self.multiplier, multiplier));
        };
        let keys = self.keys.data(Element::Int64)?;
        let (values, _) = keys.bytes(file).as_chunks();
        let values = values.iter().map(|&bytes| i64::from_le_bytes(bytes));
        if let Some((at, value)) =
            (values.enumerate()).find(|(_, key)| !(-1..=last_key).contains(key))
        {
            return Err(self.keys.refuse(format!(
                "value {at} is {value}; expected -1, or a pair of tokens, at most {last_key}"
            )));
        }
        Ok(Pairs {
            keys,
            hash: PairHash {
                primes,
                buckets,
                multiplier,
            },
            offset: offset as usize,
        })
    }
}

/// A constant that is 0 or more.
fn whole(tensor: &Tensor<'_>) -> Result<u64, Error> {
    let found = tensor.integer()?.unwrap_or(-1);
    u64::try_from(found).map_err(|_| tensor.refuse(format!("is {found}; expected 0 or more")))
}
