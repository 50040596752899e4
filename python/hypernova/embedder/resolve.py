"""The embedder that an artifact was fitted with, and no other.

Not here: the artifact; it names its embedder by an identity, which it holds as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.embedder.base import fingerprint_of_identity
from hypernova.embedder.function import SOURCE as CALLABLE
from hypernova.embedder.onnx.embedder import Embedder
from hypernova.embedder.onnx.files import (
    MODEL,
    TOKENIZER,
    bundled_embedders,
    find_bundled,
    read_checked,
    read_settings,
)
from hypernova.embedder.shared_text import FIELD, SharedParts, SkipSharedEmbedder
from hypernova.errors import ArtifactError, EmbedderMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hypernova.embedder.base import TextEmbedder
    from hypernova.embedder.onnx.device import Device


def load_bundled_for(
    identity: Mapping[str, object], *, threads: int = 1, device: Device = "cpu"
) -> TextEmbedder:
    """Load the bundled embedder that an identity names, and let it skip what the artifact skips.

    Raises:
        EmbedderMismatchError: The artifact routes vectors only, or its embedder is not bundled.
        ArtifactError: The shared parts that it skips are malformed.
        EmbedderError: As in `Embedder.load`, like all that follows.
        MissingExtraError: As in `Embedder.load`.
        DeviceError: As in `Embedder.load`.
    """
    parts = SharedParts.of_identity(identity)
    embedder = Embedder.load(_bundled_for(identity), threads=threads, device=device)
    return embedder if parts is None else _skipping(identity, embedder, parts)


def check_bundled_for(identity: Mapping[str, object]) -> None:
    """Refuse an identity whose embedder `load_bundled_for` would not load; load no model.

    The files are read and compared with their sha256; onnxruntime is not imported.

    Raises:
        EmbedderMismatchError: As in `load_bundled_for`.
        ArtifactError: As in `load_bundled_for`.
        EmbedderError: A file of the embedder is missing or damaged.
    """
    _ = SharedParts.of_identity(identity)
    folder = _bundled_for(identity)
    settings = read_settings(folder)
    for name in (MODEL, TOKENIZER):
        read_checked(folder, name, settings)


def has_bundled(identity: Mapping[str, object]) -> bool:
    """Whether the embedder that an identity names, or the one that it adapts, is bundled."""
    return find_bundled(_fingerprint_within(identity)) is not None


def _bundled_for(identity: Mapping[str, object]) -> Path:
    if identity["kind"] == "vectors":
        raise EmbedderMismatchError(
            f"this artifact routes vectors only ({identity['name']}): no text can be embedded to "
            "match; give vectors of the same origin, to a router by decide or decide_many"
        )
    within = _fingerprint_within(identity)
    named = label_of({"name": identity["name"], "fingerprint": within})
    folder = find_bundled(within)
    if folder is None and identity.get("source") == CALLABLE:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the callable embedder {named}, which "
            "an artifact cannot hold: pass embedder=hypernova.CallableEmbedder(function, "
            f"name={identity['name']!r}, dim={identity['dim']})"
        )
    if folder is None:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {named}, which is none of "
            f"the bundled ones ({', '.join(sorted(bundled_embedders()))}): "
            "pass embedder= with its folder"
        )
    return folder


def adapted_to(identity: Mapping[str, object], embedder: TextEmbedder) -> TextEmbedder:
    """Refuse an embedder that is another one than an identity names.

    Returns:
        The embedder; within one that skips the shared parts that the artifact skips, if any, in
        place of those that it has skipped so far.

    Raises:
        EmbedderMismatchError: It is another one, and the message names both.
        ArtifactError: The shared parts that the artifact skips are malformed.
    """
    if embedder.fingerprint == identity["fingerprint"]:
        return embedder
    if isinstance(embedder, SkipSharedEmbedder):  # of another artifact, which skips other parts
        embedder = embedder.embedder
        if embedder.fingerprint == identity["fingerprint"]:
            return embedder
    parts = SharedParts.of_identity(identity)
    if parts is not None and embedder.fingerprint == _fingerprint_within(identity):
        return _skipping(identity, embedder, parts)
    named = {"name": identity["name"], "fingerprint": _fingerprint_within(identity)}
    given = {"name": embedder.name, "fingerprint": embedder.fingerprint}
    raise EmbedderMismatchError(
        f"the artifact was fitted with the embedder {label_of(named)}, and the one given "
        f"is {label_of(given)}: pass the former, or fit again with the latter"
    )


def _fingerprint_within(identity: Mapping[str, object]) -> str:
    """The fingerprint of the embedder that reads what is left without the shared parts."""
    if FIELD not in identity:
        return str(identity["fingerprint"])
    within = {
        key: value for key, value in identity.items() if key not in ("kind", "fingerprint", FIELD)
    }
    return fingerprint_of_identity(within)


def _skipping(
    identity: Mapping[str, object], embedder: TextEmbedder, parts: SharedParts
) -> SkipSharedEmbedder:
    skipping = SkipSharedEmbedder(embedder, parts)
    if skipping.fingerprint != identity["fingerprint"]:
        named = label_of({"name": embedder.name, "fingerprint": embedder.fingerprint})
        raise ArtifactError(
            f"section EMBD: the fingerprint {str(identity['fingerprint'])[:12]} is not that of "
            f"the embedder {named} "
            f"with the field {FIELD!r}; fit the artifact again"
        )
    return skipping


def label_of(identity: Mapping[str, object]) -> str:
    """Give name and fingerprint: two embedders may share a name."""
    return f"{identity['name']} ({str(identity['fingerprint'])[:12]})"
