//! Protocol buffers on the wire: the fields of a message, one after the other.
//!
//! Not here: what the fields of ONNX mean (`model.rs`).
//!
//! ONNX needs varints, four-byte values and lengths, all below. The crate `prost` with generated
//! messages in its place would copy every tensor into memory (24 MB of the bundled model, which is
//! mapped here), need `protoc` or 2,000 generated lines, and bring five crates.

use std::ops::Range;

/// The bytes are not those of a message: cut short, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged {
    /// Offset in the file at which reading stopped.
    pub(super) at: usize,
}

/// A field's value as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// An integer, a truth value, or an enumeration.
    Varint(u64),
    /// A float32, as four bytes.
    Fixed32([u8; 4]),
    /// A text, bytes, a message, or packed numbers: where they stand in the file.
    Bytes(Range<usize>),
    /// Eight bytes or a group, which no field that is read here has.
    Other,
}

/// The fields of the message that stands at a range of the file.
pub(super) struct Fields<'a> {
    file: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// `range` lies within the file.
    pub(super) fn new(file: &'a [u8], range: Range<usize>) -> Self {
        Self {
            file,
            at: range.start,
            end: range.end.min(file.len()),
        }
    }

    fn damaged<T>(&self) -> Result<T, Damaged> {
        Err(Damaged { at: self.at })
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>, Damaged> {
        let start = self.at;
        let left = self.end.saturating_sub(start);
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                self.at = start + length;
                Ok(start..self.at)
            }
            _ => self.damaged(),
        }
    }

    fn varint(&mut self) -> Result<u64, Damaged> {
        let rest = self.file.get(self.at..self.end).unwrap_or_default();
        match varint(rest) {
            Some((value, length)) => {
                self.at += length;
                Ok(value)
            }
            None => self.damaged(),
        }
    }

    fn field(&mut self) -> Result<(u64, Value), Damaged> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            // The fields of a group follow, and then its end, which is passed in the same way.
            3 | 4 => Value::Other,
            5 => {
                let range = self.take(4)?;
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&self.file[range]);
                Value::Fixed32(bytes)
            }
            _ => return self.damaged(),
        };
        match tag >> 3 {
            0 => self.damaged(),
            number => Ok((number, value)),
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<(u64, Value), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.end).then(|| {
            let field = self.field();
            if field.is_err() {
                self.end = self.at; // nothing can be read behind damage
            }
            field
        })
    }
}

/// Read a varint at the start of `bytes`: its value and its length. `None` if it does not end
/// within ten bytes and 64 bits.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        // Of the tenth byte only the last bit fits.
        if at == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Vec<Result<(u64, Value), Damaged>> {
        Fields::new(bytes, 0..bytes.len()).collect()
    }

    #[test]
    fn fields_of_each_kind_are_read() {
        let bytes = b"\x08\x96\x01\x12\x02ab\x1d\0\0\x80\x3f\x21abcdefgh";
        let expected = [
            Ok((1, Value::Varint(150))),
            Ok((2, Value::Bytes(5..7))),
            Ok((3, Value::Fixed32([0, 0, 0x80, 0x3f]))),
            Ok((4, Value::Other)),
        ];
        assert_eq!(fields(bytes), expected);
    }

    #[test]
    fn damage_is_found_where_it_is_and_ends_the_reading() {
        for (bytes, at) in [
            (&b"\x08\x96"[..], 1), // a varint without an end
            (b"\x12\x03ab", 2),    // longer than the message
            (b"\x1d\0\0\x80", 1),  // three bytes of four
            (b"\x21abcdefg", 1),   // seven of eight
            (b"\x0e\x00", 1),      // a kind that is not defined
            (b"\x02\x00", 2),      // the number 0
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), // 2^64 - 1 bytes
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 1), // 65 bits
        ] {
            let found = fields(bytes);
            assert_eq!(found, [Err(Damaged { at })], "{bytes:?}");
        }
    }

    #[test]
    fn varints_of_all_lengths_are_read() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let (mut rest, mut bytes) = (value, Vec::new());
                while rest >= 0x80 {
                    bytes.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
                assert_eq!(varint(&bytes), Some((value, bytes.len())));
                assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
            }
        }
    }
}
