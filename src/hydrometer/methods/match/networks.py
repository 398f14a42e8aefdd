"""Students as functions of one flat parameter vector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hydrometer import students
from hydrometer.types import HydrometerError, Source, Spec


def fresh(spec: Spec, source: Source, rng: np.random.Generator, device: torch.device) -> nn.Module:
    """A network with initial weights drawn from `rng`.

    Raises:
        HydrometerError: The network keeps running statistics, which matching cannot differentiate.
    """
    key = int(rng.integers(2**63))
    model = students.create(spec, source.shape, len(source.classes), key).to(device)
    if next(model.buffers(), None) is not None:
        raise HydrometerError(
            f"student {str(spec)!r} keeps running statistics; matching needs norm=instance, "
            "group or none"
        )
    return model


def flat(model: nn.Module) -> Tensor:
    """A copy of all parameters as one vector (p,), in the order of the module."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Network:
    """One architecture without weights: they are handed to every call as a vector (p,)."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        named = list(model.named_parameters())
        self.names = [name for name, _ in named]
        self.shapes = [p.shape for _, p in named]
        self.sizes = [p.numel() for _, p in named]

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(self.sizes)

    def parts(self, weights: Tensor) -> dict[str, Tensor]:
        """The vector as named tensors, which share its memory and its gradient."""
        parts = torch.split(weights, self.sizes)
        return {
            name: part.view(shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def __call__(self, weights: Tensor, images: Tensor) -> Tensor:
        """Logits (n, k) of images (n, c, h, w)."""
        logits: Tensor = functional_call(self.model, self.parts(weights), (images,))
        return logits
