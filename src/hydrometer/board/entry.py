"""Entries of a board: one verdict, with all that is needed to review it and to make it again."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import Field, ValidationError

from hydrometer import digest
from hydrometer.artifact.writing import whole
from hydrometer.board import follow
from hydrometer.store import verdicts
from hydrometer.types import (
    ArmResult,
    Card,
    Environment,
    Estimate,
    HydrometerError,
    Run,
    Stored,
    Verdict,
)

_STRETCHES = 25


class SetPlace(Stored):
    """A set by content, and where to get it: a path or an address."""

    digest: str
    where: str


class Reported(Stored):
    """What somebody else wrote about the same set, to stand beside what was measured."""

    accuracy: float = Field(ge=0, le=1)
    where: str | None = None
    """The paper and table the number is from."""


class RawRun(Stored):
    """One student: what it was trained on and how, and its hits."""

    key: str
    set_digest: str
    recipe_digest: str
    seed: int
    status: Literal["done", "diverged"]
    val_hits: tuple[int, ...]
    val_totals: tuple[int, ...]
    test_hits: tuple[int, ...]
    test_totals: tuple[int, ...]
    steps: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    """Training loss of up to 25 equal stretches, of runs at the chosen rate alone."""


class Entry(Stored):
    """A verdict as it lies on a board.

    Version 2 added what training took and how its loss fell; in entries of version 1 those fields
    are 0 or empty, which means that they are not known.
    """

    schema_version: Literal[1, 2] = 2
    set: SetPlace
    card: Card
    protocol: str
    source: str
    source_digest: str
    estimates: Mapping[str, Estimate]
    arms: tuple[ArmResult, ...]
    runs: tuple[RawRun, ...]
    recipes: Mapping[str, str]
    """Recipes by digest, as canonical JSON."""
    notices: tuple[str, ...]
    steps: int = 0
    seconds: float = 0.0
    teacher_bytes: int = 0
    environment: Environment
    reported: Reported | None = None

    @property
    def subject(self) -> ArmResult:
        """The arm of the set itself: `subject`, or the first of its kind."""
        named = [arm for arm in self.arms if arm.name.partition("_")[0] == "subject"]
        return next((arm for arm in named if arm.name == "subject"), named[0])

    @property
    def verdict(self) -> Verdict:
        """The verdict that the entry was made from."""
        shared = Entry.model_fields.keys() & Verdict.model_fields.keys() - {"schema_version"}
        values = {name: getattr(self, name) for name in shared}
        return Verdict(set_digest=self.set.digest, **values)

    @property
    def full_runs(self) -> Mapping[str, Run]:
        """The raw runs by key, each with its recipe and where it happened."""
        known = {"source_digest": self.source_digest, "environment": self.environment}
        return {
            run.key: Run(**run.model_dump(), recipe=self.recipes[run.recipe_digest], **known)
            for run in self.runs
        }

    @property
    def file_name(self) -> str:
        """The name of the entry's file: one per set, method, source and exact protocol."""
        parts = (self.source, self.protocol.partition("{")[0], self.card.title)
        slug = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", part).strip("_") for part in parts)
        key = verdicts.identity(self.protocol, self.set.digest, self.source_digest, self.card)
        return f"{slug[:100]}-{digest.of(key)[:10]}.json"


