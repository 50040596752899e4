"""Turn texts into float32 vectors of unit length, with the model and the tokenizer of a folder.

Not here: what runs the model (see ``lookup`` and ``onnx``), training, downloading, or any model's
name.

An embedder folder holds ``model.onnx``, ``tokenizer.json`` and ``embedder.json``. The last one
states how the other two are used and their sha256; every field of it that affects a vector is part
of the embedder's identity, and so is the arithmetic, where the core runs the model. Two embedders
with the same fingerprint give the same vectors.

onnxruntime and tokenizers are imported when an embedder is loaded that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hypernova.embedder.backend import LoadOptions, Runtime
from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.files import (
    ARITHMETIC,
    MODEL,
    TOKENIZER,
    EmbedderFiles,
    find_bundled,
    find_bundled_model,
    is_bundled,
    locate,
    read_settings,
)
from hypernova.embedder.loaded import check_file
from hypernova.embedder.onnx_extra import check_libraries
from hypernova.errors import EmbedderError, EmbedderMismatchError
from hypernova.unpickled import UnpickledCache

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hypernova._core import LookupEmbedder
    from hypernova.embedder.backend import Backend
    from hypernova.embedder.base import Vectors
    from hypernova.embedder.onnx.runtime import Device


class Embedder(TextEmbedder):
    """An embedding model, loaded, checked and ready; made by ``Embedder.load``.

    It does not change after loading and may be used from many threads at once.

    Example:
        >>> from hypernova.embedder import Embedder
        >>> Embedder.load("static").embed_one("Fix the race in the scheduler").shape
        (512,)
    """

    def __init__(self, files: EmbedderFiles, backend: Backend, options: LoadOptions) -> None:
        """Hold what ``load`` has loaded; not for direct use."""
        self._backend = backend
        self._identity = files.identity
        self._fingerprint = files.fingerprint
        self._dim: int = files.settings["dim"]
        self._options = options
        self._settings = files.settings
        self._place = files.folder.absolute()  # now: the process may go to another folder

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        threads: int = 1,
        device: Device = "cpu",
        runtime: Runtime = "auto",
        mmap: bool | Literal["auto"] = "auto",
    ) -> Embedder:
        """Load an embedder and check all of it; nothing is downloaded and no code is run.

        Embedders of the same bytes share what they have loaded, whatever folder it came from.

        Args:
            source: The name of a bundled embedder, or a folder with ``model.onnx``,
                ``tokenizer.json`` and ``embedder.json``. A bundled name wins over a folder of
                that name in the working directory: write ``./static`` for the folder.
            threads: Number of threads that one run of the model uses, or that the core embeds
                many texts on, from 1.
            device: ``"cpu"``; ``"cuda"``, which takes the extra ``cuda`` and a GPU of NVIDIA;
                or ``"auto"``, which is CUDA where that works and the processor where it does
                not. The fingerprint of a model that onnxruntime runs is the same, and the
                vectors are up to float rounding.
            runtime: ``"core"``, which adds up the rows of a lookup model such as ``static`` in
                microseconds; ``"onnxruntime"``, which runs any model; or ``"auto"``, the core
                for models and tokenizers that it knows, unless ``device`` is ``"cuda"``. Vectors
                of both agree to 1e-6. The fingerprint of an embedder that the core runs
                states its arithmetic.
            mmap: How the core opens the model's file, as in `hypernova.Artifact.open`. A mapped
                file must not be written in place; processes that map it share its memory.

        Returns:
            The embedder.

        Raises:
            NotFoundError: There is neither such a bundled embedder nor such a folder.
            EmbedderError: A file is missing or malformed, or has another sha256 than
                ``embedder.json`` says, or the model has other inputs or outputs; or ``runtime``
                is ``"core"``, and the core does not know the model or the tokenizer.
            TypeError: ``threads`` is no integer.
            ValueError: ``threads`` is out of range, or another argument is unknown.
            MissingExtraError: The core does not run it, and the extra ``onnx`` is not installed; or
                ``device`` is ``"cuda"``, and the installed onnxruntime has none.
            DeviceError: ``device`` is ``"cuda"``, and CUDA does not start, or ``runtime`` is
                ``"core"``.

        Example:
            >>> from hypernova.embedder import Embedder
            >>> Embedder.load("static").dim
            512
        """
        options = LoadOptions(threads, device, runtime, mmap)
        options.check()
        folder = locate(source)
        settings = read_settings(folder)
        backend = _open_backend(folder, settings, options)
        arithmetic = ARITHMETIC if backend.runtime == "core" else None
        return cls(EmbedderFiles(folder, settings, arithmetic), backend, options)

    @classmethod
    def load_files(cls, files: EmbedderFiles, options: LoadOptions) -> Embedder:
        """Load an embedder with a given identity; as `load`, which reads it from the folder.

        Where the identity states no arithmetic, either runtime will do: `docs/embedders.md` says
        why. Where it states one, the core is the one that has it.
        """
        options.check()
        needed = options if files.arithmetic is None else options._replace(runtime="core")
        return cls(files, _open_backend(files.folder, files.settings, needed), options)

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
        return self._backend.device

    @property
    def runtime(self) -> Literal["core", "onnxruntime"]:
        """The library that makes the vectors."""
        return self._backend.runtime

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
        return self._backend.embed_one(text)

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        return self._backend.embed_indexed(texts, indices, progress)

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
        return self._backend.cut(text)

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
        return self._backend.key_of(text)

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
        return self._backend.read_spans(text)

    def _lookup(self) -> LookupEmbedder | None:
        """Return the core's part, which decides for a text in one call; None without one."""
        own = type(self).embed_one is Embedder.embed_one
        return getattr(self._backend, "lookup", None) if own else None

    def _like(self, identity: Mapping[str, Any], fingerprint: str) -> Embedder | None:
        """Return the same model as an identity has it, or None.

        Of any folder, with the arithmetic of the identity; of a bundled one, with its settings,
        too (see `find_bundled_model`).
        """
        files = EmbedderFiles(self._place, self._settings).with_fingerprint(fingerprint)
        if files is None and is_bundled(self._place):
            files = find_bundled_model(identity, fingerprint)
        if files is None or files.settings["name"] != self.name:
            return None
        if files.arithmetic is None and files.settings == self._settings:
            return type(self)(files, self._backend, self._options)
        return type(self).load_files(files, self._options)

    def _min_batch(self) -> int:
        return self._backend.min_batch

    def _max_batch(self) -> int:
        return self._backend.max_batch

    def _vector_fingerprint(self) -> str:
        arithmetic = ARITHMETIC if self.runtime == "core" else None
        return EmbedderFiles(self._place, self._settings, arithmetic).fingerprint

    def __reduce__(self) -> tuple[Callable[..., TextEmbedder], tuple[object, ...]]:
        # The model is not sent: a pickle names its place and its fingerprint.
        place: str | None = str(self._place)
        settings = None
        if is_bundled(self._place):
            place = None
            if find_bundled(self._fingerprint) is None:  # of an artifact of another version
                settings = self._identity
        named = type(self), place, self.name, self._fingerprint
        threads, device, *others = self._options
        return _load_again, (*named, threads, device, settings, *others)

    def __copy__(self) -> Embedder:
        return self  # immutable

    def __deepcopy__(self, memo: dict[int, object]) -> Embedder:
        return self

    def __repr__(self) -> str:
        return f"Embedder({self.name!r}, dim={self.dim}, fingerprint={self.fingerprint[:12]!r})"


