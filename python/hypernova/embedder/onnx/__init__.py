"""Run embedding models that are ONNX files.

Not here: the texts before they are tokens (see ``hypernova.embedder.text``).

- ``backend``: texts to vectors through onnxruntime
- ``model``: the graph, its inputs, and batches of equal length
- ``runtime``: onnxruntime without telemetry, and the device that it uses
"""
