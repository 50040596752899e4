"""Turn texts into float32 vectors of unit length, with an ONNX model and its tokenizer.

Not here: training, downloading, or any model's name: a folder of three files says everything.

An embedder folder holds ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. The last one
states how the other two are used and their sha256, and all of it that affects a vector is the
embedder's identity. Two embedders with the same fingerprint give the same vectors.

onnxruntime and tokenizers are imported by ``Embedder.load``, not by importing this module.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hypernova.errors import EmbedderError, NotFoundError, TextError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Embedder", "bundled_embedders", "find_bundled"]

Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

MODEL, TOKENIZER, SETTINGS = "model.onnx", "tokenizer.json", "embedder.json"
FORMAT: Final = 1
BUNDLED = Path(__file__).parent / "bundled"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_SURROGATES = re.compile("[\ud800-\udfff]")

# What one run may hold. 512 padded tokens keep a transformer's buffers in the caches: with 4096,
# MiniLM took 1.6 times as long for the same texts, and one text at a time as long as with 512.
_BATCH_TEXTS, _BATCH_TOKENS = 32, 512
# Texts tokenised, and then sorted by length, at a time: bounds the memory of a long sequence.
_WINDOW = 2048
_PROBE_TOKENS = 512
_UNIT_TOLERANCE = 1e-3

_Rule = tuple[str, Callable[[Any], bool]]  # what a field must be, in words, and the check of it
_FLAG: _Rule = ("true or false", lambda v: isinstance(v, bool))
_TEXT: _Rule = ("a string", lambda v: isinstance(v, str))
_COUNT: _Rule = ("an integer from 1, below 2**31", lambda v: type(v) is int and 1 <= v < 2**31)
_SHA256: _Rule = (
    "64 hex digits",
    lambda v: isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) is not None,
)
_IDENTITY: dict[str, _Rule] = {
    "format": (f"the integer {FORMAT}", lambda v: type(v) is int and v == FORMAT),
    "name": ("a string that is not empty", lambda v: isinstance(v, str) and v != ""),
    "dim": _COUNT,
    "model_sha256": _SHA256,
    "tokenizer_sha256": _SHA256,
    "pooling": ("'model', 'mean' or 'cls'", lambda v: v in ("model", "mean", "cls")),
    "normalize": _FLAG,
    "max_tokens": ("null, or " + _COUNT[0], lambda v: v is None or _COUNT[1](v)),
    "head_chars": _COUNT,
    "tail_chars": ("0, or " + _COUNT[0], lambda v: _COUNT[1](v) or (type(v) is int and v == 0)),
    "special_tokens": _FLAG,
}
_INFORMATION: dict[str, _Rule] = {"licence": _TEXT, "source": _TEXT}


def bundled_embedders() -> dict[str, Path]:
    """List the embedders that ship with the package.

    Returns:
        The folder of each by name, in order of name.
    """
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob(f"*/{SETTINGS}"))}


def find_bundled(fingerprint: str) -> Path | None:
    """Find the bundled embedder with this fingerprint.

    Only the ``embedder.json`` files are read: ``Embedder.load`` is what checks the models.

    Args:
        fingerprint: 64 hex digits, as in ``Embedder.fingerprint``.

    Returns:
        Its folder, or None if no bundled embedder has that fingerprint.

    Raises:
        EmbedderError: an ``embedder.json`` of the package is damaged.
    """
    for folder in bundled_embedders().values():
        if _fingerprint(_read_settings(folder)) == fingerprint:
            return folder
    return None


class Embedder:
    """An embedding model, loaded, checked and ready; made by ``Embedder.load``.

    It does not change after loading and may be used from many threads at once.

    Example:
        >>> from hypernova.embedder import Embedder
        >>> Embedder.load("static").embed_one("Fix the race in the scheduler").shape
        (256,)
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], session: Any, tokenizer: Any
    ) -> None:
        """Hold what ``load`` has read; not for direct use."""
        self._folder = folder
        self._identity = {field: settings[field] for field in _IDENTITY}
        self._fingerprint = _fingerprint(settings)
        self._dim: int = settings["dim"]
        self._pooling: str = settings["pooling"]
        self._normalize: bool = settings["normalize"]
        self._head: int = settings["head_chars"]
        self._tail: int = settings["tail_chars"]
        self._special: bool = settings["special_tokens"]
        self._session = session
        inputs = {entry.name for entry in session.get_inputs()}
        self._has_mask, self._has_types = (name in inputs for name in _INPUTS[1:])
        self._outputs = [session.get_outputs()[0].name]
        self._tokenizer = tokenizer
        self._added = tokenizer.num_special_tokens_to_add(False) if self._special else 0

    @classmethod
    def load(cls, source: str | os.PathLike[str], *, threads: int = 1) -> Embedder:
        """Load an embedder and check all of it; nothing is downloaded and no code is run.

        Args:
            source: the name of a bundled embedder, or a folder with ``model.onnx``,
                ``tokenizer.json`` and ``embedder.json``. A bundled name wins over a folder of
                that name in the working directory: write ``./static`` for the folder.
            threads: how many threads one run of the model uses, from 1.

        Returns:
            The embedder.

        Raises:
            NotFoundError: there is neither such a bundled embedder nor such a folder.
            EmbedderError: a file is missing, malformed, or not the one that
                ``embedder.json`` names, or the model's inputs or outputs do not fit.
            ValueError: ``threads`` is less than 1.
        """
        if threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        folder = _locate(source)
        settings = _read_settings(folder)
        # Both files are hashed and loaded from the same bytes: what was checked is what runs.
        session = _load_session(folder, _read_checked(folder, MODEL, settings), threads)
        tokenizer = _load_tokenizer(folder, _read_checked(folder, TOKENIZER, settings), settings)
        embedder = cls(folder, settings, session, tokenizer)
        embedder._probe()
        return embedder

    @property
    def name(self) -> str:
        """What ``embedder.json`` calls it."""
        return str(self._identity["name"])

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self._dim

    @property
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""
        return self._fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """Every setting that affects a vector; a copy."""
        return dict(self._identity)

    def __repr__(self) -> str:
        return f"Embedder({self.name!r}, dim={self.dim}, fingerprint={self.fingerprint[:12]!r})"

    def embed_one(self, text: str) -> Vectors:
        """Embed one text; the path of least latency.

        Args:
            text: longer than ``head_chars + tail_chars`` characters, it is cut to its first
                ``head_chars`` and last ``tail_chars``, with a space between, before anything
                else looks at it.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: the text is empty, only whitespace, or holds no token.
            EmbedderError: the model fails, or its vector is not finite or has length 0.
        """
        ids = np.array([self._tokenize(text, None)], dtype=np.int64)
        vector: Vectors = self._forward(ids, np.ones_like(ids))[0]
        # As _unit, without the cost of arrays for a single number.
        length = math.sqrt(np.vdot(vector, vector))
        self._check_lengths(length, length)
        if self._normalize:
            vector = vector / np.float32(length)
        return vector

    def embed(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Embed many texts, in batches of similar length.

        Args:
            texts: the texts, each treated as ``embed_one`` treats it.
            progress: called after each batch with the number of texts it held.

        Returns:
            float32 of shape (len(texts), dim), C-contiguous, in the order of ``texts``, each row
            of length 1 and, up to float rounding, the same as from ``embed_one``.

        Raises:
            TypeError: ``texts`` is one str, or one of the texts is not a str.
            TextError: a text is empty, only whitespace, or holds no token; the message has its
                index.
            EmbedderError: the model fails, or a vector is not finite or has length 0.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a str, expected a sequence of str; use embed_one")
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for start in range(0, len(texts), _WINDOW):
            window = texts[start : start + _WINDOW]
            tokens = [self._tokenize(text, start + i) for i, text in enumerate(window)]
            for batch in self._batches([len(ids) for ids in tokens]):
                ids = np.zeros((len(batch), len(tokens[batch[-1]])), dtype=np.int64)
                mask = np.zeros_like(ids)
                for row, i in enumerate(batch):
                    ids[row, : len(tokens[i])] = tokens[i]
                    mask[row, : len(tokens[i])] = 1
                vectors[[start + i for i in batch]] = self._unit(self._forward(ids, mask))
                if progress is not None:
                    progress(len(batch))
        return vectors

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Group indices by rising length; the last of a batch is its longest."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and (
                len(batch) == _BATCH_TEXTS
                or (len(batch) + 1) * lengths[i] > _BATCH_TOKENS
                # Without a mask a model takes padding for text: only equal lengths may share.
                or not (self._has_mask or lengths[i] == lengths[batch[0]])
            ):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _tokenize(self, text: str, index: int | None) -> list[int]:
        """Cut, mend and tokenise one text; ``index`` is its place in a sequence, for messages."""
        if not isinstance(text, str):
            raise TypeError(f"{_label(index)} is {type(text).__name__}, expected str")
        if len(text) > self._head + self._tail:
            # The space keeps the two ends from making up a word that the text does not hold.
            text = text[: self._head] + (" " + text[-self._tail :] if self._tail else "")
        if not text or text.isspace():
            raise TextError(f"{_label(index)} is empty: expected at least one visible character")
        if not text.isascii():
            # Half a surrogate pair is no character, and the tokenizer refuses the whole text.
            text = _SURROGATES.sub("\ufffd", text)
        # One text at a time: the tokenizer's own batches start threads on every core, which a
        # server that forks or pins its workers does not want.
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=self._special).ids
        if len(ids) <= self._added:
            raise TextError(f"{_label(index)} holds no token that {self.name!r} knows of")
        return ids

    def _forward(self, ids: Ids, mask: Ids) -> Vectors:
        """Run the model and pool: ids and mask (n, seq) to vectors (n, dim) of any length."""
        feeds = {"input_ids": ids}
        if self._has_mask:
            feeds["attention_mask"] = mask
        if self._has_types:
            feeds["token_type_ids"] = np.zeros_like(ids)
        try:
            output = self._session.run(self._outputs, feeds)[0]
        except Exception as error:
            raise EmbedderError(
                f"{self._folder / MODEL}: fails on ids of shape {ids.shape}: {_first_line(error)}"
            ) from error
        expected = (len(ids), self._dim) if self._pooling == "model" else (*ids.shape, self._dim)
        if output.shape != expected:
            raise EmbedderError(
                f"{self._folder / MODEL}: pooling {self._pooling!r} and dim {self._dim} in "
                f"{SETTINGS} expect an output of shape {expected}, found {output.shape}"
            )
        if self._pooling == "mean":
            weight = mask[:, :, None].astype(np.float32)
            output = (output * weight).sum(axis=1) / weight.sum(axis=1)
        elif self._pooling == "cls":
            output = output[:, 0]
        return np.ascontiguousarray(output, dtype=np.float32)

    def _unit(self, vectors: Vectors) -> Vectors:
        """Bring the rows to length 1, or check that they are there already."""
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        self._check_lengths(float(length.min()), float(length.max()))
        return vectors / length[:, None] if self._normalize else vectors

    def _check_lengths(self, least: float, most: float) -> None:
        """Refuse lengths, given their range, that cannot be brought to 1 or ought to be 1."""
        if not (least > 0.0 and most < math.inf):  # false for NaN, too
            raise EmbedderError(
                f"{self._folder / MODEL}: a vector has length {most if least > 0.0 else least}, "
                "expected a finite length above 0"
            )
        if not self._normalize and max(1.0 - least, most - 1.0) > _UNIT_TOLERANCE:
            raise EmbedderError(
                f"{self._folder / MODEL}: vectors have length {least:.6g} to {most:.6g}, expected "
                f"1; set normalize to true in {SETTINGS}"
            )

    def _probe(self) -> None:
        """Run the model once, so that what does not fit is found now and not under load.

        The run holds the highest token id, which a smaller embedding table lacks, and as many
        tokens as a text may have, which a shorter table of positions lacks.
        """
        ids = self._tokenizer.get_vocab().values()
        if not ids:
            raise EmbedderError(f"{self._folder / TOKENIZER}: the vocabulary is empty")
        limit = self._identity["max_tokens"]
        length = min(limit, _PROBE_TOKENS) if isinstance(limit, int) else 2
        tokens = np.full((1, length), max(ids), dtype=np.int64)
        try:
            vectors = self._forward(tokens, np.ones_like(tokens))
            if vectors.any():  # some tables keep rows of zeros for tokens without a meaning
                self._unit(vectors)
        except EmbedderError as error:
            raise EmbedderError(
                f"{error} (a trial with {length} times token {max(ids)}, the highest in "
                f"{TOKENIZER})"
            ) from error


