"""`hydrometer doctor`: what this machine has, what it lacks, and how it trains fastest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import JsonOption

if TYPE_CHECKING:
    from hydrometer.engine.calibration import Book, Contest

USUAL = (("convnet-3", (3, 32, 32), 100), ("convnet-2", (1, 8, 8), 100))
"""Work that `--calibrate` always measures: DD-Ranking's on CIFAR-10, and the demo's on digits."""


def command(
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure anew how this processor trains fastest; takes seconds on a quiet machine.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show versions, device, folders, data and calibration, and what to do about anything missing."""
    import json as encoder
    from importlib.metadata import PackageNotFoundError, version

    from hydrometer.cli.console import write
    from hydrometer.engine import calibration
    from hydrometer.engine.environment import default_device, environment
    from hydrometer.sources.cache import directory as folder
    from hydrometer.sources.place import default_root as data_root

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    if calibrate:
        measure_anew()
    found = environment(default_device())
    root = data_root()
    facts: dict[str, str] = {
        "hydrometer": found.hydrometer,
        "python": found.python,
        **{name: installed(name) for name in ("torch", "torchvision", "timm", "cleanlab", "ray")},
        "device": f"{found.device}, {found.threads} threads",
        "data": f"{root} ({'there' if Path(root).is_dir() else 'missing: set HYDROMETER_DATA'})",
        "cache": f"{folder()} ({_access(folder())})",
    }
    book = calibration.book()
    if json:
        write(encoder.dumps(facts | {"calibration": book.model_dump(mode="json")}))
        return
    for name, value in facts.items():
        write(f"{name:12} {value}")
    for line in calibrated(book):
        write(line)


def measure_anew() -> None:
    """Calibrate for the usual work and for all that was calibrated before."""
    from hydrometer import protocols, students
    from hydrometer.cli.console import talk
    from hydrometer.engine import calibration
    from hydrometer.engine.calibration import Work

    known = [(students.spec(name), shape, batch) for name, shape, batch in USUAL]
    usual = [
        Work(student=str(spec), precision=protocols.admitted(spec), shape=shape, batch=batch)
        for spec, shape, batch in known
    ]
    for work in dict.fromkeys([*usual, *(c.work for c in calibration.book().calibrations)]):
        talk.print(f"measuring {work}")
        found = calibration.calibrate(work)
        if found is None:
            talk.print("other processes disturb the measurement: nothing is kept; try again later")
            return
        calibration.keep(found)


def calibrated(book: Book) -> Iterator[str]:
    """What was measured on this machine, and what it means for training."""
    if not book.calibrations:
        yield "calibration  none; a long evaluation makes one, `doctor --calibrate` makes it now"
    for found in book.calibrations:
        yield f"calibration  {found.work}: {found.choice} (measured in {found.seconds:.0f} s)"
        for contest in found.contests:
            yield from _timed(contest)


def _timed(contest: Contest) -> Iterator[str]:
    for timed in contest.timed if len(contest.timed) > 1 else ():
        low, high = min(timed.seconds), max(timed.seconds)
        chosen = "  <- chosen" if timed == contest.winner else ""
        yield (
            f"{'':12} {contest.axis:9} {timed.choice!s:32} {1e3 * timed.median:8.1f} ms "
            f"[{1e3 * low:.1f}, {1e3 * high:.1f}] n={len(timed.seconds)}{chosen}"
        )


def _access(path: Path) -> str:
    """Whether the folder, or the nearest one above it that exists, can be written."""
    place = next(p for p in (path, *path.parents) if p.exists())
    return "writable" if os.access(place, os.W_OK) else "NOT writable: set HYDROMETER_CACHE"
