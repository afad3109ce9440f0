"""The task of ``/models/{name}/graph``: a model's file to the graph of its layers, as a worker process does it."""

from __future__ import annotations

import onnx

from models.cards.card import ModelCard
from models.onnx.layer_graph import LOGITS, SOURCE, LayerGraph, layer_graph
from models.onnx.parameters import count_parameters
from models.onnx.shapes import infer_shapes
from scs.errors import OptionError
from service.api.models import GraphEdge, GraphNode, ModelGraph
from service.repository.sent_model import SentModel


def answer_graph(sent: SentModel) -> bytes:
    """Read the graph of a network's layers from its file, as JSON.

    Raises:
        OptionError: it is TorchScript, which has no graph that could be read.
        ModelError: the file has changed since it was opened.
    """
    card = sent.card
    if card.format != "onnx":
        sent.file.close()
        raise OptionError(f"a graph of layers needs a model that is ONNX; {card.name} {card.version} is TorchScript")
    return _graph_of(onnx.load_from_string(sent.content()), card).model_dump_json().encode()


def _graph_of(model: onnx.ModelProto, card: ModelCard) -> ModelGraph:
    layers = [layer.tensor for layer in card.layers]
    found = layer_graph(model.graph, [*layers, LOGITS] if card.labels else layers)
    parameters = count_parameters(model.graph, [each for each in found.tensors if each not in found.joins])
    picture = card.input.height, card.input.width, card.input.channels
    shapes = {**infer_shapes(model, SOURCE, picture), SOURCE: picture}
    nodes, edges, places = list[GraphNode](), list[GraphEdge](), dict[str, int]()
    for tensor in found.tensors:
        shape = list(shapes[tensor]) if tensor in shapes else None
        for node in _nodes_of(tensor, card, found):
            if tensor in places:  # another layer that shows it
                edges.append(GraphEdge(source=places[tensor], target=len(nodes), operators=[]))
            else:
                node.parameters = parameters.get(tensor, 0)
            places.setdefault(tensor, len(nodes))
            node.shape = shape
            nodes.append(node)
    for edge in found.edges:
        source, target = places[edge.source], places[edge.target]
        edges.append(GraphEdge(source=source, target=target, operators=list(edge.operators)))
    edges.sort(key=lambda edge: edge.target)
    return ModelGraph(model=card.name, version=card.version, nodes=nodes, edges=edges)


def _nodes_of(tensor: str, card: ModelCard, graph: LayerGraph) -> list[GraphNode]:
    """Return the layers of the card that show a tensor, or what else it is."""
    if tensor in graph.joins:
        return [GraphNode(kind="join", name=graph.joins[tensor])]
    layers = [GraphNode(kind="layer", name=layer.name) for layer in card.layers if layer.tensor == tensor]
    return layers or [GraphNode(kind="image" if tensor == SOURCE else "logits", name=tensor)]
