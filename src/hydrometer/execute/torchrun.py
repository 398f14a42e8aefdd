"""Train every student on all processes of a `torchrun`, for students too large for one device.

The process of rank 0 is the one that plans, claims, writes the store and prints. The others wait
for its orders, train their share of every batch with it, and end when it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from hydrometer.engine import loop, teachers
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Job, OnStep
from hydrometer.engine.shared import Shared
from hydrometer.execute import Executor, Observer
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import in_turn
from hydrometer.execute.worker import Order, Parcels, Worker, setting, travels
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Run

T = TypeVar("T")
Group = Any  # torch's new_group may also return a number, for processes that are not in it
PATIENCE = timedelta(days=30)
"""How long processes wait for an order: rank 0 may be making sets for hours between two."""


@register("executor")
@contextmanager
def torchrun(place: str) -> Iterator[Executor]:
    """All processes of a torchrun: every student is trained by all of them, batch by batch.

    Starts with `torchrun --nproc-per-node N --no-python hydrometer ...`; gloo on processors, nccl on
    accelerators, of which each process takes one.
    """
    if place:
        raise HydrometerError(f"executor torchrun takes no place, got {place!r}")
    _join()
    orders = dist.new_group(backend="gloo", timeout=PATIENCE)
    try:
        if dist.get_rank():
            _follow(orders)
            raise SystemExit(0)
        with _Leader(orders).leading() as leader:
            yield partial(in_turn, train=leader.train)
    finally:
        dist.destroy_process_group()


def _join() -> None:
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise HydrometerError(
            "--on torchrun is for processes that torchrun has started: "
            "torchrun --nproc-per-node 2 --no-python hydrometer ... --on torchrun"
        )
    if default_device().type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl")
    else:
        dist.init_process_group("gloo")


class _Leader:
    """Rank 0: sends orders, and takes part in them."""

    def __init__(self, orders: Group) -> None:
        self.orders = orders
        self.in_step = True
        self._parcels: Parcels | None = None
        self._taught: set[str] = set()

    @contextmanager
    def leading(self) -> Iterator[_Leader]:
        """Let the others go at the end, unless this process leaves them in the middle of a student."""
        try:
            yield self
        finally:
            if self.in_step:
                dist.broadcast_object_list([None], group=self.orders)

    def train(
        self, jobs: list[Job], lab: Lab, observer: Observer, on_step: OnStep
    ) -> Iterator[Run]:
        """Train a cohort student by student, each on all processes."""
        for job in jobs:
            yield self._lead(job, lab, on_step)

    def _lead(self, job: Job, lab: Lab, on_step: OnStep) -> Run:
        dist.broadcast_object_list([self._order(job, lab)], group=self.orders)
        self.in_step = False
        run = _obey(lambda: (job, lab), on_step, self.orders)
        self.in_step = True
        if isinstance(run, Exception):
            raise run
        return run

    def _order(self, job: Job, lab: Lab) -> Order:
        new = self._parcels is None or self._parcels.source.digest != lab.source.digest
        if self._parcels is None or new:
            self._parcels = Parcels(lab.source)
        names = set(job.trial.recipe.teacher) - self._taught
        self._taught |= names
        return Order(
            setting(lab, lab.device.type),
            lab.source if new and travels(lab.source) else None,
            {name: teachers.packed(name) for name in names},
            job.trial,
            job.data.card if self._parcels.light(job.data) else job.data,
        )


def _follow(orders: Group) -> None:
    """Carry out orders until there are none; what fails here, rank 0 is told and says."""
    worker = Worker()
    while (order := _received(orders)) is not None:
        _obey(partial(worker.job, order), lambda steps: None, orders)


def _received(orders: Group) -> Order | None:
    box: list[Order | None] = [None]
    dist.broadcast_object_list(box, group=orders)
    return box[0]


def _obey(
    prepare: Callable[[], tuple[Job, Lab]], on_step: OnStep, orders: Group
) -> Run | Exception:
    """Train one student with all others, once all have what it takes."""
    ready = _agreed(prepare, orders)
    if isinstance(ready, Exception):
        return ready
    job, lab = ready
    return _agreed(lambda: _trained(job, lab, on_step), orders)


def _agreed(act: Callable[[], T], orders: Group) -> T | Exception:
    """What an action gives if it succeeds on all processes, else the error of one that failed."""
    outcome: T | Exception
    try:
        outcome = act()
    except Exception as error:
        outcome = error
    failed = isinstance(outcome, Exception)
    said: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(said, str(outcome) if failed else None, group=orders)
    elsewhere = [f"process {rank}: {text}" for rank, text in enumerate(said) if text is not None]
    if elsewhere and not failed:
        return HydrometerError(f"training failed on another process of torchrun, {elsewhere[0]}")
    return outcome


def _trained(job: Job, lab: Lab, on_step: OnStep) -> Run:
    recipe = job.trial.recipe
    lens = lab.lens(recipe.whiten)
    known = lab.teachers(recipe.teacher, lens)
    exams = partial(lab.exams, recipe.whiten)
    (run,) = loop.run([job], lab.source, lens, exams, known, on_step, alone=Shared)
    where = run.environment
    device = f"{where.device}, {dist.get_world_size()} processes"
    return run.model_copy(update={"environment": where.model_copy(update={"device": device})})
