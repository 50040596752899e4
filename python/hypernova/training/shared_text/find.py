"""Find the beginnings and ends that many prompts of a table share, and prompts that look alike.

Not here: leaving them out (see ``hypernova.embedder.skip``). No outcome is looked at but for
what is at stake.

A preamble that stands before every prompt fills what an embedder reads, and then hides what
the prompt asks. It may also tell kinds of task apart, which is what routing lives on. So
nothing is left out unasked: what it would change is measured on held-out tasks, and said.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.embedder import SharedPart, SharedParts
from hypernova.embedder.skip import MAX_PARTS
from hypernova.embedder.text.cut import visible_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable

# A part counts from this many characters, and if this many different prompts share it.
LEAST_CHARS = 64
LEAST_PROMPTS, LEAST_SHARE = 20, 0.005
# It is said from this share of the different prompts on.
SAID_SHARE = 0.05
# Prompts that look alike to the embedder are spoken of from this number and share on.
SAID_ALIKE, SAID_ALIKE_SHARE = 10, 0.01
# Standard errors from which on a difference is called one.
CLEAR = 2.0
# A part may stop short of a few of those that share it: one typing error hides no preamble.
AGREEING = 0.9
# How far back the end of a word is looked for, and how much of a prompt tells it from others.
_WORD_CHARS = 32
_TELLING_CHARS = 1000
# So many lengths are listed one by one in a sentence.
_LISTED = 3
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class SharedText:
    """Shared beginnings and ends of a table's prompts.

    Attributes:
        parts: What can be left out; None where nothing is shared.
        prompts: How many different prompts there are, blanks at their ends aside.
        sharing: How many of them lose something.
        starts: Length and number of prompts of each beginning, the most prompts first.
        ends: The same of each end.
    """

    parts: SharedParts | None
    prompts: int
    sharing: int = 0
    starts: tuple[tuple[int, int], ...] = ()
    ends: tuple[tuple[int, int], ...] = ()

    @property
    def to_say(self) -> SharedParts | None:
        """The parts, if so many prompts share some that it is said unasked."""
        return self.parts if self.sharing >= SAID_SHARE * self.prompts else None

    def facts(self, *, skipped: bool) -> dict[str, Any]:
        """Give numbers for metadata and reports, without any text."""
        return {
            "prompts": self.prompts,
            "sharing": self.sharing,
            "starts": [{"chars": chars, "prompts": n} for chars, n in self.starts],
            "ends": [{"chars": chars, "prompts": n} for chars, n in self.ends],
            "skipped": skipped,
        }


def find_shared(prompts: Sequence[str]) -> SharedText:
    """Find long beginnings and ends that many different prompts share.

    A beginning counts if at least 64 of its characters are shared by at least 20 different
    prompts and one in 200. Where a beginning goes on for a part of these prompts, that longer
    one counts besides if it is 64 characters longer. Each is as long as nine in ten of those
    who share it allow, and stops at the edge of a word. Prompts that differ in digits,
    case or blanks alone count once. Ends are found in the same way, in what is left without
    the beginnings.

    Args:
        prompts: Of the tasks that are learned from.

    Returns:
        What was found: at most 64 parts, those first that take away the most.
    """
    texts = list(dict.fromkeys(prompt[slice(*visible_span(prompt))] for prompt in prompts))
    least = max(LEAST_PROMPTS, round(LEAST_SHARE * len(texts)))
    starts = _beginnings(texts, least)
    left = texts
    if starts:
        known = SharedParts(_heaviest(starts))
        left = list(dict.fromkeys(known.left(text) for text in texts))
    backwards = _beginnings(left, least, backwards=True)
    found = _heaviest(starts, [(text[::-1], n) for text, n in backwards])
    if not found:
        return SharedText(None, len(texts))
    parts = SharedParts(found)
    lost = [parts.found(text) for text in texts]
    sharing = sum(map(any, lost))
    if not sharing:
        return SharedText(None, len(texts))
    by_start, by_end = (Counter(n for n in each if n) for each in zip(*lost, strict=True))
    kept = [part for part in found if part.chars in (by_start if part.at == "start" else by_end)]
    return SharedText(
        SharedParts(kept), len(texts), sharing, _most_first(by_start), _most_first(by_end)
    )


def keys_of(vectors: Floats) -> list[bytes]:
    """Give a key for each row, equal where the rows are equal bit for bit."""
    return [
        hashlib.blake2b(row.data, digest_size=16).digest() for row in np.ascontiguousarray(vectors)
    ]


def find_alike(
    table: OutcomeTable, texts: Sequence[str], keys: Sequence[bytes]
) -> dict[str, Any] | None:
    """Find different prompts with the same vector, bit for bit: no router can part them.

    Prompts that differ in case or blanks alone are not different here.

    Args:
        table: Outcomes.
        texts: (tasks,) what was embedded.
        keys: (tasks,) equal where the vectors are.

    Returns:
        Numbers without any text; None where such prompts are few.
    """
    by_vector: dict[bytes, list[int]] = {}
    for task, key in enumerate(keys):
        by_vector.setdefault(key, []).append(task)
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
    if prompts < max(SAID_ALIKE, SAID_ALIKE_SHARE * total):
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
    """As many parts as an artifact may hold, those first that take away the most."""
    weighed = [(n * len(text), SharedPart.of("start", text)) for text, n in starts]
    weighed += [(n * len(text), SharedPart.of("end", text)) for text, n in ends]
    weighed.sort(key=lambda pair: (-pair[0], pair[1]))
    return [part for _, part in weighed[:MAX_PARTS]]


def _most_first(by_length: Counter[int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(by_length.items(), key=lambda pair: (-pair[1], pair[0])))


def _beginnings(
    texts: Sequence[str], least: int, *, backwards: bool = False
) -> list[tuple[str, int]]:
    """Find shared beginnings, or ends of ``texts`` read ``backwards``, and by how many."""
    found: list[tuple[str, int]] = []
    # Buckets of texts that share 64 characters more than the part that was found before.
    waiting = [(bucket, 0) for bucket in _buckets(texts, 0, least, backwards=backwards)]
    while waiting:
        bucket, before = waiting.pop()
        bucket.sort()
        shared = _agreed(bucket)
        agreeing = [text for text in bucket if text.startswith(shared)]
        part = _whole_words(shared, agreeing)
        if len(part) >= before + LEAST_CHARS and _differ(agreeing, len(part), least):
            found.append((part, len(agreeing)))
            before_these = len(part)
        else:
            before_these = before
        deeper = _buckets(agreeing, len(shared), least)
        waiting += [(longer, before_these) for longer in deeper]
        if len(bucket) - len(agreeing) >= least:
            waiting.append(([text for text in bucket if not text.startswith(shared)], before))
    return found


def _buckets(
    texts: Iterable[str], start: int, least: int, *, backwards: bool = False
) -> list[list[str]]:
    """Texts by their next 64 characters, where there are enough; turned round if asked."""
    buckets: dict[str, list[str]] = {}
    end = start + LEAST_CHARS
    for text in texts:
        if len(text) > end:
            key = text[-LEAST_CHARS:] if backwards else text[start:end]
            buckets.setdefault(key, []).append(text)
    large = [bucket for bucket in buckets.values() if len(bucket) >= least]
    return [[text[::-1] for text in bucket] for bucket in large] if backwards else large


def _agreed(bucket: Sequence[str]) -> str:
    """The longest beginning that nine in ten of these texts, sorted, share."""
    window = math.ceil(AGREEING * len(bucket))
    best, length = bucket[0], 0
    for first, last in zip(bucket, bucket[window - 1 :], strict=False):
        shared = _shared_length(first, last)
        if shared > length:
            best, length = first, shared
    return best[:length]


def _shared_length(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole_words(shared: str, texts: Iterable[str]) -> str:
    """Shorten a beginning so that no half of a word is lost, and blanks at its end."""
    at = len(shared)
    if shared[-1].isalnum() and any(text[at : at + 1].isalnum() for text in texts):
        for edge in range(at - 1, max(at - _WORD_CHARS, 0), -1):
            if not (shared[edge - 1].isalnum() and shared[edge].isalnum()):
                at = edge
                break
    return shared[:at].rstrip()


def _differ(texts: Iterable[str], start: int, least: int) -> bool:
    """Whether that many texts differ, after ``start``, in more than digits, case and blanks."""
    seen = set()
    for text in texts:
        rest = _DIGITS.sub("0", text[start : start + _TELLING_CHARS]).casefold()
        if any(map(str.isalnum, rest)):
            seen.add("".join(rest.split()))
            if len(seen) >= least:
                return True
    return False
