"""Keep the vectors of texts in a folder, so that the next run embeds nothing.

Not here: any way to make a vector, or to use one; the cache of a process is ``embedder.cache``.

- ``embedder``: an embedder that looks in the folder first
- ``store``: the vectors of one embedder in its folder, for reading and writing
- ``index``: which row of which file may hold the vector of a key
- ``vector_file``: one file of vectors, written once
"""

from hypernova.embedder.stored.embedder import StoredEmbedder, store_vectors

__all__ = ["StoredEmbedder", "store_vectors"]
