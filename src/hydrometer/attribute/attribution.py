"""Train the cells of a design and split the gain between the factors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from hydrometer import digest, seeds, verdict
from hydrometer.artifact.container import align
from hydrometer.attribute import factors
from hydrometer.attribute.design import Design, Fraction, design
from hydrometer.attribute.factors import Factors
from hydrometer.execute import Executor, Observer, Silent
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute, steps_of
from hydrometer.protocols import Case, Protocol, Settings
from hydrometer.stats import bootstrap
from hydrometer.stats.bootstrap import Array
from hydrometer.stats.shapley import interactions
from hydrometer.store import Store
from hydrometer.types import (
    ArmResult,
    Card,
    CompressedSet,
    Cost,
    Environment,
    Estimate,
    HydrometerError,
    Stored,
)


class Part(Stored):
    """What one factor, or two together beyond each alone, contribute to the total."""

    factors: tuple[str, ...]
    share: Estimate


class LeftOut(Stored):
    """A factor that could not be switched, where it stayed, and why."""

    factor: str
    level: str
    reason: str


class Attribution(Stored):
    """A gain and its parts, fractions of accuracy; `parts` add up to `total`.

    `pairs` are Shapley-Taylor interactions of order two, of the full design alone. `off` and `on`
    are the accuracies with all factors off and all on.
    """

    schema_version: Literal[1] = 1
    protocol: str
    fraction: Fraction
    set_digest: str
    source: str
    source_digest: str
    card: Card
    off: Estimate
    on: Estimate
    total: Estimate
    parts: tuple[Part, ...]
    pairs: tuple[Part, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    arms: tuple[ArmResult, ...]
    notices: tuple[str, ...] = ()
    seconds: float
    environment: Environment


@dataclass(frozen=True)
class Experiment:
    """Everything one attribution trains: an arm for each cell of the design."""

    plan: verdict.Plan
    design: Design
    factors: Factors


def plan(
    subject: CompressedSet,
    protocol: Protocol,
    lab: Lab,
    *,
    fraction: str = "full",
    reference: Settings | None = None,
) -> Experiment:
    """The cells to train; checks the set against the source, and trains nothing.

    `reference` is the recipe that the protocol's is compared with, by default DD-Ranking's.

    Raises:
        HydrometerError: The set is empty or of other classes, the design is unknown, or no factor
            can be switched.
    """
    if protocol.settings.bank is not None:
        raise HydrometerError(
            "an attribution switches the augmentation, so it needs a teacher's labels online; "
            f"use {protocol.base} without a bank"
        )
    subject = align(subject, lab.source)
    if not len(subject):
        raise HydrometerError(f"the set by {subject.card.method} holds no images to train on")
    reference = reference or factors.reference_for(protocol)
    found = factors.find(subject, lab.source, protocol, reference)
    if not found.active:
        why = "; ".join(f"{name}: {reason}" for name, reason in found.left_out.items())
        raise HydrometerError(f"no factor can be switched for this set ({why})")
    chosen = design(fraction, len(found.active))
    taught = "labels" in found.active and protocol.settings.teacher is not None
    teacher = verdict.teacher_job(protocol, lab.source) if taught else None
    teachers = () if teacher is None else (digest.of_trial(teacher.trial),)
    case = Case(subject, lab.source, teachers)
    soft = factors.regime(case, protocol) if "labels" in found.active else "hard"
    arms = tuple(
        factors.arm(case, protocol.settings, reference, found.levels(cell), soft)
        for cell in chosen.cells
    )
    jobs = tuple(job for arm in arms for job in verdict.jobs_of(arm, lab.source))
    return Experiment(
        verdict.Plan(protocol, subject, lab.source, arms, jobs, teacher), chosen, found
    )


def cost(experiment: Experiment, store: Store) -> Cost:
    """What remains to be trained, counted without a measured step."""
    done, left = verdict.progress(experiment.plan, store)
    return Cost(done + len(left), done, sum(map(steps_of, left)))


def attribute(
    experiment: Experiment,
    lab: Lab,
    store: Store,
    observer: Observer | None = None,
    execute: Executor = execute,
) -> Attribution:
    """Train what the store does not hold yet, choose each cell's rate on `val`, and split the gain."""
    start = time.perf_counter()
    plan, names = experiment.plan, experiment.factors.active
    watcher = observer or Silent()
    verdict.tune(plan, lab, store, watcher, execute)
    if plan.teacher is not None:
        verdict.teacher_for(plan.protocol, lab, watcher)
    runs = execute(plan.jobs, lab, store, watcher)
    results = {arm.name: verdict.result(arm, lab.source, runs) for arm in plan.arms}
    arms = [results[arm.name] for arm in plan.arms]
    table = np.array([arm.accuracy for arm in arms])
    weights = experiment.design.weights
    return Attribution(
        protocol=plan.protocol.name,
        fraction=experiment.design.fraction,
        set_digest=plan.subject.digest,
        source=lab.source.name,
        source_digest=lab.source.digest,
        card=plan.subject.card,
        off=estimate(table, _pick(len(table), 0), bounds=(0.0, 1.0)),
        on=estimate(table, _pick(len(table), -1), bounds=(0.0, 1.0)),
        total=estimate(table, _pick(len(table), -1) - _pick(len(table), 0)),
        parts=tuple(
            Part(factors=(name,), share=estimate(table, weights[:, i]))
            for i, name in enumerate(names)
        ),
        pairs=_pairs(table, names) if experiment.design.fraction == "full" else (),
        left_out=_left_out(experiment.factors),
        arms=tuple(arms),
        notices=tuple(_notices(experiment, results)),
        seconds=time.perf_counter() - start,
        environment=lab.environment(plan.jobs),
    )


def estimate(table: Array, weights: Array, bounds: tuple[float, float] = (-1.0, 1.0)) -> Estimate:
    """A weighted sum of the cells' mean accuracies, its interval from seeds paired across cells.

    `table` is (cells, seeds), `weights` (cells,). The same seeds are resampled for every estimate,
    so that parts and total move together.
    """
    return bootstrap.interval(
        lambda cells: np.asarray(cells.mean(axis=-1) @ weights),
        [table],
        bounds=bounds,
        rng=seeds.numpy_rng(0, "attribution"),
    )


def _pick(cells: int, which: int) -> Array:
    weights = np.zeros(cells)
    weights[which] = 1.0
    return weights


def _pairs(table: Array, names: tuple[str, ...]) -> tuple[Part, ...]:
    """Interactions of every two factors; they are linear in the cells, so these are weights too."""
    weights = interactions(np.eye(len(table)))
    return tuple(
        Part(factors=(names[i], names[j]), share=estimate(table, weights[:, i, j]))
        for i, j in combinations(range(len(names)), 2)
    )


def _left_out(found: Factors) -> tuple[LeftOut, ...]:
    levels = found.levels(0)
    return tuple(
        LeftOut(
            factor=name,
            level=(factors.ON if levels[name] else factors.OFF)[name],
            reason=reason,
        )
        for name, reason in found.left_out.items()
    )


def _notices(experiment: Experiment, results: dict[str, ArmResult]) -> list[str]:
    said = [f"{out.factor} left out, {out.level} throughout: {out.reason}"
            for out in _left_out(experiment.factors)]  # fmt: skip
    if experiment.design.warning:
        said.append(experiment.design.warning)
    return said + verdict.notices(experiment.plan, results)
