"""Run embedding models that are ONNX files."""
