//! The byte layout that reader and writer share: constants, alignment and little-endian fields.
//!
//! Not here: the checks of the reader (`head.rs`, `check.rs`).

/// The first bytes of every artifact. As in PNG, they contain each kind of line end, so that a
/// transfer that converts line ends is noticed.
pub const MAGIC: [u8; 8] = *b"\x89HNV\r\n\x1a\n";
/// The major version that this crate reads and writes.
pub const MAJOR: u16 = 1;
/// The highest minor version that this crate writes: that of files with a margin.
pub const MINOR: u16 = 3;

pub(crate) const HEADER_LEN: usize = 64;
pub(super) const ENTRY_LEN: usize = 32;
pub(super) const MAX_SECTIONS: u32 = 64;
pub(super) const FLAG_REQUIRED: u32 = 1;
/// Offset of the head checksum in the header, in bytes.
pub(super) const HEAD_CRC_AT: usize = 60;
const ALIGN: usize = 64;

/// Round `x` up to a multiple of 64; `None` on overflow.
pub(super) fn align(x: usize) -> Option<usize> {
    x.checked_next_multiple_of(ALIGN)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | (u64::from(u32_at(bytes, at + 4)) << 32)
}

pub(super) fn f64_at(bytes: &[u8], at: usize) -> f64 {
    f64::from_bits(u64_at(bytes, at))
}

/// Compute the checksum of header and section table.
pub(super) fn head_checksum(header: &[u8], table: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..HEAD_CRC_AT]);
    hasher.update(table);
    hasher.finalize()
}

pub(super) fn all_zero(bytes: &[u8], from: usize, to: usize) -> Result<(), usize> {
    match bytes[from..to].iter().position(|&b| b != 0) {
        Some(at) => Err(from + at),
        None => Ok(()),
    }
}
