"""Gradients recorded once on an accelerator, then replayed: the host need not launch each operation.

A recording is taken only where its first replay gives what the operations gave, running statistics
included; where the device refuses, or memory does, or the results differ, steps go on as they were.
Updates are not recorded, so that every optimiser and average works as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import record_function

from hydrometer.engine.objective import Target

MOST = 4
"""Layouts of batches that are recorded: whole ones, the last of an epoch, and what else may come."""
NEAR = 1e-3
"""Relative distance at which a replay no longer is the same computation; kernels may add otherwise."""

Made = tuple[Tensor, Sequence[Tensor]]
"""Losses, and the gradient of every parameter."""
Compute = Callable[[Tensor, Target], Made]
Record = Callable[[Callable[[], Made]], tuple[Callable[[], object], Made]]
"""Records what a function does to tensors; returns the replay, and the tensors that it fills anew."""

_eager = False


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Programs made inside launch every operation of a step themselves."""
    global _eager
    before, _eager = _eager, True
    try:
        yield
    finally:
        _eager = before


def recorder(device: torch.device) -> Record | None:
    """What records on this device; nothing does on a processor, or where HYDROMETER_EAGER is set."""
    if device.type != "cuda" or _eager or os.environ.get("HYDROMETER_EAGER"):
        return None

    def record(compute: Callable[[], Made]) -> tuple[Callable[[], object], Made]:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on using the device: workers that load images do.
        with torch.cuda.device(device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            made = compute()
        return graph.replay, made

    return record


@dataclass(frozen=True)
class Recording:
    """A replay with the tensors that it reads, and those that it fills."""

    replay: Callable[[], object]
    inputs: tuple[Tensor, ...]
    losses: Tensor
    grads: tuple[Tensor, ...]

    def __call__(self, inputs: Sequence[Tensor]) -> Made:
        """What the replay makes of other inputs, in tensors of their own."""
        _copy(self.inputs, inputs)
        with record_function("forward and backward"):
            self.replay()
        return self.losses.clone(), tuple(grad.clone() for grad in self.grads)


class Captured:
    """Computes losses and gradients, recorded for each layout of batch that comes by.

    What is computed reads and may change `moved` in place, and reads parameters in place: none may be
    replaced. Without a recorder it is computed as ever.
    """

    def __init__(self, moved: Sequence[Tensor], record: Record | None) -> None:
        self.moved, self.record = list(moved), record
        self.recordings: dict[object, Recording | None] = {}
        """By layout; None where recording failed."""

    def __call__(self, compute: Compute, images: Tensor, target: Target) -> Made:
        """The same as `compute`, which is handed in again and again lest it be held in a circle."""
        if self.record is None:
            return compute(images, target)
        layout = tuple(None if t is None else (t.shape, t.dtype) for t in (images, *target))
        recording = self.recordings.get(layout)
        if recording is not None:
            return recording(_present(images, target))
        if layout in self.recordings or len(self.recordings) == MOST:
            return compute(images, target)
        before = _clones(self.moved)
        made = compute(images, target)
        self.recordings[layout] = self._recorded(self.record, compute, images, target, before, made)
        return made

    def _recorded(
        self,
        record: Record,
        compute: Compute,
        images: Tensor,
        target: Target,
        before: Sequence[Tensor],
        made: Made,
    ) -> Recording | None:
        """A recording, if its replay from `before` gives what was made; all else stays as it is."""
        still = images.clone()
        own = Target(*(None if part is None else part.clone() for part in target))  # type: ignore[arg-type]
        after, same = _clones(self.moved), False
        with contextlib.suppress(RuntimeError):
            replay, (losses, grads) = record(lambda: compute(still, own))
            _copy(self.moved, before)
            replay()
            same = near([losses, *grads, *self.moved], [made[0], *made[1], *after])
        _copy(self.moved, after)
        return Recording(replay, _present(still, own), losses, tuple(grads)) if same else None


def near(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether tensors are finite, and as far from others as rounding takes them, not further."""
    return all(
        bool((one.float() - other.float()).norm() <= NEAR * other.float().norm() + 1e-12)
        for one, other in zip(found, wanted, strict=True)
    )


def _present(images: Tensor, target: Target) -> tuple[Tensor, ...]:
    return (images, *(part for part in target if part is not None))


def _clones(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


def _copy(into: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(into, values, strict=True):
        tensor.copy_(value)
