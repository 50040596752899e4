//! Initialisers: their types and shapes, and where their values stand in the file.
//!
//! Not here: which of them a lookup needs (`recognise.rs`).
//!
//! Values are looked at only where a lookup needs them. Those that stand in the file as they are in
//! memory, little-endian, stay there; those of variable length, which ONNX has as a second form,
//! are decoded.

use std::ops::Range;

use super::message::{Name, Stop, each_field, set};
use super::wire::{Fields, Value, varint};
use crate::error::Error;

/// Most axes of a tensor that a lookup needs.
const MAX_AXES: usize = 4;

/// Types of elements that a lookup needs, by ONNX's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float32 = 1,
    Int8 = 3,
    Int64 = 7,
}

impl Element {
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Int8 => 1,
            Self::Int64 => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int8 => "int8",
            Self::Int64 => "int64",
        }
    }

    /// Number of the field for values that are not raw.
    const fn field(self) -> u64 {
        match self {
            Self::Float32 => 4,
            Self::Int8 => 5,
            Self::Int64 => 7,
        }
    }
}

/// The values of a tensor, little-endian and without gaps.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// They stand in the file.
    InFile(Range<usize>),
    /// They stood there in another form.
    Decoded(Box<[u8]>),
}

impl Data {
    /// The values, of the file that they were read from.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        match self {
            Self::InFile(range) => &file[range.clone()],
            Self::Decoded(bytes) => bytes,
        }
    }
}

/// An initialiser.
pub(super) struct Tensor<'a> {
    file: &'a [u8],
    message: Range<usize>,
    pub(super) name: Name<'a>,
    kind: u64,
    pub(super) dims: Vec<u64>,
    raw: Option<Range<usize>>,
    /// Number of the field that holds values in the other form.
    typed: Option<u64>,
    external: bool,
}

impl<'a> Tensor<'a> {
    /// Read a `TensorProto`, but not its values.
    pub(super) fn read(file: &'a [u8], message: Range<usize>) -> Result<Self, Stop> {
        let (mut name, mut kind, mut raw) = (None, None, None);
        let (mut dims, mut typed, mut external) = (Vec::new(), None, false);
        each_field(file, message.clone(), |number, value| {
            match (number, value) {
                (1, Value::Varint(size)) if dims.len() < MAX_AXES => dims.push(size),
                (1, Value::Bytes(packed)) => {
                    let mut rest = &file[packed];
                    while let Some((size, length)) = varint(rest) {
                        if dims.len() >= MAX_AXES {
                            return Err(Stop::NoLookup);
                        }
                        dims.push(size);
                        rest = &rest[length..];
                    }
                    if !rest.is_empty() {
                        return Err(Stop::NoLookup);
                    }
                }
                (2, Value::Varint(found)) => set(&mut kind, found)?,
                (8, Value::Bytes(range)) => set(&mut name, &file[range])?,
                (9, Value::Bytes(range)) => set(&mut raw, range)?,
                (4 | 5 | 7, _) if typed.is_none_or(|before| before == number) => {
                    typed = Some(number);
                }
                // Where the values stand in another file, and that they do.
                (13, Value::Bytes(_)) => external = true,
                (14, Value::Varint(location)) => external |= location != 0,
                // A description, and pairs of texts.
                (12 | 16, Value::Bytes(_)) => {}
                _ => return Err(Stop::NoLookup),
            }
            Ok(())
        })?;
        Ok(Self {
            file,
            message,
            name: name.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            dims,
            raw,
            typed,
            external,
        })
    }

    pub(super) fn is(&self, element: Element) -> bool {
        self.kind == element as u64
    }

    /// An error about this tensor.
    pub(super) fn refuse(&self, detail: String) -> Error {
        let name = String::from_utf8_lossy(self.name)
            .chars()
            .take(80)
            .collect();
        Error::Tensor { name, detail }
    }

