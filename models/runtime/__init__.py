"""Run an exported model, on ONNX Runtime or as TorchScript."""
