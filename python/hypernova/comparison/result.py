"""The figures of a comparison, and their plain values.

Not here: how they are counted (see ``tally``), and their text (see ``text``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hypernova.numeric import is_number

if TYPE_CHECKING:
    from typing import TypeAlias

    from hypernova.comparison.compatibility import Compatibility

    # The origin of a view's values, see `View`.
    Source: TypeAlias = Literal["old", "new", "measured", "logged"]
    # Which prompts were compared, see `DiffFigures`.
    Basis: TypeAlias = Literal["prompts", "shadow", "traffic", "training"]


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """An artifact that was compared.

    Attributes:
        path: Path of its file; None if it was made otherwise.
        sha256: The sha256 of its bytes, its identity under any name.
    """

    path: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return both values by name."""
        return {"path": self.path, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class MeanChange:
    """A mean over decisions before and after the change.

    Attributes:
        before: Mean of the old artifact's choices.
        after: Mean of the new artifact's choices.
        change: ``after`` less ``before``.
        share: Share of the decisions, 0 to 1, of which both are known: the means are over these.
        interval: 95% interval of ``change``, where it was measured; None for an estimate.
    """

    before: float
    after: float
    change: float
    share: float
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "share": self.share,
            "interval": None if self.interval is None else [*self.interval],
        }


@dataclass(frozen=True, slots=True)
class View:
    """The expected change according to one source.

    Attributes:
        source: ``"old"`` or ``"new"``: the estimates of that artifact, which speak for its own
            choices; ``"measured"``: outcomes of the table of prompts; ``"logged"``: outcomes of
            the log.
        success: Change of the mean success; None where nothing is known of it, like the next two.
        cost_usd: Change of the mean cost in USD.
        latency_s: Change of the mean latency in seconds.
    """

    source: Source
    success: MeanChange | None
    cost_usd: MeanChange | None
    latency_s: MeanChange | None

    def to_dict(self) -> dict[str, Any]:
        """Return the changes by name; null where nothing is known."""
        return {
            name: None if change is None else change.to_dict()
            for name, change in (
                ("success", self.success),
                ("cost_usd", self.cost_usd),
                ("latency_s", self.latency_s),
            )
        }


