"""What trials on one source share: whitenings, prepared exams, teachers, and how steps are taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from hydrometer import digest
from hydrometer.engine import calibration
from hydrometer.engine.calibration import Work
from hydrometer.engine.choice import DEFAULT, Choice
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.environment import environment, exact_arithmetic, keep_pages
from hydrometer.engine.loop import Alone, Job
from hydrometer.engine.program import Solo
from hydrometer.engine.teachers import Teacher, obtain, recall, recipe_of
from hydrometer.labels.shards import LabelBank
from hydrometer.types import (
    CompressedSet,
    Environment,
    HydrometerError,
    Labels,
    Source,
    Spec,
    Trial,
)


class Pace(NamedTuple):
    """Seconds that a cohort takes for one step, and for reading both exams."""

    step: float
    exam: float


class Lab:
    """One source on one device; everything costly is made once, when first asked for."""

    def __init__(self, source: Source, device: torch.device) -> None:
        if device.type == "cpu":
            keep_pages()
        else:
            exact_arithmetic()
        self.source, self.device = source, device
        self._lenses: dict[str, Lens] = {}
        self._exams: dict[str, tuple[Images, Images]] = {}
        self._teachers: dict[str, Teacher] = {}
        self._banks: dict[str, LabelBank] = {}
        self.choices: dict[Work, Choice] = {}
        """How steps of each kind of work are taken, where not as ever."""
        self.paces: dict[object, Pace] = {}
        """What was measured of each kind of cohort."""

    def work(self, job: Job) -> Work:
        """The kind of steps that a job takes."""
        recipe = job.trial.recipe
        batch = min(recipe.batch, len(job.data))
        return Work(
            student=str(recipe.student),
            precision=recipe.precision,
            shape=self.source.shape,
            batch=batch,
        )

    def choice(self, job: Job) -> Choice:
        """How a job's steps are taken here."""
        return self.choices.get(self.work(job), DEFAULT)

    def alone(self, job: Job) -> Alone:
        """What makes the program of a job's student where it trains by itself."""
        return partial(Solo, choice=self.choice(job))

    def recall_choices(self) -> None:
        """Take steps as an earlier calibration of this machine says, from now on."""
        if self.device.type == "cpu":
            known = {c.work: c.choice for c in calibration.book().calibrations}
            able = calibration.can_compile()
            self.choices |= {work: c for work, c in known.items() if able or not c.compiled}

    def environment(self, jobs: Sequence[Job]) -> Environment:
        """Where these jobs are trained, and how, where that is not as ever."""
        here = environment(self.device)
        others = sorted({str(c) for job in jobs if (c := self.choice(job)) != DEFAULT})
        return here.model_copy(update={"device": "; ".join([here.device, *others])})

    def lens(self, whiten: Spec | None) -> Lens:
        """The view of images that a recipe's whitening gives."""
        name = str(whiten)
        if name not in self._lenses:
            self._lenses[name] = Lens(self.source, whiten, self.device)
        return self._lenses[name]

    def exams(self, whiten: Spec | None) -> tuple[Images, Images]:
        """`val` and `test` as that view shows them."""
        name = str(whiten)
        if name not in self._exams:
            lens = self.lens(whiten)
            self._exams[name] = (
                Images(self.source.val.images, lens),
                Images(self.source.test.images, lens),
            )
        return self._exams[name]

    def teach(
        self, trial: Trial, data: CompressedSet, on_step: Callable[[int], None] = lambda steps: None
    ) -> Teacher:
        """Train, or recall from the cache, the teacher of a trial."""
        name = digest.of_trial(trial)
        if name not in self._teachers:
            lens = self.lens(trial.recipe.whiten)
            job = Job(trial, data)
            with self.choice(job).applied():
                self._teachers[name] = obtain(
                    trial, data, self.source, lens, on_step, self.alone(job)
                )
        return self._teachers[name]

    def teachers(
        self, names: Sequence[str], student: Lens, labels: Labels = "teacher"
    ) -> list[Callable[[Tensor], Tensor]]:
        """Known teachers by digest, as functions of what the student sees, for a label regime."""
        return [self._recalled(name).seen_through(student, labels) for name in names]

    def add_bank(self, bank: LabelBank) -> str:
        """Have a label bank at hand; returns the digest that recipes name it by."""
        self._banks[bank.contents.digest] = bank
        return bank.contents.digest

    def bank(self, name: str | None) -> LabelBank | None:
        """A bank at hand, by digest; none where none is named."""
        if name is not None and name not in self._banks:
            raise HydrometerError(f"label bank {name} is not at hand; give its folder with --bank")
        return None if name is None else self._banks[name]

    def _recalled(self, name: str) -> Teacher:
        if name not in self._teachers:
            whiten = recipe_of(name).whiten
            self._teachers[name] = recall(name, self.source, self.lens(whiten))
        return self._teachers[name]
