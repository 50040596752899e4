//! Read the tables of a lookup embedder from an ONNX file.
