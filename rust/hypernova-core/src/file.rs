//! The file of an artifact: read into memory, mapped, or written. Also the file of a lookup table.
//!
//! Not here: the meaning of its bytes ([`crate::format`]).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::format::{self, HEADER_LEN};

/// Bytes per read: the buffer was zeroed just before and is still in the cache.
const PIECE: usize = 1 << 20;

/// Whether an artifact's file is mapped or read into memory.
///
/// A copy in memory cannot be truncated or changed by others. A mapping is shared by all
/// processes that open the file and takes no memory of their own, but the file must not be
/// written in place: see [`crate::Artifact::map`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mmap {
    /// Read a file of at most [`Mmap::AUTO_LIMIT`] bytes, and map a larger one.
    ///
    /// On Windows every file is read: it does not replace a file that somebody has mapped.
    #[default]
    Auto,
    /// Map the file.
    Always,
    /// Read the file into memory.
    Never,
}

impl Mmap {
    /// Size of the largest file that [`Mmap::Auto`] reads into memory, in bytes: 4 MiB, which
    /// take about a millisecond to copy. Without bound on Windows.
    pub const AUTO_LIMIT: u64 = if cfg!(windows) { 1 << 62 } else { 4 << 20 };
}

/// A cache line of bytes, so that a vector of them is aligned to 64.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; LINE]);

const LINE: usize = 64;

#[expect(unsafe_code, reason = "plain bytes with an alignment")]
// SAFETY: a line of zero bytes is a valid line.
unsafe impl bytemuck::Zeroable for CacheLine {}

#[expect(unsafe_code, reason = "plain bytes with an alignment")]
// SAFETY: a line is 64 bytes without padding, and every byte may have any value.
unsafe impl bytemuck::Pod for CacheLine {}

/// The bytes of an artifact. They start at a multiple of 64, and so do the sections: f32 and f64
/// arrays are aligned, and no load of a kernel crosses a cache line.
pub(crate) struct Storage(Kind);

enum Kind {
    Mapped(memmap2::Mmap),
    /// Length in bytes, and the lines that contain them.
    Owned(usize, Vec<CacheLine>),
}

impl Storage {
    /// Copy `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut lines = vec![CacheLine([0; LINE]); bytes.len().div_ceil(LINE)];
        as_bytes_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        Self(Kind::Owned(bytes.len(), lines))
    }

    /// Read the file at `path` into memory.
    ///
    /// Another process may truncate or write the file meanwhile; [`format::parse`] validates
    /// the bytes that were read.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let (file, len) = open(path)?;
        read_from(file, len)
    }

    /// Map the file at `path`, or read it if it has at most `limit` bytes.
    ///
    /// # Safety
    ///
    /// As [`crate::Artifact::map`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub(crate) unsafe fn map_larger_than(path: &Path, limit: Option<u64>) -> Result<Self, Error> {
        let (file, len) = open(path)?;
        if limit.is_some_and(|limit| len <= limit) {
            return read_from(file, len);
        }
        if len == 0 {
            return Err(Error::Empty); // an empty file cannot be mapped
        }
        // SAFETY: the mapping is read-only, and the caller vouches that no process writes or
        // truncates the file while the mapping lives.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(refused("map it"))?;
        Ok(Self(Kind::Mapped(map)))
    }

    /// Read or map a file of any kind, whose SHA-256 is `expected`, as hex digits, if one is given.
    ///
    /// A file that is mapped is hashed through the same handle, in pieces: the pages of the mapping
    /// are not touched, so that the process holds those alone that it uses.
    ///
    /// # Safety
    ///
    /// As [`crate::Artifact::open_with`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub(crate) unsafe fn any(
        path: &Path,
        mmap: Mmap,
        expected: Option<&str>,
    ) -> Result<Self, Error> {
        let (mut file, len) = open(path)?;
        let is_mapped = match mmap {
            Mmap::Auto => len > Mmap::AUTO_LIMIT,
            Mmap::Always => len > 0, // an empty file cannot be mapped
            Mmap::Never => false,
        };
        let mut hash = expected.map(|_| Sha256::new());
        let storage = if is_mapped {
            if let Some(hash) = &mut hash {
                let mut piece = vec![0; PIECE];
                loop {
                    let read = read_full(&mut file, &mut piece)?;
                    hash.update(&piece[..read]);
                    if read < PIECE {
                        break;
                    }
                }
            }
            // SAFETY: the mapping is read-only, and the caller vouches that no process writes or
            // truncates the file while the mapping lives.
            let map = unsafe { memmap2::Mmap::map(&file) }.map_err(refused("map it"))?;
            Self(Kind::Mapped(map))
        } else {
            let (filled, lines) = read_all(&mut file, len)?;
            let storage = Self(Kind::Owned(filled, lines));
            if let Some(hash) = &mut hash {
                hash.update(storage.bytes());
            }
            storage
        };
        if let (Some(hash), Some(expected)) = (hash, expected) {
            let found = hex(&hash.finalize());
            if found != expected.to_ascii_lowercase() {
                return Err(Error::Sha256 {
                    expected: expected.to_owned(),
                    found,
                });
            }
        }
        Ok(storage)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Kind::Mapped(map) => map,
            Kind::Owned(len, lines) => &bytemuck::must_cast_slice::<CacheLine, u8>(lines)[..*len],
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.0, Kind::Mapped(_))
    }
}

