"""Train one half of ``static``: a vector of each token, and of each frequent pair of tokens.

This half of a text's vector is the sum of the vectors of its tokens and pairs, scaled to length 1.
Training turns the sum towards MiniLM's vector, on the texts of ``corpus.py`` alone. That a bag of
words can stand in for a sentence encoder is known from Model2Vec and similar models; pairs are
those of fastText (Joulin et al., arXiv 1607.01759), here without collisions.

Not here: the texts (``corpus.py``), MiniLM's vectors of them (``teach.py``), and the model's file
(``build_static.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from tokenizers import Tokenizer

from pack import stateless_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]
PRIMES = (31_337, 7_919)  # mix the ids of a pair
HELD_OUT = 4_000  # texts that no training step sees


@dataclass(frozen=True)
class Settings:
    """Sizes and rates, chosen on the held-out texts (models/README.md has the table)."""

    dim: int = 256
    pairs: int = 32_768  # one bucket each
    min_count: int = 5
    epochs: int = 8
    batch: int = 4_096
    rate: float = 0.02
    length: float = 4.0  # initial mean length of a token's vector; training takes most to 6 or 7
    a: float = 1e-3  # constant of the smooth inverse frequency, initial weight of a token


@dataclass(frozen=True)
class Trained:
    """The rows of tokens, then of pairs, (vocabulary + buckets, dim), and each bucket's pair."""

    rows: Array
    keys: Array
    figures: dict[str, float]


@dataclass(frozen=True)
class Corpus:
    """Texts as tokens: text i has ``ids[start[i] : start[i + 1]]``."""

    ids: Array
    start: Array
    kinds: Array
    teacher: Array  # (texts, 384), float32
    vocabulary: int


def read(folder: Path) -> Corpus:
    """Read ``texts.jsonl`` and ``teacher.npy``; texts without a token or a vector are left out."""
    texts, kinds = [], []
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            texts.append(record["text"])
            kinds.append(record["kind"])
    teacher = np.load(folder / "teacher.npy").astype(np.float32)
    if len(teacher) != len(texts):
        raise SystemExit(f"{folder}: {len(teacher)} vectors of {len(texts)} texts; run teach.py")
    tokenizer = Tokenizer.from_str(stateless_tokenizer())
    ids: list[int] = []
    start, kept = [0], []
    for at in range(0, len(texts), 4096):
        block = tokenizer.encode_batch_fast(texts[at : at + 4096], add_special_tokens=False)
        for i, encoded in enumerate(block, at):
            if encoded.ids and teacher[i].any():
                ids += encoded.ids
                start.append(len(ids))
                kept.append(i)
    return Corpus(
        np.array(ids, np.int64),
        np.array(start, np.int64),
        np.array(kinds)[kept],
        teacher[kept],
        tokenizer.get_vocab_size(),
    )


def bucket_of(first: Array, second: Array, buckets: int) -> Array:
    """Hash a pair of tokens to its bucket; the model's graph has the same sum."""
    bucket: Array = (first * PRIMES[0] + second * PRIMES[1]) % buckets
    return bucket


def neighbours(corpus: Corpus) -> tuple[Array, Array, Array]:
    """List the first token, second token and text of every two neighbouring tokens."""
    text = np.repeat(np.arange(len(corpus.start) - 1), np.diff(corpus.start))
    together = text[:-1] == text[1:]
    return corpus.ids[:-1][together], corpus.ids[1:][together], text[:-1][together]


def choose_pairs(corpus: Corpus, settings: Settings) -> Array:
    """Choose the pair of each bucket, first * vocabulary + second, or -1: (pairs,).

    Of the pairs that share a bucket, the one worth most gets it: its count times the logarithm of
    its frequency over that of independent tokens. The others have no vector, and add nothing.
    """
    first, second, _ = neighbours(corpus)
    pair, count = np.unique(first * corpus.vocabulary + second, return_counts=True)
    pair, count = pair[count >= settings.min_count], count[count >= settings.min_count]
    a, b = pair // corpus.vocabulary, pair % corpus.vocabulary
    share = np.bincount(corpus.ids, minlength=corpus.vocabulary) / len(corpus.ids)
    worth = count * np.log(count / len(first) / (share[a] * share[b]))
    order = np.argsort(worth, kind="stable")  # the last assignment stays
    keys = np.full(settings.pairs, -1, np.int64)
    positive = order[worth[order] > 0]
    keys[bucket_of(a[positive], b[positive], settings.pairs)] = pair[positive]
    return keys


