"""Make vectors with an ONNX model that onnxruntime runs, and its tokenizer.

Not here: tokens (see ``hypernova.embedder.text``), and the run of the model (see ``model``).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from hypernova._core import WordPieceTokenizer
from hypernova.embedder.files import (
    MODEL,
    TOKENIZER,
    fingerprint_of,
    load_tokenizer,
    read_checked,
    sha256_of,
)
from hypernova.embedder.loaded import LoadedCache, check_file
from hypernova.embedder.onnx.ahead import prepare_ahead
from hypernova.embedder.onnx.model import LoadedSession, OnnxModel, load_session
from hypernova.embedder.text.checks import text_label
from hypernova.embedder.text.tokenizer import PromptTokenizer
from hypernova.errors import EmbedderError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernova.embedder.base import Vectors
    from hypernova.embedder.onnx.runtime import Device
    from hypernova.embedder.text.tokenizer import Tokens

    TextTokens = tuple[Tokens, Tokens | None]  # of a text, and of its lead

# Texts that are tokenised, and then sorted by length, at a time: bounds the memory of many texts.
_WINDOW: Final = 2048
_PROBE_TOKENS: Final = 512

# A session may have threads, which a forked child lacks.
_sessions: LoadedCache[LoadedSession] = LoadedCache(survive_fork=False)
_tokenizers: LoadedCache[PromptTokenizer] = LoadedCache(survive_fork=True)


class OnnxBackend:
    """A model in a session of onnxruntime, with its tokenizer. Safe to share among threads.

    Args:
        folder: The embedder's folder.
        settings: Of its ``embedder.json``, or those of an identity.
        threads: Threads of one run, from 1.
        device: As for `open_session`.

    Raises:
        EmbedderError: A file is missing or malformed, or has another sha256, or the model has
            other inputs or outputs.
        MissingExtraError: A library is not installed, or CUDA is asked for, and the installed
            onnxruntime has none.
        DeviceError: CUDA is asked for, and it does not start.
    """

    runtime: Final = "onnxruntime"
    max_batch: Final = _WINDOW

    def __init__(
        self, folder: Path, settings: dict[str, Any], *, threads: int, device: Device
    ) -> None:
        loaded = _load_session(folder, settings, threads, device)
        self.device: Literal["cpu", "cuda"] = loaded.device
        self._tokenizer = _load_tokenizer(folder, settings)
        self._model = OnnxModel(folder, settings, loaded.session, loaded.device)
        self._model_path = folder / MODEL
        self._dim: int = settings["dim"]
        self._lead_weight: float = settings["lead_weight"]
        self.min_batch = 1 if self.device == "cpu" else self._model.max_texts
        _probe(folder, settings, self._model, self._tokenizer)
        self._loaded = loaded  # shared while it is used

    def embed_one(self, text: str) -> Vectors:
        """Return the vector of a text; see `Embedder.embed_one`."""
        tokens, lead = self._tokenizer.tokenize(text, None)
        vector = self._model.embed_one(tokens)
        return vector if lead is None else self._add_lead(vector, self._model.embed_one(lead))

    def _add_lead(self, text: Vectors, lead: Vectors) -> Vectors:
        """Return one row of `_add_leads`, without the cost of arrays of one number."""
        vector: Vectors = text + np.float32(self._lead_weight) * lead
        length = math.sqrt(np.vdot(vector, vector))
        if not length:
            raise self._cancelled(None)
        return vector / np.float32(length)

    def embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """Return the vectors of texts, those of similar length in one run of the model."""
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        starts = range(0, len(texts), _WINDOW)

        def tokenize(start: int, unwanted: threading.Event) -> list[TextTokens]:
            window = slice(start, start + _WINDOW)
            return self._tokenize(texts[window], indices[window], unwanted)

        # A processor that runs the model has no time to spare for the tokens of the next texts.
        windows = prepare_ahead(tokenize, starts, threaded=self.device == "cuda")
        with contextlib.closing(windows):
            for start, pairs in zip(starts, windows, strict=True):
                window = slice(start, start + len(pairs))
                self._embed_tokens(pairs, indices[window], vectors[window], progress)
        return vectors

    def _tokenize(
        self, texts: Sequence[str], indices: Sequence[int], unwanted: threading.Event
    ) -> list[TextTokens]:
        """Return the tokens of each text, and those of its lead; of some if ``unwanted``."""
        pairs: list[TextTokens] = []
        for i, text in enumerate(texts):
            if unwanted.is_set():
                break
            pairs.append(self._tokenizer.tokenize(text, indices[i]))
        return pairs

    def _embed_tokens(
        self,
        pairs: list[TextTokens],
        indices: Sequence[int],
        vectors: Vectors,
        progress: Callable[[int], None] | None,
    ) -> None:
        """Put the vectors of texts, from their tokens, into the rows of ``vectors``."""
        leads = {row: lead for row, (_, lead) in enumerate(pairs) if lead is not None}
        of_leads = [indices[row] for row in leads]
        # Leads first: a text that progress counts is then done but for the sum.
        lead_vectors = self._model.embed(list(leads.values()), of_leads, None)
        vectors[:] = self._model.embed([own for own, _ in pairs], indices, progress)
        if leads:
            rows = list(leads)
            vectors[rows] = self._add_leads(vectors[rows], lead_vectors, of_leads)

    def _add_leads(self, texts: Vectors, leads: Vectors, indices: Sequence[int]) -> Vectors:
        """Add ``lead_weight`` times each lead's vector to its text's: (n, dim) of length 1."""
        vectors = texts + np.float32(self._lead_weight) * leads
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        if not length.all():
            raise self._cancelled(indices[int(length.argmin())])
        with_leads: Vectors = vectors / length[:, None]
        return with_leads

    def _cancelled(self, index: int | None) -> EmbedderError:
        named = "a text" if index is None else text_label(index)
        return EmbedderError(
            f"{self._model_path}: the vector of {named} and {self._lead_weight} times that "
            "of its lead add up to 0"
        )

    def cut(self, text: str) -> str:
        """Return a text after the cut; see `Embedder.cut`."""
        return self._tokenizer.cut(text)

    def key_of(self, text: str) -> bytes:
        """Return a key of the tokens of a text; see `Embedder.key_of`."""
        tokens, lead = self._tokenizer.tokenize(text, None)
        key = hashlib.sha256(len(tokens).to_bytes(8, "little") + tokens.tobytes())
        if lead is not None:
            key.update(lead.tobytes())
        return key.digest()

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that its vector depends on; see `Embedder.read_spans`."""
        return self._tokenizer.read_spans(text)


