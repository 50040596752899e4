"""`diff`: the decisions of two artifacts, side by side.

Not here: how both decide (see ``prompts``, ``centres`` and ``logged``), and what is counted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

from hypernova._core import Artifact
from hypernova.comparison.centres import Place, decided_places, training_places
from hypernova.comparison.choosing import Chooser, settled_options
from hypernova.comparison.compatibility import compare_artifacts, matching
from hypernova.comparison.figures import change_kinds, chosen_models, model_moves, views_of
from hypernova.comparison.prompts import PromptBatches, PromptComparison
from hypernova.comparison.result import ArtifactName
from hypernova.comparison.tally import NONE, PairTally
from hypernova.comparison.text import ArtifactDiff
from hypernova.embedder.resolve import open_embedder
from hypernova.errors import EmbedderMismatchError, PolicyError, TableError
from hypernova.progress import progress_bar
from hypernova.router.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.comparison.result import Basis, Source, View
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.route_options import RouteOptions
    from hypernova.table import OutcomeTable, ScannedTable


def diff(
    old: Artifact | str | os.PathLike[str],
    new: Artifact | str | os.PathLike[str],
    *,
    prompts: str | os.PathLike[str] | Sequence[str] | OutcomeTable | ScannedTable | None = None,
    log: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    name_groups: bool = False,
    embedder: str | os.PathLike[str] | TextEmbedder | None = None,
    device: Device = "cpu",
    progress: bool = False,
    **options: Unpack[RouteOptions],
) -> ArtifactDiff:
    """Tell what a new artifact would change: decisions, success, cost, latency, compatibility.

    Both artifacts decide for the same prompts, with the same options. Without prompts and without
    a log they are compared at the centroids of the old one, each as often as it has training tasks
    there: coarser, and possible only if both have the same embedder. Memory does not grow with the
    number of prompts.

    The expected change is given twice, by the estimates of each artifact, because each is an
    advocate of its own choices; and measured, where the prompts or the log have outcomes.

    Args:
        old: The artifact in use, or its file.
        new: The artifact that would take over, or its file.
        prompts: Prompts to decide for: a file as `hypernova.Router.route_table` takes it, or texts.
            Of an outcome table, or its file, the outcomes measure the change, and groups are kinds
            of prompt. For artifacts of vectors, a file or a table with ``embedding``.
        log: An outcome log: a folder, a segment, or several. Where the new artifact was the shadow
            of the old one, real decisions are compared; else the old one's centroids, each as often
            as the log has its cluster.
        name_groups: Let the group of each prompt of an outcome table decide, as for a caller that
            names it.
        embedder: The embedder of an artifact, where it is not bundled; it is used for each artifact
            that was fitted with it.
        device: Device that embedders are loaded on, as in `hypernova.Router`.
        progress: Show a bar on standard error if it takes longer than a second.
        **options: See `RouteOptions`; all but ``explore`` and ``explore_seed``. An option that
            names models holds for each artifact as far as it knows them.

    Returns:
        The changes. ``str`` gives them in words, `ArtifactDiff.to_dict` as plain values.

    Raises:
        NotFoundError: There is no such file, folder or embedder.
        ArtifactError: A file is not a valid artifact.
        EmbedderMismatchError: The embedder of an artifact is not at hand to read prompts, or the
            two take vectors of different kinds; or ``embedder`` is that of neither.
        TableError: The prompts are malformed, or there are none.
        OutcomeLogError: The log cannot be read, or holds no decision of the old artifact.
        PolicyError: Both ``prompts`` and ``log`` are given, or an option is out of range, explores,
            or cannot hold for logged decisions.
        UnknownModelError: An option names a model that neither artifact holds.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> new = artifact.replace(cost_weight=0.5)
        >>> found = hypernova.diff(artifact, new, prompts=["Fix the race", "Sort a list"])
        >>> found.basis, found.n_decisions
        ('prompts', 2.0)
    """
    if prompts is not None and log is not None:
        raise PolicyError("prompts and a log are both given; compare by one of the two")
    artifacts = (_opened(old), _opened(new))
    settled = settled_options(options, artifacts)
    if name_groups and settled.get("group") is not None:
        raise PolicyError("group names that of all prompts, and name_groups each one's own")
    given = None if embedder is None else open_embedder(embedder, device=device)
    _check_given(artifacts, given)
    choosers = (Chooser(artifacts[0], settled), Chooser(artifacts[1], settled))
    comparison = _Comparison(artifacts, choosers, given)
    if prompts is not None:
        routers = (_router(artifacts[0], given, device), _router(artifacts[1], given, device))
        comparison.at_prompts(prompts, routers, name_groups=name_groups, progress=progress)
    else:
        comparison.at_training()
    return comparison.result()


def _opened(artifact: Artifact | str | os.PathLike[str]) -> Artifact:
    return artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)


def _router(artifact: Artifact, given: TextEmbedder | None, device: Device) -> Router:
    own = matching(artifact, given)
    return Router(artifact, embedder=own, device=device if own is None else "cpu")


def _check_given(artifacts: tuple[Artifact, Artifact], given: TextEmbedder | None) -> None:
    if given is not None and all(matching(artifact, given) is None for artifact in artifacts):
        raise EmbedderMismatchError(
            f"the embedder {given.name} is that of neither artifact; give the one that they were "
            "fitted with"
        )


class _Comparison:
    """The changes between two artifacts, found step by step."""

    def __init__(
        self,
        artifacts: tuple[Artifact, Artifact],
        choosers: tuple[Chooser, Chooser],
        given: TextEmbedder | None,
    ) -> None:
        self.artifacts, self.choosers = artifacts, choosers
        self.compatibility = compare_artifacts(*artifacts, given)
        names = dict.fromkeys((*artifacts[0].models, *artifacts[1].models))
        self.models = {model: at for at, model in enumerate(names)}
        self.groups: dict[str, int] = {}
        self.views: tuple[Source, ...] = ("old", "new")
        self.tally = PairTally(len(self.models), len(self.views))
        self.basis: Basis | None = None
        self.source: str | None = None
        self.n_skipped = 0
        self.notes: list[str] = []
        self.logged: View | None = None

    def at_prompts(
        self,
        prompts: str | os.PathLike[str] | Sequence[str] | OutcomeTable | ScannedTable,
        routers: tuple[Router, Router],
        *,
        name_groups: bool,
        progress: bool,
    ) -> None:
        """Decide for prompts."""
        both = PromptComparison(
            routers, self.choosers, self.models, self.groups, name_groups=name_groups
        )
        batches = PromptBatches(prompts, both.dim)
        try:
            both.load()
            self.basis, self.source = "prompts", batches.source
            if batches.has_outcomes:
                self.views = ("old", "new", "measured")
                self.tally = PairTally(len(self.models), len(self.views))
                self.notes.append(
                    "what is measured is in-sample, and too good, for an artifact that was fitted "
                    "to these outcomes"
                )
            elif name_groups:
                raise TableError(
                    "the prompts have no groups to name; give an outcome table, or the option group"
                )
            with progress_bar(batches.total, "comparing", progress) as tick:
                for batch in batches:
                    self.tally.add(both.pairs(batch, tick))
        finally:
            batches.close()
        self.n_skipped = both.n_skipped
        if not self.tally.clusters:
            raise TableError(f"no prompt can be read: {both.why_skipped}")
        if both.n_skipped:
            self.notes.append(
                f"prompts that cannot be read were left out: {both.n_skipped:,}; of the first, "
                f"{both.why_skipped}"
            )

    def at_training(self) -> None:
        """Decide at the old artifact's centroids, by its training tasks."""
        if not self._share_vectors():
            self.notes.append(
                "the artifacts have different embedders, so they are not compared at centroids; "
                "give prompts that both can read"
            )
            return
        self.basis = "training"
        self._at_places(training_places(self.artifacts[0]))
        self.notes.append(
            "compared at the centroids of the old artifact, each as often as it has training "
            "tasks there: coarser than prompts or a log"
        )

    def _share_vectors(self) -> bool:
        old, new = self.artifacts
        return bool(old.embedder["fingerprint"] == new.embedder["fingerprint"])

    def _at_places(self, places: dict[Place, float]) -> None:
        for place in places:
            if place.group is not None:
                self.groups.setdefault(place.group, len(self.groups))
        self.tally.add(decided_places(self.choosers, places, self.models, self.groups))

    def _note_undecided(self) -> None:
        cells = self.tally.clusters.items()
        undecided = [
            sum(sums.weight for key, sums in cells if key[side] == NONE) for side in (1, 2)
        ]
        if any(undecided):
            self.notes.append(
                "the limits leave no model to the old artifact for {:,.0f} prompts, and to the new "
                "one for {:,.0f}".format(*undecided)
            )

    def result(self) -> ArtifactDiff:
        """Give what was found."""
        old, new = (_name_of(artifact) for artifact in self.artifacts)
        names, tally = list(self.models), self.tally
        moves = model_moves(tally, names, self.views)
        total = tally.total()
        views = views_of(total, self.views)
        self._note_undecided()
        clusters, groups = change_kinds(tally, names, self.artifacts[0], list(self.groups))
        return ArtifactDiff(
            old=old,
            new=new,
            compatibility=self.compatibility,
            basis=self.basis,
            source=self.source,
            n_decisions=total.weight,
            n_changed=sum(move.n for move in moves),
            n_skipped=self.n_skipped,
            moves=moves,
            models=chosen_models(tally, names),
            clusters=clusters,
            groups=groups,
            views=views if self.logged is None else (*views, self.logged),
            notes=tuple(self.notes),
        )


def _name_of(artifact: Artifact) -> ArtifactName:
    path = artifact.path
    return ArtifactName(None if path is None else os.fspath(path), artifact.sha256)
