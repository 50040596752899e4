"""The JSON in an artifact: the identity of its vectors, and metadata that any program may write.

Not here: the embedder that an identity names (see ``hypernova.embedder.resolve``), the metadata
that fitting and changing an artifact write, and JSON for people and protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova._core import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova._core import Artifact


def canonical_json(value: object) -> str:
    """Write a value as JSON with sorted keys and no blanks, every character as itself.

    Args:
        value: A tree of dicts, lists and plain values.

    Example:
        >>> canonical_json({"b": [1.0], "a": "é"})
        '{"a":"é","b":[1.0]}'
    """
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint_of_identity(identity: Mapping[str, Any]) -> str:
    """Return the sha256 of an identity's canonical JSON, as 64 hex digits."""
    return sha256(canonical_json(identity).encode("utf-8", "surrogatepass"))


def vectors_identity(origin: str, dim: int) -> dict[str, object]:
    """Make the identity of vectors that came with a table: an artifact of them routes no text.

    Args:
        origin: Name of the origin, which a user compares by eye.
        dim: Length of a vector.
    """
    identity: dict[str, object] = {"kind": "vectors", "name": origin, "dim": dim}
    return {**identity, "fingerprint": fingerprint_of_identity(identity)}


def is_object(artifact: Artifact) -> bool:
    """Tell whether the metadata is a JSON object, or absent, so that a field can be added to it.

    Args:
        artifact: Its ``metadata`` is an empty dict either way.
    """
    return bool(artifact.metadata) or "".join(artifact.metadata_json.split()) in ("", "{}")


def words_of(artifact: Artifact) -> list[list[str]] | None:
    """Read the distinctive words of each cluster.

    Returns:
        A list of words for each cluster; None if the metadata has none, or of another form.
    """
    words = artifact.metadata.get("words")
    if (
        isinstance(words, list)
        and len(words) == artifact.n_clusters
        and all(isinstance(row, list) and all(isinstance(w, str) for w in row) for row in words)
    ):
        return words
    return None
