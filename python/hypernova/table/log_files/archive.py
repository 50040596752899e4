"""Read packed logs under limits: entries of ZIP archives, and gzip files, never more than allowed.

The standard library reads ZIP entries packed with Zstandard from Python 3.14 on; evaluation tools
write them now. Not here: what the entries hold.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from hypernova.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.table.source import Source

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_STORED, _DEFLATED, _ZSTD = 0, 8, 93
_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_BLOCK = 256 * 1024
# A gzip file that unpacks to more than this, and to more than so many times its size, is a bomb.
_GZIP_FREE = 1 << 30
_GZIP_RATIO = 250
_BROKEN = "the log is cut short or damaged: copy it again, or leave it out"
_DAMAGED = "is damaged: its checksum does not fit"
_MIB = 1 << 20


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Read unpacked bytes; errors name the source, and too many bytes are one."""

    def __init__(
        self,
        content: _Reader,
        source: Source,
        check: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        """Take what is read.

        Args:
            content: Gives unpacked bytes.
            source: The file or entry, for messages.
            check: Called with each piece that was read, with an empty one at the end.
            close: Called when the file is closed.
        """
        self._content = content
        self._source = source
        self._check = check
        self._close = close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._content.read(min(len(buffer), _BLOCK))
        except (EOFError, OSError, zlib.error) as error:
            raise self._source.error(f"cannot be unpacked ({error})", _BROKEN) from error
        self._check(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def open_gzip(file: BinaryIO, source: Source) -> BinaryIO:
    """Unpack a gzip file while it is read; the result closes it.

    Raises:
        TableError: reading raises it, where the file is damaged, cut short or a bomb: it unpacks
            to more than 1 GiB and to more than 250 times its size.
    """
    content = gzip.GzipFile(fileobj=file, mode="rb")
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    read = 0

    def check(data: bytes) -> None:
        nonlocal read
        read += len(data)
        if read > max(_GZIP_FREE, _GZIP_RATIO * size):
            raise source.error(
                f"unpacks to more than {read // _MIB} MiB, {_GZIP_RATIO} times its size",
                "no log is packed so tightly: leave it out, or unpack it first",
            )

    def close() -> None:
        content.close()
        file.close()

    return io.BufferedReader(_Unpacked(_Read1(content), source, check, close), _BLOCK)


class _Read1:
    """Give what a gzip file has at hand, so that a cut file gives all that can be unpacked."""

    def __init__(self, content: gzip.GzipFile) -> None:
        self._content = content

    def read(self, size: int, /) -> bytes:
        return self._content.read1(size)


def zip_entries(file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of a ZIP archive by name, in its order; of equal names the last stands.

    Raises:
        ValueError: the file is no readable ZIP archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return {info.filename: info for info in archive.infolist() if not info.is_dir()}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, struct.error) as error:
        raise ValueError(str(error)) from error


def open_zip_entry(
    file: BinaryIO, info: zipfile.ZipInfo, source: Source, max_bytes: int
) -> BinaryIO:
    """Unpack an entry of a ZIP archive while it is read; the result closes the file.

    Args:
        file: The archive.
        info: The entry.
        source: The entry, for messages.
        max_bytes: Bytes that it may unpack to.

    Raises:
        TableError: the entry is encrypted, packed in another way, states more than `max_bytes`, or
            lies outside the archive. Reading raises it too, where the entry is damaged or unpacks
            to more than it states.
        MissingExtraError: it is packed with Zstandard, and pyarrow is not installed.
    """
    if info.flag_bits & _ENCRYPTED:
        raise source.error("is encrypted", "give a log that is not")
    if info.file_size > max_bytes:
        raise source.error(
            f"unpacks to {info.file_size // _MIB} MiB; at most {max_bytes // _MIB} MiB are read",
            "leave the log out",
        )
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise source.error("does not stand where the archive says", _BROKEN)
    _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    file.seek(name_length + extra_length, io.SEEK_CUR)
    content = _unpacker(_Window(file, info.compress_size), info, source)
    if isinstance(content, bytes):
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise source.error(_DAMAGED, _BROKEN)
        file.close()
        return io.BytesIO(content)
    crc, read = 0, 0

    def check(data: bytes) -> None:
        nonlocal crc, read
        read += len(data)
        crc = zlib.crc32(data, crc)
        if read > info.file_size:
            raise source.error("unpacks to more than the archive says", "leave the log out")
        if not data and (read < info.file_size or crc != info.CRC):
            raise source.error(_DAMAGED, _BROKEN)

    return io.BufferedReader(_Unpacked(content, source, check, file.close), _BLOCK)


class _Window(io.RawIOBase):
    """The packed bytes of an entry; the archive ending within them is an error."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(min(len(buffer), self._left))
        if not data and self._left:
            raise EOFError("the archive ends within it")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _unpacker(window: _Window, info: zipfile.ZipInfo, source: Source) -> _Reader | bytes:
    """Return what unpacks an entry, or a small one unpacked."""
    if info.compress_type == _STORED:
        return window
    if info.compress_type == _DEFLATED:
        return _Inflated(window)
    if info.compress_type == _ZSTD:
        return _zstd(window, info, source)
    raise source.error(
        f"is packed by method {info.compress_type}, which is not read",
        "pack the archive again with Deflate or Zstandard",
    )


class _Inflated:
    """Unpack Deflate, no more at a time than asked for."""

    def __init__(self, window: _Window) -> None:
        self._window = window
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, size: int, /) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._window.read(_BLOCK)
            data = self._inflate.decompress(packed or b"", size)
            if data:
                return data
            if not packed:
                raise EOFError("the packed bytes end too early")
        return b""


def _zstd(window: _Window, info: zipfile.ZipInfo, source: Source) -> _Reader | bytes:
    """Unpack Zstandard: by the standard library where it can, or else by pyarrow."""
    zstd = _standard_zstd()
    if zstd is not None:
        return _Renamed(zstd.ZstdFile(window), zstd.ZstdError)
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            f"{source.label}: reading logs packed with Zstandard needs pyarrow: "
            'pip install "hypernova-router[train]"'
        ) from error
    if info.file_size <= _MIB and info.compress_size <= _MIB:
        # Most entries: one call is far quicker than a stream, and unpacks no more than is stated.
        packed = window.read(info.compress_size) or b""
        try:
            return bytes(pyarrow.decompress(packed, info.file_size, codec="zstd", asbytes=True))
        except (OSError, ValueError) as error:
            raise source.error(f"cannot be unpacked ({_first_line(error)})", _BROKEN) from error
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(window, mode="r"), "zstd")
    return _Renamed(stream, pyarrow.ArrowException)


@cache
def _standard_zstd() -> Any:
    """Return the module of the standard library, or None before Python 3.14."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # which a failed import looks for anew each time
        return None
    return zstd


class _Renamed:
    """Read on, with the errors of another library as OSError."""

    def __init__(self, content: Any, error: type[Exception]) -> None:
        self._content = content
        self._error = error

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._content.read(size))
        except (self._error, OSError) as error:
            raise OSError(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