def make(verdict: Verdict, runs: Iterable[Run], where: str, reported: Reported | None) -> Entry:
    """The entry of a verdict, with the raw runs of all its arms.

    Raises:
        HydrometerError: Runs of the verdict are missing, or it has no arm of the set itself.
    """
    found = {run.key: run for run in runs}
    wanted = list(dict.fromkeys(key for arm in verdict.arms for key in arm.runs))
    missing = [key for key in wanted if key not in found]
    if missing:
        raise HydrometerError(
            f"{len(missing)} of {len(wanted)} runs of the verdict are not in the store, such as "
            f"{missing[0]}; name the store it was made with"
        )
    if not any(arm.name.startswith("subject") for arm in verdict.arms):
        raise HydrometerError(f"protocol {verdict.protocol} has no arm for the set itself")
    chosen = {arm.recipe_digest for arm in verdict.arms}
    return Entry(
        set=SetPlace(digest=verdict.set_digest, where=where),
        card=verdict.card,
        protocol=verdict.protocol,
        source=verdict.source,
        source_digest=verdict.source_digest,
        estimates=verdict.estimates,
        arms=verdict.arms,
        runs=tuple(_raw(found[key], chosen) for key in wanted),
        recipes={found[key].recipe_digest: found[key].recipe for key in wanted},
        notices=verdict.notices,
        steps=verdict.steps,
        seconds=round(verdict.seconds, 3),
        teacher_bytes=verdict.teacher_bytes,
        environment=verdict.environment,
        reported=reported,
    )


def write(entry: Entry, board: Path) -> Path:
    """Write an entry into a board's folder, indented for review, and say where; an older one goes.

    Raises:
        HydrometerError: The folder cannot be written to, or `read` would refuse the entry.
    """
    check(entry)
    try:
        board.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HydrometerError(f"cannot make folder {board}: {error.strerror}") from error
    path = board / entry.file_name
    with whole(path) as draft:
        draft.write_text(_reviewable(entry), encoding="utf-8")
    return path


def read(path: Path) -> Entry:
    """Read an entry, and see that its numbers are those of its raw runs.

    Raises:
        HydrometerError: It is missing, no entry, or of a newer version, or a number does not follow.
    """
    try:
        found = Entry.model_validate_json(path.read_bytes())
    except OSError as error:
        raise HydrometerError(f"cannot read entry {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        advice = "; upgrade hydrometer to read it" if where == "schema_version" else ""
        raise HydrometerError(
            f"{path} is not a board entry: {where}: {first['msg']}{advice}"
        ) from error
    try:
        check(found)
    except HydrometerError as error:
        raise HydrometerError(f"{path} contradicts its own runs: {error}") from error
    return found


def check(entry: Entry) -> None:
    """Refuse an entry with an arm or estimate that its raw runs do not come to.

    Raises:
        HydrometerError: A number does not follow, or a run is there twice or without its recipe.
    """
    lost = [run.key for run in entry.runs if run.recipe_digest not in entry.recipes]
    if lost:
        raise HydrometerError(f"run {lost[0]} has no recipe")
    runs = entry.full_runs
    if len(runs) < len(entry.runs):
        raise HydrometerError(f"{len(entry.runs) - len(runs)} runs are there twice")
    follow.check(entry.verdict, runs)


def read_all(board: Path) -> list[Entry]:
    """All entries of a board's folder, by file name."""
    if not board.is_dir():
        raise HydrometerError(f"no board at {board}; give the folder that `board add` writes to")
    return [read(path) for path in sorted(board.glob("*.json"))]


def _raw(run: Run, chosen: Container[str]) -> RawRun:
    """A run as entries keep it: with losses only where it was trained at its arm's chosen rate."""
    values = {name: getattr(run, name) for name in RawRun.model_fields}
    losses = _coarse(run.losses) if run.recipe_digest in chosen else ()
    return RawRun(**values | {"losses": losses, "seconds": round(run.seconds, 3)})


def _coarse(losses: Sequence[float]) -> tuple[float, ...]:
    """Means over at most 25 stretches of about equal length, to four digits."""
    count = min(_STRETCHES, len(losses))
    ends = [round(i * len(losses) / count) for i in range(count + 1)] if count else [0]
    return tuple(float(f"{fmean(losses[a:b]):.4g}") for a, b in pairwise(ends))


def _reviewable(entry: Entry) -> str:
    """JSON with a line for each field, and lists of numbers on one line."""
    shown = json.dumps(entry.model_dump(mode="json"), indent=1, ensure_ascii=False)
    return (
        re.sub(r"\[[-+\d.eE,\sNaInfity]*\]", lambda found: " ".join(found[0].split()), shown) + "\n"
    )
