"""Entries as rows of the leaderboard: ranked where they may be compared, and told in strings."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from hydrometer.board import ranking
from hydrometer.board.entry import Entry
from hydrometer.board.ranking import Place, Table
from hydrometer.report import figures, frontier, text
from hydrometer.types import ArmResult, Estimate

_REGIMES = {
    "hard": "hard labels",
    "given": "soft labels, stored",
    "fixed": "soft labels, given once by a teacher",
    "teacher": "soft labels, by a teacher",
    "bank": "soft labels, from a bank",
}


@dataclass(frozen=True)
class Row:
    """A place of a table, with what the leaderboard shows of it and sorts by."""

    place: Place
    test: str
    """How ties were told."""
    among: int
    """How many entries are ranked together."""
    regime: str
    reached: Estimate
    seconds: float | None
    """Of making the set and training one student on it; None where the entry does not know."""
    last: bool
    """Whether it is the last of those ranked together."""
    odd: bool
    """Whether it is of the first, third, ... group of ties in its table; neighbours look different."""

    @property
    def entry(self) -> Entry:
        """The entry."""
        return self.place.entry

    @property
    def file(self) -> str:
        """The name of the row's own page."""
        return self.entry.file_name.removesuffix(".json") + ".html"

    @property
    def rank(self) -> str:
        """The rank, with a sign where it is shared."""
        return f"{self.place.rank}{'=' * self.place.tied}"

    @property
    def marks(self) -> str:
        """Classes of the row: what shows its ties, and where its table ends."""
        found = {
            "tied": self.place.tied,
            "odd": self.odd,
            "last": self.last,
        }
        return " ".join(name for name, holds in found.items() if holds)

    def level(self, arm: str) -> float | None:
        """Mean accuracy of a baseline, `random` or `full`, under the regime of the set's own arm."""
        found = baseline(self.entry, arm)
        return None if found is None else fmean(found.accuracy)


def rows(entries: Sequence[Entry]) -> list[Row]:
    """All entries, those together that are ranked together, best first.

    Ranked together are entries of one source, one exact protocol, one budget, and the same seeds.
    """
    groups: dict[tuple[str, str, str, tuple[int, ...]], list[Entry]] = {}
    for e in sorted(entries, key=lambda e: (e.source, e.protocol, e.card.bytes.images)):
        key = (e.source_digest, e.protocol, e.card.budget, e.subject.seeds)
        groups.setdefault(key, []).append(e)
    return [row for members in groups.values() for row in _table(ranking.table(members))]


def baseline(entry: Entry, name: str) -> ArmResult | None:
    """The arm of a baseline that belongs to the set's own: `random_hard` to `subject_hard`."""
    suffix = entry.subject.name.removeprefix("subject")
    named = {arm.name: arm for arm in entry.arms}
    return named.get(f"{name}{suffix}", named.get(name))


def strips(found: Sequence[Row]) -> tuple[float, list[Markup]]:
    """Where their common scale begins, a multiple of a tenth, and the strip of every row."""
    levels = [
        [(name, level) for name in ("random", "full") if (level := row.level(name)) is not None]
        for row in found
    ]
    least = min(
        v
        for row, of in zip(found, levels, strict=True)
        for v in (row.reached.low, *(x for _, x in of))
    )
    low = min(0.9, math.floor(10 * max(0.0, least)) / 10)
    return low, [
        frontier.strip(row.reached, of, low) for row, of in zip(found, levels, strict=True)
    ]


def _table(ranked: Table) -> list[Row]:
    shared = list(dict.fromkeys(place.rank for place in ranked.places if place.tied))
    return [
        Row(
            place=place,
            test=ranked.test,
            among=len(ranked.places),
            regime=regime(place.entry),
            reached=place.entry.estimates[f"accuracy:{place.entry.subject.name}"],
            seconds=_seconds(place.entry),
            last=place is ranked.places[-1],
            odd=place.tied and shared.index(place.rank) % 2 == 0,
        )
        for place in ranked.places
    ]


def regime(entry: Entry) -> str:
    """Which labels supervised the students of the set's own arm."""
    recipe = json.loads(entry.recipes.get(entry.subject.recipe_digest, "{}"))
    labels = str(recipe.get("labels", "labels not known"))
    return _REGIMES.get(labels, labels)


def _seconds(entry: Entry) -> float | None:
    """Making the set, and training one student on it at the chosen rate, where both are known."""
    trained = [run.seconds for run in figures.chosen(entry.subject, entry.full_runs) if run.seconds]
    return entry.card.seconds + fmean(trained) if trained and entry.card.seconds else None


def metrics_of(found: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Key, title and unit of every metric that some row has, accuracies aside."""
    names = {n: None for r in found for n in r.entry.estimates if ":" not in n and n != "accuracy"}
    return [(name, text.heading(name), text.unit_of(name)) for name in names]
