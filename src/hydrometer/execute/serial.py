"""Train trials on this machine, cohort by cohort, storing every run the moment it ends."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from hydrometer import digest, students
from hydrometer.engine import loop
from hydrometer.engine.loop import Job
from hydrometer.engine.program import can_stack
from hydrometer.execute import Observer
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import Run, Source, Spec

LEASE_SECONDS = 600.0
"""How long a claim on a trial holds if nobody renews it: a machine may have died."""
RENEW_SECONDS = 60.0
WAIT_SECONDS = 2.0


def execute(jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer) -> dict[str, Run]:
    """Runs by key for all jobs: from the store where they are there, else trained now.

    Trials another process is training are waited for, and taken over when that process is gone.
    """
    wanted = {digest.of_trial(job.trial): job for job in jobs}
    done = store.get_many(wanted)
    pending = {key: job for key, job in wanted.items() if key not in done}
    observer.begin(sum(map(steps_of, pending.values())), len(pending))
    while pending:
        worked = [_claimed(cohort, lab, store, observer) for cohort in _grouped(pending, lab)]
        done = store.get_many(pending)
        pending = {key: job for key, job in pending.items() if key not in done}
        if pending and not any(worked):
            observer.say(f"waiting for {len(pending)} students that other processes are training")
            time.sleep(WAIT_SECONDS)
    found = store.get_many(wanted)
    return {key: found[key] for key in wanted}


def _grouped(pending: dict[str, Job], lab: Lab) -> list[dict[str, Job]]:
    keys = {id(job): key for key, job in pending.items()}
    return [{keys[id(job)]: job for job in c} for c in cohorts(list(pending.values()), lab)]


def _claimed(cohort: dict[str, Job], lab: Lab, store: Store, observer: Observer) -> bool:
    """Train what this process can claim of a cohort; false if all of it is someone else's."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    for key in cohort:
        _free_if_dead(key, store)
    mine = {key: job for key, job in cohort.items() if store.claim(key, owner, LEASE_SECONDS)}
    if not mine:
        return False
    renewed = time.monotonic()

    def keep(steps: int) -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            for key in mine:
                store.claim(key, owner, LEASE_SECONDS)
        observer.stepped(steps * len(mine))

    try:
        for run in _train(list(mine.values()), lab, observer, keep):
            store.add(run)
            observer.finished(run)
    finally:
        for key in mine:
            store.release(key, owner)
    return True


def _free_if_dead(key: str, store: Store) -> None:
    """Release a claim whose process was on this machine and is no more."""
    owner = store.claimant(key) or ""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        store.release(key, owner)
    except PermissionError:
        return


def steps_of(job: Job) -> int:
    """Optimiser steps of a job."""
    return job.trial.recipe.epochs * len(loop.cuts(len(job.data), job.trial.recipe.batch))


def cohorts(jobs: Sequence[Job], lab: Lab) -> Iterator[list[Job]]:
    """Jobs grouped into cohorts that can train as one program, in the order given.

    On a processor each student is a cohort of its own: stacking them measured slower there (see
    docs/performance.md). On an accelerator all students of one shape start as one cohort.
    """
    if lab.device.type == "cpu":
        yield from ([job] for job in jobs)
        return
    groups: dict[object, list[Job]] = {}
    alone = {
        spec for spec in {j.trial.recipe.student for j in jobs} if not _stacks(spec, lab.source)
    }
    for job in jobs:
        shape = (
            dataclasses.replace(job.trial.recipe, lr=0.0),
            len(job.data),
            job.data.soft is None,
            job.data.weights is None,
        )
        own = id(job) if job.trial.recipe.student in alone else None
        groups.setdefault((shape, own), []).append(job)
    yield from groups.values()


def _stacks(student: Spec, source: Source) -> bool:
    """Whether students of this kind train as one program: none of their layers draws."""
    return can_stack(students.create(student, source.shape, len(source.classes), 0))


def _train(
    jobs: list[Job], lab: Lab, observer: Observer, on_step: Callable[[int], None]
) -> Iterator[Run]:
    """Train one cohort; when memory runs out, halve it and go on."""
    recipe = jobs[0].trial.recipe
    lens = lab.lens(recipe.whiten)
    teachers = lab.teachers(recipe.teacher, lens, recipe.labels)
    try:
        yield from loop.run(
            jobs,
            lab.source,
            lens,
            lambda: lab.exams(recipe.whiten),
            teachers,
            on_step,
            lab.bank(recipe.bank),
        )
        return
    except torch.OutOfMemoryError:
        if len(jobs) == 1:
            raise
    # Out here the failed attempt is forgotten, so that its memory can be used again.
    observer.say(f"out of memory with {len(jobs)} students at once; halving the cohort")
    torch.cuda.empty_cache()
    half = len(jobs) // 2
    yield from _train(jobs[:half], lab, observer, on_step)
    yield from _train(jobs[half:], lab, observer, on_step)
