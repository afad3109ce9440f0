"""Names of layers that a person recognises: the modules of the network that made a tensor, as exporters note them."""

from __future__ import annotations

import ast
import re

import onnx

from models.imports.graphs import Graph

_BLOCK = re.compile(
    r"^(.*?[A-Za-z_]\w*(?:\.\d+)+)(?:\.|$)"
)  # the shortest path that ends in numbers: layer1.0, blocks.3
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 48


def module_of(graph: Graph, tensor: str) -> str:
    """Return the path of the module that made a tensor, such as ``layer1.0.conv2``; empty where none is noted.

    torch's newer exporter notes it in the node's metadata, the older one and TensorFlow in the node's name.
    """
    node = graph.makers.get(tensor)
    if node is None:
        return ""
    noted = _from_metadata(node)
    return noted if noted else _from_name(node.name)


def block_of(module: str) -> str:
    """Return the numbered block of a module's path, ``layer1.0`` of ``layer1.0.conv2``; empty where there is none."""
    found = _BLOCK.match(module)
    return found.group(1) if found else ""


def readable(name: str) -> str:
    """Return a name without what a layer's name may not have, and without the underscores that hide attributes."""
    parts = [part.lstrip("_") for part in _UNFIT.sub("_", name).split(".")]
    return ".".join(part for part in parts if part)[:_LONGEST].strip("._-")


def _from_metadata(node: onnx.NodeProto) -> str:
    for pair in node.metadata_props:
        if pair.key == "pkg.torch.onnx.name_scopes":
            try:
                scopes = [str(scope) for scope in ast.literal_eval(pair.value)]
            except (ValueError, SyntaxError):
                return ""
            return scopes[-2] if len(scopes) > 1 else ""  # the last is the operation
    return ""


def _from_name(name: str) -> str:
    """Return the module's path of ``/layer1/layer1.0/conv2/Conv``, whose parts repeat what holds them."""
    path = ""
    for part in name.strip("/").split("/")[:-1]:
        path = part if not path or part.rpartition(".")[0] == path else f"{path}.{part}"
    return path
