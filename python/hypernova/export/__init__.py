"""Turn a sentence-transformers model into an embedder folder: the extra ``export``.

``reader`` reads the model, ``bert`` builds its graph with ``graph``, ``reference`` computes the
same in numpy to compare with, and ``export`` runs these steps. ``lookup`` builds graphs that look
rows up and add them. Not here: anything that serves; only the command line imports this package.
"""

from hypernova.export.export import ExportResult, export_embedder

__all__ = ["ExportResult", "export_embedder"]
