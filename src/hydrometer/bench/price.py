"""What the rest of a plan will cost, before it is paid."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch

from hydrometer import digest, sources, verdict
from hydrometer.artifact import container
from hydrometer.artifact.rows import from_rows
from hydrometer.bench import names, sets
from hydrometer.bench.plan import Cell, Plan, read_budget
from hydrometer.bench.run import open_cells
from hydrometer.engine import teachers
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.methods.budget import per_class
from hydrometer.protocols import Case, Protocol
from hydrometer.sources.draw import draw
from hydrometer.store import Store
from hydrometer.types import CompressedSet, Cost, HydrometerError


class Impossible(NamedTuple):
    """A cell that cannot be run, and why."""

    cell: Cell
    reason: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.reason}"


@dataclass(frozen=True)
class Price:
    """The cost of all open cells together, work they share counted once.

    The making of sets is not in it: what a method takes is not known before it has run.
    """

    cells: int
    cost: Cost
    impossible: tuple[Impossible, ...]


def price(
    plan: Plan, device: torch.device, *, retry_failed: bool = False, execute: Executor = execute
) -> Price:
    """What it takes to finish a plan, with time from a few measured steps of each kind of student.

    A set that is not made yet is stood in for by as many random images. Nothing is written.
    """
    cells = open_cells(plan, retry_failed)
    costs: list[Cost] = []
    impossible: list[Impossible] = []
    with Store(plan.store if plan.store.is_file() else ":memory:") as store:
        for source, group in groupby(cells, lambda cell: cell.source):
            members = list(group)
            try:
                lab = Lab(sources.load(source), device)
            except HydrometerError as error:
                impossible += [Impossible(cell, str(error)) for cell in members]
                continue
            estimator = _Estimator(plan, lab)
            impossible += estimator.collect(members)
            if estimator.jobs:
                costs.append(verdict.cost(estimator.planned(), lab, store, execute))
    return Price(len(cells), _sum(costs), tuple(impossible))


class _Estimator:
    """The trials of all open cells of one source, each once."""

    def __init__(self, plan: Plan, lab: Lab) -> None:
        self.plan, self.lab = plan, lab
        self.jobs: dict[str, Job] = {}
        self.likely: dict[str, CompressedSet] = {}
        self.last: tuple[Protocol, CompressedSet] | None = None

    def collect(self, cells: list[Cell]) -> Iterator[Impossible]:
        """Take up the trials of every cell; yields the ones that cannot be run."""
        for cell in cells:
            try:
                protocol, subject = names.protocol(cell), self._subject(cell)
                if not len(subject):
                    raise HydrometerError(f"budget {cell.budget} buys no image to train on")
                self._take_up(protocol, subject)
            except HydrometerError as error:
                yield Impossible(cell, str(error))
            else:
                self.last = protocol, subject

    def _take_up(self, protocol: Protocol, subject: CompressedSet) -> None:
        source = self.lab.source
        names: tuple[str, ...] = ()
        teaching: list[Job] = []
        if protocol.settings.teacher:
            teacher = verdict.teacher_job(protocol, source)
            names = (digest.of_trial(teacher.trial),)
            teaching = [] if teachers.known(names[0]) else [teacher]
        arms = protocol.arms(Case(subject, source, names))
        jobs = [job for arm in arms for job in verdict.jobs_of(arm, source)]
        taught = any(arm.recipe.teacher for arm in arms)
        for job in [*jobs, *(teaching if taught else ())]:
            self.jobs.setdefault(digest.of_trial(job.trial), job)

    def planned(self) -> verdict.Plan:
        """Everything that was collected, as if it were one verdict."""
        if self.last is None:
            raise ValueError("nothing was collected")
        return verdict.Plan(*self.last, self.lab.source, (), tuple(self.jobs.values()))

    def _subject(self, cell: Cell) -> CompressedSet:
        path = sets.path_of(self.plan, cell, self.lab.source)
        if path.is_file():
            return container.align(container.load(path), self.lab.source)
        if cell.budget not in self.likely:
            counts = per_class(self.lab.source, read_budget(cell.budget))
            self.likely[cell.budget] = from_rows(
                self.lab.source,
                draw(self.lab.source, counts, 0),
                method="stand-in",
                budget=cell.budget,
            )
        # Its own digest, or its trials would be taken for those of the random arm.
        return dataclasses.replace(self.likely[cell.budget], digest=path.stem)


def _sum(costs: list[Cost]) -> Cost:
    return Cost(
        students=sum(cost.students for cost in costs),
        done=sum(cost.done for cost in costs),
        steps=sum(cost.steps for cost in costs),
        seconds=sum(cost.seconds or 0.0 for cost in costs),
    )
