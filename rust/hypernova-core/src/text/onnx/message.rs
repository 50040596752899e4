//! Messages, read field by field until one does not belong to a lookup.
//!
//! Not here: the bytes of a field (`wire.rs`), and which fields a message has (`model.rs`).

use std::ops::Range;

use super::wire::{Damaged, Fields, Value};

/// Why a message was not read to its end.
pub(super) enum Stop {
    /// It may be a model, but it is no lookup.
    NoLookup,
    /// It is no message.
    Damaged(Damaged),
}

impl From<Damaged> for Stop {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

/// Names are compared as bytes.
pub(super) type Name<'a> = &'a [u8];

/// Read the fields of a message by a function for each.
pub(super) fn each_field(
    file: &[u8],
    range: Range<usize>,
    mut read: impl FnMut(u64, Value) -> Result<(), Stop>,
) -> Result<(), Stop> {
    Fields::new(file, range).try_for_each(|field| {
        let (number, value) = field?;
        read(number, value)
    })
}

/// Set what may stand once. Twice is legal for some fields, with rules that no writer needs.
pub(super) fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Stop> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Stop::NoLookup),
    }
}
