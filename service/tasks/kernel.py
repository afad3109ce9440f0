"""The task of ``/models/{name}/kernel``: a kernel of a layer from a model's file, as a worker process does it."""

from __future__ import annotations

from contextlib import closing

import onnx

from models.onnx.kernels import LayerKernels
from models.runtime.kernel_inputs import kernels_of
from scs.errors import OptionError
from service.api.models import KernelOptions, LayerKernel
from service.pictures.npy import to_npy
from service.repository.sent_model import SentModel
from service.tasks.activations.choice import chosen_channels, chosen_layer

JSON, NPY = FORMS = ("application/json", "application/x-npy")


def answer_kernel(sent: SentModel, options: KernelOptions, form: str) -> bytes:
    """Read what a channel of a layer compares patches with from a network's file.

    Args:
        sent: the network.
        options: which layer, and which of its channels.
        form: one of ``FORMS``.

    Raises:
        UnknownNameError: the network has no such layer, or the layer no such channel.
        OptionError: the layer has no kernels, or the network is TorchScript, whose kernels cannot be told apart.
        ModelError: the file has changed since it was opened.
    """
    card = sent.card
    with closing(sent.file):
        layer = chosen_layer(card, options.layer)
        (channel,) = chosen_channels([], str(options.channel), layer)
        if card.format != "onnx":
            raise OptionError(f"kernels are read of a model that is ONNX; {card.name} {card.version} is TorchScript")
        kernels = kernels_of(onnx.load_from_string(sent.content()), card, layer)
    if form == NPY:
        return to_npy(kernels.weights[channel])
    return _to_answer(kernels, card.name, card.version, options).model_dump_json().encode()


def _to_answer(kernels: LayerKernels, name: str, version: int, options: KernelOptions) -> LayerKernel:
    channel = options.channel
    return LayerKernel(
        model=name,
        version=version,
        layer=options.layer,
        channel=channel,
        operator=kernels.operator,
        kernel=kernels.weights[channel].tolist(),
        first_input=kernels.first_input(channel),
        bias=None if kernels.bias is None else float(kernels.bias[channel]),
        p=None if kernels.p is None else float(kernels.p[channel]),
        q=kernels.q,
        strides=kernels.strides,
        dilations=kernels.dilations,
        pads=kernels.pads,
        after=list(kernels.after),
    )
