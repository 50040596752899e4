"""A second reader of hypernova artifacts, written from FORMAT.md alone, to check the Rust one.

Not here: speed, or a look at the Rust sources. Every rule is spelled out as the page words it.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    Profile = tuple[F32, F32, F32, F32, F32, F32]

MAGIC = b"\x89HNV\r\n\x1a\n"
HEADER = struct.Struct("<8sHHIQIII24sI")
ENTRY = struct.Struct("<4sIQQII")
POLICY = struct.Struct("<7dII")
LIMITS = "cost_weight latency_weight max_cost_usd min_success guard_z novelty_limit shrinkage"
PROFILE_F32 = (b"MEAN", b"SUCC", b"SERR", b"GERR", b"COST", b"LATE")
SOFT = struct.Struct("<dII")
NEEDED = (b"CENT", b"CNTS", *PROFILE_F32, b"MODL", b"POLI", b"EMBD", b"NOVL")
MARGIN = struct.Struct("<d")
NEEDED_WHERE_THEY_STAND = (b"SOFT", b"SLOP", b"MARG")
GROUP_F32 = (b"GMEA", b"GSUC", b"GSER", b"GGER", b"GCOS", b"GLAT")
GROUPS_NEED = (b"GTSK", b"GNAM", b"GCNT", *GROUP_F32)
GROUP_TOKENS = (b"GTIN", b"GTOU")
OF_GROUPS = (*GROUPS_NEED, b"GCOR", *GROUP_TOKENS)
TOKENS_NEED = (b"TPRO", b"TINP", b"TOUT")
OF_TOKENS = (*TOKENS_NEED, *GROUP_TOKENS)
KNOWN = (*NEEDED, *NEEDED_WHERE_THEY_STAND, b"META", *OF_GROUPS, *OF_TOKENS)


class FormatError(Exception):
    """A file breaks the rule of the reading algorithm that ``name`` names."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


class Novel(Exception):
    """The prompt is unlike all training prompts."""


class NoCandidate(Exception):
    """The limits leave no model."""


@dataclass(frozen=True)
class Section:
    """One entry of the section table."""

    tag: bytes
    flags: int
    checksum: int
    body: bytes


@dataclass(frozen=True)
class ReferenceGroups:
    """The groups of a file: a row of each array for each name."""

    names: tuple[str, ...]
    tasks: NDArray[np.float64]
    counts: NDArray[np.float64]
    mean: NDArray[np.float32]
    success: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    gain_error: NDArray[np.float32]
    cost: NDArray[np.float32]
    latency: NDArray[np.float32]
    offsets: NDArray[np.float32] | None
    slopes: NDArray[np.float32] | None


@dataclass(frozen=True)
class ReferenceTokens:
    """The tokens of a file; those of groups only where it has groups."""

    per_prompt: NDArray[np.float32]
    input: NDArray[np.float32]
    output: NDArray[np.float32]
    group_input: NDArray[np.float32] | None
    group_output: NDArray[np.float32] | None


@dataclass(frozen=True)
class ReferenceArtifact:
    """The values of a file; arrays are read-only views into its bytes."""

    version: tuple[int, int]
    models: tuple[str, ...]
    default: int
    policy: dict[str, float]
    embedder: str
    metadata: str | None
    centroids: NDArray[np.float32]
    counts: NDArray[np.float64]
    mean: NDArray[np.float32]
    success: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    gain_error: NDArray[np.float32]
    cost: NDArray[np.float32]
    latency: NDArray[np.float32]
    novelty_quantiles: NDArray[np.float32]
    sharpness: float | None
    nearest: int | None
    offsets: NDArray[np.float32] | None
    slopes: NDArray[np.float32] | None
    groups: ReferenceGroups | None
    tokens: ReferenceTokens | None
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Entry:
    """One place of a ranking."""

    model: str
    success: float
    cost_usd: float | None
    latency_s: float | None
    n: float
    utility: float


@dataclass(frozen=True)
class ReferenceDecision:
    """A decision, and the profile row it was taken in; None where a group's decided."""

    model: str
    cluster: int
    row: int | None
    distance: np.float32
    novelty: np.float32
    reason: str
    ranking: tuple[Entry, ...]
    group: str | None
    unknown_group: bool