def _open_backend(folder: Path, settings: dict[str, Any], options: LoadOptions) -> Backend:
    """Choose what makes the vectors, and load it.

    Raises:
        EmbedderError: As in `Embedder.load`, like all that follows.
        MissingExtraError: The extra ``onnx`` is needed and not installed, or CUDA is asked for, and
            the installed onnxruntime has none.
        DeviceError: CUDA is asked for, and cannot be used.
    """
    runtime = options.runtime
    reason = f"runtime is {runtime!r}" if runtime != "auto" else f"device is {options.device!r}"
    if runtime == "core" or (runtime == "auto" and options.device != "cuda"):
        from hypernova.embedder.lookup.backend import LookupBackend

        try:
            return LookupBackend(folder, settings, options)
        except NotImplementedError as error:
            reason = str(error)
            if runtime == "core":
                raise EmbedderError(
                    f"{folder}: the core cannot run this embedder: {reason}; use runtime='auto' "
                    "or 'onnxruntime'"
                ) from error
    check_libraries(settings["name"], reason, options.device)
    from hypernova.embedder.onnx.backend import OnnxBackend

    return OnnxBackend(folder, settings, threads=options.threads, device=options.device)


_unpickled: UnpickledCache[tuple[object, ...], TextEmbedder] = UnpickledCache()


def _load_again(
    kind: type[Embedder],
    place: str | None,
    name: str,
    fingerprint: str,
    threads: int,
    device: Device,
    settings: dict[str, Any] | None = None,
    runtime: Runtime = "auto",
    mmap: bool | Literal["auto"] = "auto",
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
        runtime: As in `Embedder.load`; a pickle of version 0.1.0 has none.
        mmap: As in `Embedder.load`; likewise.

    Raises:
        EmbedderMismatchError: The folder holds another embedder now, or none of that fingerprint
            is bundled.
        NotFoundError: The folder is gone; as in `Embedder.load`, like all that it raises.
    """
    options = LoadOptions(threads, device, runtime, mmap)

    def load(_: Iterator[object]) -> TextEmbedder:
        if place is None:
            files = find_bundled_model(settings or {}, fingerprint)
            if files is None:
                raise EmbedderMismatchError(
                    f"a pickle names the bundled embedder {name} ({fingerprint[:12]}), which this "
                    "hypernova does not have: pickle and unpickle with the same version"
                )
            return kind.load_files(files, options)
        folder = locate(place)
        there = EmbedderFiles(folder, read_settings(folder))
        files = there.with_fingerprint(fingerprint)
        if files is None:
            for file in (MODEL, TOKENIZER):  # damage goes before another name or setting
                check_file(folder, file, there.settings)
            raise EmbedderMismatchError(
                f"{place}: a pickle names the embedder {name} ({fingerprint[:12]}), and the folder "
                f"holds {there.settings['name']} ({there.fingerprint[:12]}) now: put the former "
                "back, or pickle the latter"
            )
        return kind.load_files(files, options)

    return _unpickled.get((kind, place, fingerprint, options), load)
