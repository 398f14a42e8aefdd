"""Make a board's entry again from its set alone, and compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrometer import protocols, seeds, verdict
from hydrometer.artifact import container
from hydrometer.board.commands import make_again
from hydrometer.board.entry import Entry
from hydrometer.execute import Observer
from hydrometer.execute.lab import Lab
from hydrometer.stats import bootstrap
from hydrometer.store import Store
from hydrometer.types import ArmResult, CompressedSet, Estimate, HydrometerError, Source, Verdict


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
    the interval of every arm's difference must hold 0.
    """

    same_environment: bool
    same_digits: bool
    arms: tuple[ArmCheck, ...]

    @property
    def reproduces(self) -> bool:
        """The answer."""
        if self.same_environment:
            return self.same_digits
        return self.same_digits or all(arm.agrees for arm in self.arms)


def verify(entry: Entry, lab: Lab, observer: Observer, subject: Path | None = None) -> Verification:
    """Train every student of an entry anew, and compare; `subject` is its set, if it was fetched.

    Raises:
        HydrometerError: The set or the source is not there, or not the one of the entry.
    """
    if lab.source.digest != entry.source_digest:
        raise HydrometerError(
            f"source {lab.source.name} has digest {lab.source.digest}, and the entry was measured "
            f"on {entry.source} with {entry.source_digest}; give the same data"
        )
    data = _set_of(entry, subject, lab.source)
    # A store in memory: what is on disk must not answer for the students.
    with Store(":memory:") as store:
        planned = verdict.plan(data, protocols.load(entry.protocol), lab)
        again = verdict.evaluate(planned, lab, store, observer)
        hits = {run.key: run.test_hits for run in store.runs()}
    return compare(entry, again, hits)


def compare(entry: Entry, again: Verdict, hits: Mapping[str, tuple[int, ...]]) -> Verification:
    """An entry beside a second measurement of it, whose test hits are given by key of the run."""
    now = {arm.name: arm for arm in again.arms}
    if set(now) != {arm.name for arm in entry.arms}:
        raise HydrometerError(
            f"{entry.protocol} now has the arms {', '.join(sorted(now))}, and the entry has others"
        )
    return Verification(
        same_environment=entry.environment == again.environment,
        same_digits={run.key: run.test_hits for run in entry.runs} == dict(hits),
        arms=tuple(_check(arm, now[arm.name]) for arm in entry.arms),
    )


def _check(then: ArmResult, now: ArmResult) -> ArmCheck:
    before, after = np.array(then.accuracy), np.array(now.accuracy)
    difference = bootstrap.interval(
        lambda a, b: a.mean(axis=-1) - b.mean(axis=-1),
        [after, before],
        bounds=(-1.0, 1.0),
        rng=seeds.numpy_rng(0, "verify"),
    )
    return ArmCheck(then.name, float(before.mean()), float(after.mean()), difference)


def _set_of(entry: Entry, subject: Path | None, source: Source) -> CompressedSet:
    """The set of an entry: from the file, from where the entry says it is, or made again."""
    path = subject or Path(entry.set.where)
    if subject is None and not path.is_file():
        made = make_again(entry.card, source)
        if made is not None and made.digest == entry.set.digest:
            return made
        again = "" if made is None else f", and {entry.card.method} made another one here"
        raise HydrometerError(
            f"the set is not at {entry.set.where}{again}; fetch it and name the file with --set"
        )
    data = container.align(container.load(path), source)
    if data.digest != entry.set.digest:
        raise HydrometerError(
            f"{path} has digest {data.digest}, and the entry is about {entry.set.digest}"
        )
    return data