def _demand(holds: bool, name: str, detail: str) -> None:
    if not holds:
        raise FormatError(name, detail)


def _table(data: bytes) -> tuple[tuple[int, int], int, int, int, tuple[Section, ...]]:
    """Do checks 1 to 9: everything about the frame, nothing about the values."""
    _demand(len(data) > 0, "Empty", "no bytes")
    _demand(data[:8] == MAGIC[: len(data)], "NotAnArtifact", f"starts with {data[:8]!r}")
    _demand(len(data) >= 64, "Truncated", f"{len(data)} bytes, the header has 64")
    _, major, minor, count, length, k, d, m, reserved, checksum = HEADER.unpack_from(data)
    _demand(major == 1, "MajorVersion", f"{major}.{minor}")
    _demand(len(data) >= length, "Truncated", f"{len(data)} of {length} bytes")
    _demand(len(data) == length, "FileLength", f"{len(data)} bytes, {length} stated")
    end = 64 + 32 * count
    _demand(1 <= count <= 64 and end <= length, "SectionCount", f"{count}")
    _demand(zlib.crc32(data[64:end], zlib.crc32(data[:60])) == checksum, "HeadChecksum", "")
    _demand(min(k, d, m) >= 1, "Dimensions", f"k={k} d={d} m={m}")
    _demand(not any(reserved), "Reserved", "header bytes 36 to 59")
    sections: list[Section] = []
    for i in range(count):
        tag, flags, offset, size, crc, spare = ENTRY.unpack_from(data, 64 + 32 * i)
        _demand(all(65 <= byte <= 90 for byte in tag), "SectionTag", repr(tag))
        _demand(tag not in {s.tag for s in sections}, "DuplicateSection", repr(tag))
        _demand(flags & ~1 == 0 and spare == 0, "Reserved", f"{tag!r} flags={flags} {spare}")
        aligned = (end + 63) // 64 * 64
        _demand(offset == aligned, "SectionOffset", f"{tag!r} {offset}, not {aligned}")
        _demand(offset + size <= length, "SectionEnd", f"{tag!r} {offset} + {size} > {length}")
        _demand(not any(data[end:offset]), "Padding", f"before {tag!r}")
        end = offset + size
        sections.append(Section(tag, flags, crc, data[offset:end]))
    _demand(end == length, "FileLength", f"the last section ends at {end}, the file at {length}")
    for s in sections:
        _demand(zlib.crc32(s.body) == s.checksum, "SectionChecksum", repr(s.tag))
        _demand(s.tag in KNOWN or not s.flags & 1, "UnknownSection", repr(s.tag))
    return (major, minor), k, d, m, tuple(sections)


def _names(body: bytes, n: int, rule: str) -> tuple[str, ...]:
    starts = struct.unpack_from(f"<{n + 1}I", body)
    text = body[4 * (n + 1) :]
    _demand(starts[0] == 0, rule, f"the first starts at {starts[0]}")
    _demand(starts[-1] == len(text), rule, f"end {starts[-1]}, text {len(text)}")
    names: list[str] = []
    for i, (start, stop) in enumerate(itertools.pairwise(starts)):
        _demand(start <= stop, rule, f"name {i} ends before it starts")
        try:
            name = text[start:stop].decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(rule, f"name {i}: {error}") from error
        _demand(name != "", rule, f"name {i} is empty")
        controls = [c for c in name if ord(c) <= 0x1F or 0x7F <= ord(c) <= 0x9F]
        _demand(not controls, rule, f"name {i} holds {controls!r}")
        _demand(name not in names, rule, f"{name!r} twice")
        names.append(name)
    return tuple(names)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _utf8(body: bytes, name: str) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(name, str(error)) from error


def _embedder(body: bytes, d: int) -> str:
    text = _utf8(body, "Embedder")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError("Embedder", str(error)) from error
    _demand(isinstance(value, dict), "Embedder", "not an object")
    name, dim, print_ = value.get("name"), value.get("dim"), value.get("fingerprint")
    _demand(isinstance(name, str) and name != "", "Embedder", f"name {name!r}")
    _demand(type(dim) is int and dim == d, "Embedder", f"dim {dim!r}, not {d}")
    digits = isinstance(print_, str) and re.fullmatch("[0-9a-f]{64}", print_)
    _demand(bool(digits), "Embedder", f"fingerprint {print_!r}")
    _demand(value.get("kind") in ("text", "vectors"), "Embedder", f"kind {value.get('kind')!r}")
    return text


