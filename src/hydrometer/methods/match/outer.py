"""The outer loop of every matching method: iterate, look at `val` now and then, keep the best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hydrometer import students
from hydrometer.artifact.container import make
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Cohort, Job, hits, train
from hydrometer.methods.match.siamese import DSA
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Trial

_EPOCHS = 100
_RATE = 0.03
_BATCH = 256


@dataclass(frozen=True)
class State:
    """What has been learned so far: pixels (n, c, h, w), soft labels (n, k), a learning rate."""

    images: Tensor
    soft: Tensor | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Glance:
    """What a watcher is told after an iteration; `state` and `val` only at a checkpoint."""

    iteration: int
    iterations: int
    loss: float
    val: float | None = None
    state: State | None = None


Watch = Callable[[Glance], None]


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


class Judge:
    """Accuracy on `val` of a short student trained on a state, always from the same seed.

    SGD 0.03 with momentum 0.9, 100 epochs, DSA, the field's student of that size. The students of a
    protocol train longer; the order of two iterates is what matters here.
    """

    def __init__(self, source: Source, lens: Lens, labels: Tensor, whiten: Spec | None) -> None:
        self.source, self.lens, self.labels, self.whiten = source, lens, labels, whiten
        self.exam = Images(source.val.images, lens)

    def __call__(self, state: State) -> float:
        """Fraction of `val` that is right."""
        data = make(
            state.images, self.labels, source=self.source, method="candidate", budget="val",
            seed=None, seconds=0.0, soft=state.soft,
        )  # fmt: skip
        how = self._recipe(soft=state.soft is not None)
        trial = Trial(data.digest, self.source.digest, how, seed=0)
        program, _ = train(Cohort([Job(trial, data)], self.source, self.lens, ()))
        found = hits(program, self.exam, self.source.val.labels, len(self.source.classes))
        return int(found.sum()) / len(self.source.val)

    def _recipe(self, *, soft: bool) -> Recipe:
        return Recipe(
            student=students.default_for(self.source.shape),
            optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
            lr=_RATE,
            schedule=Spec("step", (("every", 0.5), ("gamma", 0.1))),
            epochs=_EPOCHS,
            batch=_BATCH,
            augment=DSA,
            labels="given" if soft else "hard",
            loss=Spec("soft-cross-entropy" if soft else "cross-entropy"),
            whiten=self.whiten,
        )


def checkpoints(iterations: int, checks: int) -> list[int]:
    """Iterations after which `val` is looked at: evenly spread, the last one always among them."""
    if checks <= 0:
        return []
    return sorted({math.ceil(iterations * (i + 1) / checks) for i in range(checks)})


def refine(
    step: Callable[[int], float],
    state: Callable[[], State],
    judge: Callable[[State], float] | None,
    *,
    iterations: int,
    checks: int,
    watch: Watch | None = None,
) -> Outcome:
    """Run the iterations; of the checkpoints the best on `val` is kept, the later one of equals.

    Without a judge or checks the last iterate is kept. The start itself is never a candidate, so
    that a method that learns nothing is seen to.

    Raises:
        HydrometerError: A loss is no longer finite.
    """
    if iterations < 1:
        raise HydrometerError(f"iterations is {iterations}; give at least 1")
    marks = checkpoints(iterations, checks) if judge is not None else []
    best, curve = (state(), -1.0, 0), []
    for done in range(1, iterations + 1):
        loss = step(done - 1)
        if not math.isfinite(loss):
            raise HydrometerError(
                f"matching diverged at iteration {done} (loss {loss}); lower its learning rates"
            )
        glance = Glance(done, iterations, loss)
        if judge is not None and done in marks:
            now = state()
            value = judge(now)
            curve.append((done, value))
            glance = Glance(done, iterations, loss, value, now)
            best = max(best, (now, value, done), key=lambda found: (found[1], found[2]))
        if watch is not None:
            watch(glance)
    if not curve:
        best = (state(), -1.0, iterations)
    return Outcome(best[0], best[2], tuple(curve))


def descent(tensor: Tensor, rate: float, momentum: float) -> torch.optim.SGD:
    """The optimiser of everything learned in this family: SGD with momentum."""
    return torch.optim.SGD([tensor], lr=rate, momentum=momentum)
