"""Find beginnings and ends that many prompts of a table share, and prompts with equal vectors.

Not here: leaving shared text out (see ``hypernova.embedder.shared_text``), or its effect on
accuracy (see ``report``).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova._core import visible_span
from hypernova.embedder import SharedPart, SharedParts
from hypernova.embedder.shared_text import MAX_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable

# A part counts with this many characters, shared by this many different prompts and share of
# them.
MIN_CHARS = 64
MIN_PROMPTS, MIN_SHARE = 20, 0.005
# Shared text is reported if at least this share of the different prompts has some.
MIN_REPORTED_SHARE = 0.05
# Prompts with equal vectors are reported from this number and share of the prompts on.
MIN_REPORTED_ALIKE, MIN_REPORTED_ALIKE_SHARE = 10, 0.01
# Share of the prompts of a bucket that must agree on a part: one typing error hides no preamble.
MIN_AGREEMENT = 0.9
# How far back a part is shortened to the edge of a word.
_MAX_WORD_CHARS = 32
# How many characters behind a part are compared to count different prompts.
_COMPARED_CHARS = 1000
# So many lengths are listed one by one in a sentence.
_LISTED = 3
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class SharedText:
    """Shared beginnings and ends of a table's prompts.

    Attributes:
        parts: Parts that can be left out; None where no text is shared.
        prompts: Number of different prompts, blanks at their ends aside.
        sharing: Number of these that have a shared part.
        starts: Length and number of prompts of each beginning, the most prompts first.
        ends: The same for each end.
    """

    parts: SharedParts | None
    prompts: int
    sharing: int = 0
    starts: tuple[tuple[int, int], ...] = ()
    ends: tuple[tuple[int, int], ...] = ()

    @property
    def notable_parts(self) -> SharedParts | None:
        """The shared parts if at least 5% of the different prompts have some, else None."""
        return self.parts if self.sharing >= MIN_REPORTED_SHARE * self.prompts else None

    def to_dict(self, *, skipped: bool) -> dict[str, Any]:
        """Return the JSON form for metadata and reports: numbers, without any text.

        Args:
            skipped: Whether the shared text is left out.
        """
        return {
            "prompts": self.prompts,
            "sharing": self.sharing,
            "starts": [{"chars": chars, "prompts": n} for chars, n in self.starts],
            "ends": [{"chars": chars, "prompts": n} for chars, n in self.ends],
            "skipped": skipped,
        }


def find_shared_text(prompts: Sequence[str]) -> SharedText:
    """Find long beginnings and ends that many different prompts share.

    A beginning counts if it has at least 64 characters and at least 20 different prompts, and
    one in 200, share it. A longer beginning that some of these prompts share counts as well if
    it is 64 characters longer. Each is as long as nine in ten of its prompts allow, and stops
    at the edge of a word. Prompts that differ in digits, case or blanks alone count once. Ends
    are found in the same way, in the prompts without their beginnings.

    Args:
        prompts: Of the tasks that are learned from.

    Returns:
        At most 64 parts, ordered by the number of characters that they take away.
    """
    texts = list(dict.fromkeys(prompt[slice(*visible_span(prompt))] for prompt in prompts))
    min_prompts = max(MIN_PROMPTS, round(MIN_SHARE * len(texts)))
    starts = _beginnings(texts, min_prompts)
    left = texts
    if starts:
        known = SharedParts(_heaviest(starts))
        left = list(dict.fromkeys(known.remaining(text) for text in texts))
    backwards = _beginnings(left, min_prompts, backwards=True)
    found = _heaviest(starts, [(text[::-1], n) for text, n in backwards])
    if not found:
        return SharedText(None, len(texts))
    parts = SharedParts(found)
    lost = [parts.lengths(text) for text in texts]
    sharing = sum(map(any, lost))
    if not sharing:
        return SharedText(None, len(texts))
    by_start, by_end = (Counter(n for n in each if n) for each in zip(*lost, strict=True))
    kept = [part for part in found if part.chars in (by_start if part.at == "start" else by_end)]
    return SharedText(
        SharedParts(kept), len(texts), sharing, _most_first(by_start), _most_first(by_end)
    )


def row_digests(vectors: Floats) -> list[bytes]:
    """Hash each row; digests are equal where the rows are equal bit for bit."""
    return [
        hashlib.blake2b(row.data, digest_size=16).digest() for row in np.ascontiguousarray(vectors)
    ]


def find_alike_prompts(
    table: OutcomeTable, texts: Sequence[str], digests: Sequence[bytes]
) -> dict[str, Any] | None:
    """Find different prompts with the same vector, bit for bit: no router can tell them apart.

    Prompts that differ in case or blanks alone count as equal.

    Args:
        table: Outcomes.
        texts: (tasks,) the embedded texts.
        digests: (tasks,) of the vectors, from `row_digests`.

    Returns:
        The JSON form for metadata and reports, without any text; None where such prompts are
        few.
    """
    by_vector: dict[bytes, list[int]] = {}
    for task, digest in enumerate(digests):
        by_vector.setdefault(digest, []).append(task)
    plain = ["".join(text.casefold().split()) for text in texts]
    prompts = sets = tasks = 0
    lost = 0.0
    for members in by_vector.values():
        different = len({plain[task] for task in members})
        if different < 2:
            continue
        prompts, sets, tasks = prompts + different, sets + 1, tasks + len(members)
        score = table.score[members]
        known = score[~np.isnan(score).all(axis=1)]
        if len(known):
            lost += float(np.nanmax(known, axis=1).sum() - np.nansum(known, axis=0).max())
    total = len(set(plain))
    if prompts < max(MIN_REPORTED_ALIKE, MIN_REPORTED_ALIKE_SHARE * total):
        return None
    scored = int((~np.isnan(table.score)).any(axis=1).sum())
    return {
        "label": "in hindsight: best model of each prompt against best model of each vector",
        "prompts": prompts,
        "of": total,
        "vectors": sets,
        "tasks": tasks,
        "at_most": round(lost / max(scored, 1), 6),
    }


def _heaviest(
    starts: Sequence[tuple[str, int]], ends: Sequence[tuple[str, int]] = ()
) -> list[SharedPart]:
    """Return the parts that take away the most characters, as many as an artifact may hold."""
    weighed = [(n * len(text), SharedPart.from_text("start", text)) for text, n in starts]
    weighed += [(n * len(text), SharedPart.from_text("end", text)) for text, n in ends]
    weighed.sort(key=lambda pair: (-pair[0], pair[1]))
    return [part for _, part in weighed[:MAX_PARTS]]


def _most_first(by_length: Counter[int]) -> tuple[tuple[int, int], ...]:
    """Return pairs of length and number of prompts, the most prompts first."""
    return tuple(sorted(by_length.items(), key=lambda pair: (-pair[1], pair[0])))


def _beginnings(
    texts: Sequence[str], min_prompts: int, *, backwards: bool = False
) -> list[tuple[str, int]]:
    """Find shared beginnings, or reversed ends, and the number of texts that share each."""
    found: list[tuple[str, int]] = []
    # Each bucket shares 64 characters beyond the part found before, whose length goes with it.
    waiting = [(bucket, 0) for bucket in _buckets(texts, 0, min_prompts, backwards=backwards)]
    while waiting:
        bucket, before = waiting.pop()
        bucket.sort()
        shared = _agreed(bucket)
        agreeing = [text for text in bucket if text.startswith(shared)]
        part = _whole_words(shared, agreeing)
        if len(part) >= before + MIN_CHARS and _differ(agreeing, len(part), min_prompts):
            found.append((part, len(agreeing)))
            before_these = len(part)
        else:
            before_these = before
        deeper = _buckets(agreeing, len(shared), min_prompts)
        waiting += [(longer, before_these) for longer in deeper]
        if len(bucket) - len(agreeing) >= min_prompts:
            waiting.append(([text for text in bucket if not text.startswith(shared)], before))
    return found


def _buckets(
    texts: Iterable[str], start: int, min_prompts: int, *, backwards: bool = False
) -> list[list[str]]:
    """Group texts by their next 64 characters and keep large groups; reversed if ``backwards``."""
    buckets: dict[str, list[str]] = {}
    end = start + MIN_CHARS
    for text in texts:
        if len(text) > end:
            key = text[-MIN_CHARS:] if backwards else text[start:end]
            buckets.setdefault(key, []).append(text)
    large = [bucket for bucket in buckets.values() if len(bucket) >= min_prompts]
    return [[text[::-1] for text in bucket] for bucket in large] if backwards else large


def _agreed(bucket: Sequence[str]) -> str:
    """Return the longest beginning that nine in ten of these sorted texts share."""
    window = math.ceil(MIN_AGREEMENT * len(bucket))
    best, length = bucket[0], 0
    for first, last in zip(bucket, bucket[window - 1 :], strict=False):
        shared = _shared_length(first, last)
        if shared > length:
            best, length = first, shared
    return best[:length]


def _shared_length(first: str, second: str) -> int:
    """Return the length of the longest common beginning of two texts."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole_words(shared: str, texts: Iterable[str]) -> str:
    """Shorten a beginning to the edge of a word, without blanks at its end."""
    at = len(shared)
    if shared[-1].isalnum() and any(text[at : at + 1].isalnum() for text in texts):
        for edge in range(at - 1, max(at - _MAX_WORD_CHARS, 0), -1):
            if not (shared[edge - 1].isalnum() and shared[edge].isalnum()):
                at = edge
                break
    return shared[:at].rstrip()


def _differ(texts: Iterable[str], start: int, min_prompts: int) -> bool:
    """Return whether enough texts differ, after ``start``, in more than digits, case and blanks."""
    seen = set()
    for text in texts:
        rest = _DIGITS.sub("0", text[start : start + _COMPARED_CHARS]).casefold()
        if any(map(str.isalnum, rest)):
            seen.add("".join(rest.split()))
            if len(seen) >= min_prompts:
                return True
    return False
