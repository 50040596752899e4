"""Find, read and check the three files of an embedder, and state its identity.

Not here: what runs the model (see ``lookup`` and ``onnx``), and texts (see ``embedder``).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from hypernova._core import LookupEmbedder, sha256
from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.embedder.onnx_extra import import_error
from hypernova.errors import EmbedderError, NotFoundError

MODEL, TOKENIZER, SETTINGS = "model.onnx", "tokenizer.json", "embedder.json"
FORMAT: Final = 1
# Number of the arithmetic in which the core adds rows.
ARITHMETIC: Final = LookupEmbedder.ARITHMETIC
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

_Rule = tuple[str, Callable[[Any], bool]]  # the rule of a field in words, and its check


def _is_unicode(text: str) -> bool:
    # JSON can write half of a surrogate pair, and no fingerprint can be taken of it.
    return not any("\ud800" <= character <= "\udfff" for character in text)


_FLAG: _Rule = ("true or false", lambda v: isinstance(v, bool))
_TEXT: _Rule = ("a string", lambda v: isinstance(v, str) and _is_unicode(v))
_SOME_TEXT: _Rule = ("a string that is not empty", lambda v: _TEXT[1](v) and v != "")
_COUNT: _Rule = ("an integer from 1, below 2**31", lambda v: type(v) is int and 1 <= v < 2**31)
_SHA256: _Rule = (
    "64 hex digits",
    lambda v: isinstance(v, str) and len(v) == 64 and not v.strip("0123456789abcdef"),
)
IDENTITY: dict[str, _Rule] = {
    "format": (f"the integer {FORMAT}", lambda v: type(v) is int and v == FORMAT),
    "name": _SOME_TEXT,
    "dim": _COUNT,
    "model_sha256": _SHA256,
    "tokenizer_sha256": _SHA256,
    "pooling": ("'model', 'mean' or 'cls'", lambda v: v in ("model", "mean", "cls")),
    "normalize": _FLAG,
    "max_tokens": ("null, or " + _COUNT[0], lambda v: v is None or _COUNT[1](v)),
    "head_chars": _COUNT,
    "tail_chars": ("0, or " + _COUNT[0], lambda v: _COUNT[1](v) or (type(v) is int and v == 0)),
    "special_tokens": _FLAG,
    "lead_chars": _COUNT,
    # The limit is far from where a float32 overflows, and above it only the lead would count.
    "lead_weight": (
        "a number from 0 to 1000",
        lambda v: type(v) in (int, float) and 0 <= v <= 1000,
    ),
}
# A file without such a field is older than the field: its identity has none, either.
_OPTIONAL: dict[str, _Rule] = {
    # Number of tokens of max_tokens that come from the end of a longer text; without it, none.
    "tail_tokens": _COUNT,
    "prompt": _SOME_TEXT,
    # Number of the rule by which parts of a text that say nothing of its task are left out; without
    # it, or with 0, none are. A rule that leaves out others gets the next number.
    "skip_courtesy": ("0 or 1", lambda v: type(v) is int and v in (0, 1)),
}
_INFORMATION: dict[str, _Rule] = {"licence": _TEXT, "source": _TEXT}
# By these an identity names a bundled embedder, whatever its settings are.
_SAME_MODEL = ("name", "model_sha256", "tokenizer_sha256")


# The field of an identity that says which arithmetic of the core made the vectors. Without it,
# onnxruntime made them.
ARITHMETIC_FIELD: Final = "arithmetic"


class EmbedderFiles(NamedTuple):
    """A folder with a model and its tokenizer, and the settings to use them with.

    Attributes:
        folder: The folder.
        settings: As `read_settings` gives them, or those of an identity.
        arithmetic: Number of the core's arithmetic that the identity states; None where it states
            none, so that onnxruntime made the vectors of old.
    """

    folder: Path
    settings: dict[str, Any]
    arithmetic: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Every setting that affects a vector, and the arithmetic; a new dict."""
        return identity_of(self.settings, self.arithmetic)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""
        return fingerprint_of(self.settings, self.arithmetic)

    def with_fingerprint(self, fingerprint: str) -> EmbedderFiles | None:
        """Return the same with the arithmetic that a fingerprint states, or None if none has it."""
        for arithmetic in (None, ARITHMETIC):
            files = self._replace(arithmetic=arithmetic)
            if files.fingerprint == fingerprint:
                return files
        return None


