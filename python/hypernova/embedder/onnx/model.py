"""Run an ONNX model: from token ids to vectors of unit length, one text or batches.

Not here: tokens (see ``hypernova.embedder.text.tokenizer``), and the runtime (see ``runtime``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from hypernova.embedder.files import MODEL, SETTINGS, first_line
from hypernova.embedder.onnx.runtime import Device, import_onnxruntime, open_session
from hypernova.embedder.text.checks import text_labels
from hypernova.errors import DeviceError, EmbedderError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hypernova.embedder.base import Vectors
    from hypernova.embedder.text.tokenizer import Tokens

Ids = npt.NDArray[np.int64]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Texts and padded tokens of one run. 512 tokens keep a transformer's buffers in the caches: with
# 4096, MiniLM took 1.6 times as long for the same texts, and one text at a time as long as with
# 512. On an H100, the larger runs are 5.8 times as fast as one text at a time.
_RUN_LIMITS = {"cpu": (32, 512), "cuda": (256, 16_384)}
_UNIT_TOLERANCE = 1e-3


class LoadedSession:
    """A session of onnxruntime, which embedders of the same model share.

    Attributes:
        session: onnxruntime's InferenceSession.
        device: The device that it runs on.
    """

    def __init__(self, session: Any, device: Literal["cpu", "cuda"]) -> None:
        self.session = session
        self.device: Literal["cpu", "cuda"] = device


class OnnxModel:
    """A model in an onnxruntime session, with its pooling. Safe to share among threads.

    Args:
        folder: The embedder's folder, for messages.
        settings: Of ``embedder.json``, as `read_settings` gives them.
        session: An onnxruntime session, of `load_session`.
        device: The device that the session runs on.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], session: Any, device: Literal["cpu", "cuda"]
    ) -> None:
        self._path = folder / MODEL
        self._session = session
        self._dim: int = settings["dim"]
        self._pooling: str = settings["pooling"]
        self._normalize: bool = settings["normalize"]
        inputs = {entry.name for entry in session.get_inputs()}
        self._has_mask, self._has_types = (name in inputs for name in _INPUTS[1:])
        self._outputs = [session.get_outputs()[0].name]
        self.max_texts, self._max_tokens = _RUN_LIMITS[device]

    def embed_one(self, tokens: Tokens) -> Vectors:
        """Return the vector of one text, (dim,), as a row of `embed`, in less time."""
        ids = tokens[None]
        vector: Vectors = self._forward(ids, np.ones_like(ids))[0]
        length = self._checked_length(vector)
        return vector / np.float32(length) if self._normalize else vector

    def embed(
        self,
        tokens: list[Tokens],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """Return the vectors of many texts, (len(tokens), dim), in the order of ``tokens``.

        Args:
            tokens: Token ids of each text.
            indices: The index of each text, for messages.
            progress: Called after each run with its number of texts.

        Raises:
            EmbedderError: The model fails, or a vector has no finite length above 0; the message
                has the index of the text, or those of a run whose texts fail only together.
        """
        vectors = np.empty((len(tokens), self._dim), dtype=np.float32)
        for batch in self._batches([len(ids) for ids in tokens]):
            try:
                vectors[batch] = self._embed_batch([tokens[i] for i in batch])
            except EmbedderError as error:
                named = [indices[i] for i in batch]
                for i in batch if len(batch) > 1 else ():
                    try:
                        self.embed_one(tokens[i])
                    except EmbedderError:
                        named = [indices[i]]
                        break
                raise EmbedderError(f"{text_labels(sorted(named))}: {error}") from error
            if progress is not None:
                progress(len(batch))
        return vectors

    def _embed_batch(self, tokens: list[Tokens]) -> Vectors:
        """Return the vectors of the texts of one run; the last of them is the longest."""
        ids = np.zeros((len(tokens), len(tokens[-1])), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        raw = self._forward(ids, mask)
        length = np.sqrt(np.einsum("ij,ij->i", raw, raw))
        self._check_lengths(float(length.min()), float(length.max()))
        return raw / length[:, None] if self._normalize else raw

    def probe(self, token: int, length: int) -> None:
        """Run the model once, so that a mismatch is found now and not under load.

        Args:
            token: The highest token id, which a table of embeddings that is too small lacks.
            length: Number of tokens; a table of positions that is too short lacks the last.

        Raises:
            EmbedderError: The model fails, or its vector is wrong.
        """
        tokens = np.full((1, length), token, dtype=np.int64)
        vector = self._forward(tokens, np.ones_like(tokens))[0]
        if vector.any():  # some tables keep rows of zeros for tokens without a meaning
            self._checked_length(vector)

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Group indices by rising length; the last of a batch is its longest."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and (
                len(batch) == self.max_texts
                or (len(batch) + 1) * lengths[i] > self._max_tokens
                # Without a mask a model takes padding for text: only equal lengths may share.
                or not (self._has_mask or lengths[i] == lengths[batch[0]])
            ):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

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
                f"{self._path}: fails on ids of shape {ids.shape}: {first_line(error)}"
            ) from error
        expected = (len(ids), self._dim) if self._pooling == "model" else (*ids.shape, self._dim)
        if output.shape != expected:
            raise EmbedderError(
                f"{self._path}: pooling {self._pooling!r} and dim {self._dim} in "
                f"{SETTINGS} expect an output of shape {expected}, found {output.shape}"
            )
        if self._pooling == "mean":
            weight = mask[:, :, None].astype(np.float32)
            output = (output * weight).sum(axis=1) / weight.sum(axis=1)
        elif self._pooling == "cls":
            output = output[:, 0]
        return np.ascontiguousarray(output, dtype=np.float32)

    def _checked_length(self, vector: Vectors) -> float:
        length = math.sqrt(np.vdot(vector, vector))
        self._check_lengths(length, length)
        return length

    def _check_lengths(self, shortest: float, longest: float) -> None:
        """Refuse vectors that have no length, or not length 1 where the model should give it."""
        if not (shortest > 0.0 and longest < math.inf):  # false for NaN, too
            raise EmbedderError(
                f"{self._path}: a vector has length {longest if shortest > 0.0 else shortest}, "
                "expected a finite length above 0"
            )
        if not self._normalize and max(1.0 - shortest, longest - 1.0) > _UNIT_TOLERANCE:
            raise EmbedderError(
                f"{self._path}: vectors have length {shortest:.6g} to {longest:.6g}, expected "
                f"1; set normalize to true in {SETTINGS}"
            )


def load_session(folder: Path, model: bytes, threads: int, device: Device) -> LoadedSession:
    """Open a model's session, and check the model's inputs and output.

    Args:
        folder: The embedder's folder, for messages.
        model: Contents of its ``model.onnx``.
        threads: Threads of one run, from 1.
        device: As for `open_session`.

    Returns:
        The session, and the device that it runs on.

    Raises:
        EmbedderError: onnxruntime cannot load the model, or it has other inputs or outputs.
        MissingExtraError: As in `open_session`.
        DeviceError: As in `open_session`.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # All that fuses operators. Beyond it are layouts for images, which cost 10 ms to look for.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
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
        session, used = open_session(model, options, device)
    except (MissingExtraError, DeviceError):
        raise
    except Exception as error:
        raise EmbedderError(
            f"{path}: not a model that onnxruntime can load: {first_line(error)}"
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
    return LoadedSession(session, used)
