"""How long students will take, from a few real steps of each kind, and who is worth calibrating for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from hydrometer import digest, seeds, students
from hydrometer.engine import calibration, timing
from hydrometer.engine.calibration import Work
from hydrometer.engine.choice import on_threads
from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Job
from hydrometer.engine.teachers import known
from hydrometer.execute import Manner, Observer
from hydrometer.execute.lab import Lab, Pace
from hydrometer.execute.serial import cohorts, steps_of
from hydrometer.types import Recipe, Spec

WORTH = 300.0
"""Seconds of work of one kind from which ten seconds of calibration are worth it."""
WORTH_COMPILING = 3600.0
"""Seconds from which compiling candidates, about a minute, is worth it as well."""


def wall(students: Sequence[Job], lab: Lab, manner: Manner, teachers: Sequence[Job] = ()) -> float:
    """Seconds until an executor of that manner has brought students on this machine to their end.

    Teachers come first and one after the other; they may be done sooner, on more threads.
    """
    with on_threads(manner.threads):
        timed = forecast([*students, *teachers], lab, manner.abreast)
    first = {id(job) for job in teachers}
    each = [seconds for job, seconds in timed if id(job) not in first]
    before = sum(seconds for job, seconds in timed if id(job) in first)
    return before + max(sum(each) / manner.abreast, max(each, default=0.0))


def forecast(jobs: Sequence[Job], lab: Lab, devices: int = 1) -> list[tuple[Job, float]]:
    """Seconds of every cohort that some jobs make for so many devices, each with its first job.

    Teachers among the jobs may not be trained yet: their labels are then timed on untrained ones.
    """
    coming = {digest.of_trial(job.trial): job for job in jobs}
    found = []
    for cohort in cohorts(jobs, lab.source, lab.device, devices):
        pace = paced(cohort, lab, coming)
        found.append((cohort[0], pace.step * steps_of(cohort[0]) + pace.exam))
    return found


def paced(cohort: list[Job], lab: Lab, coming: Mapping[str, Job]) -> Pace:
    """The pace of a cohort, measured once for its kind; halved if memory does not hold it whole."""
    kind = kind_of(cohort, lab, torch.get_num_threads())
    if kind not in lab.paces:
        try:
            lab.paces[kind] = _measured(cohort, lab, coming)
        except torch.OutOfMemoryError:
            if len(cohort) == 1:
                raise
    if kind not in lab.paces:
        half = paced(cohort[: -(-len(cohort) // 2)], lab, coming)
        lab.paces[kind] = Pace(2 * half.step, 2 * half.exam)
    return lab.paces[kind]


def kind_of(cohort: Sequence[Job], lab: Lab, threads: int) -> object:
    """What cohorts have in common whose pace is the same."""
    job = cohort[0]
    how = dataclasses.replace(job.trial.recipe, lr=0.0, epochs=1)
    return how, len(job.data), len(cohort), lab.choice(job), threads


def _measured(cohort: list[Job], lab: Lab, coming: Mapping[str, Job]) -> Pace:
    recipe = cohort[0].trial.recipe
    names = [name for name in recipe.teacher if not known(name)]
    if any(name not in coming for name in names):
        # Nothing is known of its teacher: the estimate leaves its forward passes out.
        plain = {"labels": "hard", "teacher": (), "loss": Spec("cross-entropy")}
        cohort, names = [_changed(job, **plain) for job in cohort], []
        recipe = cohort[0].trial.recipe
    lens, choice = lab.lens(recipe.whiten), lab.choice(cohort[0])
    teachers = [_teacher(name, recipe, lab, lens, coming) for name in recipe.teacher]
    bank = lab.bank(recipe.bank)
    with choice.applied():
        measured = timing.measure(cohort, lab.source, lens, teachers, bank, lab.alone(cohort[0]))
    return Pace(*measured)


def _teacher(
    name: str, recipe: Recipe, lab: Lab, lens: Lens, coming: Mapping[str, Job]
) -> Callable[[Tensor], Tensor]:
    """A teacher, or an untrained network that takes as long."""
    if known(name):
        return lab.teachers([name], lens, recipe.labels)[0]
    spec, classes = coming[name].trial.recipe.student, len(lab.source.classes)
    model = students.create(spec, lab.source.shape, classes, seeds.key(0, "initialise"))
    return model.to(lab.device).eval().requires_grad_(False)


def _changed(job: Job, **changes: object) -> Job:
    recipe = dataclasses.replace(job.trial.recipe, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(job, trial=dataclasses.replace(job.trial, recipe=recipe))


def tune(jobs: Sequence[Job], lab: Lab, observer: Observer, manner: Manner | None = None) -> None:
    """Have students on a processor trained as measures fastest here.

    What is known from earlier is used; where work is long and nothing is known, it is measured now,
    on the threads that each student will have.
    """
    with on_threads((manner or Manner()).threads):
        _tune(jobs, lab, observer)


def _tune(jobs: Sequence[Job], lab: Lab, observer: Observer) -> None:
    lab.recall_choices()
    if lab.device.type != "cpu" or not jobs:
        return
    works: dict[Work, float] = {}
    for job, seconds in forecast(jobs, lab):
        work = lab.work(job)
        works[work] = works.get(work, 0.0) + seconds
    for work, seconds in works.items():
        if seconds > WORTH:
            _calibrate(work, seconds > WORTH_COMPILING, lab, observer)


def _calibrate(work: Work, compiled: bool, lab: Lab, observer: Observer) -> None:
    known = calibration.book().find(work)
    compiled = compiled and calibration.can_compile()
    if known is not None and (known.tried("compiled") or not compiled):
        return
    observer.say(f"measuring how {work} train fastest here")
    found = calibration.calibrate(work, known, compiled=compiled)
    if found is None:
        observer.say("other processes disturb the measurement; training goes on as before")
        return
    calibration.keep(found)
    lab.choices[work] = found.choice
    observer.say(f"{work}: {found.choice}, measured in {found.seconds:.0f} s")
