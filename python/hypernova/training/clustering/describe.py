"""Describe a cluster by its distinctive words and its most typical prompts.

Not here: storing them. An artifact keeps distinctive words only, never the text of a
prompt (see ``hypernova.training.fit``).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.numeric import Floats, Ints

MAX_WORDS = 8
MAX_PROMPTS = 3
LINE_CHARS = 100
# A word that fewer prompts have describes a prompt, not a cluster.
MIN_PROMPTS_PER_WORD = 3
# Weight of the prior, in word occurrences: a rare word must be lopsided to be distinctive.
# In a small table this prior would outweigh the words, so it is at most a share of them.
PRIOR = 500.0
MAX_PRIOR_SHARE = 0.1
# Standard errors by which a word must be more frequent here than elsewhere (one-sided 95%).
MIN_Z = 1.645
MAX_WORD_CHARS = 30
# An embedder reads hardly more of a prompt, and a prompt may be a megabyte.
MAX_PROMPT_CHARS = 10_000
# Vectors whose distances are computed at a time: it bounds copies in float64.
_PIECE = 1024

# Python's \w leaves out the vowel signs that many scripts write within a word.
_WORD = re.compile(
    "[\\w\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
    "\u0e31-\u0e4e\u0eb1-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3\u200c\u200d]+"
)
# The words of a URL say nothing of the task.
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+")
_STOP_TEXT = """
about above after again all also although always am among an and another any anything are aren
around as at be because been before being below between both but by can cannot could couldn did
didn do does doesn doing don done down during each either else even every few first for from
further get gets getting give given gives go goes going got had has hasn have haven having he
her here hers him his how however if in into is isn it its itself just let like ll made make
makes making many may maybe me might more most much must my need needs neither no nor not now of
off often on once one only onto or other others our out over own per perhaps please rather re
same say says see seem seems she should shouldn since so some something still such than that the
their them then there these they thing things this those though through thus to too two under
until up upon us use used uses using ve very via want wants was wasn way we well were weren what
when where whether which while who whom whose why will with within without won would wouldn yes
yet you your yours
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())


@dataclass(frozen=True)
class Description:
    """Distinctive words and typical prompts of a cluster.

    Attributes:
        words: At most 8, the most distinctive first; each stands in at least 3 different
            prompts of the cluster. Empty if no word is distinctive, as in a single cluster.
        prompts: First lines of at most 3 different prompts, the nearest to the centroid
            first.
    """

    words: list[str]
    prompts: list[str]


def describe(
    prompts: Sequence[str], vectors: Floats, centroids: Floats, clusters: Ints
) -> list[Description]:
    """Describe each cluster by its words and its most typical prompts.

    A word is distinctive if it is more frequent in the cluster than elsewhere by the
    weighted log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008,
    doi 10.1093/pan/mpn018). Each different prompt counts a word once.

    Args:
        prompts: Of n tasks, with repetitions.
        vectors: float32 (n, dim).
        centroids: float32 (k, dim).
        clusters: (n,) in 0..k-1, the cluster of each task.

    Returns:
        k descriptions, in the order of ``centroids``.
    """
    members: list[dict[str, int]] = [{} for _ in centroids]
    for task, (prompt, cluster) in enumerate(zip(prompts, clusters.tolist(), strict=True)):
        members[cluster].setdefault(prompt, task)
    read = _Words()
    words = _distinctive_words([read.count(different) for different in members])
    return [
        Description(words[cluster], _typical(different, vectors, centroids[cluster]))
        for cluster, different in enumerate(members)
    ]


def one_line(text: str, width: int = LINE_CHARS) -> str:
    """Return the first line with a visible character, cut to a width and safe to print.

    Control and invisible formatting characters are dropped: they could move a terminal's
    cursor or turn the direction of writing.

    Args:
        text: Of any length; only its first 10,000 characters are read.
        width: Characters of the line, at most.

    Returns:
        The line, with an ellipsis where it was cut; empty if no line is visible.
    """
    for line in text[:MAX_PROMPT_CHARS].splitlines():
        kept = "".join(
            " " if character.isspace() else character
            for character in line
            if character == "\t" or not unicodedata.category(character).startswith("C")
        )
        kept = " ".join(kept.split())
        if kept:
            return kept if len(kept) <= width else kept[: width - 1].rstrip() + "…"
    return ""


def _typical(different: dict[str, int], vectors: Floats, centroid: Floats) -> list[str]:
    """Return first lines of the prompts nearest to the centroid, equal lines once."""
    if not different:
        return []
    tasks = np.fromiter(different.values(), dtype=np.int64)
    pieces = np.split(tasks, range(_PIECE, len(tasks), _PIECE))
    distances = np.concatenate(
        [((vectors[piece].astype(np.float64) - centroid) ** 2).sum(axis=1) for piece in pieces]
    )
    texts = list(different)
    lines: dict[str, None] = {}
    for place in np.argsort(distances, kind="stable").tolist():
        line = one_line(texts[place])
        if line:
            lines[line] = None
        if len(lines) == MAX_PROMPTS:
            break
    return list(lines)


class _Words(dict[str, str]):
    """The word of each run of letters and digits, empty if it is none; read once for each run.

    Stop words, numbers and single Latin letters are no words.
    """

    def __missing__(self, run: str) -> str:
        # Underscores around a word are emphasis as often as part of a name.
        word = run.strip("_")
        if not (
            len(word) <= MAX_WORD_CHARS
            and word not in _STOP_WORDS
            # No numbers, no rules of underscores, no single Latin letters.
            and any(map(str.isalpha, word))
            and (len(word) > 1 or not word.isascii())
        ):
            word = ""
        self[run] = word
        return word

    def count(self, prompts: Iterable[str]) -> Counter[str]:
        """Count the prompts that have each word."""
        counts: Counter[str] = Counter()
        for prompt in prompts:
            text = unicodedata.normalize("NFC", prompt[:MAX_PROMPT_CHARS]).lower()
            runs = set(_WORD.findall(_ADDRESS.sub(" ", text)))
            counts.update(set(map(self.__getitem__, runs)))
        del counts[""]
        return counts


def _distinctive_words(counts: Sequence[Counter[str]]) -> list[list[str]]:
    """Return the distinctive words of each cluster, by the number of its prompts with each word."""
    total: Counter[str] = Counter()
    for of_cluster in counts:
        total.update(of_cluster)
    n = total.total()
    weight = min(PRIOR, MAX_PRIOR_SHARE * n)
    distinctive = []
    for of_cluster in counts:
        here = of_cluster.total()
        elsewhere = n - here
        found: list[tuple[float, str]] = []
        for word, times in of_cluster.items():
            # The only word of a whole table has no odds.
            if times < MIN_PROMPTS_PER_WORD or total[word] == n:
                continue
            prior = weight * total[word] / n
            rest = total[word] - times
            odds_here = (times + prior) / (here + weight - times - prior)
            odds_elsewhere = (rest + prior) / (elsewhere + weight - rest - prior)
            gain = math.log(odds_here / odds_elsewhere)
            error = math.sqrt(1 / (times + prior) + 1 / (rest + prior))
            if gain > MIN_Z * error:
                found.append((-gain / error, word))
        distinctive.append([word for _, word in sorted(found)[:MAX_WORDS]])
    return distinctive
