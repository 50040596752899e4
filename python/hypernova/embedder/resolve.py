"""Open the embedder that a name, a folder or an artifact's identity means.

Not here: the artifact; callers hand over its identity, a mapping, and choose defaults.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.embedder.backend import LoadOptions
from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.embedder import Embedder
from hypernova.embedder.files import (
    ARITHMETIC,
    ARITHMETIC_FIELD,
    MODEL,
    TOKENIZER,
    EmbedderFiles,
    bundled_embedders,
    find_bundled_model,
)
from hypernova.embedder.function import SOURCE as CALLABLE
from hypernova.embedder.loaded import check_file
from hypernova.embedder.onnx.runtime import Device, check_device
from hypernova.embedder.onnx_extra import missing_libraries
from hypernova.embedder.shared_text import SHARED_TEXT_FIELD, SharedParts, SkipSharedEmbedder
from hypernova.errors import ArtifactError, EmbedderMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal


def open_embedder(
    embedder: str | os.PathLike[str] | TextEmbedder,
    *,
    device: Device = "cpu",
    threads: int = 1,
    mmap: bool | Literal["auto"] = "auto",
) -> TextEmbedder:
    """Open an embedder, if it is not open already.

    Args:
        embedder: Name of a bundled embedder, a folder, or an open embedder.
        device: As in `Embedder.load`; an open embedder has its own.
        threads: As in `Embedder.load`; not used for an open embedder.
        mmap: As in `Embedder.load`; not used for an open embedder.

    Raises:
        TypeError: ``embedder`` is none of these, such as a function that is not wrapped.
        ValueError: ``device`` is unknown, or given for an open embedder.
        NotFoundError: There is no such embedder.
        EmbedderError: The folder is damaged.
        MissingExtraError: As in `Embedder.load`.
        DeviceError: As in `Embedder.load`.

    Example:
        >>> from hypernova.embedder import open_embedder
        >>> open_embedder("static").name
        'static'
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
        return Embedder.load(embedder, threads=threads, device=device, mmap=mmap)
    hint = (
        "; wrap a function in hypernova.CallableEmbedder(function, name=..., dim=...)"
        if callable(embedder)
        else ""
    )
    raise TypeError(
        f"embedder is {type(embedder).__name__}, expected a name, a folder or an open "
        f"embedder{hint}"
    )


def load_bundled_for(
    identity: Mapping[str, object],
    *,
    threads: int = 1,
    device: Device = "cpu",
    mmap: bool | Literal["auto"] = "auto",
) -> TextEmbedder:
    """Load the bundled embedder that an identity names, with its settings and shared parts.

    Raises:
        EmbedderMismatchError: The artifact routes vectors only, or its embedder is not bundled.
        ArtifactError: The list of shared parts is malformed.
        EmbedderError: As in `Embedder.load`, like all that follows.
        MissingExtraError: As in `Embedder.load`.
        DeviceError: As in `Embedder.load`.
    """
    parts = SharedParts.from_identity(identity)
    options = LoadOptions(threads, device, mmap=mmap)
    embedder = Embedder.load_files(_bundled_files(identity), options)
    return embedder if parts is None else _skipping(identity, embedder, parts)


def check_bundled_for(identity: Mapping[str, object]) -> None:
    """Refuse an identity whose embedder `load_bundled_for` would not load; run no model.

    The files are read and compared with their sha256; onnxruntime is not imported. Where it is
    not installed, the embedder is loaded: the core does so in milliseconds, or cannot.

    Raises:
        EmbedderMismatchError: As in `load_bundled_for`.
        ArtifactError: As in `load_bundled_for`.
        EmbedderError: A file of the embedder is missing or damaged.
        MissingExtraError: As in `load_bundled_for`.
    """
    SharedParts.from_identity(identity)
    files = _bundled_files(identity)
    for name in (MODEL, TOKENIZER):
        check_file(files.folder, name, files.settings)
    if missing_libraries():
        Embedder.load_files(files, LoadOptions())


def has_bundled(identity: Mapping[str, object]) -> bool:
    """Return whether the embedder of an identity is bundled, apart from its shared parts."""
    return find_bundled_model(identity, _inner_fingerprint(identity)) is not None


