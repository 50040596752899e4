"""Write ZIP archives whose entries are packed with Zstandard, as Inspect's logs are.

Not here: reading them.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STORED, DEFLATED, ZSTD = 0, 8, 93


def pack(content: bytes, method: int) -> bytes:
    if method == ZSTD:
        return pa.compress(content, codec="zstd", asbytes=True)
    if method == DEFLATED:
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(content) + deflate.flush()
    return content


def write_zip(
    path: Path,
    entries: Mapping[str, bytes],
    method: int = ZSTD,
    *,
    flags: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write an archive; `sizes` are false statements of what entries unpack to."""
    local, central = bytearray(), bytearray()
    for name, content in entries.items():
        packed, encoded = pack(content, method), name.encode()
        size = (sizes or {}).get(name, len(content))
        common = struct.pack(
            "<HHHHHIIIHH",
            63, 0x800 | flags, method, 0, 0x21, zlib.crc32(content), len(packed), size,
            len(encoded), 0,
        )  # fmt: skip
        central += b"PK\x01\x02" + struct.pack("<H", 63) + common
        central += struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + encoded
        local += b"PK\x03\x04" + common + encoded + packed
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(central), len(local), 0
    )
    path.write_bytes(bytes(local + central) + end)
