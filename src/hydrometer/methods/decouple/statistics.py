"""What a network has seen of real images, and how far synthetic ones are from it, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hydrometer.types import HydrometerError

Moments = tuple[Tensor, Tensor]
"""Mean and variance of each channel, (c,) both."""


@dataclass(frozen=True)
class Layer:
    """A layer whose input is watched, and the moments that input has on real images.

    `classes` are those of each class, (k, c) both, where they are matched.
    """

    module: nn.Module
    target: Moments
    classes: Moments | None = None


def moments(inputs: Tensor) -> Moments:
    """Mean and biased variance of each channel of (n, c, h, w)."""
    return inputs.mean((0, 2, 3)), inputs.var((0, 2, 3), unbiased=False)


def moments_of_classes(inputs: Tensor, onehot: Tensor) -> Moments:
    """Mean and biased variance (k, c) of each channel of (n, c, h, w), class by class.

    `onehot` is (n, k); a class without images has mean and variance 0.
    """
    count = onehot.sum(0).clamp(min=1)[:, None]
    mean = onehot.T @ inputs.mean((2, 3)) / count
    square = onehot.T @ inputs.square().mean((2, 3)) / count
    return mean, (square - mean.square()).clamp(min=0)


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


@torch.no_grad()
def with_classes(
    model: nn.Module,
    layers: Sequence[Layer],
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
) -> list[Layer]:
    """The layers with the moments of each class of real images (n, c, h, w) and labels (n,)."""
    modules = [layer.module for layer in layers]
    sums: list[Moments] = []
    counts = torch.zeros(classes, 1)
    for images, labels in batches:
        onehot = F.one_hot(labels.to(images.device), classes).float()
        with watched(modules) as seen:
            model(images)
        fresh = [(onehot.T @ x.mean((2, 3)), onehot.T @ x.square().mean((2, 3))) for x in seen()]
        counts = counts.to(images.device) + onehot.sum(0)[:, None]
        sums = [
            (a + c, b + d) for (a, b), (c, d) in zip(sums or _nothing(fresh), fresh, strict=True)
        ]
    means = [(total / counts.clamp(min=1), square / counts.clamp(min=1)) for total, square in sums]
    return [
        replace(layer, classes=(mean, (square - mean.square()).clamp(min=0)))
        for layer, (mean, square) in zip(layers, means, strict=True)
    ]


def _nothing(like: Sequence[Moments]) -> list[Moments]:
    return [(torch.zeros_like(a), torch.zeros_like(b)) for a, b in like]


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

    With `by_class` above 0 a layer's distance is that share of the mean over the batch's images of the
    distances of their classes, and 1 - `by_class` of the above: EDC's soft category-aware matching.
    `labels` (n,) are the batch's.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        first: float,
        variance_weight: float,
        momentum: float,
        by_class: float = 0.0,
        labels: Tensor | None = None,
    ) -> None:
        self.layers, self.first = layers, first
        self.variance_weight, self.momentum = variance_weight, momentum
        self.by_class = by_class
        self.memory: list[Moments] = []
        known = layers[0].classes if by_class and layers else None
        self.onehot: Tensor | None = None
        if known is not None and labels is not None:
            self.onehot = F.one_hot(labels, len(known[0])).float()

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The distance, a scalar with a gradient, from the inputs of the layers."""
        now = [moments(x) for x in inputs]
        compared = self._remembered(now) if self.momentum else now
        total = inputs[0].new_zeros(())
        for i, (layer, (mean, variance)) in enumerate(zip(self.layers, compared, strict=True)):
            apart = self._apart(mean - layer.target[0], variance - layer.target[1])
            if self.onehot is not None:
                own = self._apart_by_class(layer, inputs[i], self.onehot)
                apart = (1 - self.by_class) * apart + self.by_class * own
            total = total + (self.first if i == 0 else 1.0) * apart
        return total

    def _apart(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Weighted lengths along the last axis."""
        lengths: Tensor = mean.norm(dim=-1) + self.variance_weight * variance.norm(dim=-1)
        return lengths

    def _apart_by_class(self, layer: Layer, inputs: Tensor, onehot: Tensor) -> Tensor:
        if layer.classes is None:
            raise ValueError("a layer without moments of classes cannot be matched by class")
        mean, variance = moments_of_classes(inputs, onehot)
        share = onehot.mean(0)
        return (share * self._apart(mean - layer.classes[0], variance - layer.classes[1])).sum()

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
