"""Run lookup embedders in the core: rows of word pieces, added.

Not here: graphs that are more than look-ups (see ``hypernova.embedder.onnx``).

- ``backend``: texts to vectors through the core
- ``files``: the word pieces and the rows of a folder, shared among embedders
"""
