"""The Open Inference Protocol, version 2: its messages and what they mean here; knows nothing of HTTP or gRPC."""
