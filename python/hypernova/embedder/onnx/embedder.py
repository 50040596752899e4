"""Turn texts into float32 vectors of unit length, with an ONNX model and its tokenizer.

Not here: training, downloading, or any model's name: a folder of three files says everything.

An embedder folder holds ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. The last one
states how the other two are used and their sha256, and all of it that affects a vector is the
embedder's identity. Two embedders with the same fingerprint give the same vectors.

onnxruntime and tokenizers are imported by ``Embedder.load``, not by importing this module.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from hypernova.embedder.base import TextEmbedder, Vectors, check_is_text, empty, label
from hypernova.embedder.onnx.device import Device, check_device
from hypernova.embedder.onnx.files import (
    INPUTS,
    MODEL,
    SETTINGS,
    TOKENIZER,
    fingerprint_of,
    first_line,
    identity_of,
    is_bundled,
    load_session,
    load_tokenizer,
    locate,
    read_checked,
    read_settings,
)
from hypernova.embedder.pickled import load_again
from hypernova.embedder.text.cut import cut, cut_spans, is_blank, visible_span
from hypernova.embedder.text.spans import in_the_text, merge, spans_of_tokens
from hypernova.embedder.text.word_piece import Tokens, Words
from hypernova.errors import EmbedderError, TextError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hypernova.embedder.text.cut import Span

Ids = npt.NDArray[np.int64]

_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("[\r\n]")

# What one run may hold. 512 padded tokens keep a transformer's buffers in the caches: with 4096,
# MiniLM took 1.6 times as long for the same texts, and one text at a time as long as with 512.
# A GPU is given more at a time: on an H100 that is 5.8 times as fast as one text at a time.
_BATCHES = {"cpu": (32, 512), "cuda": (256, 16_384)}
# Texts tokenised, and then sorted by length, at a time: bounds the memory of a long sequence.
_WINDOW = 2048
_PROBE_TOKENS = 512
_UNIT_TOLERANCE = 1e-3


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
        session: Any,
        tokenizer: Any,
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        """Hold what ``load`` has read; not for direct use."""
        self._folder = folder
        self._place = folder.absolute()  # now: the process may go to another folder
        self._options: tuple[int, Device] = 1, device
        self._device = device
        self._most_texts, self._most_tokens = _BATCHES[device]
        self._identity = identity_of(settings)
        self._fingerprint = fingerprint_of(settings)
        self._dim: int = settings["dim"]
        self._pooling: str = settings["pooling"]
        self._normalize: bool = settings["normalize"]
        self._head: int = settings["head_chars"]
        self._tail: int = settings["tail_chars"]
        self._longest = self._head + self._tail
        self._tail_tokens: int = settings.get("tail_tokens", 0)
        self._special: bool = settings["special_tokens"]
        self._lead_chars: int = settings["lead_chars"]
        self._lead_weight: float = settings["lead_weight"]
        self._prompt: str = settings.get("prompt", "")
        self._session = session
        inputs = {entry.name for entry in session.get_inputs()}
        self._has_mask, self._has_types = (name in inputs for name in INPUTS[1:])
        self._outputs = [session.get_outputs()[0].name]
        self._tokenizer = tokenizer
        # How many tokens a text may have, without special ones.
        self._room: int | None = settings["max_tokens"]
        if self._room is not None and self._special:
            self._room -= tokenizer.num_special_tokens_to_add(False)
        self._words = None
        if Words.fits(tokenizer):
            self._words = Words(tokenizer, special=self._special, tail=self._tail_tokens)
        tokenizer.no_truncation()
        # A text with no more tokens than that has none of its own.
        self._added = len(self._encode("")) if self._special or self._prompt else 0

    @classmethod
    def load(
        cls, source: str | os.PathLike[str], *, threads: int = 1, device: Device = "cpu"
    ) -> Embedder:
        """Load an embedder and check all of it; nothing is downloaded and no code is run.

        Args:
            source: the name of a bundled embedder, or a folder with ``model.onnx``,
                ``tokenizer.json`` and ``embedder.json``. A bundled name wins over a folder of
                that name in the working directory: write ``./static`` for the folder.
            threads: how many threads one run of the model uses, from 1.
            device: ``"cpu"``; ``"cuda"``, which takes the extra ``cuda`` and a GPU of NVIDIA;
                or ``"auto"``, which is CUDA where that works and the processor where it does
                not. The fingerprint is the same, and the vectors are up to
                float rounding.

        Returns:
            The embedder.

        Raises:
            NotFoundError: there is neither such a bundled embedder nor such a folder.
            EmbedderError: a file is missing, malformed, or not the one that
                ``embedder.json`` names, or the model's inputs or outputs do not fit.
            ValueError: ``threads`` is less than 1, or ``device`` is unknown.
            MissingExtraError: ``device`` is ``"cuda"``, and the installed onnxruntime has none.
            DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.
        """
        check_device(device)
        if threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        folder = locate(source)
        settings = read_settings(folder)
        # Both files are hashed and loaded from the same bytes: what was checked is what runs.
        model = read_checked(folder, MODEL, settings)
        session, used = load_session(folder, model, threads, device)
        tokenizer = load_tokenizer(folder, read_checked(folder, TOKENIZER, settings), settings)
        embedder = cls(folder, settings, session, tokenizer, used)
        embedder._options = threads, device
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

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where the model runs."""
        return self._device

    def __reduce__(self) -> tuple[Callable[..., TextEmbedder], tuple[object, ...]]:
        # The model stays where it is: what is sent says where, and how to tell it from another.
        place = None if is_bundled(self._place) else str(self._place)
        return load_again, (type(self), place, self.name, self._fingerprint, *self._options)

    def __copy__(self) -> Embedder:
        return self  # nothing of it changes

    def __deepcopy__(self, memo: dict[int, object]) -> Embedder:
        return self

    def __repr__(self) -> str:
        return f"Embedder({self.name!r}, dim={self.dim}, fingerprint={self.fingerprint[:12]!r})"

    def embed_one(self, text: str) -> Vectors:
        """Embed one text; the path of least latency.

        Args:
            text: cut by the rule of ``cut`` before anything else looks at it. Of more than
                ``max_tokens`` tokens, special ones among them, the last ``tail_tokens`` count
                and as many of the first as there is room for.

                Of what is left, the lead is the first line that is not blank, stripped and then
                cut to ``lead_chars`` characters; a line ends with a line feed or a carriage
                return. The vector is that of the text plus ``lead_weight`` times that of its
                lead, brought to length 1. It is that of the text alone where the weight is 0,
                and where the lead is all of the stripped text or holds no token.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: the text is empty, only blanks, or holds no token.
            EmbedderError: the model fails, or its vector is not finite or has length 0.
        """
        tokens, lead = self._tokenize(text, None)
        vector = self._run_one(tokens)
        return vector if lead is None else self._mix_one(vector, self._run_one(lead))

    def _embed_at(
        self,
        texts: Sequence[str],
        places: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        # In batches of similar length.
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for start in range(0, len(texts), _WINDOW):
            window = texts[start : start + _WINDOW]
            pairs = [self._tokenize(text, places[start + i]) for i, text in enumerate(window)]
            led = {start + i: lead for i, (_, lead) in enumerate(pairs) if lead is not None}
            # Leads first: a text that progress counts is then done but for the sum.
            leads = self._run(list(led.values()), None)
            vectors[start : start + len(window)] = self._run([text for text, _ in pairs], progress)
            if led:
                vectors[list(led)] = self._mix(vectors[list(led)], leads)
        return vectors

    def _run_one(self, tokens: Tokens) -> Vectors:
        """Vector of length 1, as a row of ``_run``, without the cost of arrays of one number."""
        ids = tokens[None]
        vector: Vectors = self._forward(ids, np.ones_like(ids))[0]
        length = self._length_of(vector)
        return vector / np.float32(length) if self._normalize else vector

    def _length_of(self, vector: Vectors) -> float:
        """The length of one of the model's vectors, checked."""
        length = math.sqrt(np.vdot(vector, vector))
        self._check_lengths(length, length)
        return length

    def _run(self, tokens: list[Tokens], progress: Callable[[int], None] | None) -> Vectors:
        """Vectors of length 1, (len(tokens), dim), in the order of ``tokens``."""
        vectors = np.empty((len(tokens), self._dim), dtype=np.float32)
        for batch in self._batches([len(ids) for ids in tokens]):
            ids = np.zeros((len(batch), len(tokens[batch[-1]])), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(tokens[i])] = tokens[i]
                mask[row, : len(tokens[i])] = 1
            found = self._forward(ids, mask)
            length = np.sqrt(np.einsum("ij,ij->i", found, found))
            self._check_lengths(float(length.min()), float(length.max()))
            vectors[batch] = found / length[:, None] if self._normalize else found
            if progress is not None:
                progress(len(batch))
        return vectors

    def _mix(self, texts: Vectors, leads: Vectors) -> Vectors:
        """Add to each text's vector its lead's by weight: (n, dim), of length 1 again."""
        vectors = texts + np.float32(self._lead_weight) * leads
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        if not length.all():
            raise self._cancelled()
        mixed: Vectors = vectors / length[:, None]
        return mixed

    def _mix_one(self, text: Vectors, lead: Vectors) -> Vectors:
        """One row of ``_mix``, without the cost of arrays of one number."""
        vector: Vectors = text + np.float32(self._lead_weight) * lead
        length = math.sqrt(np.vdot(vector, vector))
        if not length:
            raise self._cancelled()
        return vector / np.float32(length)

    def _cancelled(self) -> EmbedderError:
        return EmbedderError(
            f"{self._folder / MODEL}: the vector of a text and {self._lead_weight} times that "
            "of its lead add up to 0"
        )

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Group indices by rising length; the last of a batch is its longest."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and (
                len(batch) == self._most_texts
                or (len(batch) + 1) * lengths[i] > self._most_tokens
                # Without a mask a model takes padding for text: only equal lengths may share.
                or not (self._has_mask or lengths[i] == lengths[batch[0]])
            ):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def cut(self, text: str) -> str:
        r"""Cut a text by the stated rule, as ``embed_one`` does first; cutting again changes none.

        A blank is what shows nothing: what ``str.isspace`` accepts, a control, or an invisible
        mark (U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F,
        U+FEFF).

        Args:
            text: Any text.

        Returns:
            The text, if it has at most ``head_chars + tail_chars`` characters. Else the text with
            runs of more than 256 blanks shortened to 256 (a line end among them stays), and if that
            is too long, its first ``head_chars`` and last ``tail_chars`` characters with a space
            between.
        """
        return text if len(text) <= self._longest else cut(text, self._head, self._tail)

    def key_of(self, text: str) -> bytes:
        """Give a key that two texts share if, and only if, the model is given the same tokens.

        Args:
            text: As for ``embed_one``, like what it raises.

        Returns:
            32 bytes: a sha256 of the tokens of the text and of its lead.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        tokens, lead = self._tokenize(text, None)
        key = hashlib.sha256(len(tokens).to_bytes(8, "little") + tokens.tobytes())
        if lead is not None:
            key.update(lead.tobytes())
        return key.digest()

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Tell which characters of a text its vector depends on.

        Those that the cut leaves out are not among them, nor those of the tokens for which there
        is no room: other visible characters in place of theirs leave the vector as it is, to the
        bit, and so does other whitespace in place of whitespace, if neither ends a line.

        Args:
            text: As for ``embed_one``, like what it raises.

        Returns:
            Spans (first character, the one after the last), rising and disjoint, in the text as
            it was given. A word that counts in part is read whole, with what might go on with it.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        self._tokenize(text, None)  # refuses what has no vector
        first, last = cut_spans(text, self._head, self._tail)
        left = _without_surrogates(self.cut(text))
        spans = self._spans_of(left)
        start, stripped, lead = self._lead_of(left)
        if self._lead_weight and len(lead) < len(stripped):
            spans += [(start + a, start + b) for a, b in self._spans_of(lead)]
            # Blanks behind the lead, and the line end: others would be a part of it.
            line_end = _LINE_END.search(stripped)
            end = len(stripped) if line_end is None else line_end.end()
            spans.append((start + len(lead), start + max(len(lead), min(end, self._lead_chars))))
        return tuple(in_the_text(merge(spans), first, last))

    def _spans_of(self, text: str) -> list[Span]:
        """The spans of a cut text, or of a lead, that ``_encode`` gives tokens of."""
        if self._room is None:
            return [(0, len(text))]
        whole, encoded = self._encoded(text, special=False)
        spans = spans_of_tokens(
            whole,
            encoded,
            self._room - self._tail_tokens,
            self._tail_tokens,
            beside=0 if self._words else 1,
            added=[a.content for a in self._tokenizer.get_added_tokens_decoder().values()],
        )
        before = len(self._prompt)
        if len(whole) == before + len(text):
            return [(max(a - before, 0), b - before) for a, b in spans if b > before]
        # The blanks around it were left out, and would not have been if they had been fewer.
        start, stop = visible_span(text)
        spans = [(a - before + start, b - before + start) for a, b in spans if b > before]
        return merge([(0, start), *((max(a, 0), b) for a, b in spans), (stop, len(text))])

    def _tokenize(self, text: str, index: int | None) -> tuple[Tokens, Tokens | None]:
        """Tokens of a text and, where it counts, of its lead; ``index`` is for messages."""
        check_is_text(text, index)
        text = self.cut(text)
        if not text or text.isspace() or (self._words is None and is_blank(text)):
            raise empty(index)
        text = _without_surrogates(text)
        tokens = self._encode(text)
        if len(tokens) <= self._added:
            if is_blank(text):
                raise empty(index)
            raise TextError(f"{label(index)} holds no token that {self.name!r} knows of")
        if not self._lead_weight:
            return tokens, None
        _, stripped, lead = self._lead_of(text)
        if len(lead) == len(stripped):
            return tokens, None
        lead_tokens = self._encode(lead)
        return tokens, lead_tokens if len(lead_tokens) > self._added else None

    def _lead_of(self, text: str) -> tuple[int, str, str]:
        """Where a text begins, the text without the blanks around it, and its lead."""
        stripped = text.strip()
        start = 0 if len(stripped) == len(text) else len(text) - len(text.lstrip())
        if not (stripped[0].isprintable() and stripped[-1].isprintable()):
            begin, end = visible_span(stripped)  # invisible marks are no whitespace
            start, stripped = start + begin, stripped[begin:end]
        return (
            start,
            stripped,
            _LINE_END.split(stripped, maxsplit=1)[0].rstrip()[: self._lead_chars],
        )

    def _encode(self, text: str) -> Tokens:
        """The tokens that the model is given for a cut text or a lead."""
        if self._words is not None:
            return self._words.encode(self._prompt + text)
        _, encoded = self._encoded(text, special=self._special)
        ids = np.array(encoded.ids, dtype=np.int64)
        if self._room is None:
            return ids
        own = np.flatnonzero(np.array(encoded.special_tokens_mask) == 0)
        if len(own) <= self._room:
            return ids
        return np.delete(ids, own[self._room - self._tail_tokens : len(own) - self._tail_tokens])

    def _encoded(self, text: str, *, special: bool) -> tuple[str, Any]:
        """The text that is tokenised for a cut text or a lead, and all its tokens."""
        # One text at a time: the tokenizer's own batches start threads on every core, which a
        # server that forks or pins its workers does not want.
        whole = self._prompt + text
        encoded = self._tokenizer.encode(whole, add_special_tokens=special)
        if self._room is not None and encoded.special_tokens_mask.count(0) > self._room:
            # Not every tokenizer drops blanks: around a text they leave no room for the text.
            start, stop = visible_span(text)
            if stop - start < len(text):
                stripped = self._prompt + text[start:stop]
                return stripped, self._tokenizer.encode(stripped, add_special_tokens=special)
        return whole, encoded

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
                f"{self._folder / MODEL}: fails on ids of shape {ids.shape}: {first_line(error)}"
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

    def _check_lengths(self, least: float, most: float) -> None:
        """Refuse lengths of the model's vectors, given their range, that are or give no 1."""
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
            vector = self._forward(tokens, np.ones_like(tokens))[0]
            if vector.any():  # some tables keep rows of zeros for tokens without a meaning
                self._length_of(vector)
        except EmbedderError as error:
            raise EmbedderError(
                f"{error} (a trial with {length} times token {max(ids)}, the highest in "
                f"{TOKENIZER})"
            ) from error


def _without_surrogates(text: str) -> str:
    # Half a surrogate pair is no character, and the tokenizer refuses the whole text.
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
