"""What a network has seen of real images, and how far synthetic ones are from it, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hydrometer.types import HydrometerError

Moments = tuple[Tensor, Tensor]
"""Mean and variance of each channel, (c,) both."""


@dataclass(frozen=True)
class Layer:
    """A layer whose input is watched, and the moments that input has on real images."""

    module: nn.Module
    target: Moments


def moments(inputs: Tensor) -> Moments:
    """Mean and biased variance of each channel of (n, c, h, w)."""
    return inputs.mean((0, 2, 3)), inputs.var((0, 2, 3), unbiased=False)


def batch_norms(model: nn.Module) -> list[Layer]:
    """The batch norms of a network, which remember the moments of their inputs.

    Raises:
        HydrometerError: There is none.
    """
    found = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.running_mean is None or module.running_var is None:
                continue
            found.append(Layer(module, (module.running_mean, module.running_var)))
    if not found:
        raise HydrometerError(
            "the teacher has no batch norm to match; name one that has, such as convnet-3-bn"
        )
    return found


@torch.no_grad()
def convolutions(model: nn.Module, batches: Iterable[Tensor]) -> list[Layer]:
    """The convolutions of a network but its first, whose inputs' moments are measured on real images."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)][1:]
    sums = [(torch.zeros(1), torch.zeros(1))] * len(layers)
    count = 0
    for batch in batches:
        with watched(layers) as seen:
            model(batch)
        count += len(batch)
        sums = [
            (total.to(x.device) + len(x) * x.mean((0, 2, 3)), square.to(x.device)
             + len(x) * x.square().mean((0, 2, 3)))
            for (total, square), x in zip(sums, seen(), strict=True)
        ]  # fmt: skip
    means = [(total / max(1, count), square / max(1, count)) for total, square in sums]
    return [
        Layer(layer, (mean, (square - mean.square()).clamp(min=0)))
        for layer, (mean, square) in zip(layers, means, strict=True)
    ]


@contextmanager
def watched(layers: Sequence[nn.Module]) -> Iterator[Callable[[], list[Tensor]]]:
    """Keep the last input of every layer while the block runs; they come back in the layers' order."""
    inputs: dict[int, Tensor] = {}

    def keep(position: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            inputs[position] = given[0]

        return hook

    hooks = [layer.register_forward_pre_hook(keep(i)) for i, layer in enumerate(layers)]
    try:
        yield lambda: [inputs[i] for i in range(len(layers))]
    finally:
        for hook in hooks:
            hook.remove()


class Matcher:
    """Distance of a batch's moments from the real ones, with a memory of earlier batches.

    The sum over layers of ||mean - target||_2 + variance_weight ||variance - target||_2, the first
    layer `first` times. With `momentum` above 0 an average over all batches so far is compared, its
    gradient that of the present batch alone (G-VBSM); it starts at the first batch's moments, where
    the released code starts at zero.
    """

    def __init__(
        self, layers: Sequence[Layer], first: float, variance_weight: float, momentum: float
    ) -> None:
        self.layers, self.first = layers, first
        self.variance_weight, self.momentum = variance_weight, momentum
        self.memory: list[Moments] = []

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The distance, a scalar with a gradient, from the inputs of the layers."""
        now = [moments(x) for x in inputs]
        compared = self._remembered(now) if self.momentum else now
        total = inputs[0].new_zeros(())
        for i, (layer, (mean, variance)) in enumerate(zip(self.layers, compared, strict=True)):
            apart = (mean - layer.target[0]).norm() + self.variance_weight * (
                variance - layer.target[1]
            ).norm()
            total = total + (self.first if i == 0 else 1.0) * apart
        return total

    def _remembered(self, now: list[Moments]) -> list[Moments]:
        fresh = [(mean.detach(), variance.detach()) for mean, variance in now]
        old = self.memory or fresh
        keep = self.momentum
        self.memory = [
            (keep * m + (1 - keep) * a, keep * v + (1 - keep) * b)
            for (m, v), (a, b) in zip(old, fresh, strict=True)
        ]
        return [
            (m + mean - a, v + variance - b)
            for (m, v), (mean, variance), (a, b) in zip(self.memory, now, fresh, strict=True)
        ]
