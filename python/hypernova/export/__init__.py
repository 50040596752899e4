"""Turn a sentence-transformers folder into an embedder folder: the extra ``export``.

A module for each step: ``source`` reads the folder, ``bert`` writes the model's graph with
``graph``, ``forward`` computes the same in numpy to compare with, ``run`` does it all.
Not here: anything that serves. Nothing but the command line imports this package.
"""

from hypernova.export.run import Exported, export_embedder

__all__ = ["Exported", "export_embedder"]
