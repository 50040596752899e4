"""The embedder that an artifact was fitted with, and no other.

Not here: the artifact; it names its embedder by an identity, which it holds as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.embedder.embedder import Embedder
from hypernova.embedder.files import (
    MODEL,
    TOKENIZER,
    bundled_embedders,
    find_bundled,
    read_checked,
    read_settings,
)
from hypernova.embedder.function import SOURCE as CALLABLE
from hypernova.errors import EmbedderMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hypernova.embedder.base import TextEmbedder
    from hypernova.embedder.device import Device


def load_bundled_for(
    identity: Mapping[str, object], *, threads: int = 1, device: Device = "cpu"
) -> TextEmbedder:
    """Load the bundled embedder that an identity names.

    Raises:
        EmbedderMismatchError: The artifact routes vectors only, or its embedder is not bundled.
        EmbedderError: As in `Embedder.load`, like all that follows.
        MissingExtraError: As in `Embedder.load`.
        DeviceError: As in `Embedder.load`.
    """
    return Embedder.load(_bundled_for(identity), threads=threads, device=device)


def check_bundled_for(identity: Mapping[str, object]) -> None:
    """Refuse an identity whose embedder `load_bundled_for` would not load; load no model.

    The files are read and compared with their sha256; onnxruntime is not imported.

    Raises:
        EmbedderMismatchError: As in `load_bundled_for`.
        EmbedderError: A file of the embedder is missing or damaged.
    """
    folder = _bundled_for(identity)
    settings = read_settings(folder)
    for name in (MODEL, TOKENIZER):
        read_checked(folder, name, settings)


def _bundled_for(identity: Mapping[str, object]) -> Path:
    if identity["kind"] == "vectors":
        raise EmbedderMismatchError(
            f"this artifact routes vectors only ({identity['name']}): no text can be embedded to "
            "match; give vectors of the same origin, to a router by decide or decide_many"
        )
    folder = find_bundled(str(identity["fingerprint"]))
    if folder is None and identity.get("source") == CALLABLE:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the callable embedder {label_of(identity)}, which "
            "an artifact cannot hold: pass embedder=hypernova.CallableEmbedder(function, "
            f"name={identity['name']!r}, dim={identity['dim']})"
        )
    if folder is None:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {label_of(identity)}, which is none of "
            f"the bundled ones ({', '.join(sorted(bundled_embedders()))}): "
            "pass embedder= with its folder"
        )
    return folder


def check_is_of(identity: Mapping[str, object], embedder: TextEmbedder) -> None:
    """Refuse an embedder that is another one than an identity names.

    Raises:
        EmbedderMismatchError: It is, and the message names both.
    """
    if embedder.fingerprint != identity["fingerprint"]:
        given = {"name": embedder.name, "fingerprint": embedder.fingerprint}
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {label_of(identity)}, and the one given "
            f"is {label_of(given)}: pass the former, or fit again with the latter"
        )


def label_of(identity: Mapping[str, object]) -> str:
    """Give name and fingerprint: two embedders may share a name."""
    return f"{identity['name']} ({str(identity['fingerprint'])[:12]})"
