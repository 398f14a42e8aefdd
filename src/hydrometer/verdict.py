"""From a set and a protocol to a verdict: plan trials, train what is missing, reduce to estimates."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hydrometer import digest, metrics
from hydrometer.artifact.container import align
from hydrometer.artifact.rows import whole
from hydrometer.engine import loop
from hydrometer.engine.environment import environment
from hydrometer.engine.loop import Job
from hydrometer.execute import Observer, Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute, steps_of
from hydrometer.protocols import Case, Protocol, full_recipe
from hydrometer.stats import bootstrap
from hydrometer.store import Store
from hydrometer.types import (
    Arm,
    ArmResult,
    CompressedSet,
    Cost,
    HydrometerError,
    Run,
    Source,
    Trial,
    Verdict,
)


@dataclass(frozen=True)
class Plan:
    """Everything one verdict trains."""

    protocol: Protocol
    subject: CompressedSet
    arms: tuple[Arm, ...]
    jobs: tuple[Job, ...]


def plan(
    subject: CompressedSet, protocol: Protocol, lab: Lab, observer: Observer | None = None
) -> Plan:
    """The trials of a verdict; checks the set against the source, and trains the teacher if needed."""
    subject = align(subject, lab.source)
    if not len(subject):
        raise HydrometerError(f"the set by {subject.card.method} holds no images to train on")
    teachers = (
        (teacher_for(protocol, lab, observer or Silent()),) if protocol.settings.teacher else ()
    )
    arms = tuple(protocol.arms(Case(subject, lab.source, teachers)))
    return Plan(
        protocol, subject, arms, tuple(job for arm in arms for job in jobs_of(arm, lab.source))
    )


def teacher_for(protocol: Protocol, lab: Lab, observer: Observer) -> str:
    """The digest of the protocol's teacher for this source, trained now unless it is cached."""
    if protocol.settings.teacher is None:
        raise ValueError(f"protocol {protocol.name} has no teacher")
    recipe = full_recipe(protocol.settings, protocol.settings.teacher, lab.source)
    data = whole(lab.source)
    trial = Trial(data.digest, lab.source.digest, recipe, seed=0)
    observer.begin(steps_of(Job(trial, data)), 1)
    teacher = lab.teach(trial, data, observer.stepped)
    observer.say(f"teacher {recipe.student}: {teacher.card.val_accuracy:.1%} on val")
    return teacher.card.digest


def jobs_of(arm: Arm, source: Source) -> list[Job]:
    """One job per seed and rate, a seed's rates together."""
    return [
        Job(Trial(data.digest, source.digest, dataclasses.replace(arm.recipe, lr=rate), seed), data)
        for position, seed in enumerate(arm.seeds)
        for data in [arm.set_for(position)]
        for rate in arm.rates
    ]


def cost(planned: Plan, lab: Lab, store: Store) -> Cost:
    """What remains to be trained, with time from a few measured steps of each kind of student."""
    keyed = {digest.of_trial(job.trial): job for job in planned.jobs}
    left = [job for key, job in keyed.items() if store.get(key) is None]
    kinds: dict[object, list[Job]] = {}
    for job in left:
        recipe = dataclasses.replace(job.trial.recipe, lr=0.0, epochs=1)
        kinds.setdefault((recipe, len(job.data)), []).append(job)
    seconds = 0.0
    for jobs in kinds.values():
        step, exam = _measure(jobs[0], lab)
        seconds += sum(step * steps_of(job) + exam for job in jobs)
    return Cost(len(keyed), len(keyed) - len(left), sum(map(steps_of, left)), seconds)


def evaluate(planned: Plan, lab: Lab, store: Store, observer: Observer | None = None) -> Verdict:
    """Train what the store does not hold yet, choose rates on `val`, and estimate every metric."""
    start = time.perf_counter()
    runs = execute(planned.jobs, lab, store, observer or Silent())
    results = {arm.name: result(arm, lab.source, runs) for arm in planned.arms}
    estimates = {name: metrics.estimate(name, results) for name in planned.protocol.metrics} | {
        f"accuracy:{name}": metrics.estimate("accuracy", {"subject": r})
        for name, r in results.items()
    }
    verdict = Verdict(
        protocol=planned.protocol.name,
        set_digest=planned.subject.digest,
        source=lab.source.name,
        source_digest=lab.source.digest,
        card=planned.subject.card,
        arms=tuple(results.values()),
        estimates=estimates,
        notices=tuple(notices(planned, results)),
        seconds=time.perf_counter() - start,
        environment=environment(lab.device),
    )
    store.add_verdict(verdict)
    return verdict


def result(arm: Arm, source: Source, runs: Mapping[str, Run]) -> ArmResult:
    """An arm's students at the rate with the highest mean `val` accuracy; ties go to the lower rate."""
    jobs = jobs_of(arm, source)
    grid = [runs[digest.of_trial(job.trial)] for job in jobs]
    table = np.array([run.val_accuracy for run in grid]).reshape(len(arm.seeds), len(arm.rates))
    best = int(table.mean(0).argmax())
    chosen = grid[best :: len(arm.rates)]
    return ArmResult(
        name=arm.name,
        set_digest=tuple(data.digest for data in arm.sets),
        recipe_digest=digest.of(dataclasses.replace(arm.recipe, lr=arm.rates[best])),
        lr=arm.rates[best],
        seeds=arm.seeds,
        accuracy=tuple(run.test_accuracy for run in chosen),
        val_accuracy=tuple(run.val_accuracy for run in chosen),
        diverged=sum(run.status == "diverged" for run in chosen),
        runs=tuple(run.key for run in grid),
    )


def notices(planned: Plan, results: Mapping[str, ArmResult]) -> list[str]:
    """What a reader must know to judge the numbers."""
    said = []
    for n in sorted({len(r.seeds) for r in results.values()}):
        if note := bootstrap.notice(n):
            said.append(note)
    for arm in planned.arms:
        found = results[arm.name]
        if found.diverged:
            said.append(
                f"{found.diverged} of {len(found.seeds)} students of arm {arm.name} diverged "
                f"at rate {found.lr:g} and count with accuracy 0"
            )
        if len(arm.rates) > 2 and found.lr in (min(arm.rates), max(arm.rates)):
            said.append(
                f"arm {arm.name}: the best rate on val, {found.lr:g}, is at the edge of the grid"
            )
    return said


def _measure(job: Job, lab: Lab) -> tuple[float, float]:
    """Seconds of one step, and of reading both exams once, from a few real steps of this student."""
    recipe = dataclasses.replace(job.trial.recipe, labels="hard", teacher=(), epochs=1)
    lens = lab.lens(recipe.whiten)
    return loop.measure(
        Job(dataclasses.replace(job.trial, recipe=recipe), job.data), lab.source, lens
    )
