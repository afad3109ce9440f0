"""ONNX: the custom op, rewriting of graphs, native kernels, and a graph run in torch."""
