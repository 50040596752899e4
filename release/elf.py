"""The sections of a shared library of Linux, and the paths that a binary holds.

Not here: libraries of other systems, beyond their paths.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

# Folders of somebody's machine: a home, a folder of cargo or rustup, one of temporary files.
_PATHS = re.compile(
    rb"/home/[\w.-]+/[\w./-]*|/root/[\w./-]+|/Users/[\w.-]+/[\w./-]*|[A-Z]:\\\\?Users\\[\w.\\-]+"
    rb"|[\w./-]*\.cargo/(?:registry|git)[\w./-]*|[\w./-]*rustup/toolchains[\w./-]*"
    rb"|/tmp/[\w./-]+|/var/tmp/[\w./-]+"
)


class Section(NamedTuple):
    """A section of an ELF file."""

    name: str
    offset: int
    size: int


def sections(data: bytes) -> list[Section]:
    """List the sections that have bytes in a 64-bit little-endian ELF file; none for others."""
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    start, entry_size, count, names_at = struct.unpack_from("<40xQ10xHHH", data)
    headers = [struct.unpack_from("<II16xQQ", data, start + entry_size * at) for at in range(count)]
    texts = headers[names_at][2] if count else 0
    found = []
    for name, kind, offset, size in headers:
        if kind not in (0, 8):  # a null section, and one without bytes in the file
            end = data.index(b"\0", texts + name)
            found.append(Section(data[texts + name : end].decode(), offset, size))
    return found


def section_at(data: bytes, offset: int) -> str:
    """Name the section of an offset; the headers are outside of all of them."""
    inside = [s.name for s in sections(data) if s.offset <= offset < s.offset + s.size]
    return inside[0] if inside else "headers"


def is_stripped(data: bytes) -> bool:
    """Tell whether the library has neither a table of symbols nor debugging information."""
    return not any(s.name == ".symtab" or s.name.startswith(".debug") for s in sections(data))


def foreign_paths(data: bytes) -> list[str]:
    """List the paths of somebody's machine that the bytes hold."""
    found = {path.decode(errors="replace") for path in _PATHS.findall(data)}
    return sorted(found)
