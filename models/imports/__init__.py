"""Import of other people's networks: an ONNX file, or a network of torch, becomes a model of the repository."""
