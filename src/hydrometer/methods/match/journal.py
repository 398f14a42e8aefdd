"""What a distillation leaves behind as it goes: where to go on after a kill, its sets so far, and `val`.

A folder under `matching` in the cache, named by the digest of the work: `progress.json`, the
intermediate set of every checkpoint as an ordinary set file, and, until the work is complete, the
state it goes on from. A finished work that is asked for again is done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrometer import digest
from hydrometer.artifact import container
from hydrometer.artifact.writing import whole
from hydrometer.sources.cache import directory
from hydrometer.types import CompressedSet, HydrometerError, Stored

LAYOUT = "matching@1"
"""Changes when the same work would go on otherwise, so that older states are not read."""
SECONDS = 60.0
"""Between two looks at `val`, the state is kept this often."""
_LOG = logging.getLogger(__name__)
_STATE = "state.safetensors"
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class State:
    """What has been learned so far: pixels (n, c, h, w), soft labels (n, k), a learning rate."""

    images: Tensor
    soft: Tensor | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The state that is kept, and how `val` went: (iteration, accuracy) of every checkpoint."""

    state: State
    iteration: int
    curve: tuple[tuple[int, float], ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """The curve in words, for the card; nothing where `val` was not looked at."""
        if not self.curve:
            return ()
        points = " ".join(f"{i}:{value:.3f}" for i, value in self.curve)
        return (f"val accuracy by iteration: {points}; kept {self.iteration}",)


@dataclass(frozen=True)
class Course:
    """How far a run has come: iterations done, the last loss, `val` at checkpoints, and the best.

    `best` is the state of iteration `kept`, None before the first checkpoint.
    """

    done: int = 0
    loss: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    best: State | None = None
    kept: int = 0

    def judged(self, state: State, value: float) -> Course:
        """The course after a checkpoint; of equal states the later one is the best."""
        better = self.best is None or value >= dict(self.curve)[self.kept]
        best, kept = (state, self.done) if better else (self.best, self.kept)
        curve = (*self.curve, (self.done, value))
        return dataclasses.replace(self, curve=curve, best=best, kept=kept)


class Kept(Protocol):
    """Something that is learned, or trained meanwhile, and that later iterations need."""

    def memory(self) -> dict[str, Tensor]:
        """All of it, by name."""

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Take it back, bit for bit."""


class Progress(Stored):
    """What `progress.json` says of a work."""

    layout: str = LAYOUT
    work: str
    done: int
    loss: float
    curve: tuple[tuple[int, float], ...]
    kept: int
    seconds: float
    """Wall time of the iterations so far, of all sittings."""


@dataclass(frozen=True)
class Work:
    """One distillation: its name in words and the digest of all that its result depends on."""

    name: str
    digest: str
    pack: Callable[[Outcome, float], CompressedSet]
    """Makes the set of an outcome, with the seconds of earlier sittings to charge it with."""


def identity(*parts: object, tensors: tuple[Tensor, ...], rng: np.random.Generator) -> str:
    """The digest of a work: what was asked for, the tensors it starts from, and the draws to come."""
    draws = json.dumps(rng.bit_generator.state, sort_keys=True, default=np.ndarray.tolist)
    return digest.of([LAYOUT, *map(str, parts), digest.of_tensors(*tensors), draws])


def folder() -> Path:
    """Where works are kept: `matching` in the cache."""
    return directory() / "matching"


class Journal:
    """Keeps the course of a work, and goes on with one that was killed.

    Of two processes at the same work the second keeps nothing. A disk that cannot be written stops
    the keeping and not the work; `trouble` then says why.
    """

    def __init__(self, work: Work, kept: Mapping[str, Kept], rng: np.random.Generator) -> None:
        self.work, self.kept, self.rng = work, kept, rng
        self.home = folder() / work.digest
        self.lock = FileLock(folder().with_name("locks") / f"{work.digest}.lock", blocking=False)
        self.trouble = ""
        self.earlier = 0.0
        self.began = self.saved = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time of the work, sittings before a kill included."""
        return self.earlier + time.perf_counter() - self.began

    @property
    def notes(self) -> tuple[str, ...]:
        """Where intermediate sets are, or why they are not, for the card."""
        if self.trouble:
            return (f"progress not kept: {self.trouble}",)
        found = self.home.is_dir() and any(self.home.glob("[0-9]*.safetensors"))
        return (f"intermediate sets in matching/{self.work.digest} of the cache",) if found else ()

    def __enter__(self) -> Journal:
        try:
            self.lock.acquire()
        except Timeout:
            self.trouble = "another process was at the same work"
        except OSError as error:
            self.trouble = str(error)
        if not self.trouble:
            for draft in self.home.glob(".hydrometer-*"):
                shutil.rmtree(draft, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # A diverged run would diverge again; one that was interrupted goes on.
        if not self.trouble and (kind is None or issubclass(kind, HydrometerError)):
            with contextlib.suppress(OSError):
                (self.home / _STATE).unlink(missing_ok=True)
        self.lock.release()

    def course(self) -> Course:
        """Where to go on, with everything that is kept as it was; at the start if there is nothing."""
        if self.trouble:
            return Course()
        try:
            with safe_open(self.home / _STATE, framework="pt") as file:
                told = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            progress = Progress.model_validate_json(told["progress"])
            draws, rate = json.loads(told["draws"]), json.loads(told["rate"])
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return Course()
        for name, thing in self.kept.items():
            thing.recall(_inside(name, tensors))
        self.rng.bit_generator.state = draws
        self.earlier = progress.seconds
        _LOG.info("going on after iteration %d, where an earlier run was stopped", progress.done)
        best = _inside("best", tensors)
        state = State(best["images"], best.get("soft"), rate) if best else None
        return Course(progress.done, progress.loss, progress.curve, state, progress.kept)

    def note(self, course: Course, now: State | None) -> None:
        """Keep the course at checkpoints, with a set of the state `now`, and else once in `SECONDS`."""
        if self.trouble:
            return
        try:
            if now is not None:
                self._keep_set(Outcome(now, course.done, course.curve))
            if now is not None or time.perf_counter() - self.saved >= SECONDS:
                self._keep(course)
                self.saved = time.perf_counter()
        except (OSError, SafetensorError, HydrometerError) as error:
            self.trouble = str(error)

    def packed(self, outcome: Outcome) -> CompressedSet:
        """The set of the outcome, its card saying where the others are."""
        return _noted(self.work.pack(outcome, self.earlier), *self.notes)

    def _keep_set(self, outcome: Outcome) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        made = self.work.pack(outcome, self.earlier)
        made = _noted(made, f"intermediate: after iteration {outcome.iteration}")
        container.save(made, self.home / f"{outcome.iteration:06d}.safetensors")

    def _keep(self, course: Course) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        progress = Progress(
            work=self.work.name,
            done=course.done,
            loss=course.loss,
            curve=course.curve,
            kept=course.kept,
            seconds=self.seconds,
        ).model_dump_json()
        told = {
            "progress": progress,
            "draws": json.dumps(self.rng.bit_generator.state, default=np.ndarray.tolist),
            "rate": json.dumps(course.best.rate if course.best else None),
        }
        with whole(self.home / _STATE) as draft:
            save_file(self._tensors(course.best), draft, metadata=told)
        with whole(self.home / _PROGRESS) as draft:
            draft.write_text(progress, encoding="utf-8")

    def _tensors(self, best: State | None) -> dict[str, Tensor]:
        """Everything that is kept, and the best state, as copies on the CPU."""
        found = {f"{k}.{n}": t for k, thing in self.kept.items() for n, t in thing.memory().items()}
        if best is not None:
            found["best.images"] = best.images
            if best.soft is not None:
                found["best.soft"] = best.soft
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in found.items()}


def _noted(made: CompressedSet, *notes: str) -> CompressedSet:
    card = made.card.model_copy(update={"notes": (*made.card.notes, *notes)})
    return dataclasses.replace(made, card=card)


def _inside(name: str, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of one kept thing, under their own names."""
    start = f"{name}."
    return {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
