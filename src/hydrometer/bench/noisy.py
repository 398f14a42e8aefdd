"""What a filter of labels is worth: no filter, trust estimators and the oracle, side by side.

A replicate is a noise seed: labels drawn anew, and a set that the method makes with that seed. All arms
of a replicate share labels, the method's draws and the students' seeds, so they are compared replicate
by replicate, and intervals are over replicates. On clean labels, where a filter can only do harm,
replicates differ in the seeds of method and estimator. Every arm is a cell of a plan, so it is
resumed, shared between processes and stored like any other.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hydrometer import seeds, sources
from hydrometer.bench import results
from hydrometer.bench.names import CHECKS
from hydrometer.bench.plan import NO_TRUST, Cell, Plan
from hydrometer.methods.trust import ORACLE
from hydrometer.stats import bootstrap
from hydrometer.stats.bootstrap import Array
from hydrometer.store import Store
from hydrometer.types import Estimate, HydrometerError, Stored, Trusted, Verdict

LEAST_GAP = 0.001
"""Gaps between no filter and oracle below this count as this much: nothing is divided by zero."""


@dataclass(frozen=True)
class Question:
    """One method at one budget under one noise: which arms, judged how, on how many noise seeds."""

    source: str
    method: str
    budget: str
    trusts: tuple[str, ...]
    protocol: str
    replicates: int
    student: str | None = None

    def __post_init__(self) -> None:
        if self.clean == self.source.strip():
            raise HydrometerError(
                f"source {self.source!r} names no noise; write one behind it, such as "
                f"{self.source}+symmetric:0.4"
            )
        if self.replicates < 1:
            raise HydrometerError(f"{self.replicates} noise seeds are too few; give at least 1")

    @property
    def clean(self) -> str:
        """The source without its noise."""
        return sources.unmodified(self.source)

    @property
    def arms(self) -> tuple[str, ...]:
        """No filter first, the oracle last, each once."""
        between = [t for t in dict.fromkeys(self.trusts) if t not in (NO_TRUST, ORACLE)]
        return (NO_TRUST, *between, ORACLE)

    def cell(self, arm: str, replicate: int, *, clean: bool = False) -> Cell:
        """The verdict of one arm in one replicate."""
        source = self.clean if clean else sources.redrawn(self.source, replicate)
        believed = None if arm == NO_TRUST else arm
        return Cell(
            source, self.method, self.budget, replicate, self.protocol, self.student, believed
        )

    def cells(self) -> Iterator[Cell]:
        """Every verdict that the answer needs."""
        for replicate in range(self.replicates):
            for arm in self.arms:
                yield self.cell(arm, replicate)
        for replicate in range(self.replicates):
            for arm in self.arms[:-1]:
                yield self.cell(arm, replicate, clean=True)


class ArmScore(Stored):
    """What an arm reached: accuracy, gain over no filter, and share of the oracle's gain.

    `recovered` is there where the oracle's gain is clear of zero. `by_replicate` holds the students'
    test accuracies, fractions; `labels` what its card says of trust, by replicate.
    """

    trust: str
    accuracy: Estimate
    gain: Estimate | None = None
    recovered: Estimate | None = None
    by_replicate: tuple[tuple[float, ...], ...]
    labels: tuple[Trusted, ...] = ()

    @property
    def means(self) -> Array:
        """Mean accuracy of the students of each replicate."""
        return np.array([np.mean(students) for students in self.by_replicate])


class Answer(Stored):
    """All arms of a question on noisy and clean labels, over the replicates that all arms have."""

    schema_version: Literal[1] = 1
    source: str
    clean_source: str
    method: str
    budget: str
    protocol: str
    student: str | None = None
    noisy: tuple[ArmScore, ...]
    clean: tuple[ArmScore, ...]
    notices: tuple[str, ...] = ()


def plan(name: str, out: Path, questions: Iterable[Question]) -> Plan:
    """The cells of all questions, those of a source together and those of an arm next to each other."""
    by_source: dict[str, dict[str, list[Cell]]] = {}
    for cell in dict.fromkeys(cell for question in questions for cell in question.cells()):
        shared = f"{cell.seed}/{cell.budget}/{cell.trust}"
        by_source.setdefault(cell.source, {}).setdefault(shared, []).append(cell)
    cells = [c for groups in by_source.values() for group in groups.values() for c in group]
    return Plan(name, out, out / "runs.sqlite", tuple(cells))


def check(question: Question) -> None:
    """Look up every name of a question before anything is made.

    Raises:
        HydrometerError: A trust estimator or the method is unknown, or has no such argument.
    """
    for arm in question.arms:
        CHECKS["trusts"](arm)
    CHECKS["methods"](question.method)


def comparable(question: Question, failing: Container[str]) -> bool:
    """Whether noisy labels will have scores, once all cells but those of these digests are done."""
    replicates = range(question.replicates)
    done = {
        arm: {r for r in replicates if question.cell(arm, r).digest not in failing}
        for arm in question.arms
    }
    return bool(done[NO_TRUST] and set.intersection(*filter(None, done.values())))


@dataclass(frozen=True)
class Known:
    """How the cells of a plan ended: verdicts, digests of their sources, and reasons of failure."""

    verdicts: Mapping[str, Verdict]
    sources: Mapping[str, str]
    failed: Mapping[str, str]


def known(plan: Plan) -> Known:
    """What there is of a plan, by digest of the cell."""
    ended = results.recorded(plan).values()
    done = {r.digest: r for r in ended if r.status == "done"}
    with Store(plan.store) as store:
        judged = {_key(v.protocol, v.set_digest, v.source_digest, v.card.trust): v
                  for v in store.verdicts()}  # fmt: skip
    found = {
        name: judged[key]
        for name, r in done.items()
        if (key := (r.judged_as, r.set_digest, r.source_digest, r.trust)) in judged
    }
    return Known(
        verdicts=found,
        sources={name: str(r.source_digest) for name, r in done.items()},
        failed={r.digest: str(r.reason) for r in ended if r.status == "failed"},
    )


def _key(
    protocol: str, set_digest: str, source_digest: str, trust: Trusted | None
) -> tuple[str | None, ...]:
    return protocol, set_digest, source_digest, trust.estimator if trust else None


def answer(question: Question, ended: Known, notes: Sequence[str] = ()) -> Answer:
    """The scores of all arms; those that failed everywhere are left out, and the notices say so."""
    noisy, missing = _scores(question, ended, clean=False)
    clean, also = _scores(question, ended, clean=True)
    n = len(noisy[0].by_replicate) if noisy else question.replicates
    few = bootstrap.notice(n)
    counted = [few.replace("seed", "noise seed", 1)] if few else []
    return Answer(
        source=question.source,
        clean_source=question.clean,
        method=question.method,
        budget=question.budget,
        protocol=question.protocol,
        student=question.student,
        noisy=noisy,
        clean=clean,
        notices=(*notes, *missing, *also, *_alike(question, ended), *counted),
    )


def _scores(
    question: Question, ended: Known, *, clean: bool
) -> tuple[tuple[ArmScore, ...], list[str]]:
    """Scores over the replicates that every arm has that has any; and what is missing."""
    where = "clean labels" if clean else "noisy labels"
    done: dict[str, dict[int, Verdict]] = {}
    said = []
    for arm in question.arms[: -1 if clean else None]:
        cells = {r: question.cell(arm, r, clean=clean) for r in range(question.replicates)}
        there = {r: c.digest for r, c in cells.items() if c.digest in ended.verdicts}
        reasons = [ended.failed[c.digest] for c in cells.values() if c.digest in ended.failed]
        if there:
            done[arm] = {r: ended.verdicts[name] for r, name in there.items()}
        if len(there) < question.replicates:
            why = f": {reasons[0]}" if reasons else ""
            said.append(f"{arm} on {where}: {len(there)} of {question.replicates} replicates{why}")
    shared = [r for r in range(question.replicates) if all(r in each for each in done.values())]
    if not shared or NO_TRUST not in done:
        return (), said
    kept = {arm: [each[r] for r in shared] for arm, each in done.items()}
    same = [arm for arm, each in kept.items() if len({v.set_digest for v in each}) == 1]
    if len(shared) > 1 and same:
        said.append(
            f"{', '.join(same)} on {where}: all replicates made the same set, so that the intervals "
            "show nothing of how students vary"
        )
    return _compared(kept), said


def _compared(done: Mapping[str, Sequence[Verdict]]) -> tuple[ArmScore, ...]:
    """Scores of arms, each a verdict per replicate, against no filter and the oracle."""
    reached = {arm: tuple(map(_accuracies, verdicts)) for arm, verdicts in done.items()}
    means = {arm: np.array([np.mean(s) for s in every]) for arm, every in reached.items()}
    none, best = means[NO_TRUST], means.get(ORACLE)
    gap = None if best is None else gain(best, none)
    return tuple(
        ArmScore(
            trust=arm,
            accuracy=_interval(_mean, [means[arm]], (0.0, 1.0)),
            gain=None if arm == NO_TRUST else gain(means[arm], none),
            recovered=recovered([(none, means[arm], best)])
            if best is not None
            and gap is not None
            and gap.low > 0
            and arm not in (NO_TRUST, ORACLE)
            else None,
            by_replicate=reached[arm],
            labels=tuple(v.card.trust for v in verdicts if v.card.trust is not None),
        )
        for arm, verdicts in done.items()
    )


def gain(arm: Array, other: Array) -> Estimate:
    """Mean difference of two arms' accuracies (n,), replicate by replicate."""
    return _interval(_mean, [arm - other], (-1.0, 1.0))