def _locate(source: str | os.PathLike[str]) -> Path:
    """The folder that ``source`` means."""
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
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise EmbedderError(
            f"{folder}: {name} is missing; an embedder folder has {MODEL}, {TOKENIZER} and "
            f"{SETTINGS}"
        ) from None
    except OSError as error:
        raise EmbedderError(f"{folder / name}: cannot be read: {error.strerror}") from error


def _read_checked(folder: Path, name: str, settings: dict[str, Any]) -> bytes:
    data = _read(folder, name)
    expected, found = settings[f"{Path(name).stem}_sha256"], hashlib.sha256(data).hexdigest()
    if found != expected:
        raise EmbedderError(
            f"{folder / name}: expected sha256 {expected}, as {SETTINGS} says, found {found}"
        )
    return data


def _read_settings(folder: Path) -> dict[str, Any]:
    """Read ``embedder.json`` and check every field of it."""
    path, data = folder / SETTINGS, _read(folder, SETTINGS)
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EmbedderError(f"{path}: not JSON: {_first_line(error)}") from error
    if not isinstance(settings, dict):
        raise EmbedderError(f"{path}: expected a JSON object, found {_show(settings)}")
    known = _IDENTITY | _INFORMATION
    for field in settings:
        if field not in known:
            raise EmbedderError(
                f"{path}: unknown field {_show(field)}, expected {', '.join(known)}"
            )
    for field, (expected, holds) in known.items():
        if field not in settings and field in _IDENTITY:
            raise EmbedderError(f"{path}: field {field!r} is missing, expected {expected}")
        if field in settings and not holds(settings[field]):
            raise EmbedderError(
                f"{path}: field {field!r}: expected {expected}, found {_show(settings[field])}"
            )
    return settings