def _policy(body: bytes, m: int) -> tuple[dict[str, float], int]:
    *numbers, default, reserved = POLICY.unpack(body)
    policy = dict(zip(LIMITS.split(), numbers, strict=True))
    for field, value in policy.items():
        good = bool(np.isfinite(value)) and value >= 0
        good |= field == "max_cost_usd" and bool(np.isnan(value))
        if field in ("min_success", "novelty_limit"):
            good = good and value <= 1
        _demand(good, "Value", f"POLI {field} {value}")
    _demand(default < m, "Value", f"POLI default model {default} of {m}")
    _demand(reserved == 0, "Value", f"POLI reserved {reserved}")
    return policy, default


def _soft(body: bytes) -> tuple[float, int]:
    sharpness, count, reserved = SOFT.unpack(body)
    _demand(math.isfinite(sharpness) and sharpness > 0, "Value", f"SOFT sharpness {sharpness}")
    _demand(1 <= count <= 16, "Value", f"SOFT nearest {count}")
    _demand(reserved == 0, "Value", f"SOFT reserved {reserved}")
    return sharpness, count


def _margin(body: bytes) -> float:
    (margin,) = MARGIN.unpack(body)
    _demand(math.isfinite(margin) and margin >= 0, "Value", f"MARG {margin}")
    return float(margin)


