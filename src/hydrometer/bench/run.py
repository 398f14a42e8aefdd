"""Run a plan cell by cell, so that it can be stopped anywhere and started again."""

from __future__ import annotations

import errno
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import torch

from hydrometer import sources, verdict
from hydrometer.bench import names, results, sets
from hydrometer.bench.plan import Cell, Plan
from hydrometer.bench.results import CellResult
from hydrometer.engine.loop import Job
from hydrometer.execute import Executor, Observer
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.store import Store
from hydrometer.store.verdicts import Identity, identity, told, trusting
from hydrometer.types import HydrometerError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
WAIT_SECONDS = 1.0


def run(
    plan: Plan,
    device: torch.device,
    observer: Observer,
    *,
    retry_failed: bool = False,
    execute: Executor = execute,
    ahead: int = 1,
) -> Iterator[CellResult]:
    """Bring every cell to its end, and yield the result of each that ended now.

    A cell that fails is recorded with its reason, and the rest goes on. What ended in an earlier
    sitting is not touched, failed cells only with `retry_failed`. Several processes may run one plan:
    they divide sets and students among them. The students of `ahead` cells are handed to the executor
    together, so that many machines have enough to do.

    Raises:
        HydrometerError: Nothing can be kept: the folder or the store is not writable, belongs to a
            newer version, or the disk is full.
    """
    prepare(plan)
    with Store(plan.store) as store:
        store.check()
        judged = {told(known) for known in store.verdicts()}
        for source, cells in groupby(open_cells(plan, retry_failed), lambda cell: cell.source):
            bench = _Bench(plan, store, observer, judged, retry_failed, execute, ahead)
            yield from bench.sit(source, list(cells), device)


def open_cells(plan: Plan, retry_failed: bool = False) -> list[Cell]:
    """Cells that are yet to be brought to their end."""
    known = results.recorded(plan)
    ended = {name for name, r in known.items() if not (retry_failed and r.status == "failed")}
    return [cell for cell in plan.cells if cell.digest not in ended]


def prepare(plan: Plan) -> None:
    """Make the folders of a plan."""
    for folder in (*(plan.out / part for part in ("sets", "cells", "locks")), plan.store.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HydrometerError(
                f"cannot make folder {folder}: {error.strerror}; give the plan another `out`"
            ) from error


class _Bench:
    """One sitting over the cells of one source."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        observer: Observer,
        judged: set[tuple[Identity, str]],
        retry_failed: bool,
        execute: Executor,
        ahead: int,
    ) -> None:
        self.plan, self.store, self.observer = plan, store, observer
        self.judged, self.retry_failed = judged, retry_failed
        self.execute, self.ahead = execute, ahead

    def sit(self, source: str, cells: list[Cell], device: torch.device) -> Iterator[CellResult]:
        try:
            lab = Lab(sources.load(source), device)
        except HydrometerError as error:
            if _stops_all(error):
                raise
            yield from (self._failed(cell, error, time.perf_counter()) for cell in cells)
            return
        while cells:
            held = []
            for first in range(0, len(cells), self.ahead):
                together = cells[first : first + self.ahead]
                if self.ahead > 1:
                    self._train(together, lab)
                for cell in together:
                    if self._ended_elsewhere(cell):
                        continue
                    ended = self._judge(cell, lab)
                    if ended is None:
                        held.append(cell)
                    else:
                        yield ended
            if len(held) == len(cells):
                self.observer.say("waiting for sets that other processes are making")
                time.sleep(WAIT_SECONDS)
            cells = held

    def _train(self, cells: list[Cell], lab: Lab) -> None:
        """Train the students of several cells at once; a fault is left for its own cell to record."""
        jobs: list[Job] = []
        for cell in cells:
            with _leaving_faults():
                planned = self._planned(cell, lab)
                if planned is not None and self._wanted(planned) not in self.judged:
                    verdict.tune(planned, lab, self.store, self.observer, self.execute)
                    verdict.teach(planned, lab, self.store, self.observer)
                    jobs += planned.jobs
        with _leaving_faults():
            self.execute(jobs, lab, self.store, self.observer)

    def _planned(self, cell: Cell, lab: Lab) -> verdict.Plan | None:
        """What a cell trains; None if another process is just making its set."""
        subject = sets.obtain(self.plan, cell, lab.source, self.observer)
        return None if subject is None else verdict.plan(subject, names.protocol(cell), lab)

    def _wanted(self, planned: verdict.Plan) -> tuple[Identity, str]:
        subject, protocol = planned.subject, planned.protocol.name
        known = identity(protocol, subject.digest, planned.source.digest, subject.card)
        return known, trusting(subject.card)

    def _ended_elsewhere(self, cell: Cell) -> bool:
        """Whether another process has ended the cell since this sitting began."""
        found = results.get(self.plan, cell, self.store)
        return found is not None and not (self.retry_failed and found.status == "failed")

    def _judge(self, cell: Cell, lab: Lab) -> CellResult | None:
        """Bring one cell to its end; None if another process is just making its set."""
        start = time.perf_counter()
        try:
            planned = self._planned(cell, lab)
            if planned is None:
                return None
            wanted = self._wanted(planned)
            # A sitting that was killed may have stored the verdict and not the cell.
            if wanted not in self.judged:
                verdict.evaluate(planned, lab, self.store, self.observer, self.execute)
                self.judged.add(wanted)
        except Exception as error:  # whatever a plug-in raises must not stop the others
            if _stops_all(error):
                raise
            return self._failed(cell, error, start)
        return self._end(
            cell,
            start,
            set_digest=planned.subject.digest,
            source_digest=lab.source.digest,
            judged_as=planned.protocol.name,
        )

    def _failed(self, cell: Cell, error: Exception, start: float) -> CellResult:
        known = isinstance(error, HydrometerError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        return self._end(cell, start, reason=reason)

    def _end(
        self,
        cell: Cell,
        start: float,
        *,
        reason: str | None = None,
        set_digest: str | None = None,
        source_digest: str | None = None,
        judged_as: str | None = None,
    ) -> CellResult:
        result = CellResult(
            digest=cell.digest,
            source=cell.source,
            method=cell.method,
            budget=cell.budget,
            seed=cell.seed,
            protocol=cell.protocol,
            student=cell.student,
            trust=cell.trust,
            status="failed" if reason else "done",
            reason=reason,
            set_digest=set_digest,
            source_digest=source_digest,
            judged_as=judged_as,
            seconds=time.perf_counter() - start,
        )
        results.record(self.plan, result)
        return result


@contextmanager
def _leaving_faults() -> Iterator[None]:
    """Pass over what ends one cell, but not what would end every other."""
    try:
        yield
    except Exception as error:
        if _stops_all(error):
            raise


def _stops_all(error: Exception) -> bool:
    """Whether the fault is the disk's or the store's, so that every other cell would meet it too."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error) or _number(cause) in NO_ROOM:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _number(error: BaseException) -> int | None:
    """The system's number of an error; safetensors gives it in its text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else None