def load_prompt_tokenizer(folder: Path, data: bytes, settings: dict[str, Any]) -> PromptTokenizer:
    """Load the contents of a folder's ``tokenizer.json``, with the rules of its settings.

    Raises:
        EmbedderError: The file is no tokenizer, or the token limits leave no room for a text.
        MissingExtraError: The package tokenizers is not installed.
    """
    tokenizer = load_tokenizer(folder, data, settings)
    return PromptTokenizer(tokenizer, settings, WordPieceTokenizer.from_json(data))


def _load_tokenizer(folder: Path, settings: dict[str, Any]) -> PromptTokenizer:
    def load() -> PromptTokenizer:
        data = read_checked(folder, TOKENIZER, settings)
        return load_prompt_tokenizer(folder, data, settings)

    key = fingerprint_of(settings)  # with the sha256 of the file
    return _tokenizers.get(key, load, lambda: check_file(folder, TOKENIZER, settings))


def _load_session(
    folder: Path, settings: dict[str, Any], threads: int, device: Device
) -> LoadedSession:
    def load() -> LoadedSession:
        # Hashed and loaded from the same bytes: those that were checked run.
        graph = read_checked(folder, MODEL, settings)
        return load_session(folder, graph, threads, device)

    key = sha256_of(MODEL, settings), threads, device
    return _sessions.get(key, load, lambda: check_file(folder, MODEL, settings))


def _probe(
    folder: Path, settings: dict[str, Any], model: OnnxModel, tokenizer: PromptTokenizer
) -> None:
    """Run the model once, on the highest token id and as many tokens as a text may have."""
    token = tokenizer.max_token
    if token is None:
        raise EmbedderError(f"{folder / TOKENIZER}: the vocabulary is empty")
    limit = settings["max_tokens"]
    length = min(limit, _PROBE_TOKENS) if isinstance(limit, int) else 2
    try:
        model.probe(token, length)
    except EmbedderError as error:
        raise EmbedderError(
            f"{error} (a trial with {length} times token {token}, the highest in {TOKENIZER})"
        ) from error
