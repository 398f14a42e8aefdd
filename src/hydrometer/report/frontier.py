"""Accuracy against what it costs: the Pareto front of a board, and the strip of one entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hydrometer.report import svg, text
from hydrometer.report.figures import Figure, Key
from hydrometer.report.svg import Scale, tag
from hydrometer.types import Estimate

_NAMED = 6
"""Points of a front that still find room for their names."""


@dataclass(frozen=True)
class Point:
    """An entry in the plane of cost and accuracy; `row` is the row of the table that names it."""

    name: str
    cost: float
    found: Estimate
    row: int


@dataclass(frozen=True)
class Level:
    """An accuracy to compare with, over a range of costs: random images, or (None) everywhere."""

    name: str
    accuracy: float
    costs: tuple[float, float] | None = None


def frontier(points: Sequence[Point], levels: Sequence[Level], title: str, say: svg.Say) -> Figure:
    """Accuracy against a cost, by logarithm, with intervals, levels to compare with, and the front.

    The front holds what no entry beats in accuracy for at most its cost, by their means.
    """
    height, left, right = 250.0, 40.0, svg.WIDTH - 12.0
    costs = [p.cost for p in points] + [c for level in levels for c in level.costs or ()]
    x = svg.covering(costs, left, right, log=True)
    ends = [100 * v for p in points for v in (p.found.low, p.found.high)]
    y = svg.covering([*ends, *(100 * level.accuracy for level in levels)], height, 22)
    front = pareto([(p.cost, p.found.value) for p in points])
    corners = [(x(points[i].cost), y(100 * points[i].found.value)) for i in front]
    drawn = [
        svg.upright(y, left, right, "test accuracy, %"),
        svg.across(x, height, height, title, say),
        *(_level(level, x, y) for level in levels),
        *([svg.path(_stairs(corners, right), class_="own front")] if corners else []),
        *(_point(p, x, y, i in front) for i, p in enumerate(points)),
        *(_name(points[i], x, y) for i in front if len(front) <= _NAMED),
    ]
    best = ", ".join(
        f"{points[i].name} {text.percent(points[i].found.value)} % at {say(points[i].cost)}"
        for i in front
    )
    keys = (
        Key("●", True, "on the front"),
        Key("○", True, "entry"),
        Key("╌╌", False, "random images"),
        Key("──", False, "full data"),
    )
    return Figure(
        svg.figure(height + 42, f"Accuracy against {title}. On the front: {best}", *drawn), keys
    )


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of (cost, accuracy) that none beats for at most the same cost, cheapest first.

    >>> pareto([(1, 0.5), (2, 0.4), (2, 0.6), (3, 0.6)])
    [0, 2]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    for i in order:
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def _stairs(corners: Sequence[tuple[float, float]], right: float) -> list[tuple[float, float]]:
    """The front as steps: an accuracy is to be had for its cost and for any greater one."""
    steps = [corners[0]]
    for x, y in corners[1:]:
        steps += [(x, steps[-1][1]), (x, y)]
    return [*steps, (right, steps[-1][1])]


def _level(level: Level, x: Scale, y: Scale) -> Markup:
    here = y(100 * level.accuracy)
    kind = "other full" if level.costs is None else "other random"
    low, high = (
        (x.start, x.end)
        if level.costs is None
        else (x(level.costs[0]) - 14, x(level.costs[1]) + 14)
    )
    line = tag("path", class_=kind, d=f"M{svg.number(low)} {svg.number(here)}H{svg.number(high)}")
    name = f"{level.name}: {text.percent(level.accuracy)} %"
    return tag("g", tag("title", name) + line)


def _name(point: Point, x: Scale, y: Scale) -> Markup:
    """The method's bare name beside its point, on the side where there is room."""
    across = x(point.cost)
    left = across > (x.start + x.end) / 2
    return tag(
        "text",
        point.name.partition("(")[0].partition(",")[0],
        x=across - 8 if left else across + 8,
        y=y(100 * point.found.value) - 7,
        class_="halo end" if left else "halo",
    )


def _point(point: Point, x: Scale, y: Scale, front: bool) -> Markup:
    across, low, high = (
        svg.number(v) for v in (x(point.cost), y(100 * point.found.low), y(100 * point.found.high))
    )
    bar = tag("path", class_="bar", d=f"M{across} {low}V{high}")
    dot = tag("circle", cx=x(point.cost), cy=y(100 * point.found.value), r=4.5 if front else 4.0,
              class_=None if front else "hollow")  # fmt: skip
    return tag("g", bar + dot, class_="own", data_row=point.row)


def strip(found: Estimate, levels: Iterable[tuple[str, float]], low: float) -> Markup:
    """An interval from `low` to 1 in a table's cell, with ticks for levels to compare with."""
    scale = Scale(low, 1.0, 0, 100)
    ticks = "".join(
        f'<path class="{name}" d="M{svg.number(scale(v))} 2V14"/>' for name, v in levels
    )
    left, right, here = (svg.number(scale(v)) for v in (found.low, found.high, found.value))
    dot = f'<circle class="own" cx="{here}" cy="8" r="3"/>'
    return Markup(
        '<svg class="strip" viewBox="-3 0 106 16" aria-hidden="true">'
        f'{ticks}<path class="own bar" d="M{left} 8H{right}"/>{dot}</svg>'
    )
