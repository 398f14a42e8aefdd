"""Train trials on this machine, cohort by cohort, storing every run the moment it ends."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from hydrometer import digest, students
from hydrometer.engine import loop
from hydrometer.engine.choice import DEFAULT
from hydrometer.engine.loop import Job, OnStep
from hydrometer.engine.program import can_stack
from hydrometer.execute import Executor, Observer
from hydrometer.execute.claims import Claims
from hydrometer.execute.lab import Lab
from hydrometer.registry import register
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Run, Source, Spec

WAIT_SECONDS = 2.0

Train = Callable[[list[Job], Lab, Observer, OnStep], Iterator[Run]]
"""Trains a cohort, and hands over each of its runs the moment it is known."""


@register("executor")
@contextmanager
def serial(place: str) -> Iterator[Executor]:
    """This machine, one cohort after the other."""
    if place:
        raise HydrometerError(f"executor serial takes no place, got {place!r}; write serial alone")
    yield execute


def execute(jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer) -> dict[str, Run]:
    """Runs by key for all jobs: from the store where they are there, else trained now.

    Trials another process is training are waited for, and taken over when that process is gone.
    """
    return in_turn(jobs, lab, store, observer, train)


def in_turn(
    jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer, train: Train
) -> dict[str, Run]:
    """Bring cohort after cohort to its end with a function that trains one."""
    told: list[str] = []

    def attempt(pending: dict[str, Job]) -> bool:
        if not told:
            told.extend(singly(list(pending.values()), lab.source, lab.device))
            for text in told:
                observer.say(text)
        return attempted(pending, lab, store, observer, train)

    return complete(jobs, store, observer, attempt)


def attempted(
    pending: dict[str, Job], lab: Lab, store: Store, observer: Observer, train: Train
) -> bool:
    """Train what can be claimed, cohort after cohort; false if all of it is someone else's."""
    groups = grouped(pending, lab.source, lab.device)
    worked = [_claimed(cohort, lab, store, observer, train) for cohort in groups]
    return any(worked)


def complete(
    jobs: Sequence[Job], store: Store, observer: Observer, attempt: Callable[[dict[str, Job]], bool]
) -> dict[str, Run]:
    """Runs by key for all jobs, after as many attempts at what the store does not hold as it takes.

    An attempt returns false if all of it is being trained by other processes.
    """
    wanted = {digest.of_trial(job.trial): job for job in jobs}
    done = store.get_many(wanted)
    pending = {key: job for key, job in wanted.items() if key not in done}
    observer.begin(sum(map(steps_of, pending.values())), len(pending))
    while pending:
        worked = attempt(pending)
        done = store.get_many(pending)
        pending = {key: job for key, job in pending.items() if key not in done}
        if pending and not worked:
            observer.say(f"waiting for {len(pending)} students that other processes are training")
            time.sleep(WAIT_SECONDS)
    found = store.get_many(wanted)
    return {key: found[key] for key in wanted}


def grouped(
    pending: dict[str, Job], source: Source, device: torch.device, devices: int = 1
) -> list[dict[str, Job]]:
    """The cohorts of some jobs, each by key."""
    keys = {id(job): key for key, job in pending.items()}
    made = cohorts(list(pending.values()), source, device, devices)
    return [{keys[id(job)]: job for job in cohort} for cohort in made]


def _claimed(
    cohort: dict[str, Job], lab: Lab, store: Store, observer: Observer, train: Train
) -> bool:
    """Train what this process can claim of a cohort; false if all of it is someone else's."""
    claims = Claims(store)
    mine = [cohort[key] for key in claims.take(cohort)]

    def keep(steps: int) -> None:
        claims.renew()
        observer.stepped(steps * len(mine))

    try:
        for run in train(mine, lab, observer, keep) if mine else ():
            store.add(run)
            observer.finished(run)
    finally:
        claims.release()
    return bool(mine)


def steps_of(job: Job) -> int:
    """Optimiser steps of a job."""
    return job.trial.recipe.epochs * len(loop.cuts(len(job.data), job.trial.recipe.batch))


def cohorts(
    jobs: Sequence[Job], source: Source, device: torch.device, devices: int = 1
) -> Iterator[list[Job]]:
    """Jobs grouped into cohorts that can train as one program, in the order given.

    On a processor each student is a cohort of its own: stacking them measured slower there (see
    docs/performance.md). On accelerators all students of one shape start as one cohort for each.
    """
    if device.type == "cpu":
        yield from ([job] for job in jobs)
        return
    groups: dict[object, list[Job]] = {}
    alone = _alone(jobs, source)
    for job in jobs:
        shape = (
            dataclasses.replace(job.trial.recipe, lr=0.0),
            len(job.data),
            job.data.soft is None,
            job.data.weights is None,
        )
        own = id(job) if job.trial.recipe.student in alone else None
        groups.setdefault((shape, own), []).append(job)
    for group in groups.values():
        widest = -(-len(group) // devices)
        yield from (group[i : i + widest] for i in range(0, len(group), widest))


def singly(jobs: Sequence[Job], source: Source, device: torch.device) -> list[str]:
    """A sentence for every kind of student that trains one by one on this device."""
    if device.type == "cpu":
        return ["students train one by one on a processor"]
    names = sorted(map(str, _alone(jobs, source)))
    return [f"{name} has layers that draw (dropout), so its students train one by one"
            for name in names]  # fmt: skip


def _alone(jobs: Sequence[Job], source: Source) -> set[Spec]:
    """Kinds of students that cannot train as one program, as some of their layers draw."""
    return {spec for spec in {j.trial.recipe.student for j in jobs} if not _stacks(spec, source)}


def _stacks(student: Spec, source: Source) -> bool:
    return can_stack(students.create(student, source.shape, len(source.classes), 0))


def train(jobs: list[Job], lab: Lab, observer: Observer, on_step: OnStep) -> Iterator[Run]:
    """Train one cohort; when memory runs out, halve it and go on."""
    try:
        yield from _run(jobs, lab, on_step)
        return
    except torch.OutOfMemoryError:
        if len(jobs) == 1:
            raise
    # Out here the failed attempt is forgotten, so that its memory can be used again.
    observer.say(f"out of memory with {len(jobs)} students at once; halving the cohort")
    gc.collect()
    torch.cuda.empty_cache()
    half = len(jobs) // 2
    yield from train(jobs[:half], lab, observer, on_step)
    yield from train(jobs[half:], lab, observer, on_step)


def _run(jobs: list[Job], lab: Lab, on_step: OnStep) -> list[Run]:
    """The runs of a cohort, its steps taken as the lab has chosen."""
    recipe, choice = jobs[0].trial.recipe, lab.choice(jobs[0])
    lens = lab.lens(recipe.whiten)
    with choice.applied():
        runs = loop.run(
            jobs,
            lab.source,
            lens,
            lambda: lab.exams(recipe.whiten),
            lab.teachers(recipe.teacher, lens, recipe.labels),
            on_step,
            lab.bank(recipe.bank),
            lab.alone(jobs[0]),
        )
    if choice == DEFAULT:
        return runs
    place = runs[0].environment.model_copy(update={"device": lab.environment(jobs).device})
    return [run.model_copy(update={"environment": place}) for run in runs]
