"""Make a board's entry again from its set alone, and compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrometer import protocols, seeds, verdict
from hydrometer.artifact import container
from hydrometer.board import cards
from hydrometer.board.commands import make_again
from hydrometer.board.entry import Entry
from hydrometer.engine.environment import environment
from hydrometer.execute import Observer
from hydrometer.execute.lab import Lab
from hydrometer.execute.serial import execute
from hydrometer.stats import bootstrap
from hydrometer.store import Store
from hydrometer.types import (
    ArmResult,
    CompressedSet,
    Environment,
    Estimate,
    HydrometerError,
    Source,
)


@dataclass(frozen=True)
class ArmCheck:
    """One arm, measured again."""

    name: str
    entered: float
    again: float
    """Mean test accuracies, then and now."""
    difference: Estimate
    """Now minus then, seeds of the two machines taken for independent draws."""

    @property
    def agrees(self) -> bool:
        """Whether the difference may be chance."""
        return self.difference.low <= 0 <= self.difference.high


@dataclass(frozen=True)
class Verification:
    """Whether an entry reproduces.

    On the machine and versions of the entry every hit of every student must be the same. Elsewhere
    rounding differs, training amplifies it, and a student of the same seed is another draw: there,
    the interval of every arm's difference must hold 0. Anywhere, the card must be that of the set.
    """

    same_environment: bool
    same_digits: bool
    arms: tuple[ArmCheck, ...]
    differences: tuple[str, ...] = ()
    """What the entry's card says otherwise than the set, a sentence for each field."""

    @property
    def reproduces(self) -> bool:
        """The answer."""
        if self.differences:
            return False
        if self.same_environment:
            return self.same_digits
        return self.same_digits or all(arm.agrees for arm in self.arms)


def verify(
    entry: Entry,
    lab: Lab,
    observer: Observer,
    subject: Path | None = None,
    arms: Sequence[str] = (),
) -> Verification:
    """Train every student of an entry anew, and compare; `subject` is its set, if it was fetched.

    With `arms`, only the students of these arms, which is quicker and says less.

    Raises:
        HydrometerError: The set or the source is not there, or not the one of the entry, or it has
            no such arm.
    """
    if lab.source.digest != entry.source_digest:
        raise HydrometerError(
            f"source {lab.source.name} has digest {lab.source.digest}, and the entry was measured "
            f"on {entry.source} with {entry.source_digest}; give the same data"
        )
    part = _only(entry, arms)
    data, anew = _set_of(entry, subject, lab.source)
    unlike = cards.differences(entry.card, data, lab.source, anew=anew)
    # A store in memory: what is on disk must not answer for the students.
    with Store(":memory:") as store:
        planned = verdict.plan(data, protocols.load(entry.protocol), lab)
        planned = _restricted(planned, arms, lab) if arms else planned
        if planned.teacher is not None:
            verdict.teacher_for(planned.protocol, lab, observer)
        runs = execute(planned.jobs, lab, store, observer)
    again = tuple(verdict.result(arm, lab.source, runs) for arm in planned.arms)
    hits = {run.key: run.test_hits for run in runs.values()}
    found = compare(part, again, environment(lab.device), hits)
    return dataclasses.replace(found, differences=unlike)


def compare(
    entry: Entry,
    again: Sequence[ArmResult],
    place: Environment,
    hits: Mapping[str, tuple[int, ...]],
) -> Verification:
    """An entry beside a second measurement of it, whose test hits are given by key of the run."""
    now = {arm.name: arm for arm in again}
    if set(now) != {arm.name for arm in entry.arms}:
        raise HydrometerError(
            f"{entry.protocol} now has the arms {', '.join(sorted(now))}, and the entry has others"
        )
    same_hits = {run.key: run.test_hits for run in entry.runs} == dict(hits)
    return Verification(
        same_environment=entry.environment == place,
        # Ranks and pages show the arms, which must not say more than the runs.
        same_digits=same_hits and all(arm == now[arm.name] for arm in entry.arms),
        arms=tuple(_check(arm, now[arm.name]) for arm in entry.arms),
    )


def _only(entry: Entry, names: Sequence[str]) -> Entry:
    """The entry with these arms and their runs alone; with all of them where none is named."""
    known = [arm.name for arm in entry.arms]
    for name in names:
        if name not in known:
            raise HydrometerError(f"the entry has no arm {name!r}; it has {', '.join(known)}")
    arms = tuple(arm for arm in entry.arms if arm.name in (names or known))
    keys = {key for arm in arms for key in arm.runs}
    runs = tuple(run for run in entry.runs if run.key in keys)
    return entry.model_copy(update={"arms": arms, "runs": runs})


def _restricted(planned: verdict.Plan, names: Sequence[str], lab: Lab) -> verdict.Plan:
    """A plan without the arms that are not asked for."""
    arms = tuple(arm for arm in planned.arms if arm.name in names)
    jobs = tuple(job for arm in arms for job in verdict.jobs_of(arm, lab.source))
    return dataclasses.replace(planned, arms=arms, jobs=jobs)


def _check(then: ArmResult, now: ArmResult) -> ArmCheck:
    before, after = np.array(then.accuracy), np.array(now.accuracy)
    difference = bootstrap.interval(
        lambda a, b: a.mean(axis=-1) - b.mean(axis=-1),
        [after, before],
        bounds=(-1.0, 1.0),
        rng=seeds.numpy_rng(0, "verify"),
    )
    return ArmCheck(then.name, float(before.mean()), float(after.mean()), difference)


def _set_of(entry: Entry, subject: Path | None, source: Source) -> tuple[CompressedSet, bool]:
    """The set of an entry, and whether it was made again, as neither file nor place has it."""
    path = subject or Path(entry.set.where)
    if subject is None and not path.is_file():
        paid = protocols.load(entry.protocol) if entry.card.bytes.teacher else None
        teacher = 0 if paid is None else verdict.teacher_bytes(paid, source)
        made = make_again(entry.card, source, teacher)
        if made is not None and made.digest == entry.set.digest:
            return made, True
        again = "" if made is None else f", and {entry.card.method} made another one here"
        raise HydrometerError(
            f"the set is not at {entry.set.where}{again}; fetch it and name the file with --set"
        )
    data = container.align(container.load(path), source)
    if data.digest != entry.set.digest:
        raise HydrometerError(
            f"{path} has digest {data.digest}, and the entry is about {entry.set.digest}"
        )
    return data, False
