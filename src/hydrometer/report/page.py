"""One self-contained HTML file that tells what was measured, how, and on which images.

The page has no script and asks the network for nothing; its content security policy forbids both,
so that text from data cannot run even unescaped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydrometer.artifact.writing import whole
from hydrometer.report import exhibits, explain, figures, text
from hydrometer.report.templates import templates
from hydrometer.types import CompressedSet, Run, Verdict


@dataclass(frozen=True)
class Column:
    """A column of estimates; neighbours of one unit share a heading."""

    key: str
    heading: str
    unit: str


@dataclass(frozen=True)
class Line:
    """A verdict in the table: its strings, its readings by column, and where its set is shown."""

    row: text.VerdictRow
    cells: tuple[text.Reading | None, ...]
    anchor: str
    sentence: str


@dataclass(frozen=True)
class Group:
    """The verdicts that may be compared: one source, one exact protocol."""

    source: str
    protocol: str
    settings: str
    level: str
    columns: tuple[Column, ...]
    units: tuple[tuple[str, int], ...]
    """Each unit's heading and the number of columns below it."""
    lines: tuple[Line, ...]
    notices: tuple[str, ...]
    plot: figures.Figure


@dataclass(frozen=True)
class Exhibit:
    """A set as it is shown: its images, its card, and the students behind its verdicts."""

    anchor: str
    method: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    sheet: str | None
    alt: str
    judged: tuple[exhibits.Judged, ...]


def write(
    path: Path,
    verdicts: Sequence[Verdict],
    sets: Mapping[str, CompressedSet],
    runs: Iterable[Run] = (),
    *,
    title: str,
    command: str,
) -> None:
    """Write verdicts as one HTML file that opens from disk, offline, with nothing beside it.

    `sets` maps digests to the judged sets, whose images are shown; a set that is not there is shown
    by its card alone. If the set of a full-data arm is there too, sentences say its size. `runs`
    add training curves and recipes. `command` is what makes this report again. The same arguments
    give the same bytes.

    Raises:
        HydrometerError: `path` cannot be written; then nothing is left behind.
    """
    kept = {run.key: run for run in runs}
    page = (
        templates()
        .get_template("page.html.j2")
        .render(
            title=title,
            command=command,
            groups=_groups(verdicts, sets, kept),
            exhibits=_exhibits(verdicts, sets, kept),
            meanings=exhibits.glossary(verdicts),
            environments=exhibits.environments(
                [v.environment for v in verdicts] + [run.environment for run in kept.values()]
            ),
        )
    )
    with whole(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")


def _groups(
    verdicts: Sequence[Verdict], sets: Mapping[str, CompressedSet], runs: Mapping[str, Run]
) -> tuple[Group, ...]:
    comparable: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        key = verdict.source, verdict.source_digest, verdict.protocol
        comparable.setdefault(key, []).append(verdict)
    return tuple(_group(members, sets, runs) for members in comparable.values())


def _group(
    verdicts: Sequence[Verdict], sets: Mapping[str, CompressedSet], runs: Mapping[str, Run]
) -> Group:
    rows = [text.row(verdict) for verdict in verdicts]
    columns = _columns(rows)
    units = list(dict.fromkeys(column.unit for column in columns))
    sentences = [text.sentence(verdict, _full_size(verdict, sets)) for verdict in verdicts]
    levels = sorted({e.level for v in verdicts for e in v.estimates.values()})
    return Group(
        source=verdicts[0].source,
        protocol=verdicts[0].protocol,
        settings=explain.protocol(verdicts[0].protocol, _student(verdicts, runs)),
        level=" and ".join(f"{100 * level:g} %" for level in levels),
        columns=columns,
        units=tuple((_unit_heading(u), sum(c.unit == u for c in columns)) for u in units),
        lines=tuple(
            Line(row, _cells(row, columns), _anchor(verdict), sentence)
            for verdict, row, sentence in zip(verdicts, rows, sentences, strict=True)
        ),
        notices=tuple(dict.fromkeys(notice for v in verdicts for notice in v.notices)),
        plot=figures.accuracies(
            verdicts,
            f"Test accuracies with intervals, as in the table above. {' '.join(sentences)}",
        ),
    )


def _columns(rows: Sequence[text.VerdictRow]) -> tuple[Column, ...]:
    """Every estimate of any row, those of one unit together."""
    found = {r.key: Column(r.key, r.heading, r.unit) for row in rows for r in row.readings}
    units = list(dict.fromkeys(column.unit for column in found.values()))
    return tuple(sorted(found.values(), key=lambda column: units.index(column.unit)))


def _cells(row: text.VerdictRow, columns: Sequence[Column]) -> tuple[text.Reading | None, ...]:
    readings = {reading.key: reading for reading in row.readings}
    return tuple(readings.get(column.key) for column in columns)


def _unit_heading(unit: str) -> str:
    return {"%": "Accuracy, %", "points": "Difference, points"}.get(unit, "Score × 100")


def _student(verdicts: Sequence[Verdict], runs: Mapping[str, Run]) -> str | None:
    """The student that all these verdicts trained, where the runs tell."""
    keys = {key for verdict in verdicts for arm in verdict.arms for key in arm.runs}
    found = {json.loads(runs[key].recipe).get("student") for key in keys & runs.keys()}
    return str(found.pop()) if len(found) == 1 else None


def _full_size(verdict: Verdict, sets: Mapping[str, CompressedSet]) -> int | None:
    digests = [arm.set_digest[0] for arm in verdict.arms if arm.name == "full" and arm.set_digest]
    return len(sets[digests[0]]) if digests and digests[0] in sets else None


def _exhibits(
    verdicts: Sequence[Verdict], sets: Mapping[str, CompressedSet], runs: Mapping[str, Run]
) -> tuple[Exhibit, ...]:
    by_set: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_set.setdefault(verdict.set_digest, []).append(verdict)
    return tuple(_exhibit(of, sets.get(digest), runs) for digest, of in by_set.items())


def _exhibit(
    verdicts: Sequence[Verdict], compressed: CompressedSet | None, runs: Mapping[str, Run]
) -> Exhibit:
    first = verdicts[0]
    return Exhibit(
        anchor=_anchor(first),
        method=first.card.title,
        facts=exhibits.facts(first, compressed),
        notes=first.card.notes,
        sheet=None if compressed is None else _sheet(compressed),
        alt=exhibits.alt(first.card.classes),
        judged=tuple(exhibits.judged(verdict, runs) for verdict in verdicts),
    )


def _sheet(compressed: CompressedSet) -> str:
    """The contact sheet as a data address."""
    return f"data:image/png;base64,{base64.b64encode(exhibits.sheet(compressed)).decode()}"


def _anchor(verdict: Verdict) -> str:
    return f"set-{verdict.set_digest}"