@dataclass(frozen=True, slots=True)
class ModelMove:
    """Decisions for which the old artifact chooses one model and the new one another.

    Attributes:
        old: The old artifact's choice; None where its limits leave no model.
        new: The new artifact's choice; None as ``old``.
        n: Number of decisions.
        share: Share of all decisions that were compared, 0 to 1.
        views: The change in these decisions alone.
    """

    old: str | None
    new: str | None
    n: float
    share: float
    views: tuple[View, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, and the views by their source."""
        return {
            "old": self.old,
            "new": self.new,
            "n": self.n,
            "share": self.share,
            "views": {view.source: view.to_dict() for view in self.views},
        }


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """How often each artifact chooses a model.

    Attributes:
        model: Name.
        old: Number of decisions for it by the old artifact.
        new: Number of decisions for it by the new artifact.
    """

    model: str
    old: float
    new: float

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {"model": self.model, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class KindChange:
    """The decisions for one kind of prompt.

    Attributes:
        cluster: Index of the cluster of the old artifact; None for a group, and for prompts that
            are novel to the old artifact, as logs and centroids show them.
        group: Name of the group; None for a cluster.
        words: Distinctive words of the cluster; empty where the old artifact holds none.
        n: Number of decisions.
        changed: Number of decisions that change.
        old: The choice that is left most often, and ``new`` the one that is taken for it; both
            None if no decision changes.
        new: See ``old``. A choice of None is no decision, too.
    """

    cluster: int | None
    group: str | None
    words: tuple[str, ...]
    n: float
    changed: float
    old: str | None
    new: str | None

    @property
    def share(self) -> float:
        """Share of the kind's decisions that change, 0 to 1."""
        return self.changed / self.n if self.n else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, with ``share``."""
        return {
            "cluster": self.cluster,
            "group": self.group,
            "words": [*self.words],
            "n": self.n,
            "changed": self.changed,
            "share": self.share,
            "old": self.old,
            "new": self.new,
        }


@dataclass(frozen=True, slots=True)
class DiffFigures:
    """The figures of `ArtifactDiff`, which adds their text.

    Attributes:
        old: The artifact in use.
        new: The artifact that would take over.
        compatibility: Whether a service of the old artifact can take the new one.
        basis: Which prompts were compared: ``"prompts"``, those given; ``"shadow"``, logged
            decisions with those of the new artifact, its shadow; ``"traffic"``, the old artifact's
            centroids, each as often as the log has its cluster; ``"training"``, its centroids, each
            as often as its training tasks are there. The last two are coarser. None if the two
            cannot be compared by what was given.
        source: Path of the prompts or of the log; None without one.
        n_decisions: Number of decisions that were compared; training tasks may be fractional.
        n_changed: Number of them for which another model is chosen. A prompt for which one of the
            two has no decision counts as changed.
        n_skipped: Number of prompts, or of logged decisions, that could not be compared.
        moves: From which model to which, the most frequent first.
        models: How often each model is chosen, most often by the old artifact first.
        clusters: Kinds of prompt by the old artifact's clusters, those with most changes first.
        groups: Kinds of prompt by group, in the same order; empty where no group is given.
        views: The expected change in success, cost and latency, by each source.
        notes: What limits these figures, a sentence each.
    """

    old: ArtifactName
    new: ArtifactName
    compatibility: Compatibility
    basis: Basis | None
    source: str | None
    n_decisions: float
    n_changed: float
    n_skipped: int
    moves: tuple[ModelMove, ...]
    models: tuple[ChosenModel, ...]
    clusters: tuple[KindChange, ...]
    groups: tuple[KindChange, ...]
    views: tuple[View, ...]
    notes: tuple[str, ...]

    @property
    def same_artifact(self) -> bool:
        """Whether both are the same bytes, under whatever name."""
        return self.old.sha256 == self.new.sha256

    @property
    def share_changed(self) -> float | None:
        """Share of the decisions that change, 0 to 1; None if none could be compared."""
        return self.n_changed / self.n_decisions if self.n_decisions else None

    def exceeds(self, limit: float) -> bool:
        """Return whether more changes than a pipeline should let pass.

        Args:
            limit: Share of decisions, 0 to 1, that may change.

        Returns:
            True if a larger share changes, if the new artifact is not compatible, or if nothing
            could be compared.

        Raises:
            ValueError: ``limit`` is no number from 0 to 1.

        Example:
            >>> import hypernova
            >>> from hypernova.router import BUNDLED_ARTIFACT
            >>> hypernova.diff(BUNDLED_ARTIFACT, BUNDLED_ARTIFACT).exceeds(0.0)
            False
        """
        if not is_number(limit) or not 0.0 <= limit <= 1.0:
            raise ValueError(f"the limit is {limit!r}, expected a share from 0 to 1")
        share = self.share_changed
        return not self.compatibility.compatible or share is None or share > limit

    def to_dict(self) -> dict[str, Any]:
        """Return all values as plain ones, for JSON. Names and meanings are stable.

        Returns:
            A dict of the attributes, with ``same_artifact`` and ``share_changed``; ``views`` is a
            dict by source.
        """
        return {
            "old": self.old.to_dict(),
            "new": self.new.to_dict(),
            "same_artifact": self.same_artifact,
            "compatibility": self.compatibility.to_dict(),
            "basis": self.basis,
            "source": self.source,
            "n_decisions": self.n_decisions,
            "n_changed": self.n_changed,
            "share_changed": self.share_changed,
            "n_skipped": self.n_skipped,
            "moves": [move.to_dict() for move in self.moves],
            "models": [model.to_dict() for model in self.models],
            "clusters": [kind.to_dict() for kind in self.clusters],
            "groups": [kind.to_dict() for kind in self.groups],
            "views": {view.source: view.to_dict() for view in self.views},
            "notes": [*self.notes],
        }
