"""Gradients of an ONNX graph, as nodes that are added to it and that any ONNX runtime runs, without torch."""