fn as_bytes_mut(lines: &mut [CacheLine]) -> &mut [u8] {
    bytemuck::must_cast_slice_mut(lines)
}

fn refused(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound,
        _ => Error::Read { action, source },
    }
}

/// Open a file, and return it with its current length.
fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(refused("open it"))?;
    let meta = file.metadata().map_err(refused("read its length"))?;
    if meta.is_dir() {
        return Err(Error::Folder);
    }
    Ok((file, meta.len()))
}

/// Read a file up to the length that its header states.
///
/// `len` is only the first guess for the buffer: the file may have another length by now, and a
/// pipe has none.
fn read_from(mut file: File, len: u64) -> Result<Storage, Error> {
    let mut head = [0; HEADER_LEN];
    let mut filled = read_full(&mut file, &mut head)?;
    let stated = format::stated_length(&head[..filled])?;
    let mut lines = Vec::new();
    reserve(&mut lines, len.min(stated))?;
    lines.resize(HEADER_LEN / LINE, CacheLine([0; LINE]));
    as_bytes_mut(&mut lines).copy_from_slice(&head);
    // One byte beyond the stated length proves that the file is longer.
    let limit = usize::try_from(stated).map_or(usize::MAX, |stated| stated.saturating_add(1));
    while filled < limit {
        let end = limit.min(filled.saturating_add(PIECE));
        reserve(&mut lines, end as u64)?;
        lines.resize(end.div_ceil(LINE), CacheLine([0; LINE]));
        let read = read_full(&mut file, &mut as_bytes_mut(&mut lines)[filled..end])?;
        filled += read;
        if filled < end {
            break;
        }
    }
    if filled as u64 > stated {
        let now = file.metadata().map_or(0, |meta| meta.len());
        return Err(Error::FileLength {
            expected: stated,
            found: now.max(filled as u64),
        });
    }
    Ok(Storage(Kind::Owned(filled, lines)))
}

/// Read a file to its end; `len` is a guess for the buffer. Returns the length, and the lines that
/// contain it.
fn read_all(file: &mut File, len: u64) -> Result<(usize, Vec<CacheLine>), Error> {
    let mut lines = Vec::new();
    reserve(&mut lines, len)?;
    let mut filled: usize = 0;
    loop {
        let end = filled.saturating_add(PIECE);
        reserve(&mut lines, end as u64)?;
        lines.resize(end.div_ceil(LINE), CacheLine([0; LINE]));
        let read = read_full(file, &mut as_bytes_mut(&mut lines)[filled..end])?;
        filled += read;
        if filled < end {
            lines.truncate(filled.div_ceil(LINE));
            return Ok((filled, lines));
        }
    }
}

/// SHA-256 of some bytes in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Write a digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(2 * digest.len());
    for byte in digest {
        write!(digits, "{byte:02x}").expect("writing to a string never fails");
    }
    digits
}

/// Reserve memory for `bytes` in total, or fail: a damaged header may state any length.
fn reserve(lines: &mut Vec<CacheLine>, bytes: u64) -> Result<(), Error> {
    let to = usize::try_from(bytes.div_ceil(LINE as u64)).unwrap_or(usize::MAX);
    let more = to.saturating_sub(lines.len());
    lines.try_reserve(more).map_err(|_| Error::Read {
        action: "read it into memory",
        source: io::ErrorKind::OutOfMemory.into(),
    })
}

/// Read until `into` is full or the file ends, and return the number of bytes.
fn read_full(file: &mut File, into: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(refused("read it")(e)),
        }
    }
    Ok(filled)
}

/// The last step of [`save`], as its error names it.
const RENAME: &str = if cfg!(windows) {
    "rename the temporary file to it, which fails while a process has it mapped"
} else {
    "rename the temporary file to it"
};

/// Write `bytes` to `path` atomically: at every moment the path names the old file or the whole
/// new one.
///
/// A reader may have mapped the old file, so it is never written in place: a temporary file in
/// the same folder is written, synced, and renamed over it.
///
/// # Errors
///
/// [`Error::Write`] in [`Error::InFile`], such as for a device or a full disk; the temporary file
/// is removed, and the file at `path` is unchanged.
pub(crate) fn save(bytes: &[u8], path: &Path) -> Result<(), Error> {
    let fail = |action| move |source: io::Error| Error::Write { action, source }.in_file(path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A rename would replace a device or a pipe, such as /dev/null, or the link /dev/stdout, by a
    // file.
    if let Ok(there) = fs::metadata(path) {
        let open_already = ["/dev", "/dev/fd"].contains(&folder.to_str().unwrap_or_default())
            || folder.starts_with("/proc");
        if open_already || !(there.is_file() || there.is_dir()) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(fail("replace")(source));
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hypernova-").suffix(".tmp");
    // A temporary file is private by default; an artifact gets the mode of any new file of the
    // process.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder
        .tempfile_in(folder)
        .map_err(fail("create a temporary file beside it"))?;
    file.write_all(bytes).map_err(fail("write"))?;
    file.as_file().sync_all().map_err(fail("sync"))?;
    file.persist(path).map_err(|e| fail(RENAME)(e.error))?;
    // The rename is durable once the folder is synced; where folders cannot be opened (Windows),
    // the system does this.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}