def _fingerprint(settings: dict[str, Any]) -> str:
    identity = {field: settings[field] for field in _IDENTITY}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _load_tokenizer(folder: Path, data: bytes, settings: dict[str, Any]) -> Any:
    """The tokenizer with its final state: it is never changed again, so threads may share it."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise EmbedderError(
            f"{folder / TOKENIZER}: not a tokenizer: {_first_line(error)}"
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
        tokenizer.enable_truncation(limit)
    return tokenizer


def _load_session(folder: Path, model: bytes, threads: int) -> Any:
    """An onnxruntime session for serving, with the model's inputs and output checked."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # A spinning thread burns a core between requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    path = folder / MODEL
    # Weights outside the file would escape its sha256. A file cannot be a folder, so that they
    # are not found, wherever the model says that they are.
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(path)
    )
    try:
        session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise EmbedderError(
            f"{path}: not a model that onnxruntime can load: {_first_line(error)}"
        ) from error
    inputs = {entry.name: entry.type for entry in session.get_inputs()}
    if "input_ids" not in inputs or not set(inputs) <= set(_INPUTS):
        raise EmbedderError(
            f"{path}: expected the input input_ids, and at most {' and '.join(_INPUTS[1:])} "
            f"besides, found {', '.join(inputs) or 'none'}"
        )
    for name, kind in inputs.items():
        if kind != "tensor(int64)":
            raise EmbedderError(f"{path}: input {name}: expected tensor(int64), found {kind}")
    output = session.get_outputs()[0]
    if output.type != "tensor(float)":
        raise EmbedderError(
            f"{path}: output {output.name}: expected tensor(float), found {output.type}"
        )
    return session


def _label(index: int | None) -> str:
    return "the text" if index is None else f"text {index}"


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
