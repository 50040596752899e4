"""Make an open embedder of whatever names one.

Not here: the choice of a default; that is the caller's.
"""

from __future__ import annotations

import os

from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.onnx.device import Device, check_device
from hypernova.embedder.onnx.embedder import Embedder


def open_embedder(
    embedder: str | os.PathLike[str] | TextEmbedder, *, device: Device = "cpu", threads: int = 1
) -> TextEmbedder:
    """Open an embedder, if it is not open already.

    Args:
        embedder: Name of a bundled embedder, a folder, or an open embedder.
        device: As in `Embedder.load`; an open embedder has its own.
        threads: As in `Embedder.load`; not used for an open embedder.

    Raises:
        TypeError: It is none of these, such as a function that is not wrapped.
        ValueError: ``device`` is unknown, or given for an open embedder.
        NotFoundError: There is no such embedder.
        EmbedderError: The folder is damaged.
        MissingExtraError: As in `Embedder.load`.
        DeviceError: As in `Embedder.load`.
    """
    check_device(device)
    if isinstance(embedder, TextEmbedder):
        if device != "cpu":
            raise ValueError(
                f"device is {device!r}, and the embedder {embedder.name!r} is open already; "
                "give the device to Embedder.load"
            )
        return embedder
    if isinstance(embedder, str | os.PathLike):
        return Embedder.load(embedder, threads=threads, device=device)
    hint = (
        "; wrap a function in hypernova.CallableEmbedder(function, name=..., dim=...)"
        if callable(embedder)
        else ""
    )
    raise TypeError(
        f"embedder is {type(embedder).__name__}, expected a name, a folder or an open "
        f"embedder{hint}"
    )
