"""Simulate prompts and outcomes of which the true success probabilities are known.

Not here: files (`large_tables.py`). A world has kinds of prompts, each with words of its own, and
a few latent axes, each with two sets of words that stand at its ends. A model's true success
probability on a prompt is that of the kind plus a linear function of the latent values, and never
needs clipping: the mean over a kind is exactly `World.success`. Words are those of the `static`
embedder's vocabulary, which is ordered by frequency; no sample table is read.

Tasks come in blocks of `BLOCK_TASKS`, and a block depends on the world and its own number alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hypernova

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_TASKS = 8_192
# Words of the vocabulary, of each kind, and of each end of an axis.
WORDS, KIND_WORDS, AXIS_WORDS = 16_384, 1_500, 120
AXES = 4
# Parts of a prompt's words that come from its kind and from the axes; the rest is common to all.
KIND_PART, AXIS_PART = 0.25, 0.2
# Prompts that are sent again and again, and their part of all tasks.
POPULAR, POPULAR_PART = 256, 0.01
# Standard deviation of the logarithm of a prompt's length, and bounds as multiples of the mean.
LENGTH_SIGMA, MIN_LENGTH, MAX_LENGTH = 0.6, 0.05, 10.0
# Success of a kind stays this far from 0 and 1, and the axes move it by less.
MARGIN, MAX_SLOPE = 0.2, 0.15
SEPARATORS = (" ", ", ", ". ", ".\n", ".")
SPACE, COMMA, STOP, LINE, END = range(len(SEPARATORS))
COMMA_PART, STOP_PART = 14 / 256, 16 / 256
LEAD_WORDS = (6, 14)  # of the first line, which half of the prompts have

# Random streams of a world and of a block; one that draws more disturbs no other.
_WORLD, _POPULAR, _TEXT, _REPEAT, _OUTCOME, _HOLE = range(6)


@dataclass(frozen=True, eq=False)
class World:
    """What is true of all tasks of a simulated table; `make_world` makes one.

    Attributes:
        seed: Seed of everything.
        tokens: Mean length of a prompt in tokens.
        dim: Length of the vectors that tasks bring in place of a text; None for texts.
        holes: Probability with which an outcome is missing.
        models: Names (models,), sorted.
        groups: Names of the kinds (groups,).
        share: Probability of each kind (groups,).
        success: True success probability (groups, models), the mean over the kind's prompts.
        slopes: Change of the success probability by the latent values (models, axes).
        prices: USD of a token (models,).
        answers: Mean tokens of an answer (models,).
        speeds: Tokens of an answer in a second (models,).
        choices: Words of each kind (groups, 65536), each as often as it is likely.
        axis_words: Words at both ends of each axis (axes, 2, words).
        places: Vectors of the kinds and of the axes (groups + axes, dim), or None.
    """

    seed: int
    tokens: int
    dim: int | None
    holes: float
    models: tuple[str, ...]
    groups: tuple[str, ...]
    share: np.ndarray
    success: np.ndarray
    slopes: np.ndarray
    prices: np.ndarray
    answers: np.ndarray
    speeds: np.ndarray
    choices: np.ndarray
    axis_words: np.ndarray
    places: np.ndarray | None

    def expected(self, kinds: np.ndarray, latent: np.ndarray) -> np.ndarray:
        """Compute the true success probability (tasks, models) of prompts.

        Args:
            kinds: Index of the kind of each prompt (tasks,).
            latent: Latent values, -1 to 1 (tasks, axes).
        """
        return self.success[kinds] + latent @ self.slopes.T


@dataclass(frozen=True, eq=False)
class Tasks:
    """Consecutive tasks with their outcomes, and the truth about them.

    Attributes:
        first: Number of the first task.
        kinds: Index of each task's kind (tasks,).
        latent: Latent values (tasks, axes).
        prompts: Texts, a pyarrow string array (tasks,).
        vectors: float32 (tasks, dim) of unit length, or None in a world of texts.
        score: 0 or 1 (tasks, models); NaN in a hole, as in the two that follow.
        cost_usd: USD (tasks, models).
        latency_s: Seconds (tasks, models).
    """

    first: int
    kinds: np.ndarray
    latent: np.ndarray
    prompts: Any
    vectors: np.ndarray | None
    score: np.ndarray
    cost_usd: np.ndarray
    latency_s: np.ndarray

    def __len__(self) -> int:
        return len(self.kinds)

    def part(self, start: int, stop: int) -> Tasks:
        """Select tasks by their place in this object."""
        some = slice(start, stop)
        return Tasks(
            self.first + start,
            self.kinds[some],
            self.latent[some],
            self.prompts.slice(start, stop - start),
            None if self.vectors is None else self.vectors[some],
            self.score[some],
            self.cost_usd[some],
            self.latency_s[some],
        )


def make_world(
    seed: int = 0,
    *,
    models: int = 8,
    groups: int = 12,
    tokens: int = 200,
    holes: float = 0.0,
    dim: int | None = None,
) -> World:
    """Make a world; the same arguments make the same one."""
    rng = np.random.default_rng([seed, _WORLD])
    share = 1 / np.arange(1, groups + 1) ** 0.5
    skill = np.sort(rng.uniform(0.35, 0.7, models))
    success = np.clip(skill + rng.normal(0, 0.12, (groups, models)), MARGIN, 1 - MARGIN)
    slopes = rng.normal(size=(models, AXES))
    slopes *= MAX_SLOPE / np.maximum(np.abs(slopes).sum(axis=1, keepdims=True), 1e-9)
    # A better model is dearer and slower, more or less.
    prices = 2e-7 * np.exp(8 * (skill - 0.35) + rng.normal(0, 0.3, models))
    common = _by_rank(WORDS, 65_536 - round(KIND_PART * 65_536))
    choices = np.empty((groups, 65_536), dtype=np.uint16)
    for kind in range(groups):
        own = rng.choice(WORDS, KIND_WORDS, replace=False)
        # Without its first ranks, which would stand in every sentence.
        ranks = _by_rank(KIND_WORDS, 65_536 - len(common), skipped=10)
        choices[kind] = np.r_[common, own[ranks]]
    axis_words = rng.choice(WORDS, (AXES, 2, AXIS_WORDS), replace=False).astype(np.uint16)
    places = None
    if dim is not None:
        places = _units(rng.normal(size=(groups + AXES, dim)))
    return World(
        seed=seed,
        tokens=tokens,
        dim=dim,
        holes=holes,
        models=tuple(f"model-{i:02}" for i in range(models)),
        groups=tuple(f"kind-{i:02}" for i in range(groups)),
        share=share / share.sum(),
        success=success,
        slopes=slopes,
        prices=prices,
        answers=rng.uniform(150, 600, models),
        speeds=rng.uniform(20, 120, models) / (1 + np.arange(models) / models),
        choices=choices,
        axis_words=axis_words,
        places=places,
    )


def truth(world: World) -> dict[str, Any]:
    """List what an artifact should find, as values for JSON.

    Returns:
        ``models``, ``groups``, ``share`` of each group, ``success`` (groups x models), the
        ``best_single`` model and its true success over all tasks, ``best_of_group`` and the true
        success of that choice over all tasks.
    """
    overall = world.share @ world.success
    best = world.success.argmax(axis=1)
    return {
        "models": list(world.models),
        "groups": list(world.groups),
        "share": world.share.tolist(),
        "success": world.success.tolist(),
        "overall": overall.tolist(),
        "best_single": world.models[int(overall.argmax())],
        "best_single_success": float(overall.max()),
        "best_of_group": [world.models[i] for i in best],
        "best_of_group_success": float(world.share @ world.success.max(axis=1)),
    }


def tasks_of(world: World, start: int, stop: int) -> Iterator[Tasks]:
    """Generate the tasks from ``start`` up to ``stop``, a block or the part of one at a time."""
    for number in range(start // BLOCK_TASKS, -(-stop // BLOCK_TASKS)):
        first = number * BLOCK_TASKS
        whole = block(world, number)
        yield whole.part(max(start - first, 0), min(stop - first, BLOCK_TASKS))


def block(world: World, number: int) -> Tasks:
    """Generate the tasks ``number * BLOCK_TASKS`` and those that follow, a block of them."""
    rng = np.random.default_rng([world.seed, _TEXT, number])
    drawn = _draw(world, rng, BLOCK_TASKS)
    kinds, latent, lengths, prompts, vectors = _repeat_popular(world, number, *drawn)
    rng = np.random.default_rng([world.seed, _OUTCOME, number])
    shape = (BLOCK_TASKS, len(world.models))
    expected = world.expected(kinds, latent)
    score = (rng.random(shape) < expected).astype(np.float64)
    answers = world.answers * rng.lognormal(-0.125, 0.5, shape)
    # A model reads for a fifth of the price of writing. Rounded, as a log has them.
    cost = np.round(world.prices * (answers + lengths[:, None] / 5), 9)
    latency = np.round(0.2 + answers / world.speeds * rng.lognormal(-0.02, 0.2, shape), 3)
    if world.holes:
        rng = np.random.default_rng([world.seed, _HOLE, number])
        missing = rng.random(shape) < world.holes
        missing[np.arange(BLOCK_TASKS), rng.integers(0, shape[1], BLOCK_TASKS)] = False
        for values in (score, cost, latency):
            values[missing] = np.nan
    first = number * BLOCK_TASKS
    return Tasks(first, kinds, latent, prompts, vectors, score, cost, latency)


def _draw(world: World, rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    """Draw kinds, latent values, lengths in tokens, texts and vectors of prompts."""
    kinds = rng.choice(len(world.groups), n, p=world.share)
    latent = rng.uniform(-1, 1, (n, AXES))
    log_length = rng.normal(np.log(world.tokens) - LENGTH_SIGMA**2 / 2, LENGTH_SIGMA, n)
    shortest = max(4.0, MIN_LENGTH * world.tokens)
    lengths = np.clip(np.exp(log_length), shortest, MAX_LENGTH * world.tokens)
    if world.places is not None:
        import pyarrow as pa

        kind, axes = world.places[: len(world.groups)], world.places[len(world.groups) :]
        noise = rng.normal(size=(n, kind.shape[1])) / np.sqrt(kind.shape[1])
        # Prompts are told apart by them, and hold nothing else.
        numbers = rng.integers(0, 1 << 60, n)
        prompts = pa.array([f"prompt {number:015x}" for number in numbers.tolist()])
        return kinds, latent, lengths, prompts, _units(kind[kinds] + 0.7 * latent @ axes + noise)
    return kinds, latent, lengths, _texts(world, rng, kinds, latent, lengths), None


def _texts(
    world: World,
    rng: np.random.Generator,
    kinds: np.ndarray,
    latent: np.ndarray,
    lengths: np.ndarray,
) -> Any:
    """Write texts of about the given lengths, without a loop over tasks or words.

    Pieces, each a word with the separator behind it, are taken from an array of all of them: that
    puts the bytes of all texts in one buffer, and the texts are cut out of it.
    """
    import pyarrow as pa

    n = len(kinds)
    # A comma or full stop is a token of its own.
    n_words = np.maximum(4, lengths / (1 + COMMA_PART + STOP_PART)).astype(np.int64)
    ends = np.cumsum(n_words)
    total, starts = int(ends[-1]), ends - n_words
    task = np.repeat(np.arange(n, dtype=np.int32), n_words)
    words = world.choices[kinds[task], rng.integers(0, 65_536, total, dtype=np.uint16)]
    at = np.flatnonzero(rng.integers(0, 256, total, dtype=np.uint8) < AXIS_PART * 256)
    axis = rng.integers(0, AXES, len(at), dtype=np.uint8)
    upper = 2 * rng.random(len(at), dtype=np.float32) - 1 < latent[task[at], axis]
    ranks = rng.integers(0, AXIS_WORDS, len(at), dtype=np.uint8)
    words[at] = world.axis_words[axis, upper.astype(np.int8), ranks]
    separators = np.full(256, SPACE, dtype=np.int32)
    separators[: round(256 * COMMA_PART)] = COMMA
    separators[-round(256 * STOP_PART) :] = STOP
    separator = separators[rng.integers(0, 256, total, dtype=np.uint8)]
    lead = rng.integers(*LEAD_WORDS, n)
    has_lead = (rng.random(n) < 0.5) & (lead < n_words)
    separator[(starts + lead - 1)[has_lead]] = LINE
    separator[ends - 1] = END
    taken = _pieces().take(pa.array(words.astype(np.int32) * len(SEPARATORS) + separator))
    _, offsets, data = taken.buffers()
    of_piece = np.frombuffer(offsets, dtype=np.int32, count=total + 1)
    of_text = of_piece[np.r_[0, ends]]
    return pa.StringArray.from_buffers(n, pa.py_buffer(np.ascontiguousarray(of_text)), data)


def _repeat_popular(
    world: World, number: int, kinds: Any, latent: Any, lengths: Any, prompts: Any, vectors: Any
) -> tuple[Any, ...]:
    """Put popular prompts, which all blocks share, in the place of some."""
    import pyarrow as pa

    rng = np.random.default_rng([world.seed, _REPEAT, number])
    n = len(kinds)
    at = np.flatnonzero(rng.random(n) < POPULAR_PART)
    weights = 1 / np.arange(1, POPULAR + 1)
    which = rng.choice(POPULAR, len(at), p=weights / weights.sum())
    first = np.random.default_rng([world.seed, _POPULAR])
    popular = _draw(world, first, POPULAR)
    for values, others in ((kinds, popular[0]), (latent, popular[1]), (lengths, popular[2])):
        values[at] = others[which]
    if vectors is not None:
        vectors[at] = popular[4][which]
    place = np.arange(n)
    place[at] = n + which
    return kinds, latent, lengths, pa.concat_arrays([prompts, popular[3]]).take(place), vectors


@cache
def _pieces() -> Any:
    """List each word of the vocabulary with each separator, as a pyarrow array."""
    import pyarrow as pa

    path = Path(hypernova.__file__).parent / "bundled" / "static" / "tokenizer.json"
    vocabulary = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    words = [word for word in vocabulary if re.fullmatch("[a-z]{2,}", word)][:WORDS]
    assert len(words) == WORDS
    return pa.array([word + separator for word in words for separator in SEPARATORS])


def _by_rank(n: int, slots: int, *, skipped: int = 0) -> np.ndarray:
    """Share slots among ranks by Zipf's law; some of the rarest get none."""
    cumulated = np.cumsum(1 / np.arange(1 + skipped, n + 1 + skipped))
    return np.searchsorted(cumulated / cumulated[-1], (np.arange(slots) + 0.5) / slots)


def _units(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
