"""Export a trained network to ONNX or TorchScript, compare the file with the network, and write its card."""