def bags(corpus: Corpus, keys: Array) -> Any:
    """Count each token and known pair in each text: (texts, vocabulary + buckets)."""
    texts, vocabulary = len(corpus.start) - 1, corpus.vocabulary
    ones = np.ones(len(corpus.ids), np.float32)
    tokens = sp.csr_matrix((ones, corpus.ids, corpus.start), (texts, vocabulary))
    first, second, text = neighbours(corpus)
    bucket = bucket_of(first, second, len(keys))
    known = keys[bucket] == first * vocabulary + second
    ones = np.ones(known.sum(), np.float32)
    pairs = sp.csr_matrix((ones, (text[known], bucket[known])), (texts, len(keys)))
    bag = sp.hstack([tokens, pairs]).tocsr()
    bag.sum_duplicates()
    return bag


def unit(vectors: Array) -> Array:
    """Scale vectors to length 1."""
    scaled: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return scaled


def train(corpus: Corpus, token_vectors: Array, settings: Settings, seed: int = 0) -> Trained:
    """Minimise 1 - cosine to MiniLM's vector by Adam, in their first ``dim`` principal axes.

    Args:
        corpus: The texts.
        token_vectors: (vocabulary, 384): MiniLM's vector of each token alone.
        settings: Sizes and rates.
        seed: Same seed, libraries and kind of CPU, same rows.
    """
    s, rng = settings, np.random.default_rng(seed)
    keys = choose_pairs(corpus, s)
    bag = bags(corpus, keys)
    order = rng.permutation(len(corpus.teacher))
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    axes = principal_axes(corpus.teacher[rest], s.dim)
    target = unit(corpus.teacher @ axes)
    share = np.asarray(bag[rest].sum(0)).ravel()[: corpus.vocabulary] + 1.0
    share /= share.sum()
    rows = np.zeros((bag.shape[1], s.dim), np.float32)
    rows[: corpus.vocabulary] = (token_vectors - token_vectors.mean(0)) @ axes
    rows[: corpus.vocabulary] *= (s.a / (s.a + share))[:, None]
    rows *= s.length / np.linalg.norm(rows[: corpus.vocabulary], axis=1).mean()
    momentum, variance = np.zeros_like(rows), np.zeros_like(rows)
    per_epoch = len(rest) // s.batch
    steps = s.epochs * per_epoch
    for step in range(steps):
        at = step % per_epoch
        if at == 0:
            rng.shuffle(rest)
        texts = rest[at * s.batch : (at + 1) * s.batch]
        batch = bag[texts]
        total = batch @ rows
        length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
        vector = total / length
        # The gradient of a vector scaled to length 1 has no part along it.
        cosine = (target[texts] * vector).sum(1, keepdims=True)
        gradient = batch.T.tocsr() @ ((cosine * vector - target[texts]) / length)
        momentum += 0.1 * (gradient - momentum)
        variance += 0.01 * (gradient * gradient - variance)
        rate = s.rate * (1 - step / steps) + 1e-4
        scale = np.sqrt(variance / (1 - 0.99 ** (step + 1))) + 1e-4
        rows -= rate / (1 - 0.9 ** (step + 1)) * momentum / scale
    return Trained(
        rows, keys, score_vectors(bag[held_out] @ rows, target[held_out], corpus.teacher[held_out])
    )


def principal_axes(vectors: Array, dim: int) -> Array:
    """Find the ``dim`` directions that hold most of the vectors' squares: (width, dim)."""
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    axes = axes[:, ::-1][:, :dim]
    # A direction's sign is arbitrary: its largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])
    kept: Array = axes.astype(np.float32)
    return kept


def score_vectors(found: Array, target: Array, teacher: Array) -> dict[str, float]:
    """Compare held-out vectors with the teacher's.

    cosine: to the teacher's vector in the directions kept; agreement: correlation of the cosines
    of pairs of texts; neighbours: share of the ten nearest texts that are the teacher's ten too.
    """
    vectors = unit(found)
    own, theirs = vectors @ vectors.T, teacher @ teacher.T
    pairs = np.triu_indices(len(own), 1)
    near = []
    for cosines in (own, theirs):
        np.fill_diagonal(cosines, -9)
        near.append(np.argsort(-cosines, axis=1)[:, :10])
    shared = [len(np.intersect1d(a, b)) / 10 for a, b in zip(*near, strict=True)]
    return {
        "cosine": float((vectors * target).sum(1).mean()),
        "agreement": float(np.corrcoef(own[pairs], theirs[pairs])[0, 1]),
        "neighbours": float(np.mean(shared)),
    }
