//! Checks 1 to 10 of `FORMAT.md`: header, section table, and each section's place and length.
//!
//! Not here: the values inside a section (`check.rs`).

use std::ops::Range;

use super::layout::{
    ENTRY_LEN, FLAG_REQUIRED, HEAD_CRC_AT, HEADER_LEN, MAGIC, MAJOR, MAX_SECTIONS, align, all_zero,
    head_checksum, u16_at, u32_at, u64_at,
};
use super::tag::{Tag, is_known};
use crate::error::Error;

/// An entry of the section table whose offset and length have been checked.
pub(super) struct Section {
    pub(super) tag: Tag,
    pub(super) required: bool,
    pub(super) range: Range<usize>,
    pub(super) checksum: u32,
}

/// Run checks 1 to 3, and return the length that the header states.
///
/// `bytes` may be the beginning of a file: check 4, the length, is left to the caller.
pub(crate) fn stated_length(bytes: &[u8]) -> Result<u64, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if start != &MAGIC[..start.len()] {
        return Err(Error::NotAnArtifact {
            found: start.to_vec(),
        });
    }
    if bytes.len() < HEADER_LEN {
        return Err(Error::Truncated {
            expected: HEADER_LEN as u64,
            found: bytes.len() as u64,
        });
    }
    let major = u16_at(bytes, 8);
    if major != MAJOR {
        return Err(Error::MajorVersion {
            found: major,
            supported: MAJOR,
        });
    }
    Ok(u64_at(bytes, 16))
}

/// Run checks 1 to 7, of the header, and return the number of sections.
pub(super) fn check_header(bytes: &[u8]) -> Result<u32, Error> {
    let expected = stated_length(bytes)?;
    let found = bytes.len() as u64;
    if found < expected {
        return Err(Error::Truncated { expected, found });
    }
    if found > expected {
        return Err(Error::FileLength { expected, found });
    }
    let sections = u32_at(bytes, 12);
    let table_end = HEADER_LEN + sections.min(MAX_SECTIONS) as usize * ENTRY_LEN;
    if sections == 0 || sections > MAX_SECTIONS || table_end > bytes.len() {
        return Err(Error::SectionCount { found: sections });
    }
    let stated = u32_at(bytes, HEAD_CRC_AT);
    let computed = head_checksum(bytes, &bytes[HEADER_LEN..table_end]);
    if stated != computed {
        return Err(Error::HeadChecksum { stated, computed });
    }
    let (clusters, dim, models) = (u32_at(bytes, 24), u32_at(bytes, 28), u32_at(bytes, 32));
    if clusters == 0 || dim == 0 || models == 0 {
        return Err(Error::Dimensions {
            clusters,
            dim,
            models,
        });
    }
    all_zero(bytes, 36, HEAD_CRC_AT).map_err(|at| Error::Reserved { offset: at as u64 })?;
    Ok(sections)
}

