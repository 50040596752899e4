"""Turn texts into float32 vectors of unit length.

Not here: training, downloading, or any model's name.

- ``base``: the interface of every embedder
- ``resolve``: the embedder that a name, a folder or an artifact means
- ``embedder``: a model in an ONNX file with its tokenizer
- ``files``: the folder of one, read and checked, and its identity
- ``backend``: what makes the vectors of one: ``lookup``, the core, or ``onnx``, onnxruntime
- ``onnx_extra``: whether the libraries of the latter are installed
- ``loaded``: one copy of what several embedders have loaded
- ``text``: cutting and tokenising for such a model
- ``function``: a function of the user's own
- ``shared_text``: an embedder that leaves known beginnings and ends out of every text
- ``cache``: an embedder that keeps the vectors of recent texts
- ``stored``: an embedder that keeps vectors in a folder
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.lazy import load_later

if TYPE_CHECKING:
    from hypernova.embedder.base import TextEmbedder
    from hypernova.embedder.cache import CachedEmbedder, CacheInfo
    from hypernova.embedder.embedder import Embedder
    from hypernova.embedder.files import bundled_embedders, find_bundled
    from hypernova.embedder.function import CallableEmbedder
    from hypernova.embedder.onnx.runtime import DEVICES, Device
    from hypernova.embedder.resolve import open_embedder
    from hypernova.embedder.shared_text import SharedPart, SharedParts, SkipSharedEmbedder
    from hypernova.embedder.stored import StoredEmbedder, store_vectors

__all__ = [
    "DEVICES",
    "CacheInfo",
    "CachedEmbedder",
    "CallableEmbedder",
    "Device",
    "Embedder",
    "SharedPart",
    "SharedParts",
    "SkipSharedEmbedder",
    "StoredEmbedder",
    "TextEmbedder",
    "bundled_embedders",
    "find_bundled",
    "open_embedder",
    "store_vectors",
]

# The modules of all names: a router takes the few that it needs from where they are.
_LATER = {
    "CacheInfo": "cache",
    "CachedEmbedder": "cache",
    "CallableEmbedder": "function",
    "DEVICES": "onnx.runtime",
    "Device": "onnx.runtime",
    "Embedder": "embedder",
    "SharedPart": "shared_text",
    "SharedParts": "shared_text",
    "SkipSharedEmbedder": "shared_text",
    "StoredEmbedder": "stored",
    "TextEmbedder": "base",
    "bundled_embedders": "files",
    "find_bundled": "files",
    "open_embedder": "resolve",
    "store_vectors": "stored",
}
__getattr__, __dir__ = load_later(__name__, __all__, _LATER)
