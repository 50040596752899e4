"""Decide with both artifacts for each of many prompts, chunk by chunk.

Not here: the files of prompts and outcomes (`hypernova.table`), and counting (see ``tally``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from hypernova._core import nearest_centroids
from hypernova.comparison.choosing import QUANTITIES, estimate_of
from hypernova.comparison.tally import NONE, DecidedPairs
from hypernova.embedder.text.checks import check_is_sequence
from hypernova.errors import EmbedderMismatchError, TableError
from hypernova.router.chunk_vectors import embed_chunk, vector_dim
from hypernova.router.lengths import with_lengths
from hypernova.table import OutcomeTable, ScannedTable
from hypernova.table.prompts import CHUNK_PROMPTS, PromptChunk, PromptTable, has_outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova._core import Decision
    from hypernova.comparison.choosing import Chooser
    from hypernova.numeric import Floats, Ints
    from hypernova.route_options import BatchRouteOptions
    from hypernova.router.router import Router


class PromptBatch(NamedTuple):
    """Successive prompts, and what is known of them.

    Attributes:
        chunk: The prompts, or their vectors.
        groups: Their groups; None without any.
        table: Their outcomes, a row for each prompt; None without any.
    """

    chunk: PromptChunk
    groups: Sequence[str | None] | None
    table: OutcomeTable | None


class PromptBatches:
    """Prompts of a file, a list or a table, in batches.

    Args:
        prompts: Path of a file as `hypernova.Router.route_table` takes it or of an outcome table;
            texts; or a table.
        dim: Length of the vectors that are read in place of the prompts; None to read the prompts.

    Attributes:
        source: Path of the prompts; None if they are in memory.
        total: Number of prompts; None where nobody has counted them.
        has_outcomes: Whether there are outcomes.

    Raises:
        NotFoundError: Nothing is at the path.
        TableError: The file is malformed, lacks the prompts or the vectors, or there is no prompt.
        TypeError: The prompts are of another type.
    """

    def __init__(
        self,
        prompts: str | os.PathLike[str] | Sequence[str] | OutcomeTable | ScannedTable,
        dim: int | None,
    ) -> None:
        self._dim = dim
        self.source: str | None = None
        self._opened: ScannedTable | None = None
        self._texts: Sequence[str] = ()
        self._table: OutcomeTable | ScannedTable | PromptTable | None = None
        if isinstance(prompts, str | os.PathLike):
            self.source = os.fspath(prompts)
            if has_outcomes(prompts, vectors=dim is not None):
                self._table = self._opened = OutcomeTable.scan(prompts, min_models=1)
            else:
                self._table = PromptTable.scan(prompts, vectors=dim is not None)
        elif isinstance(prompts, OutcomeTable | ScannedTable):
            self._table = prompts
        else:
            check_is_sequence(prompts, "compare")
            for at, text in enumerate(prompts):
                if not isinstance(text, str):
                    raise TypeError(f"prompt {at} is {type(text).__name__}, expected str")
            self._texts = prompts
        self.has_outcomes = isinstance(self._table, OutcomeTable | ScannedTable)
        self.total = self._count()
        if self.total == 0:
            raise TableError("there are no prompts to compare at; give at least one")
        self._check_vectors()

    def _count(self) -> int | None:
        if isinstance(self._table, PromptTable):
            return self._table.n_prompts
        return len(self._texts) if self._table is None else self._table.n_tasks

    def _check_vectors(self) -> None:
        if self._dim is None:
            return
        if self._table is None:
            raise EmbedderMismatchError(
                "the artifacts take vectors only, and texts were given; give a file with the "
                "column 'embedding'"
            )
        if isinstance(self._table, PromptTable):
            return  # each row is checked when it is read
        table = self._table
        if isinstance(table, ScannedTable):
            dim = table.embedding_dim
        else:
            dim = None if table.embedding is None else table.embedding.shape[1]
        if dim != self._dim:
            found = "has no vectors" if dim is None else f"has vectors of {dim} numbers"
            raise EmbedderMismatchError(
                f"{table.name}: {found}, and the artifacts take vectors of {self._dim}; embed the "
                "prompts as the artifacts' were"
            )

    def __iter__(self) -> Iterator[PromptBatch]:
        if isinstance(self._table, PromptTable):
            for chunk in self._table.chunks(dim=self._dim):
                yield PromptBatch(chunk, None, None)
        elif self._table is None:
            for start in range(0, len(self._texts), CHUNK_PROMPTS):
                texts: list[str | None] = [*self._texts[start : start + CHUNK_PROMPTS]]
                yield PromptBatch(PromptChunk(start, texts, None, None), None, None)
        else:
            start = 0
            for table in self._table.chunks():
                yield self._of_table(table, start)
                start += table.n_tasks

    def _of_table(self, table: OutcomeTable, start: int) -> PromptBatch:
        vectors = table.embedding if self._dim is not None else None
        prompts: list[str | None] = [] if vectors is not None else [*table.prompts]
        chunk = PromptChunk(start, prompts, list(table.task_ids), vectors)
        groups = [None if group is None else str(group) for group in table.groups]
        return PromptBatch(chunk, groups, table)

    def close(self) -> None:
        """Remove what was joined to read the table."""
        if self._opened is not None:
            self._opened.close()


class PromptComparison:
    """Both artifacts, with their embedders, which decide for prompts.

    Args:
        routers: Of the old and of the new artifact.
        choosers: The same artifacts, with the caller's options.
        models: Index of each model's name.
        groups: Index of each group's name; groups that are seen are added.
        name_groups: Whether each prompt is decided with its own group.

    Attributes:
        dim: Length of the vectors that are read in place of prompts; None if both read text.
        n_skipped: Number of prompts that could not be read.
        why_skipped: Why the first of them could not; None without one.

    Raises:
        EmbedderMismatchError: The embedder of an artifact is not at hand, or the two take vectors
            of different kinds.
    """

    def __init__(
        self,
        routers: tuple[Router, Router],
        choosers: tuple[Chooser, Chooser],
        models: Mapping[str, int],
        groups: dict[str, int],
        *,
        name_groups: bool,
    ) -> None:
        self._routers, self._choosers = routers, choosers
        self._models, self._groups, self._name_groups = models, groups, name_groups
        self.dim = _common_dim(routers)
        old, new = (router.artifact.embedder["fingerprint"] for router in routers)
        self._share_vectors = old == new
        self._centroids = routers[0].artifact.centroids
        self.n_skipped = 0
        self.why_skipped: str | None = None

    def load(self) -> None:
        """Load the embedders, so that one that is not at hand is refused before any work."""
        if self.dim is None:
            for router in self._routers:
                _ = router.embedder

    def pairs(self, batch: PromptBatch, tick: Callable[[int], None]) -> DecidedPairs:
        """Decide for a batch of prompts.

        Args:
            batch: The prompts.
            tick: Called with numbers of prompts that are done.
        """
        errors: list[str | None] = [None] * len(batch.chunk)
        matrices = self._vectors(batch.chunk, errors, tick)
        read = [at for at, error in enumerate(errors) if error is None]
        if len(read) < len(errors):
            self.n_skipped += len(errors) - len(read)
            self.why_skipped = self.why_skipped or next(filter(None, errors))
        rows = np.array(read, dtype=np.int64)
        groups = None if batch.groups is None else [batch.groups[at] for at in read]
        texts = [str(batch.chunk.prompts[at]) for at in read] if batch.chunk.prompts else None
        vectors = (matrices[0][rows], matrices[1][rows])
        facts = [self._facts(chooser, groups, texts) for chooser in self._choosers]
        chosen = [
            chooser.decide(matrix, own)
            for chooser, matrix, own in zip(self._choosers, vectors, facts, strict=True)
        ]
        views = self._estimates(chosen, vectors, facts)
        if batch.table is not None:
            views.append(self._measured(batch.table, rows, chosen))
        old, new = (self._indices(decisions) for decisions in chosen)
        return DecidedPairs(
            weights=np.ones(len(rows)),
            old=old,
            new=new,
            clusters=self._clusters(vectors[0]),
            groups=self._group_indices(groups, len(rows)),
            values=np.stack(views, axis=1),
        )

    def _vectors(
        self, chunk: PromptChunk, errors: list[str | None], tick: Callable[[int], None]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if chunk.vectors is not None:
            tick(len(chunk))
            return chunk.vectors, chunk.vectors
        first, second = self._routers
        old = embed_chunk(first, chunk, errors, tick)
        if self._share_vectors:
            return old, old
        return old, embed_chunk(second, chunk, errors, None)

    def _facts(
        self, chooser: Chooser, groups: list[str | None] | None, texts: list[str] | None
    ) -> BatchRouteOptions:
        options = cast("BatchRouteOptions", dict(chooser.options))
        given: BatchRouteOptions = {}
        if texts is not None:
            stated = with_lengths(options, texts)
            if stated is not options:
                given["prompt_chars"] = stated["prompt_chars"]
        if self._name_groups and groups is not None:
            given["group"] = groups
        return given

    def _estimates(
        self,
        chosen: list[list[Decision | None]],
        vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
        facts: list[BatchRouteOptions],
    ) -> list[Floats]:
        """Return each artifact's estimates of both choices, float64 (n, 2, 3)."""
        names = [(old and old.model, new and new.model) for old, new in zip(*chosen, strict=True)]
        # Where both choose one model, its own ranking has the estimate.
        differ = np.array([one != other for one, other in names], dtype=bool)
        views = []
        for chooser, own, matrix, fact in zip(self._choosers, chosen, vectors, facts, strict=True):
            found = np.full((len(names), 2, len(QUANTITIES)), np.nan)
            for row, decision in enumerate(own):
                if decision is not None and not differ[row]:
                    found[row] = estimate_of(decision.ranking[0])
            where = np.flatnonzero(differ)
            part = cast(
                "BatchRouteOptions",
                {
                    name: [value[at] for at in where] if isinstance(value, list) else value
                    for name, value in fact.items()
                },
            )
            found[where] = chooser.estimates(
                np.ascontiguousarray(matrix[where]), part, [names[at] for at in where]
            ).reshape(len(where), 2, len(QUANTITIES))
            views.append(found)
        return views

    def _measured(
        self, table: OutcomeTable, rows: Ints, chosen: list[list[Decision | None]]
    ) -> Floats:
        """Return the outcomes of both choices, float64 (n, 2, 3)."""
        column = {model: at for at, model in enumerate(table.models)}
        found = np.full((len(rows), 2, len(QUANTITIES)), np.nan)
        for side, decisions in enumerate(chosen):
            models = np.array(
                [NONE if d is None else column.get(d.model, NONE) for d in decisions],
                dtype=np.int64,
            )
            tried = np.flatnonzero(models != NONE)
            for at, values in enumerate((table.score, table.cost_usd, table.latency_s)):
                found[tried, side, at] = values[rows[tried], models[tried]]
        return found

    def _indices(self, decisions: list[Decision | None]) -> Ints:
        return np.array(
            [NONE if d is None else self._models[d.model] for d in decisions], dtype=np.int64
        )

    def _clusters(self, vectors: NDArray[np.float32]) -> Ints:
        if not len(vectors):
            return np.zeros(0, dtype=np.int64)
        return nearest_centroids(vectors, self._centroids)[0].astype(np.int64)

    def _group_indices(self, groups: list[str | None] | None, n: int) -> Ints:
        if groups is None:
            return np.full(n, NONE)
        at = [NONE if g is None else self._groups.setdefault(g, len(self._groups)) for g in groups]
        return np.array(at, dtype=np.int64)


def _common_dim(routers: tuple[Router, Router]) -> int | None:
    """Return the length of the vectors that both take in place of text; None if both read text."""
    old, new = (vector_dim(router) for router in routers)
    if old == new:
        return old
    if old is not None and new is not None:
        raise EmbedderMismatchError(
            f"the old artifact takes vectors of {old} numbers and the new one of {new}: no prompt "
            "has a vector for both; compare them by a log with the new one as shadow"
        )
    vectors, text = ("old", "new") if new is None else ("new", "old")
    raise EmbedderMismatchError(
        f"the {vectors} artifact takes vectors only and the {text} one reads text: no prompt can "
        "be given to both; compare them by what outcomes of both say"
    )
