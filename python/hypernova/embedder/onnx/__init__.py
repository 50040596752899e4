"""Run embedding models that are ONNX files.

Not here: the texts before they are tokens (see ``hypernova.embedder.text``).
"""
