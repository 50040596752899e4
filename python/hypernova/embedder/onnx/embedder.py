"""Turn texts into float32 vectors of unit length, with an ONNX model and its tokenizer.

Not here: tokens (see ``hypernova.embedder.text``), the run of the model (see ``model``), training,
downloading, or any model's name.

An embedder folder holds ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. The last one
states how the other two are used and their sha256; every field of it that affects a vector is part
of the embedder's identity. Two embedders with the same fingerprint give the same vectors.

onnxruntime and tokenizers are imported by ``Embedder.load``, not by importing this module.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova.embedder.base import TextEmbedder, Vectors
from hypernova.embedder.onnx.ahead import prepare_ahead
from hypernova.embedder.onnx.files import (
    MODEL,
    TOKENIZER,
    EmbedderFiles,
    find_bundled,
    find_bundled_model,
    fingerprint_of,
    identity_of,
    is_bundled,
    load_tokenizer,
    locate,
    read_checked,
    read_settings,
)
from hypernova.embedder.onnx.model import OnnxModel, load_session
from hypernova.embedder.onnx.runtime import Device, check_device
from hypernova.embedder.text.checks import text_label
from hypernova.embedder.text.tokenizer import PromptTokenizer
from hypernova.errors import EmbedderError, EmbedderMismatchError
from hypernova.unpickled import UnpickledCache

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hypernova.embedder.text.word_piece import Tokens

    TextTokens = tuple[Tokens, Tokens | None]  # of a text, and of its lead

# Texts that are tokenised, and then sorted by length, at a time: bounds the memory of many texts.
_WINDOW = 2048
# Of fewer texts each is tokenised by itself.
_MIN_PREPARED = 16
_PROBE_TOKENS = 512


class Embedder(TextEmbedder):
    """An embedding model, loaded, checked and ready; made by ``Embedder.load``.

    It does not change after loading and may be used from many threads at once.

    Example:
        >>> from hypernova.embedder import Embedder
        >>> Embedder.load("static").embed_one("Fix the race in the scheduler").shape
        (512,)
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        model: OnnxModel,
        tokenizer: PromptTokenizer,
        *,
        device: Literal["cpu", "cuda"],
        options: tuple[int, Device],
    ) -> None:
        """Hold the parts that ``load`` has read; not for direct use."""
        self._model = model
        self._tokenizer = tokenizer
        self._identity = identity_of(settings)
        self._fingerprint = fingerprint_of(settings)
        self._dim: int = settings["dim"]
        self._lead_weight: float = settings["lead_weight"]
        self._device = device
        self._options = options  # threads and device, as they were asked for
        self._model_path = folder / MODEL
        self._place = folder.absolute()  # now: the process may go to another folder

    @classmethod
    def load(
        cls, source: str | os.PathLike[str], *, threads: int = 1, device: Device = "cpu"
    ) -> Embedder:
        """Load an embedder and check all of it; nothing is downloaded and no code is run.

        Args:
            source: The name of a bundled embedder, or a folder with ``model.onnx``,
                ``tokenizer.json`` and ``embedder.json``. A bundled name wins over a folder of
                that name in the working directory: write ``./static`` for the folder.
            threads: Number of threads that one run of the model uses, from 1.
            device: ``"cpu"``; ``"cuda"``, which takes the extra ``cuda`` and a GPU of NVIDIA;
                or ``"auto"``, which is CUDA where that works and the processor where it does
                not. The fingerprint is the same, and the vectors are up to
                float rounding.

        Returns:
            The embedder.

        Raises:
            NotFoundError: There is neither such a bundled embedder nor such a folder.
            EmbedderError: A file is missing or malformed, or has another sha256 than
                ``embedder.json`` says, or the model has other inputs or outputs.
            ValueError: ``threads`` is less than 1, or ``device`` is unknown.
            MissingExtraError: ``device`` is ``"cuda"``, and the installed onnxruntime has none.
            DeviceError: ``device`` is ``"cuda"``, and CUDA does not start.

        Example:
            >>> from hypernova.embedder import Embedder
            >>> Embedder.load("static").dim
            512
        """
        check_device(device)
        if threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        folder = locate(source)
        files = EmbedderFiles(folder, read_settings(folder))
        return cls.load_files(files, threads=threads, device=device)

    @classmethod
    def load_files(cls, files: EmbedderFiles, *, threads: int, device: Device) -> Embedder:
        """Load an embedder with given settings; as `load`, which reads them from the folder."""
        folder, settings = files
        # Both files are hashed and loaded from the same bytes: those that were checked run.
        graph = read_checked(folder, MODEL, settings)
        session, used = load_session(folder, graph, threads, device)
        tokenizer = PromptTokenizer(
            load_tokenizer(folder, read_checked(folder, TOKENIZER, settings), settings), settings
        )
        model = OnnxModel(folder, settings, session, used)
        _probe(folder, settings, model, tokenizer)
        return cls(folder, settings, model, tokenizer, device=used, options=(threads, device))

    @property
    def name(self) -> str:
        """The name in ``embedder.json``."""
        return str(self._identity["name"])

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""
        return self._fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """Every setting that affects a vector; a copy."""
        return dict(self._identity)

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """The device that the model runs on."""
        return self._device

    def embed_one(self, text: str) -> Vectors:
        """Embed one text; the path of least latency.

        The lead of a text is its first line that is not blank, stripped and then cut to
        ``lead_chars`` characters; a line ends with a line feed or a carriage return. The vector
        is that of the text plus ``lead_weight`` times that of its lead, brought to length 1. It is
        that of the text alone where the weight is 0, and where the lead is all of the stripped
        text or holds no token.

        Args:
            text: First cut by the rule of ``cut``; then, with ``skip_courtesy``, the parts that say
                nothing of a task are left out, if others remain. Of more than ``max_tokens``
                tokens, special ones among them, the last ``tail_tokens`` count and as many of the
                first as there is room for.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
            EmbedderError: The model fails, or its vector is not finite or has length 0.
        """
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

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        starts = range(0, len(texts), _WINDOW)

        def tokenize(start: int, unwanted: threading.Event | None = None) -> list[TextTokens]:
            window = slice(start, start + _WINDOW)
            return self._tokenize(texts[window], indices[window], unwanted)

        # A processor that runs the model has no time to spare for the tokens of the next texts.
        windows = prepare_ahead(tokenize, starts, threaded=self._device == "cuda")
        with contextlib.closing(windows):
            for start, pairs in zip(starts, windows, strict=True):
                window = slice(start, start + len(pairs))
                self._embed_tokens(pairs, indices[window], vectors[window], progress)
        return vectors

    def _tokenize(
        self, texts: Sequence[str], indices: Sequence[int], unwanted: threading.Event | None
    ) -> list[TextTokens]:
        """Return the tokens of each text, and those of its lead; of some if ``unwanted``."""
        if len(texts) >= _MIN_PREPARED:
            self._tokenizer.prepare([text for text in texts if isinstance(text, str)])
        pairs: list[TextTokens] = []
        for i, text in enumerate(texts):
            if unwanted is not None and unwanted.is_set():
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
        r"""Cut a text by the stated rule, as ``embed_one`` does; a second cut changes nothing.

        A blank is a character that shows nothing: what ``str.isspace`` accepts, a control, or an
        invisible mark (U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to
        U+206F, U+FEFF).

        Args:
            text: Any text.

        Returns:
            The text, if it has at most ``head_chars + tail_chars`` characters. Else the text with
            runs of more than 256 blanks shortened to 256 (a line end among them stays), and if that
            is too long, its first ``head_chars`` and last ``tail_chars`` characters with a space
            between.
        """
        return self._tokenizer.cut(text)

    def key_of(self, text: str) -> bytes:
        """Return a key that two texts share if, and only if, the model is given the same tokens.

        Args:
            text: As for ``embed_one``.

        Returns:
            32 bytes: a sha256 of the tokens of the text and of its lead.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        tokens, lead = self._tokenizer.tokenize(text, None)
        key = hashlib.sha256(len(tokens).to_bytes(8, "little") + tokens.tobytes())
        if lead is not None:
            key.update(lead.tobytes())
        return key.digest()

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that its vector depends on.

        The characters that the cut drops are not among them, nor are those whose tokens are beyond
        the limit: other visible characters in their place leave the vector as it is, to the
        bit, and so does other whitespace in place of whitespace, if neither ends a line. Nor are
        the parts that ``skip_courtesy`` leaves out: without them the vector is the same, but other
        words in their place may be read.

        Args:
            text: As for ``embed_one``.

        Returns:
            Spans (first character, the one after the last), rising and disjoint, in the text as
            it was given. A word that counts in part is read whole, with the characters that might
            continue it.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        return self._tokenizer.read_spans(text)

    def _with_settings_of(self, identity: Mapping[str, Any], fingerprint: str) -> Embedder | None:
        """Return a bundled embedder with the settings of an identity; see `find_bundled_model`."""
        files = find_bundled_model(identity, fingerprint) if is_bundled(self._place) else None
        if files is None or files.settings["name"] != self.name:
            return None
        threads, device = self._options
        return type(self).load_files(files, threads=threads, device=device)

    def _min_batch(self) -> int:
        return 1 if self._device == "cpu" else self._model.max_texts

    def _max_batch(self) -> int:
        return _WINDOW

    def __reduce__(self) -> tuple[Callable[..., TextEmbedder], tuple[object, ...]]:
        # The model is not sent: a pickle names its place and its fingerprint.
        place: str | None = str(self._place)
        settings = None
        if is_bundled(self._place):
            place = None
            if find_bundled(self._fingerprint) is None:  # of an artifact of another version
                settings = self._identity
        named = type(self), place, self.name, self._fingerprint
        return _load_again, (*named, *self._options, settings)

    def __copy__(self) -> Embedder:
        return self  # immutable

    def __deepcopy__(self, memo: dict[int, object]) -> Embedder:
        return self

    def __repr__(self) -> str:
        return f"Embedder({self.name!r}, dim={self.dim}, fingerprint={self.fingerprint[:12]!r})"


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


_unpickled: UnpickledCache[tuple[object, ...], TextEmbedder] = UnpickledCache()


def _load_again(
    kind: type[Embedder],
    place: str | None,
    name: str,
    fingerprint: str,
    threads: int,
    device: Device,
    settings: dict[str, Any] | None = None,
) -> TextEmbedder:
    """Load the embedder that a pickle names, or return the one that another pickle has loaded.

    Args:
        kind: `Embedder` or a subclass.
        place: The folder, or None for one of the package's own, wherever that is installed.
        name: For messages.
        fingerprint: Of the embedder that was pickled.
        threads: As in `Embedder.load`.
        device: As in `Embedder.load`.
        settings: Of one of the package's own, where they are not those of its folder.

    Raises:
        EmbedderMismatchError: The folder holds another embedder now, or none of that fingerprint
            is bundled.
        NotFoundError: The folder is gone; as in `Embedder.load`, like all that it raises.
    """

    def load(_: Iterator[object]) -> TextEmbedder:
        if place is None:
            files = find_bundled_model(settings or {}, fingerprint)
            if files is None:
                raise EmbedderMismatchError(
                    f"a pickle names the bundled embedder {name} ({fingerprint[:12]}), which this "
                    "hypernova does not have: pickle and unpickle with the same version"
                )
            return kind.load_files(files, threads=threads, device=device)
        embedder: TextEmbedder = kind.load(place, threads=threads, device=device)
        if embedder.fingerprint != fingerprint:
            raise EmbedderMismatchError(
                f"{place}: a pickle names the embedder {name} ({fingerprint[:12]}), and the folder "
                f"holds {embedder.name} ({embedder.fingerprint[:12]}) now: put the former back, "
                "or pickle the latter"
            )
        return embedder

    return _unpickled.get((kind, place, fingerprint, threads, device), load)
