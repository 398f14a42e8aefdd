"""Train trials on this machine, cohort by cohort, storing every run the moment it ends."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections.abc import Iterator, Sequence

import torch

from hydrometer import digest
from hydrometer.engine import loop
from hydrometer.engine.loop import Job
from hydrometer.execute import Observer
from hydrometer.execute.lab import Lab
from hydrometer.store import Store
from hydrometer.types import Run

LEASE_SECONDS = 3600.0
"""How long a claim on a trial holds if its process dies without a word."""
WAIT_SECONDS = 2.0


def execute(jobs: Sequence[Job], lab: Lab, store: Store, observer: Observer) -> dict[str, Run]:
    """Runs by key for all jobs: from the store where they are there, else trained now.

    Trials another process has claimed are waited for, and taken over when its claim lapses.
    """
    wanted = {digest.of_trial(job.trial): job for job in jobs}
    pending = {key: job for key, job in wanted.items() if store.get(key) is None}
    observer.begin(sum(map(steps_of, pending.values())), len(pending))
    owner = f"{socket.gethostname()}:{os.getpid()}"
    while pending:
        mine = {k: j for k, j in pending.items() if store.claim(k, owner, LEASE_SECONDS)}
        try:
            for cohort in cohorts(list(mine.values()), lab):
                for trained in _train(cohort, lab, observer):
                    store.add(trained)
                    observer.finished(trained)
        finally:
            for key in mine:
                store.release(key, owner)
        pending = {k: j for k, j in pending.items() if store.get(k) is None}
        if pending and not mine:
            time.sleep(WAIT_SECONDS)
    return {key: run for key in wanted if (run := store.get(key)) is not None}


def steps_of(job: Job) -> int:
    """Optimiser steps of a job."""
    return job.trial.recipe.epochs * -(-len(job.data) // job.trial.recipe.batch)


def cohorts(jobs: Sequence[Job], lab: Lab) -> Iterator[list[Job]]:
    """Jobs grouped into cohorts that can train as one program, in the order given.

    On a processor each student is a cohort of its own: stacking them measured slower there (see
    docs/performance.md). On an accelerator all students of one shape start as one cohort.
    """
    if lab.device.type == "cpu":
        yield from ([job] for job in jobs)
        return
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        shape = (
            dataclasses.replace(job.trial.recipe, lr=0.0),
            len(job.data),
            job.data.soft is None,
            job.data.weights is None,
        )
        groups.setdefault(shape, []).append(job)
    yield from groups.values()


def _train(jobs: list[Job], lab: Lab, observer: Observer) -> Iterator[Run]:
    """Train one cohort; when memory runs out, halve it and go on."""
    recipe = jobs[0].trial.recipe
    lens = lab.lens(recipe.whiten)
    teachers = lab.teachers(recipe.teacher, lens)
    try:
        runs = loop.run(
            jobs,
            lab.source,
            lens,
            lab.exams(recipe.whiten),
            teachers,
            lambda steps: observer.stepped(steps * len(jobs)),
        )
    except torch.OutOfMemoryError:
        if len(jobs) == 1:
            raise
        observer.say(f"out of memory with {len(jobs)} students at once; halving the cohort")
        torch.cuda.empty_cache()
        half = len(jobs) // 2
        yield from _train(jobs[:half], lab, observer)
        yield from _train(jobs[half:], lab, observer)
        return
    yield from runs
