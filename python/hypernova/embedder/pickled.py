"""Load the embedder that a pickle names, once in each process.

Not here: any model; a pickle holds a place and a fingerprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.embedder.onnx.files import find_bundled
from hypernova.errors import EmbedderMismatchError
from hypernova.unpickled import Unpickled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.embedder.base import TextEmbedder
    from hypernova.embedder.onnx.device import Device

_loaded: Unpickled[tuple[object, ...], TextEmbedder] = Unpickled()


def load_again(
    kind: type[Any],
    place: str | None,
    name: str,
    fingerprint: str,
    threads: int,
    device: Device,
) -> TextEmbedder:
    """Load an embedder, or give the one that was loaded for another pickle.

    Args:
        kind: The class, with `Embedder.load`.
        place: The folder, or None for one of the package's own, wherever that is installed.
        name: For messages.
        fingerprint: Of the embedder that was pickled.
        threads: As in `Embedder.load`.
        device: As in `Embedder.load`.

    Raises:
        EmbedderMismatchError: There is another embedder now, or none of that fingerprint is
            bundled.
        NotFoundError: The folder is gone; as in `Embedder.load`, like all that it raises.
    """

    def load(_: Iterator[object]) -> TextEmbedder:
        source = find_bundled(fingerprint) if place is None else place
        if source is None:
            raise EmbedderMismatchError(
                f"a pickle names the bundled embedder {name} ({fingerprint[:12]}), which this "
                "hypernova does not have: pickle and unpickle with the same version"
            )
        embedder: TextEmbedder = kind.load(source, threads=threads, device=device)
        if embedder.fingerprint != fingerprint:
            raise EmbedderMismatchError(
                f"{place}: a pickle names the embedder {name} ({fingerprint[:12]}), and the folder "
                f"holds {embedder.name} ({embedder.fingerprint[:12]}) now: put the former back, "
                "or pickle the latter"
            )
        return embedder

    return _loaded.get((kind, place, fingerprint, threads, device), load)
