"""The compressed sets of a plan: each made once, kept in a file, and found again."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from hydrometer import digest, methods, registry, seeds
from hydrometer.artifact import container
from hydrometer.bench.plan import Cell, Plan, read_budget
from hydrometer.execute import Observer
from hydrometer.methods.budget import refuse_none
from hydrometer.types import CompressedSet, HydrometerError, Source


def path_of(plan: Plan, cell: Cell, source: Source) -> Path:
    """Where the set of a cell lies: named by all that it depends on, the protocol excepted."""
    name = digest.of([source.digest, cell.method, cell.budget, cell.seed, *cell.trusting])
    return plan.out / "sets" / f"{name}.safetensors"


def obtain(plan: Plan, cell: Cell, source: Source, observer: Observer) -> CompressedSet | None:
    """The set of a cell, from its file if there is a sound one, else made now and kept.

    None while another process is making it: the system drops that process's lock when it dies.
    """
    path = path_of(plan, cell, source)
    found = _recall(path, observer)
    if found is not None:
        return found
    try:
        with FileLock(plan.out / "locks" / f"{path.stem}.lock", blocking=False):
            return _recall(path, observer) or _make(path, cell, source)
    except Timeout:
        return None


def _recall(path: Path, observer: Observer) -> CompressedSet | None:
    if not path.is_file():
        return None
    try:
        return container.load(path)
    except HydrometerError as error:
        observer.say(f"{error}; it is made again")
        return None


def _make(path: Path, cell: Cell, source: Source) -> CompressedSet:
    budget = read_budget(cell.budget)
    refuse_none(source, budget)
    made = methods.compress(
        source,
        registry.parse(cell.method),
        budget,
        trust=registry.parse(cell.trust) if cell.trust else None,
        rng=seeds.numpy_rng(cell.seed, f"method/{cell.method}"),
        seed=cell.seed,
    )
    container.save(made, path)
    return made
