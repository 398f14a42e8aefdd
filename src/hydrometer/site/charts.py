"""The charts of one source and protocol: accuracy against bytes, and against compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hydrometer.report import frontier, text
from hydrometer.report.figures import Figure
from hydrometer.report.frontier import Level, Point
from hydrometer.report.svg import Say
from hydrometer.site.rows import Row

Numbered = tuple[int, Row]


@dataclass(frozen=True)
class Chart:
    """A figure under its heading."""

    title: str
    figure: Figure
    caption: str


def charts(rows: Sequence[Numbered]) -> tuple[Chart, ...]:
    """Both charts, the second where the entries know their seconds."""
    stored = [(number, row, float(row.entry.card.bytes.total)) for number, row in rows]
    timed = [(number, row, row.seconds) for number, row in rows if row.seconds]
    found = [
        Chart(
            "Accuracy against bytes",
            _figure(
                stored, "bytes stored: images, labels, teacher", lambda v: text.bytes(round(v))
            ),
            "Everything that must be stored to train from the set. Bars are intervals; the stepped "
            "line is the Pareto front by means.",
        )
    ]
    if timed:
        found.append(
            Chart(
                "Accuracy against compute",
                _figure(timed, "time to make the set and train one student", text.duration),
                "Wall time on the entry's own machine, whatever else ran there: a guide, not a "
                "measurement of speed. Sets made elsewhere count their training alone.",
            )
        )
    return tuple(found)


def _figure(rows: Sequence[tuple[int, Row, float]], title: str, say: Say) -> Figure:
    points = [
        Point(f"{row.entry.card.title}, {text.budget(row.entry.card.budget)}", cost, row.reached, n)
        for n, row, cost in rows
    ]
    return frontier.frontier(points, [*_random(rows), *_full(rows)], title, say)


def _random(rows: Sequence[tuple[int, Row, float]]) -> list[Level]:
    """The random baseline of each budget, over the costs of that budget's entries."""
    budgets: dict[str, list[tuple[float, float]]] = {}
    for _, row, cost in rows:
        if (level := row.level("random")) is not None:
            budgets.setdefault(row.entry.card.budget, []).append((level, cost))
    return [
        Level(
            f"random images, {text.budget(budget)}",
            fmean(level for level, _ in found),
            (min(cost for _, cost in found), max(cost for _, cost in found)),
        )
        for budget, found in budgets.items()
    ]


def _full(rows: Sequence[tuple[int, Row, float]]) -> list[Level]:
    found = [level for _, row, _ in rows if (level := row.level("full")) is not None]
    return [Level("full data", fmean(found))] if found else []
