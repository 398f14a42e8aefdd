"""What became of each cell of a plan: one small file per cell, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from hydrometer.artifact.writing import whole
from hydrometer.bench.plan import Cell, Plan
from hydrometer.execute import owners
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Stored


class CellResult(Stored):
    """How one cell ended; its verdict is in the plan's store."""

    schema_version: Literal[1] = 1
    digest: str
    source: str
    method: str
    budget: str
    seed: int
    protocol: str
    student: str | None = None
    trust: str | None = None
    status: Literal["done", "failed"]
    reason: str | None = None
    """Why a failed cell failed."""
    set_digest: str | None = None
    source_digest: str | None = None
    judged_as: str | None = None
    """The full name of the protocol, as the verdict in the store has it."""
    seconds: float
    """Wall time of the sitting that ended the cell, the making of its set included."""


@dataclass(frozen=True)
class Progress:
    """How far a plan has come."""

    name: str
    cells: int
    done: int
    failed: tuple[CellResult, ...]
    seconds_left: float | None
    """At the mean pace of the done cells of each protocol and student, by all processes at work now;
    None before any is done."""
    students: int = 0
    """Trained students in the store."""
    processes: int = 0
    """Processes that are training students now."""

    @property
    def left(self) -> int:
        """Cells that were not tried yet."""
        return self.cells - self.done - len(self.failed)


def record(plan: Plan, result: CellResult) -> None:
    """Keep a result; an earlier one of the same cell is replaced.

    Raises:
        HydrometerError: It cannot be written; then the earlier one stays.
    """
    with whole(_folder(plan) / f"{result.digest}.json") as draft:
        draft.write_text(result.model_dump_json() + "\n", encoding="utf-8")


def recorded(plan: Plan) -> Mapping[str, CellResult]:
    """Results by cell digest, for the cells of this plan alone: another may share the folder.

    A result that cannot be read counts as not there, so that its cell is tried again; so does a done
    one without its verdict: the store was moved away, or an older copy was put back.

    Raises:
        HydrometerError: A result or the store was written by a newer version, or cannot be read.
    """
    wanted = {cell.digest for cell in plan.cells}
    folder = _folder(plan)
    files = folder.iterdir() if folder.is_dir() else ()
    found = [_read(file) for file in files if file.suffix == ".json" and file.stem in wanted]
    judged = _judged(plan)
    return {r.digest: r for r in found if r is not None and _holds(r, judged)}


def get(plan: Plan, cell: Cell, store: Store) -> CellResult | None:
    """The result of one cell, if there is one and it holds."""
    path = _folder(plan) / f"{cell.digest}.json"
    found = _read(path) if path.is_file() else None
    return found if found and _holds(found, store.judged(found.set_digest)) else None


def _judged(plan: Plan) -> set[tuple[str, str]]:
    if not plan.store.is_file():
        return set()
    with Store(plan.store) as store:
        return store.judged()


def _holds(result: CellResult, judged: set[tuple[str, str]]) -> bool:
    return result.status == "failed" or (result.set_digest, result.judged_as) in judged


def progress(plan: Plan) -> Progress:
    """How many cells are done, failed and left, and how long the rest may take.

    Raises:
        HydrometerError: A result or the store cannot be read, or is of a newer version.
    """
    results = recorded(plan)
    failed = tuple(r for r in results.values() if r.status == "failed")
    left = [cell for cell in plan.cells if cell.digest not in results]
    done = [r for r in results.values() if r.status == "done"]
    students, processes = _activity(plan)
    time = _time(left, done)
    return Progress(
        name=plan.name,
        cells=len(plan.cells),
        done=len(done),
        failed=failed,
        seconds_left=None if time is None else time / max(1, processes),
        students=students,
        processes=processes,
    )


def _activity(plan: Plan) -> tuple[int, int]:
    """Students in the store, and processes that train some now."""
    if not plan.store.is_file():
        return 0, 0
    with Store(plan.store) as store:
        return store.count(), sum(not owners.is_gone(owner) for owner in store.claimants())


def _time(left: Sequence[Cell], done: Sequence[CellResult]) -> float | None:
    """Seconds of one process for the cells that are left."""
    if not done:
        return None if left else 0.0
    spent: dict[object, list[float]] = {}
    for result in done:
        spent.setdefault((result.protocol, result.student), []).append(result.seconds)
    pace = {kind: sum(times) / len(times) for kind, times in spent.items()}
    overall = sum(result.seconds for result in done) / len(done)
    return sum(pace.get((cell.protocol, cell.student), overall) for cell in left)


def _read(path: Path) -> CellResult | None:
    try:
        return CellResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        if any(fault["loc"] == ("schema_version",) for fault in error.errors()):
            raise HydrometerError(
                f"{path} was written by a newer version; upgrade hydrometer, or name another folder"
            ) from error
        return None


def _folder(plan: Plan) -> Path:
    return plan.out / "cells"
