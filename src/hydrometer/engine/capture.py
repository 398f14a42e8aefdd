"""Gradients recorded once on an accelerator, then replayed: the host need not launch each operation.

A recording is replayed only after it gave for another batch what the operations themselves gave, running
statistics included; where the device refuses, or memory does, or the results differ, steps go on as
they were. Updates are not recorded, so that every optimiser and average works as it is.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.profiler import record_function

from hydrometer.engine.objective import Target

MOST = 4
"""Layouts of batches that are recorded: whole ones, the last of an epoch, and what else may come."""
NEAR, NEGLIGIBLE = 1e-3, 1e-6
"""Distances at which a replay is another computation, relative to a tensor, and to all of its kind: the
gradient of a bias before a norm is rounding alone."""
BLANK = -12345.0
"""Stands where a replay should write, so that one that does nothing is noticed."""

Made = tuple[Tensor, Sequence[Tensor]]
"""Losses, and the gradient of every parameter."""
Compute = Callable[[Tensor, Target], Made]
Record = Callable[[Callable[[], Made]], tuple[Callable[[], object], Made]]
"""Records what a function does to tensors; returns the replay, and the tensors that it fills anew."""

Answer = TypeVar("Answer")

_eager = _failed = False


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
    """What records here; nothing does on a processor, under HYDROMETER_EAGER=1, or once it failed."""
    wanted = os.environ.get("HYDROMETER_EAGER", "") in ("", "0")
    if device.type != "cuda" or _eager or _failed or not wanted:
        return None
    return _Graphs(device)


class _Graphs:
    """Records CUDA graphs that share one pool of memory, as what they fill is copied at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], Made]) -> tuple[Callable[[], object], Made]:
        global _failed
        if _failed:
            raise RuntimeError("an earlier recording failed")
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        _failed = True
        try:
            # Other threads may go on using the device: workers that load images do.
            with (
                torch.cuda.device(self.device),
                torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"),
            ):
                made = compute()
        finally:
            # Some versions of torch leave theirs in its place when a recording fails.
            torch.cuda.set_stream(before)
        _failed = False
        return graph.replay, made


@dataclass
class Recording:
    """A replay with the tensors that it reads, and those that it fills."""

    replay: Callable[[], object]
    inputs: tuple[Tensor, ...]
    losses: Tensor
    grads: tuple[Tensor, ...]
    proved: bool = False
    """Whether it gave what the operations gave, the next time there was such a batch."""

    def __call__(self, inputs: Sequence[Tensor]) -> Made:
        """What the replay makes of other inputs, in tensors of their own."""
        _copy(self.inputs, inputs)
        with record_function("forward and backward"):
            self.replay()
        return self.losses.clone(), tuple(grad.clone() for grad in self.grads)

    def blank(self) -> None:
        """Forget what was filled in."""
        for tensor in (self.losses, *self.grads):
            tensor.fill_(BLANK)


class Captured:
    """Computes losses and gradients, recorded for each layout of batch that comes by.

    What is computed reads and may change `moved` in place, and reads parameters in place: none may be
    replaced. Without a recorder it is computed as ever.
    """

    def __init__(self, moved: Sequence[Tensor], record: Record | None) -> None:
        self.moved, self.record = list(moved), record
        self.recordings: dict[object, Recording | None] = {}
        """By layout; None where there is none to be had."""

    def __call__(self, compute: Compute, images: Tensor, target: Target) -> Made:
        """The same as `compute`, which is handed in again and again lest it be held in a circle."""
        record = self.record
        if record is None:
            return compute(images, target)
        layout = tuple(None if t is None else (t.shape, t.dtype) for t in (images, *target))
        recording = self.recordings.get(layout)
        if recording is not None and recording.proved:
            return recording(_present(images, target))
        before = _clones(self.moved)

        def anew() -> Made:
            _copy(self.moved, before)
            return compute(images, target)

        made = self.with_room(anew)
        refused = recording is None and (layout in self.recordings or len(self.recordings) == MOST)
        if refused or self.record is not record:
            return made
        after = _clones(self.moved)
        if recording is not None:
            _copy(self.moved, before)
            recording.proved = self._gives(recording, images, target, made, after)
            self.recordings[layout] = recording if recording.proved else None
        else:
            self.recordings[layout] = self._recorded(record, compute, images, target)
        _copy(self.moved, after)
        return made

    def with_room(self, call: Callable[[], Answer]) -> Answer:
        """What a call gives; recordings are given up where their memory is needed for it."""
        try:
            return call()
        except torch.OutOfMemoryError:
            if not any(self.recordings.values()):
                raise
        self.recordings, self.record = {}, None
        return call()

    def _recorded(
        self, record: Record, compute: Compute, images: Tensor, target: Target
    ) -> Recording | None:
        own = Target(*(None if part is None else part.clone() for part in target))  # type: ignore[arg-type]
        still = images.clone()
        try:
            replay, (losses, grads) = record(lambda: compute(still, own))
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            warnings.warn(
                f"gradients cannot be recorded here, so steps are slower: {why}", stacklevel=2
            )
            return None
        return Recording(replay, _present(still, own), losses, tuple(grads))

    def _gives(
        self,
        recording: Recording,
        images: Tensor,
        target: Target,
        wanted: Made,
        after: Sequence[Tensor],
    ) -> bool:
        """Whether a replay gives the losses and gradients that are wanted, and moves as is wanted."""
        recording.blank()
        with contextlib.suppress(RuntimeError):
            losses, grads = recording(_present(images, target))
            if near([losses], [wanted[0]]) and near(grads, wanted[1]) and near(self.moved, after):
                return True
        warnings.warn("a recording gave other gradients, so steps are slower", stacklevel=2)
        return False


def near(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether tensors are no further from others than rounding takes them; what diverged must agree."""
    if not wanted:
        return True
    gaps = torch.stack([_apart(one, other) for one, other in zip(found, wanted, strict=True)])
    sizes = torch.stack([other.double().nan_to_num(0, 0, 0).norm() for other in wanted])
    return bool((gaps <= NEAR * sizes + NEGLIGIBLE * sizes.norm()).all())


def _apart(one: Tensor, other: Tensor) -> Tensor:
    same = (one == other) | (one.isnan() & other.isnan())
    gap: Tensor = (one.double() - other.double()).masked_fill(same, 0).norm()
    return gap


def _present(images: Tensor, target: Target) -> tuple[Tensor, ...]:
    return (images, *(part for part in target if part is not None))


def _clones(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors]


def _copy(into: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(into, values, strict=True):
        tensor.copy_(value)
