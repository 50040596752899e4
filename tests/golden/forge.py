"""Forge artifacts: whole and valid but for one rule of FORMAT.md that is broken.

Not here: what the readers say of them (test_format.py).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from support.paths import GOLDEN
from support.reference_reader import (
    ENTRY,
    GROUP_TOKENS,
    GROUPS_NEED,
    HEADER,
    MAGIC,
    NEEDED,
    OF_GROUPS,
    OF_TOKENS,
    POLICY,
    SOFT,
    TOKENS_NEED,
    read,
)

NAMES = tuple(f"v1_{minor}_{name}" for minor in range(4) for name in ("small", "text"))
SMALL = (GOLDEN / "v1_0_small.hnv").read_bytes()
TEXT = (GOLDEN / "v1_0_text.hnv").read_bytes()
BLENDED = (GOLDEN / "v1_1_small.hnv").read_bytes()
GROUPED = (GOLDEN / "v1_2_small.hnv").read_bytes()
WITH_MARGIN = (GOLDEN / "v1_3_small.hnv").read_bytes()


@dataclass
class Part:
    """One section of a file to forge, and what its table entry says if not the truth."""

    tag: bytes
    body: bytes
    flags: int = 1
    spare: int = 0
    offset: int | None = None
    length: int | None = None
    checksum: int | None = None


@dataclass
class Draft:
    """A file to forge: what is not set is as it must be, checksums included."""

    parts: list[Part]
    k: int
    d: int
    m: int
    magic: bytes = MAGIC
    version: tuple[int, int] = (1, 0)
    count: int | None = None
    file_length: int | None = None
    reserved: bytes = bytes(24)
    head_checksum: int | None = None
    padding: dict[bytes, bytes] = field(default_factory=dict)
    tail: bytes = b""
    cut: int | None = None

    @classmethod
    def of(cls, data: bytes) -> Draft:
        """Take a valid file apart."""
        artifact = read(data)
        parts = [Part(s.tag, s.body, s.flags) for s in artifact.sections]
        k, d = artifact.centroids.shape
        return cls(parts, k, d, len(artifact.models), version=artifact.version)

    def part(self, tag: bytes) -> Part:
        return next(p for p in self.parts if p.tag == tag)

    def bytes(self) -> bytes:
        """Put the file together, sections in order and physically one after the other."""
        end = 64 + 32 * len(self.parts)
        table, body = b"", b""
        for p in self.parts:
            offset = -(-end // 64) * 64
            body += self.padding.get(p.tag, b"").ljust(offset - end, b"\0")
            table += ENTRY.pack(
                p.tag,
                p.flags,
                offset if p.offset is None else p.offset,
                len(p.body) if p.length is None else p.length,
                zlib.crc32(p.body) if p.checksum is None else p.checksum,
                p.spare,
            )
            body += p.body
            end = offset + len(p.body)
        length = end + len(self.tail)
        head = HEADER.pack(
            self.magic,
            *self.version,
            len(self.parts) if self.count is None else self.count,
            length if self.file_length is None else self.file_length,
            self.k,
            self.d,
            self.m,
            self.reserved,
            0,
        )[:60]
        checksum = zlib.crc32(head + table) if self.head_checksum is None else self.head_checksum
        return (head + struct.pack("<I", checksum) + table + body + self.tail)[: self.cut]


Forgery = Callable[[Draft], None]


def setting(**values: Any) -> Forgery:
    """Set fields of the draft."""

    def forge(draft: Draft) -> None:
        for name, value in values.items():
            setattr(draft, name, value)

    return forge


def entry(tag: bytes, /, **values: Any) -> Forgery:
    """Set fields of one section; a function is given the old value."""

    def forge(draft: Draft) -> None:
        part = draft.part(tag)
        for name, value in values.items():
            setattr(part, name, value(getattr(part, name)) if callable(value) else value)

    return forge


def number(tag: bytes, index: int, value: float) -> Forgery:
    """Set one number of a section of floats, its checksum with it."""
    code = "<d" if tag in (b"CNTS", b"POLI", b"SOFT", b"MARG", b"GTSK", b"GCNT") else "<f"

    def change(body: bytes) -> bytes:
        changed = bytearray(body)
        struct.pack_into(code, changed, index * struct.calcsize(code), value)
        return bytes(changed)

    return entry(tag, body=change)


def policy(index: int, value: int) -> Forgery:
    """Set one of the two integers at the end of POLI."""

    def change(body: bytes) -> bytes:
        values = list(POLICY.unpack(body))
        values[7 + index] = value
        return POLICY.pack(*values)

    return entry(b"POLI", body=change)


def names(*encoded: bytes, starts: list[int] | None = None, tag: bytes = b"MODL") -> Forgery:
    """Set the names of models or groups, with other starts than theirs if given."""
    if starts is None:
        starts = [0]
        for name in encoded:
            starts.append(starts[-1] + len(name))
    return entry(tag, body=struct.pack(f"<{len(starts)}I", *starts) + b"".join(encoded))


def embedder(**changes: Any) -> Forgery:
    """Change keys of EMBD; None takes a key out."""

    def change(body: bytes) -> bytes:
        value = json.loads(body) | changes
        return json.dumps({k: v for k, v in value.items() if v is not None}).encode()

    return entry(b"EMBD", body=change)


def adding(part: Part, at: int) -> Forgery:
    def forge(draft: Draft) -> None:
        draft.parts.insert(at, replace(part))

    return forge


def without(*tags: bytes) -> Forgery:
    def forge(draft: Draft) -> None:
        draft.parts = [part for part in draft.parts if part.tag not in tags]

    return forge


def overlapping(draft: Draft) -> None:
    """Let a section start where the one before it starts, its bytes being equal."""
    draft.parts[3].body = draft.parts[2].body
    draft.parts[3].offset = 64 * (-(-(64 + 32 * len(draft.parts)) // 64)) + 64 + 128


NAN, INF = float("nan"), float("inf")
HUGE = 0xFFFF_FFFF
OPTIONAL = Part(b"XTRA", b"from a later minor version", flags=0)
FOUR = (b"one", b"two", b"three", b"four")

# Each breaks the one rule that it is listed under, in the order of the reading algorithm.
FORGERIES: dict[str, dict[str, Forgery]] = {
    "Empty": {"no byte": setting(cut=0)},
    "NotAnArtifact": {
        "other magic": setting(magic=b"\x89HNX\r\n\x1a\n"),
        "line ends translated": setting(magic=b"\x89HNV\n\x1a\n\0"),
        "three other bytes": setting(magic=b"GIF89a\0\0", cut=3),
    },
    "Truncated": {
        "one byte": setting(cut=1),
        "only the magic": setting(cut=8),
        "63 bytes": setting(cut=63),
        "more bytes stated": setting(file_length=1 << 40),
        "all bytes stated": setting(file_length=(1 << 64) - 1),
    },
    "MajorVersion": {
        "version 2": setting(version=(2, 0)),
        "version 0": setting(version=(0, 9)),
        "version 65535": setting(version=(0xFFFF, 0xFFFF)),
    },
    "FileLength": {
        "fewer bytes stated": setting(file_length=640),
        "no bytes stated": setting(file_length=0),
        "a byte after the last section": setting(tail=b"\0"),
        "64 bytes after the last section": setting(tail=bytes(64)),
    },
    "SectionCount": {
        "none": setting(count=0),
        "65": setting(count=65),
        "table past the end": setting(count=64),
        "all": setting(count=HUGE),
    },
    "HeadChecksum": {
        "other": setting(head_checksum=0x1234_5678),
        "fewer sections stated": setting(count=12, head_checksum=1),
    },
    "Dimensions": {
        "no clusters": setting(k=0),
        "no dimension": setting(d=0),
        "no models": setting(m=0),
    },
    "Reserved": {
        "first of the header": setting(reserved=b"\1" + bytes(23)),
        "last of the header": setting(reserved=bytes(23) + b"\x80"),
        "flag 1": entry(b"MEAN", flags=3),
        "flag 31": entry(b"META", flags=1 << 31),
        "entry": entry(b"NOVL", spare=1),
    },
    "SectionTag": {
        "lower case": entry(b"META", tag=b"META".lower()),
        "digit": adding(replace(OPTIONAL, tag=b"XTR1"), 0),
        "NUL": adding(replace(OPTIONAL, tag=b"XTR\0"), 13),
        "not ASCII": adding(replace(OPTIONAL, tag="XTÄ".encode()), 5),
    },
    "DuplicateSection": {
        "META": adding(Part(b"META", b"{}", flags=0), 13),
        "CENT": adding(Part(b"CENT", bytes(60)), 1),
        "unknown": lambda draft: draft.parts.extend([replace(OPTIONAL), replace(OPTIONAL)]),
    },
    "SectionOffset": {
        "first in the table": entry(b"CENT", offset=0),
        "overlap": overlapping,
        "hole": entry(b"SUCC", offset=lambda _: 64 * 40),
        "not aligned": entry(b"META", offset=1473),
        "all bits": entry(b"META", offset=(1 << 64) - 1),
    },
    "SectionEnd": {
        "one byte past the file": entry(b"META", length=20),
        "overflow": entry(b"META", length=(1 << 64) - 1),
        "first covers all": entry(b"CENT", length=1 << 32),
    },
    "Padding": {
        "before the first": setting(padding={b"CENT": b"\1"}),
        "before the last": setting(padding={b"META": b"\0\0\0\x80"}),
    },
    "SectionChecksum": {
        "first": entry(b"CENT", checksum=0),
        "last": entry(b"META", checksum=HUGE),
        "optional": adding(replace(OPTIONAL, checksum=5), 13),
    },
    "UnknownSection": {
        "at the end": adding(replace(OPTIONAL, flags=1), 13),
        "at the start": adding(replace(OPTIONAL, flags=1), 0),
    },
    "MissingSection": {
        **{tag.decode(): without(tag) for tag in NEEDED},
        **{f"{tag.decode()} not marked as required": entry(tag, flags=0) for tag in NEEDED},
    },
    "SectionLength": {
        **{
            f"{tag.decode()} too short": entry(tag, body=lambda body: body[:-4])
            for tag in NEEDED
            if tag not in (b"MODL", b"EMBD", b"NOVL")
        },
        **{
            f"{tag.decode()} too long": entry(tag, body=lambda body: body + bytes(4))
            for tag in NEEDED
            if tag not in (b"MODL", b"EMBD", b"NOVL")
        },
        "CENT empty": entry(b"CENT", body=b""),
        "NOVL one value": entry(b"NOVL", body=bytes(4)),
        "NOVL empty": entry(b"NOVL", body=b""),
        "NOVL not whole": entry(b"NOVL", body=bytes(10)),
        "MODL empty": entry(b"MODL", body=b""),
        "MODL starts cut": entry(b"MODL", body=lambda body: body[:19]),
        "k too large": setting(k=4),
        "d too small": setting(d=4),
        "4kd overflows": setting(k=HUGE, d=HUGE),
        "4kd overflows to its length": setting(k=0x8000_0000, d=0x8000_0000),
        "k + 1 overflows": setting(k=HUGE),
        "m huge": setting(m=HUGE),
        "all huge": setting(k=HUGE, d=HUGE, m=HUGE),
    },
    "Value": {
        "centroid NaN": number(b"CENT", 14, NAN),
        "centroid inf": number(b"CENT", 0, INF),
        "centroid -inf": number(b"CENT", 7, -INF),
        "count NaN": number(b"CNTS", 0, NAN),
        "count inf": number(b"CNTS", 5, INF),
        "count negative": number(b"CNTS", 15, -0.5),
        "mean NaN": number(b"MEAN", 0, NAN),
        "mean 1.2": number(b"MEAN", 1, 1.2),
        "mean negative": number(b"MEAN", 2, -0.1),
        "mean where n is 0": number(b"MEAN", 3, 0.5),
        "success NaN": number(b"SUCC", 0, NAN),
        "success 1.2": number(b"SUCC", 15, 1.2),
        "success just over 1": number(b"SUCC", 9, float(np.nextafter(np.float32(1), INF))),
        "success negative": number(b"SUCC", 4, -1e-30),
        "standard error NaN": number(b"SERR", 0, NAN),
        "standard error inf": number(b"SERR", 0, INF),
        "standard error negative": number(b"SERR", 0, -1.0),
        "gain error NaN": number(b"GERR", 11, NAN),
        "gain error inf": number(b"GERR", 11, INF),
        "gain error negative": number(b"GERR", 11, -1.0),
        "cost inf": number(b"COST", 0, INF),
        "cost negative": number(b"COST", 15, -1e-3),
        "latency inf": number(b"LATE", 0, INF),
        "latency negative": number(b"LATE", 15, -1.0),
        "cost weight NaN": number(b"POLI", 0, NAN),
        "cost weight negative": number(b"POLI", 0, -1.0),
        "cost weight inf": number(b"POLI", 0, INF),
        "latency weight NaN": number(b"POLI", 1, NAN),
        "latency weight negative": number(b"POLI", 1, -1.0),
        "cost limit negative": number(b"POLI", 2, -1.0),
        "cost limit inf": number(b"POLI", 2, INF),
        "success limit 1.2": number(b"POLI", 3, 1.2),
        "success limit NaN": number(b"POLI", 3, NAN),
        "success limit negative": number(b"POLI", 3, -0.1),
        "guard NaN": number(b"POLI", 4, NAN),
        "guard inf": number(b"POLI", 4, INF),
        "guard negative": number(b"POLI", 4, -1.0),
        "novelty limit 1.2": number(b"POLI", 5, 1.2),
        "novelty limit NaN": number(b"POLI", 5, NAN),
        "novelty limit negative": number(b"POLI", 5, -0.1),
        "shrinkage inf": number(b"POLI", 6, INF),
        "shrinkage NaN": number(b"POLI", 6, NAN),
        "shrinkage negative": number(b"POLI", 6, -2.0),
        "default model 4 of 4": policy(0, 4),
        "default model huge": policy(0, HUGE),
        "POLI reserved": policy(1, 1),
        "novelty decreasing": number(b"NOVL", 3, 0.5),
        "novelty NaN": number(b"NOVL", 1, NAN),
        "novelty inf": number(b"NOVL", 3, INF),
        "novelty negative": number(b"NOVL", 0, -0.25),
    },
    "ModelNames": {
        "text cut": entry(b"MODL", body=lambda body: body[:-1]),
        "text too long": entry(b"MODL", body=lambda body: body + b"x"),
        "first start not 0": names(*FOUR, starts=[1, 3, 6, 11, 15]),
        "decreasing": names(*FOUR, starts=[0, 6, 3, 11, 15]),
        "past the end": names(*FOUR, starts=[0, 3, 99, 11, 15]),
        "huge start": names(*FOUR, starts=[0, 3, 6, HUGE, 15]),
        "end too early": names(*FOUR, starts=[0, 3, 6, 11, 14]),
        "three names": names(b"one", b"two", b"three"),
        "bad UTF-8": names(b"one", b"tw\xff", b"three", b"four"),
        "surrogate": names(b"one", b"tw\xed\xa0\x80", b"three", b"four"),
        "overlong": names(b"one", b"tw\xc1\x81", b"three", b"four"),
        "character cut in two": names(b"b\xc3", b"\xa9ta", b"three", b"four"),
        "empty": names(b"one", b"", b"three", b"four"),
        "all empty": names(b"", b"", b"", b""),
        "twice": names(b"one", b"two", b"three", b"one"),
        "line end": names(b"one", b"two\n", b"three", b"four"),
        "NUL": names(b"one", b"two\0", b"three", b"four"),
        "delete": names(b"one", b"two\x7f", b"three", b"four"),
        "U+0085": names(b"one", b"two\xc2\x85", b"three", b"four"),
        "U+009F": names(b"one", b"two\xc2\x9f", b"three", b"four"),
    },
    "Embedder": {
        "empty": entry(b"EMBD", body=b""),
        "not JSON": entry(b"EMBD", body=b"static"),
        "bad UTF-8": entry(b"EMBD", body=b'{"name": "\xff"}'),
        "not an object": entry(b"EMBD", body=b"[1]"),
        "no keys": entry(b"EMBD", body=b"{}"),
        "text after it": entry(b"EMBD", body=lambda body: body + b"}"),
        "NaN": entry(b"EMBD", body=lambda body: body[:-1] + b', "x": NaN}'),
        "no name": embedder(name=None),
        "empty name": embedder(name=""),
        "name not text": embedder(name=7),
        "no dim": embedder(dim=None),
        "other dim": embedder(dim=6),
        "dim of text": embedder(dim="5"),
        "dim true": embedder(dim=True),
        "dim negative": embedder(dim=-5),
        "dim plus 2**32": embedder(dim=5 + (1 << 32)),
        "dim plus 2**64": embedder(dim=5 + (1 << 64)),
        "no fingerprint": embedder(fingerprint=None),
        "fingerprint short": embedder(fingerprint="0" * 63),
        "fingerprint long": embedder(fingerprint="0" * 65),
        "fingerprint upper case": embedder(fingerprint="A" * 64),
        "fingerprint not hexadecimal": embedder(fingerprint="g" * 64),
        "fingerprint with line end": embedder(fingerprint="0" * 64 + "\n"),
        "fingerprint not ASCII": embedder(fingerprint="é" * 32),
        "no kind": embedder(kind=None),
        "other kind": embedder(kind="pickle"),
    },
    "Metadata": {"bad UTF-8": entry(b"META", body=b'{"a": "\xff"}')},
}
CASES = [(rule, case) for rule, cases in FORGERIES.items() for case in cases]


def soft(index: int, value: int) -> Forgery:
    """Set one of the two integers at the end of SOFT."""

    def change(body: bytes) -> bytes:
        values = list(SOFT.unpack(body))
        values[1 + index] = value
        return SOFT.pack(*values)

    return entry(b"SOFT", body=change)


# The same for the sections that format 1.1 adds: forgeries of BLENDED.
FORGERIES_1_1: dict[str, dict[str, Forgery]] = {
    "DuplicateSection": {
        "SOFT": adding(Part(b"SOFT", bytes(16)), 0),
        "SLOP": adding(Part(b"SLOP", b"", flags=0), 15),
    },
    "SectionChecksum": {
        "SOFT": entry(b"SOFT", checksum=0),
        "SLOP": entry(b"SLOP", checksum=0),
    },
    "MissingSection": {
        "SOFT not marked as required": entry(b"SOFT", flags=0),
        "SLOP not marked as required": entry(b"SLOP", flags=0),
    },
    "SectionLength": {
        "SOFT too short": entry(b"SOFT", body=lambda body: body[:-4]),
        "SOFT too long": entry(b"SOFT", body=lambda body: body + bytes(4)),
        "SOFT empty": entry(b"SOFT", body=b""),
        "SLOP too short": entry(b"SLOP", body=lambda body: body[:-4]),
        "SLOP too long": entry(b"SLOP", body=lambda body: body + bytes(4)),
        "SLOP without offsets": entry(b"SLOP", body=lambda body: body[16:]),
        "SLOP empty": entry(b"SLOP", body=b""),
    },
    "Value": {
        "sharpness 0": number(b"SOFT", 0, 0.0),
        "sharpness -0": number(b"SOFT", 0, -0.0),
        "sharpness negative": number(b"SOFT", 0, -1.0),
        "sharpness inf": number(b"SOFT", 0, INF),
        "sharpness -inf": number(b"SOFT", 0, -INF),
        "sharpness NaN": number(b"SOFT", 0, NAN),
        "none nearest": soft(0, 0),
        "17 nearest": soft(0, 17),
        "all nearest": soft(0, HUGE),
        "SOFT reserved": soft(1, 1),
        "SOFT reserved huge": soft(1, 1 << 31),
        "offset NaN": number(b"SLOP", 0, NAN),
        "offset inf": number(b"SLOP", 3, INF),
        "slope NaN": number(b"SLOP", 4, NAN),
        "slope -inf": number(b"SLOP", 23, -INF),
    },
}
CASES_1_1 = [(rule, case) for rule, cases in FORGERIES_1_1.items() for case in cases]

GROUPS = (b"one", b"two", b"three")
NEW = (*OF_GROUPS, *TOKENS_NEED)  # the sections that format 1.2 adds
SIZED = tuple(tag for tag in NEW if tag != b"GNAM")
# Values that the rule of each section forbids.
BAD_VALUES = {
    **dict.fromkeys((b"GTSK", b"GCNT", b"GSER", b"GGER"), (NAN, INF, -INF, -0.5)),
    **dict.fromkeys((b"GMEA", b"GSUC"), (NAN, INF, 1.2, -0.1)),
    **dict.fromkeys((b"GCOS", b"GLAT", *OF_TOKENS), (INF, -INF, -1e-3)),
    b"GCOR": (NAN, INF, -INF),
}


def renamed(*tags: bytes, first: bytes = b"X") -> Forgery:
    """Give sections tags that no reader knows."""

    def forge(draft: Draft) -> None:
        for part in draft.parts:
            if part.tag in tags:
                part.tag = first + part.tag[1:]

    return forge


def of_groups(*encoded: bytes) -> Forgery:
    """Set names and numbers of tasks of groups, as many as other sections have not."""

    def forge(draft: Draft) -> None:
        names(*encoded, tag=b"GNAM")(draft)
        entry(b"GTSK", body=bytes(8 * len(encoded)))(draft)

    return forge


# The same for the sections that format 1.2 adds: forgeries of GROUPED.
FORGERIES_1_2: dict[str, dict[str, Forgery]] = {
    "DuplicateSection": {tag.decode(): adding(Part(tag, b"", flags=0), 0) for tag in NEW},
    "SectionChecksum": {tag.decode(): entry(tag, checksum=1) for tag in NEW},
    "UnknownSection": {
        "GXXX": adding(Part(b"GXXX", b"", flags=1), 0),
        "TXXX": adding(Part(b"TXXX", b"", flags=1), 30),
    },
    "MissingSection": {
        **{tag.decode(): without(tag) for tag in (*GROUPS_NEED, *OF_TOKENS)},
        "no groups but GCOR": without(*GROUPS_NEED, *OF_TOKENS),
        "no groups but GTSK": without(*GROUPS_NEED[1:], b"GCOR", *OF_TOKENS),
        "no groups but their tokens": without(*GROUPS_NEED, b"GCOR"),
        "no groups but GTIN": without(*GROUPS_NEED, b"GCOR", b"GTOU"),
        "no tokens but those of groups": without(*TOKENS_NEED),
        "no tokens but TPRO": without(b"TINP", b"TOUT", *GROUP_TOKENS),
        "no tokens of groups": without(*GROUP_TOKENS),
        "no sections but GTOU": without(*(tag for tag in NEW if tag != b"GTOU")),
    },
    "SectionLength": {
        **{f"{tag.decode()} too short": entry(tag, body=lambda body: body[:-4]) for tag in SIZED},
        **{
            f"{tag.decode()} too long": entry(tag, body=lambda body: body + bytes(4))
            for tag in SIZED
        },
        **{f"{tag.decode()} empty": entry(tag, body=b"") for tag in NEW},
        "GNAM starts cut": entry(b"GNAM", body=lambda body: body[:15]),
        "GCOR without offsets": entry(b"GCOR", body=lambda body: body[48:]),
        "GCOR with the offsets of one group": entry(b"GCOR", body=lambda body: body[32:]),
        "a group more": of_groups(*FOUR),
        "a group fewer": of_groups(b"one", b"two"),
        "all groups of another file": entry(b"GTSK", body=bytes(8 * 100_000)),
    },
    "Value": {
        **{
            f"{tag.decode()} {value}": number(tag, 2, value)
            for tag, values in BAD_VALUES.items()
            for value in values
        },
        "mean of a group where n is 0": number(b"GMEA", 3, 0.5),
        "the first offset": number(b"GCOR", 0, NAN),
        "the last slope": number(b"GCOR", 31, INF),
        "the last of each": number(b"GTOU", 11, -1.0),
    },
    "GroupNames": {
        "text cut": entry(b"GNAM", body=lambda body: body[:-1]),
        "text too long": entry(b"GNAM", body=lambda body: body + b"x"),
        "first start not 0": names(*GROUPS, starts=[1, 3, 6, 11], tag=b"GNAM"),
        "decreasing": names(*GROUPS, starts=[0, 6, 3, 11], tag=b"GNAM"),
        "past the end": names(*GROUPS, starts=[0, 3, 99, 11], tag=b"GNAM"),
        "huge start": names(*GROUPS, starts=[0, HUGE, 6, 11], tag=b"GNAM"),
        "end too early": names(*GROUPS, starts=[0, 3, 6, 10], tag=b"GNAM"),
        "four names": names(*FOUR, tag=b"GNAM"),
        "bad UTF-8": names(b"one", b"tw\xff", b"three", tag=b"GNAM"),
        "surrogate": names(b"one", b"tw\xed\xa0\x80", b"three", tag=b"GNAM"),
        "character cut in two": names(b"b\xc3", b"\xa9ta", b"three", tag=b"GNAM"),
        "empty": names(b"one", b"", b"three", tag=b"GNAM"),
        "twice": names(b"one", b"two", b"one", tag=b"GNAM"),
        "line end": names(b"one", b"two\n", b"three", tag=b"GNAM"),
        "delete": names(b"one", b"two\x7f", b"three", tag=b"GNAM"),
        "U+0085": names(b"one", b"two\xc2\x85", b"three", tag=b"GNAM"),
    },
}
CASES_1_2 = [(rule, case) for rule, cases in FORGERIES_1_2.items() for case in cases]

# The same for the section that format 1.3 adds: forgeries of WITH_MARGIN.
FORGERIES_1_3: dict[str, dict[str, Forgery]] = {
    "DuplicateSection": {"MARG": adding(Part(b"MARG", bytes(8)), 0)},
    "SectionChecksum": {"MARG": entry(b"MARG", checksum=0)},
    "UnknownSection": {"MARG, as an older reader sees it": renamed(b"MARG")},
    "MissingSection": {"MARG not marked as required": entry(b"MARG", flags=0)},
    "SectionLength": {
        "MARG too short": entry(b"MARG", body=lambda body: body[:-4]),
        "MARG too long": entry(b"MARG", body=lambda body: body + bytes(8)),
        "MARG empty": entry(b"MARG", body=b""),
    },
    "Value": {
        f"margin {value}": number(b"MARG", 0, value) for value in (-5e-324, -0.25, NAN, INF, -INF)
    },
}
CASES_1_3 = [(rule, case) for rule, cases in FORGERIES_1_3.items() for case in cases]


def forge(*chosen: tuple[str, str], of: bytes = SMALL) -> bytes:
    draft = Draft.of(of)
    for rule, case in chosen:
        FORGERIES[rule][case](draft)
    return draft.bytes()
