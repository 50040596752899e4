"""`diff`: the decisions of two artifacts, side by side.

Not here: how both decide (see ``prompts``, ``centres`` and ``logged``), and what is counted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

import numpy as np

from hypernova._core import Artifact
from hypernova.comparison.centres import (
    Place,
    clusters_of,
    decided_places,
    estimates_at,
    indices_of,
    training_places,
)
from hypernova.comparison.choosing import Chooser, settled_options
from hypernova.comparison.compatibility import compare_artifacts, matching
from hypernova.comparison.figures import change_kinds, chosen_models, model_moves, views_of
from hypernova.comparison.logged import MIN_HITS, LoggedTraffic
from hypernova.comparison.prompts import PromptBatches, PromptComparison
from hypernova.comparison.result import ArtifactName
from hypernova.comparison.tally import NONE, DecidedPairs, PairTally
from hypernova.comparison.text import ArtifactDiff
from hypernova.embedder.resolve import open_embedder
from hypernova.errors import EmbedderMismatchError, OutcomeLogError, PolicyError, TableError
from hypernova.paths import escaped, path_label
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
    comparison.note_dropped()
    if settled.get("group") is not None:
        comparison.note_groups([str(settled["group"])])
    if prompts is not None:
        routers = (_router(artifacts[0], given, device), _router(artifacts[1], given, device))
        comparison.at_prompts(prompts, routers, name_groups=name_groups, progress=progress)
    elif log is not None:
        if name_groups:
            raise PolicyError("name_groups is for an outcome table; a log has its own groups")
        comparison.by_log(log, has_options=bool(settled))
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


def _check_traffic(
    traffic: LoggedTraffic, artifacts: tuple[Artifact, Artifact], source: str
) -> None:
    if traffic.places:
        return
    old, new = artifacts
    label = path_label(source)
    if not traffic.others:
        raise OutcomeLogError(f"{label}: the log holds no decision that can be read; name another")
    if traffic.others[new.sha256]:
        hint = "some are of the new one: were the two given in the wrong order?"
    else:
        most = traffic.others.most_common(1)[0][0]
        hint = f"give the artifact {most[:12]} as the old one, of which there are most"
    raise OutcomeLogError(
        f"{label}: none of its {traffic.others.total():,} decisions is of the old artifact "
        f"{old.sha256[:12]}; {hint}"
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
        if name_groups:
            self.note_groups(self.groups)
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

    def by_log(
        self, log: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, has_options: bool
    ) -> None:
        """Compare logged decisions with their shadows, or weigh centroids by the log."""
        several = [log] if isinstance(log, str | os.PathLike) else [*log]
        self.source = " ".join(os.fspath(path) for path in several)
        traffic = LoggedTraffic(*self.artifacts)
        traffic.read(several)
        _check_traffic(traffic, self.artifacts, self.source)
        self.n_skipped = traffic.others.total() + traffic.n_malformed
        if traffic.others:
            self.notes.append(
                f"left out {traffic.others.total():,} logged decisions of {len(traffic.others)} "
                "other artifacts"
            )
        if traffic.n_malformed:
            self.notes.append(
                f"left out {traffic.n_malformed:,} logged decisions with a cluster or a model that "
                "their artifact does not have"
            )
        if traffic.shadowed:
            if has_options:
                raise PolicyError(
                    "the log holds decisions of both artifacts, which were made with their "
                    "requests' options; leave all options out"
                )
            self._by_shadow(traffic)
        elif self._share_vectors():
            self.basis = "traffic"
            self._at_places({place: float(n) for place, n in traffic.places.items()})
            self.notes.append(
                "the log has no decisions of the new artifact as their shadow: compared at the old "
                "one's centroids, each as often as the log has its cluster; to compare real "
                "decisions, serve the new artifact as shadow for a while"
            )
        else:
            self.notes.append(
                "it cannot be told what the new artifact would decide for this traffic: it has "
                "another embedder, and the log holds no prompt; give prompts that both can read"
            )

    def _by_shadow(self, traffic: LoggedTraffic) -> None:
        self.basis = "shadow"
        pairs = list(traffic.shadowed)
        self._add_groups(pair.place for pair in pairs)
        names = [(pair.model, pair.new_model) for pair in pairs]
        # Where the shadow has failed, the new artifact estimates nothing.
        nowhere = Place(None, None)
        sides = ([pair.place for pair in pairs], [pair.new_place or nowhere for pair in pairs])
        values = np.stack(
            [
                estimates_at(Chooser(artifact, {}), artifact, places, names)
                for artifact, places in zip(self.artifacts, sides, strict=True)
            ],
            axis=1,
        )
        self.tally.add(
            DecidedPairs(
                weights=np.array([float(traffic.shadowed[pair]) for pair in pairs]),
                old=indices_of([pair.model for pair in pairs], self.models),
                new=indices_of([pair.new_model for pair in pairs], self.models),
                clusters=clusters_of(sides[0]),
                groups=indices_of([pair.place.group for pair in pairs], self.groups),
                values=values,
            )
        )
        self.notes.append(
            "estimates are those at the centre of each decision's cluster, since a log holds no "
            "prompt"
        )
        self._note_shadow(traffic)

    def _note_shadow(self, traffic: LoggedTraffic) -> None:
        if traffic.n_malformed_shadows:
            self.n_skipped += traffic.n_malformed_shadows
            self.notes.append(
                f"left out {traffic.n_malformed_shadows:,} decisions whose shadow has a cluster or "
                "a model that the new artifact does not have"
            )
        if traffic.n_explored:
            self.notes.append(
                f"left out {traffic.n_explored:,} decisions that were drawn to explore"
            )
        if traffic.n_without:
            self.notes.append(f"left out {traffic.n_without:,} decisions without this shadow")
        if traffic.shadow_errors:
            errors = ", ".join(f"{code} {n:,}" for code, n in traffic.shadow_errors.most_common())
            self.notes.append(f"the shadow failed, which counts as a change: {errors}")
        gain = traffic.gain
        self.logged = gain.view(self.tally.total().weight + traffic.n_explored)
        if self.logged is not None:
            return
        if not (gain.n or gain.n_certain):
            self.notes.append("the log has no outcomes of these decisions to measure the change")
        else:
            self.notes.append(
                f"outcomes do not tell what the change is worth: {gain.n_hits} of "
                f"{gain.n + gain.n_certain:,} are of decisions that were drawn to explore and took "
                f"the new artifact's choice, and {MIN_HITS} are needed; serve with explore=0.05"
            )

    def _share_vectors(self) -> bool:
        old, new = self.artifacts
        return bool(old.embedder["fingerprint"] == new.embedder["fingerprint"])

    def _at_places(self, places: dict[Place, float]) -> None:
        self._add_groups(places)
        self.tally.add(decided_places(self.choosers, places, self.models, self.groups))

    def _add_groups(self, places: Iterable[Place]) -> None:
        for place in places:
            if place.group is not None:
                self.groups.setdefault(place.group, len(self.groups))

    def note_groups(self, groups: Iterable[str]) -> None:
        """Note which artifact holds none of the groups that the caller names."""
        named = set(groups)
        for which, artifact in zip(("old", "new"), self.artifacts, strict=True):
            if named and not named & {*artifact.groups}:
                self.notes.append(
                    f"the {which} artifact holds none of the groups that are named, so the prompts "
                    "alone decide"
                )

    def note_dropped(self) -> None:
        """Note the models that an artifact does not hold and the options name."""
        for which, chooser in zip(("old", "new"), self.choosers, strict=True):
            for option, names in chooser.dropped.items():
                some = ", ".join(escaped(name) for name in names[:5])
                more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
                self.notes.append(
                    f"left out of {option} for the {which} artifact, which does not hold it: "
                    f"{some}{more}"
                )

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