def bundled_embedders() -> dict[str, Path]:
    """Return the embedders that ship with the package: the folder of each, in order of name.

    Example:
        >>> from hypernova.embedder import bundled_embedders
        >>> list(bundled_embedders())
        ['minilm', 'static']
    """
    return {path.parent.name: path.parent for path in sorted(BUNDLED_FOLDER.glob(f"*/{SETTINGS}"))}


def find_bundled(fingerprint: str) -> Path | None:
    """Find the bundled embedder with this fingerprint.

    Only the ``embedder.json`` files are read: ``Embedder.load`` is what checks the models.

    Args:
        fingerprint: 64 hex digits, as in ``Embedder.fingerprint``.

    Returns:
        Its folder, or None if no bundled embedder has that fingerprint.

    Raises:
        EmbedderError: An ``embedder.json`` of the package is damaged.
    """
    for files, found in _bundled():
        if fingerprint in found:
            return files.folder
    return None


def _bundled() -> Iterator[tuple[EmbedderFiles, dict[str, int | None]]]:
    """Read the settings of each bundled embedder, and its arithmetic by fingerprint.

    Raises:
        EmbedderError: As in `find_bundled`.
    """
    for folder in bundled_embedders().values():
        try:
            status = (folder / SETTINGS).stat()
        except OSError:
            state = None  # which `read_settings` reports
        else:
            state = status.st_ino, status.st_mtime_ns, status.st_size
        settings, fingerprints = _settings_in_state(folder, state)
        yield EmbedderFiles(folder, dict(settings)), fingerprints


# A service opens an artifact for each of its customers, and each asks for its embedder.
@lru_cache(maxsize=16)
def _settings_in_state(
    folder: Path, _state: tuple[int, int, int] | None
) -> tuple[dict[str, Any], dict[str, int | None]]:
    """Return settings and fingerprints of a folder, read once while the file is the same."""
    settings = read_settings(folder)
    return settings, {fingerprint_of(settings, number): number for number in (None, ARITHMETIC)}


def find_bundled_model(identity: Mapping[str, Any], fingerprint: str) -> EmbedderFiles | None:
    """Find the bundled embedder that an identity names, with the settings of that identity.

    The settings of a bundled embedder may change from one version of the package to another, its
    model and its name do not. An identity states all settings, so that the model of today makes
    the vectors that it made with the settings of then.

    Args:
        identity: Of an artifact, which may come from anywhere; unknown fields are left out.
        fingerprint: That the settings must have.

    Returns:
        The folder and the settings; None if no bundled embedder has that name and these files, or
        if the settings are malformed or have another fingerprint.

    Raises:
        EmbedderError: As in `find_bundled`.
    """
    stated = {field: identity[field] for field in IDENTITY | _OPTIONAL if field in identity}
    for files, found in _bundled():
        if fingerprint in found:
            return files._replace(arithmetic=found[fingerprint])
        folder, settings, _ = files
        if any(stated.get(field) != settings[field] for field in _SAME_MODEL):
            continue
        try:
            check_settings(stated, folder / SETTINGS)
        except EmbedderError:
            return None
        return EmbedderFiles(folder, stated).with_fingerprint(fingerprint)
    return None


def is_bundled(folder: Path) -> bool:
    """Return whether a folder is one of the package's own."""
    return folder.resolve().parent == BUNDLED_FOLDER.resolve()


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the folder that a bundled name or a path means.

    Raises:
        NotFoundError: There is neither such a bundled embedder nor such a folder.
    """
    bundled = bundled_embedders()
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    folder = Path(source)
    if not folder.is_dir():
        raise NotFoundError(
            f"no embedder {os.fspath(source)!r}: expected a bundled one "
            f"({', '.join(bundled) or 'none is installed'}) or a folder with {MODEL}, "
            f"{TOKENIZER} and {SETTINGS}"
        )
    return folder


def _read(folder: Path, name: str) -> bytes:
    try:
        file_state(folder / name)
        return (folder / name).read_bytes()
    except OSError as error:
        raise unreadable(folder, name, error) from error


def file_state(path: Path) -> tuple[int, ...]:
    """Return place, size and times of a file, which change when it is replaced or written.

    Raises:
        OSError: There is no such file, or it is a pipe, which may never end.
    """
    found = path.stat()
    if stat.S_ISFIFO(found.st_mode):
        raise OSError(errno.EINVAL, "It is a pipe; expected a file")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def unreadable(folder: Path, name: str, error: OSError) -> EmbedderError:
    """Return the error for a file of an embedder that is missing or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return EmbedderError(
            f"{folder}: {name} is missing; an embedder folder has {MODEL}, {TOKENIZER} and "
            f"{SETTINGS}"
        )
    return EmbedderError(f"{folder / name}: cannot be read: {error.strerror}")


