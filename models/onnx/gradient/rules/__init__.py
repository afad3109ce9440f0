"""What the gradients of an operator's inputs are, given those of its outputs: a rule for each operator of ONNX."""

from __future__ import annotations

from models.onnx.gradient.rules import elementwise, linear, moving, normalising, pooling

RULES = elementwise.RULES | linear.RULES | moving.RULES | normalising.RULES | pooling.RULES
# Nothing comes back from these: what they return says nothing of how much there is of anything.
STOPS = {
    "And",
    "ArgMax",
    "ArgMin",
    "ConstantOfShape",
    "Equal",
    "EyeLike",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "NonZero",
    "Not",
    "Or",
    "Shape",
    "Size",
    "Xor",
}
