"""Whether a service of one artifact can take another: embedder, models, groups, defaults.

Not here: decisions. Whether a running router would take the artifact is found by the code with
which `hypernova.Router.reload` takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hypernova.embedder.resolve import embedder_label, has_bundled, match_embedder
from hypernova.errors import ArtifactError, EmbedderError, EmbedderMismatchError
from hypernova.router.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from hypernova._core import Artifact
    from hypernova.embedder import TextEmbedder

    # Where the new artifact's embedder is.
    EmbedderPlace: TypeAlias = Literal["same", "bundled", "given", "missing"]


@dataclass(frozen=True, slots=True)
class NameChanges:
    """Names that the new artifact adds, lacks and keeps.

    Attributes:
        added: Names of the new artifact alone, in its order.
        removed: Names of the old artifact alone, in its order.
        kept: Names of both, in the old one's order.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]

    @classmethod
    def of(cls, old: Iterable[str], new: Iterable[str]) -> NameChanges:
        """Compare two lists of distinct names."""
        before, after = dict.fromkeys(old), dict.fromkeys(new)
        return cls(
            added=tuple(name for name in after if name not in before),
            removed=tuple(name for name in before if name not in after),
            kept=tuple(name for name in before if name in after),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the three lists by name."""
        return {"added": [*self.added], "removed": [*self.removed], "kept": [*self.kept]}


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Whether a service of the old artifact can take the new one, and how the two differ.

    Attributes:
        reloads: Whether a running router of the old artifact takes the new one by
            `hypernova.Router.reload`.
        problems: Why the new artifact is not compatible, a sentence each; empty if it is.
        embedder: Where the new artifact's embedder is: ``"same"`` as the old one's, ``"bundled"``
            with hypernova, ``"given"`` by the caller, or ``"missing"``: not at hand.
        embedders: Name and beginning of the fingerprint of the old and of the new embedder.
        dims: Lengths of the old and of the new vectors.
        models: Models that were added, removed and kept.
        groups: The same of groups that a caller may name.
        default_models: Old and new default model.
        policy: Values of the policy that differ, by name: the old and the new one. The default
            model is not among them.
        versions: Old and new version of the file's format, major and minor.
    """

    reloads: bool
    problems: tuple[str, ...]
    embedder: EmbedderPlace
    embedders: tuple[str, str]
    dims: tuple[int, int]
    models: NameChanges
    groups: NameChanges
    default_models: tuple[str, str]
    policy: dict[str, tuple[Any, Any]]
    versions: tuple[tuple[int, int], tuple[int, int]]

    @property
    def compatible(self) -> bool:
        """Whether a running router takes the new artifact, and it knows a model of the old one."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; of a pair, the old value stands first."""
        return {
            "compatible": self.compatible,
            "reloads": self.reloads,
            "problems": [*self.problems],
            "embedder": self.embedder,
            "embedders": [*self.embedders],
            "dims": [*self.dims],
            "models": self.models.to_dict(),
            "groups": self.groups.to_dict(),
            "default_models": [*self.default_models],
            "policy": {name: [*pair] for name, pair in self.policy.items()},
            "versions": [[*version] for version in self.versions],
        }


def compare_artifacts(old: Artifact, new: Artifact, given: TextEmbedder | None) -> Compatibility:
    """Find out whether a service of one artifact can take another.

    Args:
        old: The artifact in use.
        new: The artifact that would take over.
        given: An open embedder that the service has, or None.

    Raises:
        ArtifactError: The list of shared parts of an artifact's embedder is malformed.
    """
    models = NameChanges.of(old.models, new.models)
    refusal = _refusal(old, new, given)
    problems = [] if refusal is None else [f"a running router refuses it: {refusal}"]
    if not models.kept:
        problems.append("the two have no model in common")
    before, after = (_policy(artifact) for artifact in (old, new))
    return Compatibility(
        reloads=refusal is None,
        problems=tuple(problems),
        embedder=_place(old, new, given),
        embedders=(embedder_label(old.embedder), embedder_label(new.embedder)),
        dims=(old.dim, new.dim),
        models=models,
        groups=NameChanges.of(old.groups, new.groups),
        default_models=(old.default_model, new.default_model),
        policy={
            name: (before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        },
        versions=(old.version, new.version),
    )


def matching(artifact: Artifact, embedder: TextEmbedder | None) -> TextEmbedder | None:
    """Return a given embedder if it is the artifact's, else None.

    Raises:
        ArtifactError: The list of shared parts of the artifact's embedder is malformed.
    """
    if embedder is None:
        return None
    try:
        match_embedder(artifact.embedder, embedder)
    except EmbedderMismatchError:
        return None
    return embedder


def _policy(artifact: Artifact) -> dict[str, Any]:
    policy = artifact.policy
    del policy["default_model"]
    return policy


def _place(old: Artifact, new: Artifact, given: TextEmbedder | None) -> EmbedderPlace:
    if old.embedder["fingerprint"] == new.embedder["fingerprint"]:
        return "same"
    if has_bundled(new.embedder):
        return "bundled"
    return "missing" if matching(new, given) is None else "given"


def _refusal(old: Artifact, new: Artifact, given: TextEmbedder | None) -> str | None:
    """Return why a running router refuses the new artifact; None if it takes it."""
    try:
        own = matching(old, given)
        Serving(old, own, threads=1, device="cpu", cache=None).with_artifact(new, own)
    except (EmbedderError, ArtifactError) as error:
        return str(error)
    return None
