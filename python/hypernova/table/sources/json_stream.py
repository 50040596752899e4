"""Read a JSON document in pieces: the entries of an array or an object inside it, one at a time.

Libraries that do so stop at a bare NaN, which evaluation tools write. Not here: files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.table.source import Source


def walk(
    file: BinaryIO, source: Source, *streamed: str, max_value: int = 256 * 1024 * 1024
) -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON object, with an array that may be large in pieces.

    Args:
        file: UTF-8 JSON, at its beginning.
        source: The file, for messages.
        streamed: Dotted paths of arrays or objects whose entries are yielded one by one, such as
            ``results.results``.
        max_value: Bytes that one value may take.

    Yields:
        The dotted path and the value: of each entry of a streamed array under the array's path, of
        each entry of a streamed object under its path and key, of each other value of an object
        that holds none of them under its own path. In the order of the document.

    Raises:
        TableError: the document is no JSON object, is cut short or malformed, or one value is
            larger than `max_value`.
    """
    raise NotImplementedError