def read(data: bytes) -> ReferenceArtifact:
    """Read an artifact with every check of the page's reading algorithm, in its order.

    Args:
        data: The whole file.

    Raises:
        FormatError: A rule is broken; ``name`` says which.
    """
    version, k, d, m, sections = _table(data)
    body = {s.tag: s.body for s in sections}
    marked = {s.tag for s in sections if s.flags & 1}
    cells = (k + 1) * m
    lengths = {b"CENT": 4 * k * d, b"CNTS": 8 * cells, b"POLI": 64}
    lengths |= dict.fromkeys(PROFILE_F32, 4 * cells)
    lengths |= {b"SOFT": 16, b"SLOP": 4 * m * (d + 1), b"MARG": 8}
    there = (*NEEDED, *(tag for tag in NEEDED_WHERE_THEY_STAND if tag in body))
    for tag in there:
        _demand(tag in marked, "MissingSection", f"{tag!r}, or its required bit")
    has_groups = any(tag in body for tag in OF_GROUPS)
    has_tokens = any(tag in body for tag in OF_TOKENS)
    asked = GROUPS_NEED * has_groups + TOKENS_NEED * has_tokens
    for tag in asked + GROUP_TOKENS * (has_groups and has_tokens):
        _demand(tag in body, "MissingSection", f"{tag!r}")
    g = len(body.get(b"GTSK", b"")) // 8
    lengths |= dict.fromkeys((*GROUP_F32, *GROUP_TOKENS), 4 * g * m)
    lengths |= {b"GCNT": 8 * g * m, b"GCOR": 4 * m * (g + d), b"TPRO": 8 * m}
    lengths |= {b"TINP": 4 * cells, b"TOUT": 4 * cells}
    if has_groups:
        _demand(len(body[b"GTSK"]) in range(8, 1 << 64, 8), "SectionLength", "GTSK")
        _demand(len(body[b"GNAM"]) >= 4 * (g + 1), "SectionLength", "GNAM")
    for tag in (*there, *(tag for tag in (*OF_GROUPS, *OF_TOKENS) if tag in body)):
        size = len(body[tag])
        _demand(size == lengths.get(tag, size), "SectionLength", f"{tag!r} {size}")
    _demand(len(body[b"MODL"]) >= 4 * (m + 1), "SectionLength", "MODL")
    _demand(len(body[b"NOVL"]) in range(8, 1 << 64, 4), "SectionLength", "NOVL")

    def floats(tag: bytes, dtype: str, *shape: int) -> NDArray[Any]:
        return np.frombuffer(body[tag], dtype).reshape(shape)

    def value(holds: NDArray[np.bool_], tag: bytes) -> None:
        _demand(bool(holds.all()), "Value", f"{tag!r} at {np.flatnonzero(~holds)[:1]}")

    def counted(tag: bytes, *shape: int) -> NDArray[np.float64]:
        found = floats(tag, "<f8", *shape)
        value(np.isfinite(found) & (found >= 0), tag)
        return found

    def known(tag: bytes, *shape: int) -> NDArray[np.float32]:
        found = floats(tag, "<f4", *shape)
        value(np.isnan(found) | (np.isfinite(found) & (found >= 0)), tag)
        return found

    def profile(tags: tuple[bytes, ...], counts: NDArray[np.float64]) -> Profile:
        mean, success, error, gain = (floats(tag, "<f4", *counts.shape) for tag in tags[:4])
        value((mean >= 0) & (mean <= 1) & ((mean == 0) | (counts != 0)), tags[0])
        value((success >= 0) & (success <= 1), tags[1])
        value(np.isfinite(error) & (error >= 0), tags[2])
        value(np.isfinite(gain) & (gain >= 0), tags[3])
        cost, late = (known(tag, *counts.shape) for tag in tags[4:])
        return mean, success, error, gain, cost, late

    def linear(tag: bytes, rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = floats(tag, "<f4", -1)
        value(np.isfinite(found), tag)
        return found[: rows * m].reshape(rows, m), found[rows * m :].reshape(m, d)

    centroids = floats(b"CENT", "<f4", k, d)
    value(np.isfinite(centroids), b"CENT")
    counts = counted(b"CNTS", k + 1, m)
    profiles = profile(PROFILE_F32, counts)
    models = _names(body[b"MODL"], m, "ModelNames")
    policy, default = _policy(body[b"POLI"], m)
    embedder = _embedder(body[b"EMBD"], d)
    quantiles = floats(b"NOVL", "<f4", -1)
    value(np.isfinite(quantiles) & (quantiles >= 0), b"NOVL")
    value(quantiles[1:] >= quantiles[:-1], b"NOVL")
    metadata = _utf8(body[b"META"], "Metadata") if b"META" in body else None
    sharpness, count = _soft(body[b"SOFT"]) if b"SOFT" in body else (None, None)
    offsets = slopes = None
    if b"SLOP" in body:
        rows, slopes = linear(b"SLOP", 1)
        offsets = rows[0]
    policy["margin"] = _margin(body[b"MARG"]) if b"MARG" in body else 0.0
    groups = tokens = None
    if has_groups:
        names = _names(body[b"GNAM"], g, "GroupNames")
        tasks, group_counts = counted(b"GTSK", g), counted(b"GCNT", g, m)
        of_groups = profile(GROUP_F32, group_counts)
        both = linear(b"GCOR", g) if b"GCOR" in body else (None, None)
        groups = ReferenceGroups(names, tasks, group_counts, *of_groups, *both)
    if has_tokens:
        in_rows = (known(tag, k + 1, m) for tag in (b"TINP", b"TOUT"))
        in_groups = [known(tag, g, m) if has_groups else None for tag in GROUP_TOKENS]
        tokens = ReferenceTokens(known(b"TPRO", m, 2), *in_rows, *in_groups)
    added = (sharpness, count, offsets, slopes, groups, tokens)
    arrays = (centroids, counts, *profiles, quantiles)
    return ReferenceArtifact(
        version, models, default, policy, embedder, metadata, *arrays, *added, sections
    )


def _sums(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add up each row of terms with the page's 16 partial sums."""
    rows, d = terms.shape
    sums = np.zeros((rows, 16), np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for start in range(0, d, 16):
            part = terms[:, start : start + 16]
            sums[:, : part.shape[1]] += part
        for width in (8, 4, 2, 1):
            sums[:, :width] += sums[:, width : 2 * width]
    return sums[:, 0]


def squared_distances(
    artifact: ReferenceArtifact, query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give the squared distance of a query from each centroid, bit for bit as defined.

    Args:
        artifact: The artifact.
        query: float32, of shape (d,), finite.
    """
    with np.errstate(over="ignore", under="ignore"):
        t = query - artifact.centroids
        return _sums(t * t)


def nearest(artifact: ReferenceArtifact, query: NDArray[np.float32]) -> tuple[int, np.float32]:
    """Find the nearest centroid of a query and the distance, bit for bit as defined.

    Args:
        artifact: The artifact.
        query: float32, of shape (d,), finite.
    """
    squared = squared_distances(artifact, query)
    cluster = int(np.argmin(squared))  # argmin gives the first of equal ones
    return cluster, np.sqrt(squared[cluster])


def shares(
    artifact: ReferenceArtifact, query: NDArray[np.float32], novel: bool
) -> list[tuple[int, float]]:
    """Give the rows that count for a query, each with its share."""
    k = len(artifact.centroids)
    if novel:
        return [(k, 1.0)]
    squared = [float(s) for s in squared_distances(artifact, query)]
    order = sorted(range(k), key=lambda c: (squared[c], c))
    if artifact.sharpness is None or artifact.nearest is None:
        return [(order[0], 1.0)]
    order = order[: artifact.nearest]
    first = squared[order[0]]
    weights = [
        1.0 if squared[c] == first else math.exp(-(artifact.sharpness * (squared[c] - first)) / 2)
        for c in order
    ]
    total = _sum(weights)
    return [(c, w / total) for c, w in zip(order, weights, strict=True)]


def _sum(terms: Iterable[float]) -> float:
    """Add from left to right; the built-in ``sum`` may compensate its rounding."""
    total = 0.0
    for term in terms:
        total += term
    return total


def _known(table: NDArray[np.float32], rows: list[tuple[int, float]], i: int) -> float | None:
    known = [(p, float(table[c, i])) for c, p in rows if not np.isnan(table[c, i])]
    of_known = _sum(p for p, _ in known)
    return _sum(p * value for p, value in known) / of_known if of_known else None


def corrections(
    query: NDArray[np.float32],
    offsets: NDArray[np.float32] | None,
    slopes: NDArray[np.float32] | None,
) -> list[float] | None:
    """Give what is added to the success estimate of each model; None without a correction."""
    if slopes is None or offsets is None:
        return None
    with np.errstate(over="ignore", under="ignore"):
        products = _sums(query * slopes)
    return [
        float(offset) + float(product) if np.isfinite(product) else 0.0
        for offset, product in zip(offsets, products, strict=True)
    ]


def novelty(artifact: ReferenceArtifact, distance: np.float32) -> np.float32:
    """Say which part of the training prompts lay nearer than a distance."""
    quantiles = [float(q) for q in artifact.novelty_quantiles]
    i = sum(q <= float(distance) for q in quantiles)
    if i in (0, len(quantiles)):
        return np.float32(i > 0)
    inside = (float(distance) - quantiles[i - 1]) / (quantiles[i] - quantiles[i - 1])
    return np.float32(((i - 1) + inside) / (len(quantiles) - 1))


def decide(
    artifact: ReferenceArtifact,
    query: NDArray[np.float32],
    *,
    cost_weight: float | None = None,
    latency_weight: float | None = None,
    max_cost_usd: float | None = None,
    min_success: float | None = None,
    allow: Collection[str] | None = None,
    deny: Collection[str] | None = None,
    prices: Mapping[str, float | Sequence[float]] | None = None,
    group: str | None = None,
    prompt_chars: float | None = None,
    input_tokens: float | None = None,
    previous_model: str | None = None,
    switch_cost: float = 0.0,
    on_novel: str = "default",
) -> ReferenceDecision:
    """Decide by the page's section on meaning, in float64.

    Raises:
        NoCandidate: The limits leave no model.
        Novel: The prompt is novel, and the caller wants none.
    """

    def given_or_own(given: float | None, field: str) -> float:
        return artifact.policy[field] if given is None else given

    cluster, distance = nearest(artifact, query)
    far = novelty(artifact, distance)
    groups, tokens = artifact.groups, artifact.tokens
    named = groups is not None and group in groups.names
    novel = float(far) > artifact.policy["novelty_limit"] and not named
    if novel and on_novel == "error":
        raise Novel
    unguarded = novel and on_novel == "best_overall"
    models = range(len(artifact.models))
    profile: ReferenceArtifact | ReferenceGroups
    if groups is not None and group is not None and named:
        at = groups.names.index(group)
        row, profile, rows = None, groups, [(at, 1.0)]
        offsets = None if groups.offsets is None else groups.offsets[at]
        correction = corrections(query, offsets, groups.slopes)
        token_tables = (tokens.group_input, tokens.group_output) if tokens else (None, None)
    else:
        row, profile = len(artifact.centroids) if novel else cluster, artifact
        rows = shares(artifact, query, novel)
        correction = None if novel else corrections(query, artifact.offsets, artifact.slopes)
        token_tables = (tokens.input, tokens.output) if tokens else (None, None)

    def mean(table: NDArray[Any], i: int) -> float:
        return _sum(p * float(table[c, i]) for c, p in rows)

    if correction is None:
        correction = [0.0] * len(models)
    success = [min(max(mean(profile.success, i) + correction[i], 0.0), 1.0) for i in models]
    late = [_known(profile.latency, rows, i) for i in models]
    cost = [_known(profile.cost, rows, i) for i in models]
    for name, price in (prices or {}).items():
        i = artifact.models.index(name)
        if isinstance(price, int | float):
            cost[i] = float(price)
            continue
        assert tokens is not None, "a price for tokens is an error here"
        read, written = (_known(t, rows, i) for t in token_tables if t is not None)
        base, each = (float(v) for v in tokens.per_prompt[i])
        if input_tokens is not None:
            read = float(input_tokens)
        elif prompt_chars is not None and not math.isnan(base) and not math.isnan(each):
            read = base + each * prompt_chars
        cost[i] = None
        if read is not None and written is not None:
            amount = (price[0] * read + price[1] * written) / 1000000
            cost[i] = amount if math.isfinite(amount) else None

    utility = list(success)
    weights = (
        given_or_own(cost_weight, "cost_weight"),
        given_or_own(latency_weight, "latency_weight"),
    )
    for weight, amounts in zip(weights, (cost, late), strict=True):
        if weight == 0:
            continue
        dearest = max((a for a in amounts if a is not None), default=0.0)
        filled = [dearest if a is None else a for a in amounts]
        utility = [u - weight * a for u, a in zip(utility, filled, strict=True)]

    e, z = artifact.default, artifact.policy["guard_z"]
    margin = 0.0 if named else artifact.policy["margin"]
    claimed = [min(margin, max(success[i] - success[e], 0.0)) for i in models]
    bounds = [claimed[i] + z * mean(profile.gain_error, i) for i in models]
    proven = [i != e and utility[i] - utility[e] > bounds[i] for i in models]

    part = [0 if proven[i] else 1 if i == e else 2 for i in range(len(utility))]
    if unguarded:
        part = [0] * len(utility)
    order = sorted(range(len(utility)), key=lambda i: (part[i], -utility[i], i))
    limit, floor = (
        given_or_own(max_cost_usd, "max_cost_usd"),
        given_or_own(min_success, "min_success"),
    )

    def stays(i: int) -> bool:
        price, name = cost[i], artifact.models[i]
        allowed = (allow is None or name in allow) and name not in (deny or ())
        affordable = (
            bool(np.isnan(limit)) or limit == np.inf or (price is not None and price <= limit)
        )
        return allowed and affordable and success[i] >= floor

    left = [i for i in order if stays(i)]
    if not left:
        raise NoCandidate
    if left[0] != order[0]:
        reason = "constrained"
    elif unguarded:
        reason = "best_overall"
    elif novel:
        reason = "default_novel"
    else:
        reason = "routed" if proven[order[0]] else "default_no_evidence"
    if previous_model is not None:
        previous = artifact.models.index(previous_model)
        gain = utility[left[0]] - utility[previous]
        if previous in left[1:] and gain <= switch_cost:
            left.remove(previous)
            left.insert(0, previous)
            reason = "stayed"
    counts = [mean(profile.counts, i) for i in models]
    columns = list(zip(artifact.models, success, cost, late, counts, utility, strict=True))
    ranking = tuple(Entry(*columns[i]) for i in left)
    return ReferenceDecision(
        *(ranking[0].model, cluster, row, distance, far, reason, ranking),
        group if named else None,
        group is not None and not named,
    )
