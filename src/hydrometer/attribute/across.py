"""Whether a ranking of sets survives a change of protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from hydrometer import metrics, seeds, verdict
from hydrometer.execute import Executor, Observer, Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.protocols import Protocol
from hydrometer.stats import ranks
from hydrometer.store import Store
from hydrometer.types import Arm, ArmResult, CompressedSet, Estimate, HydrometerError, Stored


class Scored(Stored):
    """One set under one protocol."""

    set_digest: str
    method: str
    protocol: str
    accuracy: Estimate
    arm: ArmResult


class Agreement(Stored):
    """Kendall's tau between the rankings of the same sets under two protocols."""

    protocols: tuple[str, str]
    tau: Estimate


class Across(Stored):
    """The same sets under several protocols; `agreements` is empty for a single set."""

    schema_version: Literal[1] = 1
    source: str
    scores: tuple[Scored, ...]
    agreements: tuple[Agreement, ...] = ()


def across(
    subjects: Sequence[CompressedSet],
    chosen: Sequence[Protocol],
    lab: Lab,
    store: Store,
    observer: Observer | None = None,
    execute: Executor = execute,
) -> Across:
    """Train each set under each protocol and compare the rankings, by sets' mean test accuracies.

    Only the protocol's first arm of the set itself is trained: baselines do not move a ranking.

    Raises:
        HydrometerError: A set is empty or of other classes, or there are fewer than two protocols.
    """
    if len(chosen) < 2:
        raise HydrometerError("a ranking across protocols needs at least two of them")
    watcher = observer or Silent()
    scores = [_scored(s, p, lab, store, watcher, execute) for p in chosen for s in subjects]
    by_protocol = [scores[i : i + len(subjects)] for i in range(0, len(scores), len(subjects))]
    pairs = combinations(by_protocol, 2) if len(subjects) > 1 else ()
    return Across(
        source=lab.source.name,
        scores=tuple(scores),
        agreements=tuple(_agreement(first, second) for first, second in pairs),
    )


def own_arm(arms: Sequence[Arm]) -> Arm:
    """The first arm that trains on the set itself."""
    return next(arm for arm in arms if arm.name.partition("_")[0] == "subject")


def _scored(
    subject: CompressedSet,
    protocol: Protocol,
    lab: Lab,
    store: Store,
    observer: Observer,
    execute: Executor,
) -> Scored:
    planned = _own(verdict.plan(subject, protocol, lab))
    verdict.tune(planned, lab, store, observer, execute)
    verdict.teach(planned, lab, store, observer)
    runs = execute(planned.jobs, lab, store, observer)
    found = verdict.result(planned.arms[0], lab.source, runs)
    return Scored(
        set_digest=planned.subject.digest,
        method=planned.subject.card.method,
        protocol=protocol.name,
        accuracy=metrics.estimate("accuracy", {"subject": found}),
        arm=found,
    )


def _own(planned: verdict.Plan) -> verdict.Plan:
    """The plan reduced to the arm of the set itself, and to the teacher that this one needs."""
    arm = own_arm(planned.arms)
    jobs = tuple(verdict.jobs_of(arm, planned.source))
    teacher = planned.teacher if arm.recipe.teacher else None
    return dataclasses.replace(planned, arms=(arm,), jobs=jobs, teacher=teacher)


def _agreement(first: Sequence[Scored], second: Sequence[Scored]) -> Agreement:
    """Seeds are shared by the sets within a protocol, and resampled together there."""
    names = (first[0].protocol, second[0].protocol)
    tau = ranks.agreement(
        [np.array(scored.arm.accuracy) for scored in first],
        [np.array(scored.arm.accuracy) for scored in second],
        groups=[name for name in names for _ in first],
        rng=seeds.numpy_rng(0, "across"),
    )
    return Agreement(protocols=names, tau=tau)
