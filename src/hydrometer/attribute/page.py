"""An attribution as one HTML file: the sentence, the waterfall drawn as SVG, and the tables.

The file needs no script and asks the network for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from hydrometer.artifact.writing import whole
from hydrometer.attribute import words
from hydrometer.attribute.attribution import Attribution
from hydrometer.attribute.words import Line
from hydrometer.report import text

_WIDTH, _ROW, _LEFT, _RIGHT = 860, 40, 12, 190
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 880px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid #8884; }
td:last-child { font-variant-numeric: tabular-nums; }
svg text { fill: currentColor; font-size: 13px; }
.whole { fill: #7c858f; } .up { fill: #12908a; } .down { fill: #c8553d; }
.range { stroke: currentColor; stroke-width: 1.5; } .axis { stroke: #8888; }
svg { width: 100%; height: auto; } .note { opacity: .75; }
"""


def write(path: Path, found: Attribution, *, command: str) -> None:
    """Write an attribution as HTML; the same arguments give the same bytes.

    Raises:
        HydrometerError: `path` cannot be written; then nothing is left behind.
    """
    title = f"Where the accuracy of {found.card.method} on {found.source} comes from"
    cells = [(arm.name.replace("_", ", "), _percents(arm.accuracy)) for arm in found.arms]
    body = "\n".join(
        (
            f"<h1>{escape(title)}</h1>",
            f"<p><strong>{escape(words.sentence(found))}</strong></p>",
            svg(words.waterfall(found)),
            _table(("", "value [95 % interval]"), words.rows(found)),
            *(f'<p class="note">{escape(notice)}</p>' for notice in found.notices),
            "<h2>Every student</h2>",
            _table(
                ("cell: images, labels, augmentation, recipe", "test accuracy by seed, %"), cells
            ),
            f"<p>Made by <code>{escape(command)}</code></p>",
        )
    )
    with whole(path) as draft:
        draft.write_text(
            f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n",
            encoding="utf-8",
            newline="\n",
        )


def svg(lines: Sequence[Line]) -> str:
    """The waterfall: one bar a line, each starting where the last one ended, with its interval."""
    top = max(0.01, *(end for line in lines for end in (line.start, line.end, _high(line))))
    low = min(0.0, *(min(line.start, line.end, _low(line)) for line in lines))
    scale = (_WIDTH - _LEFT - _RIGHT) / (top - low)

    def x(value: float) -> float:
        return round(_LEFT + (value - low) * scale, 2)

    height = _ROW * len(lines) + 8
    bars = "".join(_bar(line, x, _ROW * i) for i, line in enumerate(lines))
    axis = f'<line class="axis" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="waterfall of the parts">'
        f"{axis}{bars}</svg>"
    )


def _bar(line: Line, x: Callable[[float], float], top: int) -> str:
    left, right = sorted((x(line.start), x(line.end)))
    kind = "whole" if line.unit == "%" else "up" if line.end >= line.start else "down"
    low, high, middle = x(_low(line)), x(_high(line)), top + 28
    name, value = map(escape, line.cells)
    return (
        f'<text x="{_LEFT + 2}" y="{top + 15}">{name}</text>'
        f'<rect class="{kind}" x="{left}" y="{top + 20}" width="{round(right - left, 2)}" height="16"/>'
        f'<line class="range" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<text x="{_WIDTH - _RIGHT + 8}" y="{top + 33}">{value}</text>'
    )


def _low(line: Line) -> float:
    """The interval's lower end, where the bar ends."""
    return line.end + line.shown.low - line.shown.value


def _high(line: Line) -> float:
    return line.end + line.shown.high - line.shown.value


def _percents(values: Sequence[float]) -> str:
    return " ".join(text.percent(value) for value in values)


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table><tr><th>{escape(head[0])}</th><th>{escape(head[1])}</th></tr>{lines}</table>"
