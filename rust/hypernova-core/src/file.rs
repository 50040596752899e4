//! Where the bytes of an artifact are: in memory of the process, or in a mapped file.
//!
//! Not here: what they mean (see [`crate::format`]).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::error::Error;
use crate::format::{self, HEADER_LEN};

/// Bytes that are read at a time: zeroed just before, they are still in the cache.
const PIECE: usize = 1 << 20;

/// Whether an artifact's file is mapped or read into memory.
///
/// What is read into memory, nobody can cut short or change. A mapping is shared by all
/// processes that open the file, and takes no memory of their own; but the file must then
/// not be written in place: see [`crate::Artifact::map`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mmap {
    /// Read a file of at most [`Mmap::AUTO_LIMIT`] bytes, and map a larger one.
    #[default]
    Auto,
    /// Map it.
    Always,
    /// Read it.
    Never,
}

impl Mmap {
    /// The largest file that [`Mmap::Auto`] reads into memory: 4 MiB. A copy of that size is
    /// made in about a millisecond.
    pub const AUTO_LIMIT: u64 = 4 << 20;
}

/// A line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

const LINE: usize = 64;

#[expect(unsafe_code, reason = "bytes, whatever they are aligned to")]
// SAFETY: all bytes zero are a line.
unsafe impl bytemuck::Zeroable for Line {}

#[expect(unsafe_code, reason = "bytes, whatever they are aligned to")]
// SAFETY: a line is 64 bytes, each of any value, of its own and without padding.
unsafe impl bytemuck::Pod for Line {}

/// The bytes. Both kinds start at a multiple of 64, and sections at a multiple of 64 from
/// there: f32 and f64 arrays are aligned, and no load of a kernel crosses a line of the cache.
pub(crate) struct Backing(Kind);

enum Kind {
    Mapped(memmap2::Mmap),
    /// Length in bytes, and lines that hold them.
    Owned(usize, Vec<Line>),
}

impl Backing {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut lines = vec![Line([0; LINE]); bytes.len().div_ceil(LINE)];
        as_bytes_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        Self(Kind::Owned(bytes.len(), lines))
    }

    /// The file at `path`, in memory.
    ///
    /// The file may be cut or written while it is read. Whatever was read is then what
    /// [`format::parse`] has to judge.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let (file, len) = open(path)?;
        read_from(file, len)
    }

    /// The file at `path`, mapped, or read if it is of at most `limit` bytes.
    ///
    /// # Safety
    ///
    /// As [`crate::Artifact::map`].
    #[expect(unsafe_code, reason = "maps a file that the caller vouches for")]
    pub(crate) unsafe fn map_above(path: &Path, limit: Option<u64>) -> Result<Self, Error> {
        let (file, len) = open(path)?;
        if limit.is_some_and(|limit| len <= limit) {
            return read_from(file, len);
        }
        if len == 0 {
            return Err(Error::Empty); // an empty file cannot be mapped
        }
        // SAFETY: the mapping is read-only, and the caller vouches that the file is not
        // written or cut as long as it lives.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(refused("map it"))?;
        Ok(Self(Kind::Mapped(map)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Kind::Mapped(map) => map,
            Kind::Owned(len, lines) => &bytemuck::must_cast_slice::<Line, u8>(lines)[..*len],
        }
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.0, Kind::Mapped(_))
    }
}

fn as_bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    bytemuck::must_cast_slice_mut(lines)
}

fn refused(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound,
        _ => Error::Read { action, source },
    }
}

/// The open file, and the length that it has at this moment.
fn open(path: &Path) -> Result<(File, u64), Error> {
    let file = File::open(path).map_err(refused("open it"))?;
    let meta = file.metadata().map_err(refused("read its length"))?;
    if meta.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(refused("read it")(source));
    }
    Ok((file, meta.len()))
}

/// Read what is there, as far as the header says that the artifact goes.
///
/// `len` only says how much memory to ask for at first: the file may have another length by
/// now, and a pipe has none.
fn read_from(mut file: File, len: u64) -> Result<Backing, Error> {
    let mut head = [0; HEADER_LEN];
    let mut filled = fill(&mut file, &mut head)?;
    let stated = format::stated_length(&head[..filled])?;
    let mut lines = Vec::new();
    reserve(&mut lines, len.min(stated))?;
    lines.resize(HEADER_LEN / LINE, Line([0; LINE]));
    as_bytes_mut(&mut lines).copy_from_slice(&head);
    // A byte more than is stated shows that more is there; all of it need not be read.
    let most = usize::try_from(stated).map_or(usize::MAX, |stated| stated.saturating_add(1));
    while filled < most {
        let end = most.min(filled.saturating_add(PIECE));
        reserve(&mut lines, end as u64)?;
        lines.resize(end.div_ceil(LINE), Line([0; LINE]));
        let read = fill(&mut file, &mut as_bytes_mut(&mut lines)[filled..end])?;
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
    Ok(Backing(Kind::Owned(filled, lines)))
}

/// Make place for so many bytes, or say that there is none: a header may state any length.
fn reserve(lines: &mut Vec<Line>, bytes: u64) -> Result<(), Error> {
    let to = usize::try_from(bytes.div_ceil(LINE as u64)).unwrap_or(usize::MAX);
    let more = to.saturating_sub(lines.len());
    lines.try_reserve(more).map_err(|_| Error::Read {
        action: "read it into memory",
        source: io::ErrorKind::OutOfMemory.into(),
    })
}

/// Read until `into` is full or the file ends; tell how much it was.
fn fill(file: &mut File, into: &mut [u8]) -> Result<usize, Error> {
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

/// Write `bytes` to `path` so that at every moment either the old file or the
/// whole new one stands there.
///
/// A reader may have the old file mapped, so it is never written in place: a
/// temporary file in the same folder is written, synced, and renamed over it.
///
/// # Errors
///
/// [`Error::Write`] in [`Error::InFile`]; the temporary file is gone and what stood
/// at `path` is as it was: it may be a device, or the disk may be full.
pub(crate) fn save(bytes: &[u8], path: &Path) -> Result<(), Error> {
    let fail = |action| move |source: io::Error| Error::Write { action, source }.in_file(path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A rename would put a file in the place of a device or a pipe, such as /dev/null, or of
    // the link /dev/stdout.
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
    // A temporary file is private by default; an artifact has the mode that the
    // process gives to any new file.
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
    file.persist(path)
        .map_err(|e| fail("rename the temporary file to it")(e.error))?;
    // The rename itself is durable once the folder is synced; where folders
    // cannot be opened (Windows) the system takes care of that.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}
