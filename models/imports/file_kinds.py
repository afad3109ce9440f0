"""What a file is that is no ONNX file, by its first bytes, and what would work instead."""

from __future__ import annotations

from pathlib import Path

_MAGIC = (
    (b"\x89HDF", "a Keras file (HDF5): convert it by `python -m tf2onnx.convert --keras FILE --output model.onnx`"),
    (b"PK\x03\x04", "a zip archive: unpack it and import what is inside; weights of torch need their network, "
     "net.py:make_net --weights FILE"),
    (b"\x80", "a pickle, a program that would be run to be read: export the network to ONNX"),
    (b"\x1f\x8b", "a gzip archive: unpack it and import what is inside"),
    (b"GGUF", "a GGUF file of a language model: export a network that takes pictures to ONNX"),
    (b"\x93NUMPY", "an array of NumPy: export the network to ONNX"),
    (b"\x89PNG", "a picture (PNG); `scs predict` takes pictures"),
    (b"\xff\xd8\xff", "a picture (JPEG); `scs predict` takes pictures"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file that it stands for: fetch that by `git lfs pull`"),
    (b"<?xml", "XML, as OpenVINO has it: export the network that it was converted from to ONNX"),
    (b"<", "a page of HTML, such as a failed download leaves: download the file again"),
)  # fmt: skip
_MAGIC_AT_4 = (
    (b"ORTM", "a file of ONNX Runtime's own format: import the ONNX file that it was made from"),
    (b"TFL3", "a TensorFlow Lite file: convert it by `python -m tf2onnx.convert --tflite FILE --output model.onnx`"),
)


def kind_of(file: Path) -> str:
    """Return what a file that cannot be read as ONNX is, and the nearest thing that would work."""
    with file.open("rb") as opened:
        first = opened.read(64)
    if not first:
        return "empty: export or download it again"
    for start, magics in ((0, _MAGIC), (4, _MAGIC_AT_4)):
        for magic, kind in magics:
            if first[start:].startswith(magic):
                return kind
    return "of another kind, cut off or damaged: export or download it again"