    /// Number of values; an error where memory could not hold them.
    pub(super) fn count(&self) -> Result<usize, Error> {
        (self.dims.iter())
            .try_fold(1_usize, |count, &size| {
                count.checked_mul(usize::try_from(size).ok()?)
            })
            .filter(|count| count.checked_mul(size_of::<i64>()).is_some())
            .ok_or_else(|| self.refuse(format!("dimensions {:?} overflow", self.dims)))
    }

    /// The values. Their number is that of the dimensions, or they are refused.
    pub(super) fn data(&self, element: Element) -> Result<Data, Error> {
        let count = self.count()?;
        if self.external {
            return Err(self.refuse(
                "its values are in another file, which the sha256 of this one does not cover; \
                 save the model in one file"
                    .into(),
            ));
        }
        let expected = count * element.size();
        let has = |found: usize, unit| {
            self.refuse(format!(
                "has {found} {unit} where its dimensions {:?} of {} need {}; copy or export the \
                 embedder again",
                self.dims,
                element.name(),
                if unit == "bytes" { expected } else { count }
            ))
        };
        match (&self.raw, self.typed) {
            (Some(raw), None) if raw.len() == expected => Ok(Data::InFile(raw.clone())),
            (Some(raw), None) => Err(has(raw.len(), "bytes")),
            (None, Some(field)) if field == element.field() => match self.decoded(element, count) {
                Ok(found) if found.len() == expected => Ok(Data::Decoded(found.into())),
                Ok(found) => Err(has(found.len() / element.size(), "values")),
                Err(()) => Err(self.refuse("a value of it is damaged".into())),
            },
            (None, None) => Err(has(0, "bytes")),
            _ => Err(self.refuse(format!("expected its values once, as {}", element.name()))),
        }
    }

    /// Decode values that are not raw: one more at most than there should be.
    fn decoded(&self, element: Element, count: usize) -> Result<Vec<u8>, ()> {
        let limit = count * element.size();
        let mut found = Vec::new();
        let integer = |found: &mut Vec<u8>, value: u64| {
            match element {
                Element::Int64 => found.extend_from_slice(&value.to_le_bytes()),
                _ => found.push(
                    i8::try_from(value.cast_signed())
                        .map_err(drop)?
                        .cast_unsigned(),
                ),
            }
            Ok(())
        };
        for field in Fields::new(self.file, self.message.clone()) {
            let (number, value) = field.map_err(drop)?;
            if number != element.field() {
                continue;
            }
            match (element, value) {
                (Element::Float32, Value::Fixed32(value)) => found.extend_from_slice(&value),
                (Element::Float32, Value::Bytes(packed)) => {
                    found.extend_from_slice(&self.file[packed]);
                    if found.len() % element.size() != 0 {
                        return Err(());
                    }
                }
                (Element::Int8 | Element::Int64, Value::Varint(value)) => {
                    integer(&mut found, value)?;
                }
                (Element::Int8 | Element::Int64, Value::Bytes(packed)) => {
                    let mut rest = &self.file[packed];
                    while !rest.is_empty() && found.len() <= limit {
                        let (value, length) = varint(rest).ok_or(())?;
                        integer(&mut found, value)?;
                        rest = &rest[length..];
                    }
                }
                _ => return Err(()),
            }
            if found.len() > limit {
                break;
            }
        }
        Ok(found)
    }

    /// The only value, where the tensor has one that is an integer.
    pub(super) fn integer(&self) -> Result<Option<i64>, Error> {
        if !self.is(Element::Int64) || self.count()? != 1 {
            return Ok(None);
        }
        let data = self.data(Element::Int64)?;
        let bytes = data.bytes(self.file).first_chunk();
        Ok(bytes.map(|bytes| i64::from_le_bytes(*bytes)))
    }

    /// The only value, where the tensor has one that is a float32.
    pub(super) fn float(&self) -> Result<Option<f32>, Error> {
        if !self.is(Element::Float32) || self.count()? != 1 {
            return Ok(None);
        }
        let data = self.data(Element::Float32)?;
        let bytes = data.bytes(self.file).first_chunk();
        Ok(bytes.map(|bytes| f32::from_le_bytes(*bytes)))
    }
}
