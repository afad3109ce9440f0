"""What two networks of one family and one skeleton may differ in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from scs.errors import OptionError

Pooling = Literal["largest", "mean"]
Activation = Literal["relu", "prelu"]


@dataclass(frozen=True)
class Style:
    """What a network of a family and a skeleton may still be asked for.

    Attributes:
        pooling: what is kept of every 2x2 where maps are halved: the ``"largest"`` value, in SCS networks that of the
            largest magnitude, or the ``"mean"``.
        blur: whether maps are blurred before they are halved, see :func:`models.networks.blurred`.
        activation: behind depthwise filters and convolutions. ``"prelu"`` learns one slope a layer for values below 0.
        lean: leave out the scales that normalisation learns wherever what follows makes them redundant.
    """

    pooling: Pooling = "largest"
    blur: bool = False
    activation: Activation = "relu"
    lean: bool = False

    def __post_init__(self) -> None:
        """Refuse what there is not.

        Raises:
            OptionError: an unknown pooling or activation.
        """
        if self.pooling not in get_args(Pooling):
            raise OptionError(f"maps are pooled by one of {', '.join(get_args(Pooling))}; '{self.pooling}' came")
        if self.activation not in get_args(Activation):
            raise OptionError(f"an activation is one of {', '.join(get_args(Activation))}; '{self.activation}' came")


PLAIN = Style()
