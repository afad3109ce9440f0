"""Gradients of an ONNX graph, as nodes that are added to it: a reverse pass that any ONNX runtime runs, without torch."""
