"""An attribution as a report tells it: the sentence, the waterfall drawn as SVG, and the tables.

The file needs no script and asks the network for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from hydrometer.artifact.writing import whole
from hydrometer.attribute import words
from hydrometer.attribute.attribution import Attribution
from hydrometer.attribute.words import Line
from hydrometer.report import svg, text
from hydrometer.report.figures import Figure
from hydrometer.report.svg import Scale
from hydrometer.report.templates import templates

_ROW = 44.0


@dataclass(frozen=True)
class Told:
    """An attribution in ready strings."""

    protocol: str
    sentence: str
    waterfall: Figure
    rows: tuple[tuple[str, str], ...]
    cells: tuple[tuple[str, str], ...]
    """Each cell of the design, and its test accuracies by seed in percent."""
    notices: tuple[str, ...]


def told(found: Attribution) -> Told:
    """What a page says of an attribution."""
    return Told(
        protocol=found.protocol,
        sentence=words.sentence(found),
        waterfall=Figure(drawing(words.waterfall(found))),
        rows=tuple(words.rows(found)),
        cells=tuple((arm.name.replace("_", ", "), _percents(arm.accuracy)) for arm in found.arms),
        notices=found.notices,
    )


def write(path: Path, found: Attribution, *, command: str) -> None:
    """Write an attribution as HTML; the same arguments give the same bytes.

    Raises:
        HydrometerError: `path` cannot be written; then nothing is left behind.
    """
    title = f"Where the accuracy of {found.card.method} on {found.source} comes from"
    page = templates().get_template("attribution.html.j2")
    with whole(path) as draft:
        draft.write_text(
            page.render(title=title, told=told(found), command=command),
            encoding="utf-8",
            newline="\n",
        )


def drawing(lines: Sequence[Line]) -> Markup:
    """The waterfall: one bar a line, each starting where the last one ended, with its interval."""
    ends = [end for line in lines for end in (line.start, line.end, _low(line), _high(line))]
    scale = Scale(min(0.0, *ends), max(0.01, *ends), 6, svg.WIDTH - 150)
    height = _ROW * len(lines) + 4
    zero = svg.number(scale(0))
    axis = svg.tag("path", class_="grid", d=f"M{zero} 0V{svg.number(height)}")
    label = "Waterfall: " + "; ".join(" ".join(line.cells) for line in lines)
    bars = (_bar(line, scale, _ROW * i) for i, line in enumerate(lines))
    return svg.figure(height, label, axis, *bars)


def _bar(line: Line, scale: Scale, top: float) -> Markup:
    left, right = sorted((scale(line.start), scale(line.end)))
    kind = "whole" if line.unit == "%" else "up" if line.end >= line.start else "down"
    low, high = svg.number(scale(_low(line))), svg.number(scale(_high(line)))
    name, value = line.cells
    return Markup("").join(
        (
            svg.tag("title", name),
            svg.tag("text", svg.short(name, svg.WIDTH + 40), x=4, y=top + 15),
            svg.tag("rect", class_=kind, x=left, y=top + 22, width=right - left, height=16),
            svg.tag("path", class_="range", d=f"M{low} {svg.number(top + 30)}H{high}"),
            svg.tag("text", value, class_="name", x=svg.WIDTH - 142, y=top + 34),
        )
    )


def _low(line: Line) -> float:
    """The interval's lower end, where the bar ends."""
    return line.end + line.shown.low - line.shown.value


def _high(line: Line) -> float:
    return line.end + line.shown.high - line.shown.value


def _percents(values: Sequence[float]) -> str:
    return " ".join(text.percent(value) for value in values)
