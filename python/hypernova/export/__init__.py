"""Turn a model of sentence-transformers or model2vec into an embedder folder: extra ``export``.

``files`` finds and reads a model's files. ``reader`` makes an encoder of them, whose graph ``bert``
builds with ``graph``, and ``reference`` computes the same in numpy to compare with.
``static_model`` makes a table of tokens of them, whose graph ``lookup`` builds. ``export`` runs
these steps. Not here: anything that serves; only the command line imports this package.
"""

from hypernova.export.export import ExportResult, export_embedder

__all__ = ["ExportResult", "export_embedder"]