def mean_gain(rows: Sequence[tuple[Array, Array]], groups: Sequence[str]) -> Estimate | None:
    """Mean over rows of the second arm's accuracies (n,) less the first's; nothing of no rows."""

    def mean(*tables: Array) -> Array:
        return np.asarray(sum(t.mean(-1) for t in tables) / len(tables))

    gains = [second - first for first, second in rows]
    return _interval(mean, gains, (-1.0, 1.0), groups) if gains else None


def recovered(
    rows: Sequence[tuple[Array, Array, Array]], groups: Sequence[str] | None = None
) -> Estimate:
    """Gain of an arm over no filter, as a share of the oracle's: sums over rows, means over replicates.

    Each row holds accuracies (n,) with no filter, of the arm, and of the oracle; rows of the same
    group share their noise seeds, and are resampled together.
    """
    names = groups or ["one"] * len(rows)

    def share(*tables: Array) -> Array:
        gains = sum(t[..., 1, :].mean(-1) - t[..., 0, :].mean(-1) for t in tables)
        gaps = sum(t[..., 2, :].mean(-1) - t[..., 0, :].mean(-1) for t in tables)
        return np.asarray(gains / np.maximum(gaps, LEAST_GAP))

    return _interval(share, [np.stack(row) for row in rows], (-np.inf, np.inf), names)


def _interval(
    statistic: bootstrap.Statistic,
    samples: Sequence[Array],
    bounds: tuple[float, float],
    groups: Sequence[str] | None = None,
) -> Estimate:
    rng = seeds.numpy_rng(0, "noisy")
    return bootstrap.interval(statistic, samples, groups=groups, bounds=bounds, rng=rng)


def _mean(values: Array) -> Array:
    return np.asarray(values.mean(-1))


def _accuracies(verdict: Verdict) -> tuple[float, ...]:
    return next(arm.accuracy for arm in verdict.arms if arm.name == "subject")


def _alike(question: Question, ended: Known) -> list[str]:
    """Human noise is not drawn, so its noise seeds move methods and students alone."""
    names = [question.cell(NO_TRUST, r).digest for r in range(question.replicates)]
    digests = [ended.sources[name] for name in names if name in ended.sources]
    if len(digests) < 2 or len(set(digests)) > 1:
        return []
    return [
        "the noise is not drawn: noise seeds change the method's and the estimators' draws alone"
    ]
