"""Scales, axes and marks of the figures, as SVG that a style sheet colours for light and dark.

Every figure is drawn in units that are pixels at its natural width, and scales with the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

WIDTH = 400
"""Natural width of a figure: what stays legible when a phone shows it somewhat smaller."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LETTER = 6.6
_SHAPES = (
    ("round", "h0"),
    ("square", "h0"),
    ("", "m0-{1}l{1} {1}-{1} {1}-{1}-{1}z"),
    ("", "m0-{1}l{1} {2}h-{2}z"),
    ("", "m0 {1}l{1}-{2}h-{2}z"),
    ("", "m-{1}-{3}h{2}v{0}h-{2}z"),
)
"""Circle, square, diamond, triangles and bar: caps of lines, or outlines; {0} is the size."""


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` laid out from `start` to `end`, by logarithm if asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies; one beyond an end lies at that end."""
        low, high, here = (self._level(v) for v in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def _level(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value

    @property
    def ticks(self) -> list[float]:
        """A handful of round values within the scale."""
        return _powers(self.low, self.high) if self.log else _rounds(self.low, self.high)


def covering(values: Iterable[float], start: float, end: float, *, log: bool = False) -> Scale:
    """The scale that holds these finite values with some room at both ends."""
    finite = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    low, high = (min(finite), max(finite)) if finite else (1.0, 10.0)
    if log:
        room = max(1.15, (high / low) ** 0.06)
        return Scale(low / room, high * room, start, end, log=True)
    room = 0.06 * (high - low) or 0.5
    return Scale(low - room, high + room, start, end)


def _rounds(low: float, high: float) -> list[float]:
    """Four to six multiples of 1, 2, 2.5 or 5 times a power of ten.

    >>> _rounds(57.0, 101.0)
    [60.0, 70.0, 80.0, 90.0, 100.0]
    """
    raw = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * s for s in _STEPS if power * s >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where the range is short.

    >>> _powers(700, 9_000)
    [1000.0, 2000.0, 5000.0]
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [f * 10.0**e for e in exponents for f in factors if low <= f * 10.0**e <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / 6)]
    return found or [low, high]


def number(value: float) -> str:
    """A coordinate, short.

    >>> number(12.04), number(7.0)
    ('12', '7')
    """
    return f"{value:.1f}".removesuffix(".0")


def tag(name: str, text: str = "", /, **attributes: object) -> Markup:
    """One element; text and attributes are escaped, `_` in a name stands for `-`."""
    shown = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), number(v) if isinstance(v, float) else v
        )
        for key, v in attributes.items()
        if v is not None
    )
    if text == "":
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>") + text + Markup(f"</{name}>")


def figure(height: float, label: str, *parts: Markup, width: float = WIDTH) -> Markup:
    """The whole drawing; `label` says in words what it shows."""
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", Markup("").join(parts), viewBox=box, role="img", aria_label=label)


def path(points: Sequence[tuple[float, float]], *, closed: bool = False, **how: object) -> Markup:
    """A line through points, written in small steps of whole units."""
    xs = [(round(x), round(y)) for x, y in points]
    steps = [f"{x - p:d} {y - q:d}" for (p, q), (x, y) in pairwise(xs)]
    line = f"M{xs[0][0]} {xs[0][1]}l{' '.join(steps)}{'z' if closed else ''}"
    return tag("path", d=line.replace(" -", "-"), **how)


def across(scale: Scale, top: float, bottom: float, title: str, say: Say | None = None) -> Markup:
    """A horizontal axis: grid, tick labels and title below."""
    said = say or _plain
    lines = [(scale(v), top, scale(v), bottom) for v in scale.ticks] if bottom > top else []
    grid = path_of_lines(lines)
    labels = [tag("text", said(v), x=scale(v), y=bottom + 16) for v in scale.ticks]
    middle = (scale.start + scale.end) / 2
    name = tag("text", title, x=middle, y=bottom + 35)
    return grid + tag("g", Markup("").join((*labels, name)), class_="mid")


def upright(scale: Scale, left: float, right: float, title: str, say: Say | None = None) -> Markup:
    """A vertical axis: grid, tick labels at the left, and the title above them."""
    said = say or _plain
    grid = path_of_lines([(left, scale(v), right, scale(v)) for v in scale.ticks])
    labels = [tag("text", said(v), x=left - 6, y=scale(v) + 4) for v in scale.ticks]
    name = tag("text", title, x=0, y=12)
    return grid + tag("g", Markup("").join(labels), class_="end") + name


def path_of_lines(lines: Iterable[tuple[float, float, float, float]]) -> Markup:
    """Grid lines, upright or level, as one element."""
    drawn = "".join(
        f"M{number(a)} {number(b)}" + (f"V{number(d)}" if a == c else f"H{number(c)}")
        for a, b, c, d in lines
    )
    return tag("path", class_="grid", d=drawn) if drawn else Markup("")


def marks(kind: int, places: Iterable[tuple[float, float]], size: float, **how: object) -> Markup:
    """Marks of one of six shapes as one element: colour is never all that tells two apart.

    Circles and squares are the ends of lines of no length, which is the shortest way to write them.
    """
    ends, shape = _SHAPES[kind % len(_SHAPES)]
    drawn = shape.format(*(number(size * factor) for factor in (1, 1.3, 2.6, 0.5)))
    steps = "".join(f"M{number(x)} {number(y)}{drawn}" for x, y in places)
    if not ends:
        return tag("path", d=steps, **how)
    side = how.pop("class_", "")
    cap = {"class_": f"{side} dots", "stroke_width": 2.0 * size, "stroke_linecap": ends}
    return tag("path", d=steps, **cap, **how)


def short(name: str, room: float) -> str:
    """As much of a name as about so many units hold."""
    letters = max(2, int(room / _LETTER))
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


Say = Callable[[float], str]
