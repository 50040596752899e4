"""Turn texts into float32 vectors of unit length.

Not here: training, downloading, or any model's name.

- ``base``: what every embedder has in common
- ``files``: the folder of an embedder, read and checked
- ``device``: where its model runs
- ``runtime``: onnxruntime, with its telemetry off
- ``embedder``: from text to vector with a model
- ``function``: from text to vector with a function of the user's own
- ``skip``: the same without the beginnings and ends that many prompts shared
- ``cache``: the vectors of the texts that came last
- ``open``: any of these, from what names it
- ``pickled``: one that came with a pickle, loaded once in a process
- ``of_artifact``: the one that an artifact was fitted with
"""

from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.cache import CachedEmbedder, CacheInfo
from hypernova.embedder.function import CallableEmbedder
from hypernova.embedder.onnx.device import DEVICES, Device
from hypernova.embedder.onnx.embedder import Embedder
from hypernova.embedder.onnx.files import bundled_embedders, find_bundled
from hypernova.embedder.open import open_embedder
from hypernova.embedder.shared_text import SharedPart, SharedParts, SkipSharedEmbedder

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
    "TextEmbedder",
    "bundled_embedders",
    "find_bundled",
    "open_embedder",
]
