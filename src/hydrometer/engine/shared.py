"""One student trained by several processes, each on its share of every batch.

The batch, its order and its draws are the recipe's, whatever the number of processes; each makes
the whole batch and trains on its rows. Gradients are summed by torch's DistributedDataParallel
(Li et al., "PyTorch Distributed", VLDB 2020), so up to rounding this is the student that one trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from hydrometer.engine.objective import Target, objective, parts
from hydrometer.engine.optimisers import Climber, Optimiser
from hydrometer.engine.program import Average, can_stack, reduced
from hydrometer.losses import LossFn
from hydrometer.registry import build
from hydrometer.types import HydrometerError, Recipe


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; every process's term gets the sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, term: Tensor) -> Tensor:
        return _summed(term)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _summed(grads[0])


def _total(term: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(term)
    return total


def _summed(term: Tensor) -> Tensor:
    """The sum over all processes, outside any gradient."""
    total = term.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class SharedBatchNorm(nn.Module):
    """Batch norm over the batch of all processes, of which some may hold more images than others.

    torch's SyncBatchNorm does the same on accelerators only. Mean and variance are summed in two
    passes, which loses no digits to cancellation. Takes over the parameters and buffers of `norm`.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.eps, self.momentum = norm.eps, norm.momentum
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (b, c, ...); b may be 0 where other processes have images."""
        if self.training or self.running_mean is None or self.running_var is None:
            mean, variance = self._moments(images.float())
        else:
            mean, variance = self.running_mean, self.running_var
        shape = (1, -1, *(1,) * (images.dim() - 2))
        scale = (variance + self.eps).rsqrt()
        out = (images.float() - mean.view(shape)) * scale.view(shape)
        if self.weight is not None:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(images.dtype)

    def _moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance per channel over all processes; moves the running ones."""
        others = [0, *range(2, images.dim())]
        count = _summed(
            torch.tensor(float(images.numel() // images.shape[1]), device=images.device)
        )
        mean = _total(images.sum(others)) / count
        centred = images - mean.view(1, -1, *(1,) * (images.dim() - 2))
        variance = _total((centred**2).sum(others)) / count
        if self.training:
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        return mean, variance

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        step = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if step is None:  # a plain average over all batches
                step = 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, step or 0.0)
        self.running_var.lerp_(variance, step or 0.0)


def share_norms(model: nn.Module) -> nn.Module:
    """The model with every batch norm taken over all processes, under the same names."""
    plain = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    if type(model) in plain:
        return SharedBatchNorm(model)  # type: ignore[arg-type]
    if isinstance(model, nn.modules.batchnorm._BatchNorm):
        raise HydrometerError(
            f"the student has a batch norm of its own kind, {type(model).__name__}, whose batch cannot "
            "be shared by several processes; train it on one device"
        )
    for name, child in model.named_children():
        setattr(model, name, share_norms(child))
    return model


class Shared:
    """One student on all processes of the default group; keeps the same weights on each.

    Raises:
        HydrometerError: A layer draws (dropout): the processes would not draw what one process does.
            Or the optimiser wants a gradient at a second point.
    """

    students = 1

    def __init__(
        self, model: nn.Module, recipe: Recipe, loss: LossFn, device: torch.device
    ) -> None:
        if not can_stack(model):
            raise HydrometerError(
                f"student {recipe.student} draws in its layers (dropout), which several processes "
                "cannot do as one would; train it on one device"
            )
        self.optimiser: Optimiser = build("optimiser", recipe.optimiser)
        if isinstance(self.optimiser, Climber):
            raise HydrometerError(
                f"optimiser {recipe.optimiser} takes two gradients a step, which several processes "
                "cannot; train it on one device"
            )
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.model = share_norms(model).to(device)
        self.together = DistributedDataParallel(self.model, find_unused_parameters=True)
        self.params: list[Tensor] = list(self.model.parameters())
        self.loss, self.device, self.precision = loss, device, recipe.precision
        self.optimiser.start(self.params, [p.dim() > 1 for p in self.params])
        self.average = None if recipe.average is None else Average(self.params, recipe.average)

    def step(self, images: Tensor, target: Target, rates: Sequence[float]) -> Tensor:
        """One step on the whole batch (1, b, c, h, w), of which this process trains its rows."""
        self.model.train()
        alone = Target(*(None if part is None else part[0] for part in target))  # type: ignore[arg-type]
        self.together.zero_grad(set_to_none=True)
        value = self._backward(images[0], alone)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        with record_function("optimiser"), torch.no_grad():
            self.optimiser.step(self.params, grads, rates[0])
            if self.average is not None:
                self.average.update(self.params)
        return _summed(value)[None]

    def _backward(self, images: Tensor, target: Target) -> Tensor:
        """Leave the batch's gradient on every process; returns this process's term of its loss."""
        rows, part, share = mine(target, self.rank, self.ranks)
        with record_function("forward"), reduced(self.device, self.precision):
            logits = self.together(images[rows])
            # DistributedDataParallel takes the mean over processes, and the terms are to be summed.
            own = objective(self.loss, logits.float(), part) if len(logits) else logits.sum()
            term = share * own
        with record_function("backward"):
            (self.ranks * term).backward()
        return term.detach()

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Logits of all images on every process, each of which computes its rows."""
        self.model.eval()
        tested = self.params if self.average is None else self.average.params
        names = [name for name, _ in self.model.named_parameters()]
        weights: dict[str, Tensor] = dict(zip(names, tested, strict=True))
        first, last = (i * len(images) // self.ranks for i in (self.rank, self.rank + 1))
        with reduced(self.device, self.precision):
            own: Tensor = functional_call(self.model, weights, (images[first:last],)).float()
        every = own.new_zeros(len(images), own.shape[1])
        every[first:last] = own
        return _summed(every)[None]


def mine(target: Target, rank: int, ranks: int) -> tuple[slice, Target, Tensor | float]:
    """The rows of a batch that are this process's, with their share of the batch's objective."""
    return list(parts(target, ranks))[rank]