/// Run check 8, of the section table: every byte of the file is covered exactly once.
pub(super) fn read_table(bytes: &[u8], count: u32) -> Result<Vec<Section>, Error> {
    let file = bytes.len() as u64;
    let mut sections: Vec<Section> = Vec::with_capacity(count as usize);
    let mut end = HEADER_LEN + count as usize * ENTRY_LEN;
    for index in 0..count {
        let at = HEADER_LEN + index as usize * ENTRY_LEN;
        let name = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if !name.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::SectionTag { index, found: name });
        }
        let tag = Tag(name);
        if sections.iter().any(|s| s.tag == tag) {
            return Err(Error::DuplicateSection { tag });
        }
        let flags = u32_at(bytes, at + 4);
        if flags & !FLAG_REQUIRED != 0 {
            return Err(Error::Reserved {
                offset: at as u64 + 4,
            });
        }
        all_zero(bytes, at + 28, at + 32).map_err(|at| Error::Reserved { offset: at as u64 })?;
        let (offset, length) = (u64_at(bytes, at + 8), u64_at(bytes, at + 16));
        // Cannot fail: `end` is at most the length of a slice.
        let expected = align(end).unwrap_or(usize::MAX) as u64;
        if offset != expected {
            return Err(Error::SectionOffset {
                tag,
                expected,
                found: offset,
            });
        }
        let section_end = offset.checked_add(length).filter(|&e| e <= file);
        let Some(section_end) = section_end else {
            return Err(Error::SectionEnd {
                tag,
                offset,
                length,
                file,
            });
        };
        // Both fit a usize: they are at most the length of a slice.
        let range = offset as usize..section_end as usize;
        all_zero(bytes, end, range.start).map_err(|at| Error::Padding { offset: at as u64 })?;
        end = range.end;
        sections.push(Section {
            tag,
            required: flags & FLAG_REQUIRED != 0,
            range,
            checksum: u32_at(bytes, at + 24),
        });
    }
    if end as u64 != file {
        return Err(Error::FileLength {
            expected: end as u64,
            found: file,
        });
    }
    Ok(sections)
}

/// Run check 9: the checksum of every section matches, and every required section is known.
pub(super) fn check_sections(bytes: &[u8], sections: &[Section]) -> Result<(), Error> {
    for section in sections {
        let computed = crc32fast::hash(&bytes[section.range.clone()]);
        if computed != section.checksum {
            return Err(Error::SectionChecksum {
                tag: section.tag,
                stated: section.checksum,
                computed,
            });
        }
        if section.required && !is_known(section.tag) {
            return Err(Error::UnknownSection { tag: section.tag });
        }
    }
    Ok(())
}

/// Run check 10 for a required section of `factors[0] * factors[1]` values of `size` bytes.
pub(super) fn section_of_length(
    sections: &[Section],
    tag: Tag,
    factors: [usize; 2],
    size: usize,
) -> Result<Range<usize>, Error> {
    let section = required_section(sections, tag)?;
    of_length(section, factors, size)
}

fn of_length(section: &Section, factors: [usize; 2], size: usize) -> Result<Range<usize>, Error> {
    let expected = factors[0]
        .checked_mul(factors[1])
        .and_then(|n| n.checked_mul(size));
    if expected != Some(section.range.len()) {
        return Err(Error::SectionLength {
            tag: section.tag,
            expected: expected.map_or_else(
                || format!("{} x {} x {size}", factors[0], factors[1]),
                |n| n.to_string(),
            ),
            found: section.range.len() as u64,
        });
    }
    Ok(section.range.clone())
}

pub(super) fn required_section(sections: &[Section], tag: Tag) -> Result<&Section, Error> {
    sections
        .iter()
        .find(|s| s.tag == tag && s.required)
        .ok_or(Error::MissingSection { tag })
}

/// Run check 10 for a section that a file may lack, and that is required where it stands.
pub(super) fn optional_section(
    sections: &[Section],
    tag: Tag,
    factors: [usize; 2],
    size: usize,
) -> Result<Option<Range<usize>>, Error> {
    if !stands(sections, tag) {
        return Ok(None);
    }
    section_of_length(sections, tag, factors, size).map(Some)
}

/// Whether a section stands in the file, whatever its required bit is.
pub(super) fn stands(sections: &[Section], tag: Tag) -> bool {
    sections.iter().any(|s| s.tag == tag)
}

/// Return a section that others make necessary; its required bit may be either.
pub(super) fn needed_section(sections: &[Section], tag: Tag) -> Result<&Section, Error> {
    let section = sections.iter().find(|s| s.tag == tag);
    section.ok_or(Error::MissingSection { tag })
}

/// Run check 10 for a section as in [`needed_section`].
pub(super) fn needed_of_length(
    sections: &[Section],
    tag: Tag,
    factors: [usize; 2],
    size: usize,
) -> Result<Range<usize>, Error> {
    of_length(needed_section(sections, tag)?, factors, size)
}
