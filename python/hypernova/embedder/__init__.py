"""Turn texts into float32 vectors of unit length.

Not here: training, downloading, or any model's name.

- ``files``: the folder of an embedder, read and checked
- ``embedder``: from text to vector
"""

from hypernova.embedder.embedder import Embedder
from hypernova.embedder.files import bundled_embedders, find_bundled

__all__ = ["Embedder", "bundled_embedders", "find_bundled"]