def read_checked(folder: Path, name: str, settings: dict[str, Any]) -> bytes:
    """Read the model or the tokenizer, and check its sha256.

    Raises:
        EmbedderError: The file is missing, cannot be read, or has another sha256.
    """
    data = _read(folder, name)
    compare_sha256(folder, name, settings, sha256(data))
    return data


def sha256_of(name: str, settings: dict[str, Any]) -> str:
    """Return the sha256 that the settings state for the model or the tokenizer."""
    stated: str = settings[f"{name.partition('.')[0]}_sha256"]
    return stated


def compare_sha256(folder: Path, name: str, settings: dict[str, Any], found: str) -> None:
    """Refuse a file with another sha256 than the settings state.

    Raises:
        EmbedderError: It has another one; the message has both.
    """
    expected = sha256_of(name, settings)
    if found != expected:
        raise EmbedderError(
            f"{folder / name}: expected sha256 {expected}, as {SETTINGS} says, found {found}"
        )


def read_settings(folder: Path) -> dict[str, Any]:
    """Read ``embedder.json`` and check every field of it.

    Raises:
        EmbedderError: The file is missing or not JSON, or a field is missing, unknown or wrong.
    """
    import json

    path, data = folder / SETTINGS, _read(folder, SETTINGS)
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EmbedderError(f"{path}: not JSON: {first_line(error)}") from error
    if not isinstance(settings, dict):
        raise EmbedderError(f"{path}: expected a JSON object, found {_show(settings)}")
    check_settings(settings, path)
    return settings


def check_settings(settings: dict[str, Any], path: Path) -> None:
    """Check every field of an embedder's settings.

    Args:
        settings: The fields.
        path: Where they stand, for messages.

    Raises:
        EmbedderError: A field is missing, unknown or wrong.
    """
    known = IDENTITY | _OPTIONAL | _INFORMATION
    for field in settings:
        if field not in known:
            raise EmbedderError(
                f"{path}: unknown field {_show(field)}, expected {', '.join(known)}"
            )
    for field, (expected, holds) in known.items():
        if field not in settings and field in IDENTITY:
            raise EmbedderError(f"{path}: field {field!r} is missing, expected {expected}")
        if field in settings and not holds(settings[field]):
            raise EmbedderError(
                f"{path}: field {field!r}: expected {expected}, found {_show(settings[field])}"
            )
    if "tail_tokens" in settings and settings["max_tokens"] is None:
        raise EmbedderError(
            f"{path}: tail_tokens is {settings['tail_tokens']}, but max_tokens, of which it is a "
            "part, is null"
        )


def identity_of(settings: dict[str, Any], arithmetic: int | None = None) -> dict[str, Any]:
    """Return the settings that affect a vector, and the core's arithmetic if it makes them."""
    own = {field: settings[field] for field in settings if field in IDENTITY | _OPTIONAL}
    return own if arithmetic is None else {**own, ARITHMETIC_FIELD: arithmetic}


def fingerprint_of(settings: dict[str, Any], arithmetic: int | None = None) -> str:
    """Return the sha256 of the identity's canonical JSON, as 64 hex digits."""
    return fingerprint_of_identity(identity_of(settings, arithmetic))


def load_tokenizer(folder: Path, data: bytes, settings: dict[str, Any]) -> Any:
    """Load the tokenizer, with its truncation at ``max_tokens``.

    Raises:
        EmbedderError: The file is no tokenizer, or the token limits leave no room for a text.
        MissingExtraError: The package tokenizers is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise import_error("tokenizers", error) from error

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise EmbedderError(
            f"{folder / TOKENIZER}: not a tokenizer: {first_line(error)}"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    limit = settings["max_tokens"]
    if limit is not None:
        special = tokenizer.num_special_tokens_to_add(False)
        if limit <= special:
            raise EmbedderError(
                f"{folder / SETTINGS}: max_tokens is {limit}, expected more than the {special} "
                "special tokens of a text"
            )
        tail = settings.get("tail_tokens", 0)
        if tail and limit - special <= tail:
            raise EmbedderError(
                f"{folder / SETTINGS}: tail_tokens is {tail}, expected less than the "
                f"{limit - special} that max_tokens leaves beside the special tokens"
            )
        tokenizer.enable_truncation(limit)
    return tokenizer


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, of which libraries write pages."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
