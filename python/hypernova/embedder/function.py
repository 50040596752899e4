"""Turn texts into vectors with a function of the user's own.

Not here: the function; it may look vectors up, run a model, or call a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.files import first_line
from hypernova.embedder.text.checks import check_has_text, text_label, text_labels
from hypernova.errors import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy.typing as npt

    from hypernova.embedder.base import Vectors

SOURCE = "callable"


class CallableEmbedder(TextEmbedder):
    """An embedder made of a function; accepted wherever an embedder is.

    Its identity is its name and dimension, because a function has no other property that can be
    compared. An artifact is routed only with an embedder of the same name and dimension: a
    function that returns other vectors needs another name, such as ``"ours-2"``.

    Every thread that uses the router calls the function, so it has to be safe for threads.

    Args:
        function: Takes a list of n texts, none of them blank, whole and as they were given;
            returns finite numbers of shape (n, dim), none of the rows all zero, as a NumPy array
            or a value that ``numpy.asarray`` converts. Rows are brought to length 1. Exceptions
            of the function pass through, with a note that names the texts of the call.
        name: The name in artifacts and messages.
        dim: Length of a vector.
        batch: Largest number of texts in one call.

    Raises:
        TypeError: ``function`` cannot be called.
        EmbedderError: ``name`` is empty or no valid text, or ``dim`` or ``batch`` is not a
            whole number from 1.

    Example:
        >>> import numpy as np
        >>> from hypernova.embedder import CallableEmbedder
        >>> def lengths(texts: list[str]) -> np.ndarray:
        ...     return np.array([[len(text), 1.0] for text in texts])
        >>> CallableEmbedder(lengths, name="lengths", dim=2).embed(["to", "three"]).shape
        (2, 2)
    """

    def __init__(
        self,
        function: Callable[[list[str]], npt.ArrayLike],
        *,
        name: str,
        dim: int,
        batch: int = 256,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"function is {type(function).__name__}, expected a callable that takes a list "
                "of texts"
            )
        if not isinstance(name, str) or not name or name != name.encode("utf-8", "ignore").decode():
            raise EmbedderError(
                f"name is {name!r}, expected a string that is not empty and holds no half of a "
                "surrogate pair"
            )
        for what, value in (("dim", dim), ("batch", batch)):
            if type(value) is not int or not 1 <= value < 2**31:
                raise EmbedderError(f"{what} is {value!r}, expected an integer from 1, below 2**31")
        self._function = function
        self._batch = batch
        self._identity: dict[str, object] = {
            "format": 1,
            "name": name,
            "dim": dim,
            "source": SOURCE,
        }
        self._name, self._dim = name, dim
        self._fingerprint = fingerprint_of_identity(self._identity)

    @property
    def name(self) -> str:
        """The name in artifacts and messages."""
        return self._name

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
        """Name, dimension and the fact that it is a callable; a copy."""
        return dict(self._identity)

    def _pickle_key(self) -> Hashable:
        # A function that pickles by its name is the same object each time.
        return type(self), self._fingerprint, self._batch, self._function

    def _min_batch(self) -> int:
        # The function may call a service, for which many texts take as long as one.
        return self._batch

    def _max_batch(self) -> int:
        return self._batch

    def __repr__(self) -> str:
        return f"CallableEmbedder({self._function!r}, name={self._name!r}, dim={self._dim})"

    def embed_one(self, text: str) -> Vectors:
        """Embed one text, in a call of its own.

        Args:
            text: At least one visible character.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty or only blanks; the function is not called.
            EmbedderError: The function returned no finite (1, dim), or only zeros.
        """
        check_has_text(text, None)
        vector: Vectors = self._call([text], (None,))[0]
        return vector

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        import numpy as np

        for text, index in zip(texts, indices, strict=True):  # before the first call, not midway
            check_has_text(text, index)
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for start in range(0, len(texts), self._batch):
            end = min(start + self._batch, len(texts))
            vectors[start:end] = self._call(list(texts[start:end]), indices[start:end])
            if progress is not None:
                progress(end - start)
        return vectors

    def _call(self, texts: list[str], indices: Sequence[int | None]) -> Vectors:
        """Call the function, and check its result: float32 (len(texts), dim) of length 1."""
        import numpy as np

        # Not len(texts) after the call: the function may have changed the list.
        expected = (len(indices), self._dim)
        labels = text_labels(indices)
        try:
            given: Any = self._function(texts)
        except Exception as error:
            error.add_note(f"the callable embedder {self._name!r} was called with {labels}")
            raise
        try:
            found = np.asarray(given)
        except Exception as error:
            raise EmbedderError(
                f"the callable embedder {self._name!r} gave {type(given).__name__}, which is no "
                f"array, for {labels}: {first_line(error)}; expected numbers of shape {expected}"
            ) from error
        if found.dtype.kind not in "fiu":
            raise EmbedderError(
                f"the callable embedder {self._name!r} gave {type(given).__name__} of dtype "
                f"{found.dtype} for {labels}, expected numbers that convert to float32, of shape "
                f"{expected}"
            )
        if found.shape != expected:
            raise EmbedderError(
                f"the callable embedder {self._name!r} gave shape {found.shape} for "
                f"{labels}, expected {expected}"
            )
        numbers = found.astype(np.float64)
        # Scaled first, so that no square overflows or vanishes. NaN is the largest of its row.
        largest = np.abs(numbers).max(axis=1, keepdims=True)
        for what, wrong in (
            ("a number that is not finite", ~np.isfinite(largest)),
            ("only zeros", largest == 0.0),
        ):
            if wrong.any():
                index = indices[int(wrong.argmax())]
                raise EmbedderError(
                    f"the callable embedder {self._name!r} gave {what} for {text_label(index)}, "
                    "expected a vector with a direction"
                )
        numbers /= largest
        numbers /= np.sqrt(np.einsum("ij,ij->i", numbers, numbers))[:, None]
        vectors: Vectors = numbers.astype(np.float32)
        return vectors
