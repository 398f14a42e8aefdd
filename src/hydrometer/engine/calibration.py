"""A short measurement of how this processor takes a student's steps fastest, kept for the next time.

Candidates take steps in turn, so that a change of load meets all of them. One is preferred only where
it was faster in every round by more than `CLEAR`, and nothing is learnt while others use the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from pydantic import ValidationError

from hydrometer import digest, students
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.engine.environment import environment
from hydrometer.engine.load import Others
from hydrometer.engine.objective import Target
from hydrometer.engine.program import Solo, mixes_images
from hydrometer.registry import build
from hydrometer.sources.cache import directory, drafted
from hydrometer.types import Precision, Recipe, Spec, Stored

CLEAR = 1.10
"""How many times faster than the default a choice must have been in each and every round."""
ROUNDS = 5
LONGEST = 0.3
"""Seconds that a measured step should take at most; of larger batches fewer images are taken."""
FEWEST = 16
_CPU = torch.device("cpu")


class Work(Stored):
    """Steps that take equally long, whatever is drawn and taught."""

    student: str
    precision: Precision
    shape: tuple[int, int, int]
    batch: int

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"{self.student}, {self.precision}, batches of {self.batch} of {size}"


class Timed(Stored):
    """A candidate and the seconds its step took, round by round."""

    choice: Choice
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


class Contest(Stored):
    """Candidates along one axis, measured in turn; the first is the one to beat."""

    axis: str
    timed: tuple[Timed, ...]

    @property
    def winner(self) -> Timed:
        """The fastest of those that beat the first clearly in every round, else the first."""
        first = self.timed[0]
        better = [timed for timed in self.timed[1:] if clearly(first, timed)]
        return min(better, key=lambda timed: timed.median, default=first)


class Calibration(Stored):
    """What was measured for one kind of work."""

    work: Work
    images: int
    """Images of the measured steps, which may be fewer than the batch."""
    contests: tuple[Contest, ...] = ()
    seconds: float = 0.0
    """What the measurement took."""

    @property
    def choice(self) -> Choice:
        """The choice that won the last contest."""
        return self.contests[-1].winner.choice if self.contests else DEFAULT

    def tried(self, axis: str) -> bool:
        """Whether an axis was measured."""
        return any(contest.axis == axis for contest in self.contests)


class Book(Stored):
    """All that was measured on one processor with one torch and one number of threads."""

    machine: str
    calibrations: tuple[Calibration, ...] = ()

    def find(self, work: Work) -> Calibration | None:
        """What was measured for some work."""
        return next((c for c in self.calibrations if c.work == work), None)

    def having(self, new: Calibration) -> Book:
        """The book with a calibration in the place of an older one of the same work."""
        others = [c for c in self.calibrations if c.work != new.work]
        return self.model_copy(update={"calibrations": (*others, new)})


def clearly(first: Timed, other: Timed) -> bool:
    """Whether one was faster than the first in every round, by more than the margin."""
    pairs = zip(first.seconds, other.seconds, strict=True)
    return all(mine > CLEAR * theirs for mine, theirs in pairs)


def can_compile() -> bool:
    """Whether there is a C++ compiler, which torch.compile needs on a processor."""
    return any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))


def calibrate(
    work: Work, known: Calibration | None = None, *, compiled: bool = False
) -> Calibration | None:
    """Measure what is not known of some work; None if other processes disturb the measurement.

    With `compiled` also the compiled step, whose candidates alone take about a minute.
    """
    others, start, threads = Others(), time.perf_counter(), torch.get_num_threads()
    bench = _Bench(work)
    found = known or Calibration(work=work, images=bench.images)
    axes = ("layout", "threads", "part", *(("compiled",) if compiled and can_compile() else ()))
    for axis in axes:
        if others.disturb(threads):
            return None
        if not found.tried(axis):
            rivals = bench.rivals(axis, found.choice)
            contest = Contest(axis=axis, timed=bench.time([found.choice, *rivals]))
            found = found.model_copy(update={"contests": (*found.contests, contest)})
    if others.disturb(threads):
        return None
    spent = found.seconds + time.perf_counter() - start
    return found.model_copy(update={"seconds": spent})


class _Bench:
    """Steps of one kind of work on random images; no data are read."""

    def __init__(self, work: Work) -> None:
        self.work, self._spec = work, students.spec(work.student)
        self.images = max(1, min(work.batch, FEWEST))
        (probe,) = self.time([DEFAULT], rounds=1)
        longest = int(self.images * LONGEST / max(probe.median, 1e-6))
        self.images = min(work.batch, max(self.images, longest))

    def rivals(self, axis: str, choice: Choice) -> Iterator[Choice]:
        """Other values along an axis, all else as chosen so far."""
        match axis:
            case "layout":
                yield choice.model_copy(update={"layout": "channels-last"})
            case "threads":
                for threads in _halves(torch.get_num_threads()):
                    yield choice.model_copy(update={"threads": threads})
            case "part" if not mixes_images(self._model()):
                for part in (64, 128):
                    if part < self.images:
                        yield choice.model_copy(update={"part": part})
            case "compiled":
                for layout in ("contiguous", "channels-last"):
                    yield choice.model_copy(update={"compiled": True, "layout": layout})

    def time(self, choices: Sequence[Choice], rounds: int = ROUNDS) -> tuple[Timed, ...]:
        """Seconds of a step of each, in turn, after one that does not count."""
        steps = {choice: self._step(choice) for choice in choices}
        ready = {choice: step for choice, step in steps.items() if _runs(step, choice)}
        seconds = [[step() for step in ready.values()] for _ in range(rounds)]
        columns = zip(*seconds, strict=True)
        return tuple(
            Timed(choice=c, seconds=column) for c, column in zip(ready, columns, strict=True)
        )

    def _step(self, choice: Choice) -> Callable[[], float]:
        recipe = Recipe(
            self._spec, Spec("sgd"), 0.0, Spec("constant"), 1, self.images,
            precision=self.work.precision,
        )  # fmt: skip
        program = Solo(self._model(), recipe, build("loss", recipe.loss), _CPU, choice)
        rng = torch.Generator().manual_seed(0)
        images = torch.randn((1, self.images, *self.work.shape), generator=rng)
        target = Target(torch.zeros(1, self.images, dtype=torch.int64))

        def step() -> float:
            with choice.applied():
                start = time.perf_counter()
                program.step(images, target, [0.0])
                return time.perf_counter() - start

        return step

    def _model(self) -> torch.nn.Module:
        return students.create(self._spec, self.work.shape, 10, 0)


def _runs(step: Callable[[], float], choice: Choice) -> bool:
    """Take the first step, which does not count; a student that cannot be compiled here is left out."""
    try:
        step()
    except RuntimeError:
        if choice.compiled:
            return False
        raise
    return True


def _halves(threads: int) -> list[int]:
    """Half as many threads, and half of that, down to an eighth."""
    return [threads >> i for i in (1, 2, 3) if threads >> i]


def machine() -> str:
    """What a calibration is good for: processor, torch, threads."""
    here = environment(_CPU)
    return f"{here.device}, torch {here.torch}, {here.threads} threads"


def book() -> Book:
    """What is known of this machine; nothing where the file is missing or damaged."""
    try:
        return Book.model_validate_json(_path().read_bytes())
    except (OSError, ValidationError):
        return Book(machine=machine())


def keep(new: Calibration) -> None:
    """Write a calibration into the book of this machine, if there is room for it."""
    with contextlib.suppress(OSError), drafted(_path()) as draft:
        draft.write_text(book().having(new).model_dump_json(indent=1))


def _path() -> Path:
    return directory() / "calibration" / f"{digest.of(machine())}.json"
