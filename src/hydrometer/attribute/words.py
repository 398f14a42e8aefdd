"""An attribution in words: one sentence, and the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from hydrometer.attribute.across import Across
from hydrometer.attribute.attribution import Attribution
from hydrometer.attribute.factors import FACTORS, OFF
from hydrometer.report import text
from hydrometer.types import Estimate

LEVELS = {
    "random": "random images",
    "subject": "this set's images",
    "hard": "hard labels",
    "soft": "soft labels",
    "plain": "no augmentation",
    "augmented": "augmentation",
    "reference": "the reference recipe",
    "own": "the protocol's own recipe",
}
SOURCES = {
    "images": "the images",
    "labels": "soft labels",
    "augmentation": "augmentation",
    "recipe": "the recipe",
}
"""Where a part comes from, as a sentence ends."""


@dataclass(frozen=True)
class Line:
    """One row of the table and one bar of the waterfall: it spans `start` to `end`, fractions."""

    name: str
    start: float
    end: float
    shown: Estimate
    unit: str

    @property
    def cells(self) -> tuple[str, str]:
        """Name and value with interval."""
        return self.name, text.interval(self.shown, self.unit)


def sentence(found: Attribution) -> str:
    """The whole attribution in one plain sentence, largest part first."""
    parts = sorted(found.parts, key=lambda part: -part.share.value)
    clauses = [
        f"{text.interval(part.share)} {'from' if i else 'come from'} {SOURCES[part.factors[0]]}"
        for i, part in enumerate(parts)
    ]
    listed = clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"
    gain = text.interval(found.total, "points")
    return f"Of {gain} over {baseline(found)}, {listed}."


def baseline(found: Attribution) -> str:
    """What the students with every switchable factor off were trained on, and how."""
    levels = _start(found)
    return f"{levels[0]} with {levels[1]}, {levels[2]} and {levels[3]}"


def _start(found: Attribution) -> list[str]:
    held = {out.factor: out.level for out in found.left_out}
    return [LEVELS[held.get(factor, OFF[factor])] for factor in FACTORS]


def waterfall(found: Attribution) -> list[Line]:
    """From the accuracy with all factors off, part by part, to that with all on."""
    lines = [Line(", ".join(_start(found)), 0.0, found.off.value, found.off, "%")]
    level = found.off.value
    for part in found.parts:
        end = level + part.share.value
        lines.append(Line(SOURCES[part.factors[0]], level, end, part.share, "points"))
        level = end
    lines.append(Line(f"together, {found.protocol}", 0.0, found.on.value, found.on, "%"))
    return lines


def rows(found: Attribution) -> list[tuple[str, str]]:
    """Names and values: the waterfall, the total, and interactions where all cells were trained."""
    pairs = [
        (f"{SOURCES[p.factors[0]]} × {SOURCES[p.factors[1]]}", text.interval(p.share, "points"))
        for p in found.pairs
    ]
    gain = ("gain, the sum of the parts", text.interval(found.total, "points"))
    return [line.cells for line in waterfall(found)] + [gain] + pairs


def across_rows(found: Across) -> list[tuple[str, str, str]]:
    """Protocol, method and accuracy of every set."""
    return [(s.protocol, s.method, text.interval(s.accuracy, "%")) for s in found.scores]


def across_sentences(found: Across) -> list[str]:
    """For each two protocols, how far their rankings agree."""
    return [
        f"{a.protocols[0]} and {a.protocols[1]} rank the sets with Kendall tau "
        f"{a.tau.value:.2f} [{a.tau.low:.2f}, {a.tau.high:.2f}], n = {a.tau.n}"
        for a in found.agreements
    ]
