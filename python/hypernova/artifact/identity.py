"""The identity of an artifact's vectors: which embedder made them, or which table brought them.

Not here: loading the embedder that an identity names (see ``hypernova.embedder.of_artifact``).
"""

from __future__ import annotations

from hypernova.embedder.base import fingerprint_of_identity


def vectors_identity(origin: str, dim: int) -> dict[str, object]:
    """Make the identity of vectors that came with a table: an artifact of them routes no text.

    Args:
        origin: Name of the origin, which a user compares by eye.
        dim: Length of a vector.
    """
    identity: dict[str, object] = {"kind": "vectors", "name": origin, "dim": dim}
    return {**identity, "fingerprint": fingerprint_of_identity(identity)}
