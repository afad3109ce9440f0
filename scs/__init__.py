"""Sharpened cosine similarity: the mathematics, with no files, no HTTP and no ONNX.

Nothing heavy is imported here; ask for what you need: ``from scs.nn.layers import …``,
``from scs.matching import …``.
"""