def match_embedder(identity: Mapping[str, object], embedder: TextEmbedder) -> TextEmbedder:
    """Return a given embedder with the artifact's shared parts; refuse any other embedder.

    A bundled embedder is given the settings that it had when the artifact was fitted, and any
    `Embedder` its arithmetic. An artifact that states none takes vectors of either runtime.

    Returns:
        ``embedder``, or the same model with those settings, wrapped so that it skips the shared
        parts of the artifact, if there are any, and not those of another artifact.

    Raises:
        EmbedderMismatchError: ``embedder`` is another one than the artifact's; the message names
            both.
        ArtifactError: The list of shared parts is malformed.
    """
    if _makes_vectors_of(str(identity["fingerprint"]), embedder):
        return embedder
    if isinstance(embedder, SkipSharedEmbedder):  # of another artifact, which skips other parts
        embedder = embedder.embedder
        if _makes_vectors_of(str(identity["fingerprint"]), embedder):
            return embedder
    parts, fingerprint = SharedParts.from_identity(identity), _inner_fingerprint(identity)
    if isinstance(embedder, Embedder) and not _makes_vectors_of(fingerprint, embedder):
        embedder = embedder._like(identity, fingerprint) or embedder
    if _makes_vectors_of(fingerprint, embedder):
        return embedder if parts is None else _skipping(identity, embedder, parts)
    expected = {"name": identity["name"], "fingerprint": fingerprint}
    given = {"name": embedder.name, "fingerprint": embedder.fingerprint}
    raise EmbedderMismatchError(
        f"the artifact was fitted with the embedder {embedder_label(expected)}, and the one given "
        f"is {embedder_label(given)}{_difference(identity, embedder)}: pass the former, or fit "
        "again with the latter"
    )


def _makes_vectors_of(fingerprint: str, embedder: TextEmbedder) -> bool:
    """Return whether an embedder makes the vectors of an artifact with a fingerprint.

    They are its own, or the same in the core's arithmetic where the artifact states none:
    `docs/embedders.md` says why that changes no decision.
    """
    if embedder.fingerprint == fingerprint:
        return True
    identity = embedder.identity
    stated = identity.pop(ARITHMETIC_FIELD, None)
    return stated is not None and fingerprint_of_identity(identity) == fingerprint


def _difference(identity: Mapping[str, object], embedder: TextEmbedder) -> str:
    """Name the settings in which an embedder of the artifact's name differs; empty if none."""
    given = embedder.identity
    if ARITHMETIC_FIELD in identity and ARITHMETIC_FIELD not in given:
        given[ARITHMETIC_FIELD] = "onnxruntime's"
    differing = [
        f"{field} ({identity[field]} and {value})"
        for field, value in sorted(given.items())
        if field in identity and not isinstance(value, list) and identity[field] != value
    ]
    if identity["name"] != embedder.name or not differing:
        return ""
    return f", with another {' and '.join(differing)}"


def embedder_label(identity: Mapping[str, object]) -> str:
    """Return name and fingerprint for a message: two embedders may share a name."""
    return f"{identity['name']} ({str(identity['fingerprint'])[:12]})"


def _bundled_files(identity: Mapping[str, object]) -> EmbedderFiles:
    if identity["kind"] == "vectors":
        raise EmbedderMismatchError(
            f"this artifact routes vectors only ({identity['name']}): no text can be embedded to "
            "match; give vectors of the same origin, to a router by decide or decide_many"
        )
    fingerprint = _inner_fingerprint(identity)
    named = embedder_label({"name": identity["name"], "fingerprint": fingerprint})
    files = find_bundled_model(identity, fingerprint)
    if files is None and identity.get("source") == CALLABLE:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the callable embedder {named}, which "
            "an artifact cannot hold: pass embedder=hypernova.CallableEmbedder(function, "
            f"name={identity['name']!r}, dim={identity['dim']})"
        )
    stated = identity.get(ARITHMETIC_FIELD, ARITHMETIC)
    if files is None and stated != ARITHMETIC:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {named} in the core's arithmetic "
            f"{stated!r}, and this version has {ARITHMETIC}: upgrade hypernova, or fit again"
        )
    if files is None:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {named}, which is none of "
            f"the bundled ones ({', '.join(sorted(bundled_embedders()))}): "
            "pass embedder= with its folder"
        )
    return files


def _inner_fingerprint(identity: Mapping[str, object]) -> str:
    """Return the fingerprint of the embedder alone, without the shared parts."""
    if SHARED_TEXT_FIELD not in identity:
        return str(identity["fingerprint"])
    own = {
        key: value
        for key, value in identity.items()
        if key not in ("kind", "fingerprint", SHARED_TEXT_FIELD)
    }
    return fingerprint_of_identity(own)


def _skipping(
    identity: Mapping[str, object], embedder: TextEmbedder, parts: SharedParts
) -> SkipSharedEmbedder:
    skipping = SkipSharedEmbedder(embedder, parts)
    if not _makes_vectors_of(str(identity["fingerprint"]), skipping):
        named = embedder_label({"name": embedder.name, "fingerprint": embedder.fingerprint})
        raise ArtifactError(
            f"section EMBD: the fingerprint {str(identity['fingerprint'])[:12]} is not that of "
            f"the embedder {named} "
            f"with the field {SHARED_TEXT_FIELD!r}; fit the artifact again"
        )
    return skipping
