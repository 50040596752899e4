"""Run embedding models that are ONNX files.

Not here: the texts before they are tokens (see ``hypernova.embedder.text``).

- ``embedder``: `Embedder`, from texts to vectors
- ``ahead``: tokens of the next texts beside the run of the model, on a GPU
- ``model``: the graph, its inputs, and batches of equal length
- ``files``: the folder of an embedder, read and checked
- ``runtime``: onnxruntime without telemetry, and the device that it uses
"""
