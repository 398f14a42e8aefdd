"""Losses: what a student is told about each image, one number per sample.

A loss is a plug-in `(*, ...) -> LossFn`. It reduces over classes alone, so the engine may weight
the samples, and it takes any leading dimensions, so students may be batched.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hydrometer import registry
from hydrometer.types import HydrometerError, Spec


class LossFn(Protocol):
    """Loss of each sample (n,) from logits (n, k), soft labels and hard labels (n,) int64.

    Soft labels are logits (n, k), of a teacher or given with the set, or absent. A loss that needs
    them raises a HydrometerError where they are absent; one that does not ignores them.
    """

    def __call__(self, logits: Tensor, soft: Tensor | None, labels: Tensor, /) -> Tensor:
        """Loss of each sample."""


def build(spec: Spec) -> LossFn:
    """The loss a spec describes."""
    return registry.build("loss", spec)  # type: ignore[no-any-return]


def required(soft: Tensor | None, loss: str) -> Tensor:
    """The soft labels, which this loss cannot do without."""
    if soft is None:
        raise HydrometerError(
            f"loss {loss!r} needs soft labels, and this set or recipe has none; "
            "use loss cross-entropy or another label regime"
        )
    return soft
