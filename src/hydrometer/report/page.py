"""One self-contained HTML file that tells what was measured, how, and on which images.

The page holds its own script and style and asks the network for nothing; its content security
policy allows two scripts, by their digests, so that text from data cannot run even unescaped.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from plotly.offline import get_plotlyjs

from hydrometer.artifact import preview
from hydrometer.artifact.writing import whole
from hydrometer.report import explain, figures, text
from hydrometer.types import ArmResult, CompressedSet, Environment, Run, Verdict

_PER_CLASS, _MOST_CLASSES, _MOST_PIXELS = 10, 50, 1000


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
    plot_text: str


@dataclass(frozen=True)
class Trained:
    """An arm's students, seed by seed, at the rate chosen on `val`."""

    arm: str
    rate: str
    accuracies: tuple[tuple[str, str], ...]
    diverged: int
    recipe: str | None


@dataclass(frozen=True)
class Judged:
    """How one protocol's verdict on a set came about."""

    protocol: str
    arms: tuple[Trained, ...]
    losses: figures.Figure | None
    seconds: str


@dataclass(frozen=True)
class Exhibit:
    """A set as it is shown: its images, its card, and the students behind its verdicts."""

    anchor: str
    method: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    sheet: str | None
    alt: str
    judged: tuple[Judged, ...]


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
    script = _script("page.js")
    page = _templates().get_template("page.html.j2").render(
        title=title,
        command=command,
        groups=_groups(verdicts, sets, kept),
        exhibits=_exhibits(verdicts, sets, kept),
        meanings=_glossary(verdicts),
        environments=_environments(verdicts, kept),
        plotly=_plotly(),
        script=script,
        hashes=[_hash(_plotly()), _hash(script)],
    )  # fmt: skip
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
        plot=figures.accuracies(verdicts),
        plot_text=f"Test accuracies with intervals, as in the table above. {' '.join(sentences)}",
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
    card, names = first.card, first.card.classes[:_MOST_CLASSES]
    rest = len(card.classes) - len(names)
    return Exhibit(
        anchor=_anchor(first),
        method=card.method,
        facts=_facts(first, compressed),
        notes=card.notes,
        sheet=None if compressed is None else _sheet(compressed),
        alt=f"Up to {_PER_CLASS} images of each class, one class to a row: {', '.join(names)}"
        + (f"; {rest} more classes are not shown" if rest else ""),
        judged=tuple(_judged(verdict, runs) for verdict in verdicts),
    )


def _facts(verdict: Verdict, compressed: CompressedSet | None) -> tuple[tuple[str, str], ...]:
    card = verdict.card
    parts = {
        "images": card.bytes.images,
        "labels": card.bytes.labels,
        "teacher": card.bytes.teacher,
    }
    stored = " + ".join(f"{name} {text.bytes(n)}" for name, n in parts.items() if n)
    facts = {
        "Method": card.method,
        "Source": f"{card.source}, {len(card.classes):,} classes ({card.source_digest})",
        "Budget": text.budget(card.budget),
        "Seed": "none" if card.seed is None else str(card.seed),
        "Made in": text.duration(card.seconds) if card.seconds else "not known",
        "Stored": f"{text.bytes(card.bytes.total)}: {stored}",
        "Digest": verdict.set_digest,
    }
    if compressed is not None:
        shape = " × ".join(map(str, compressed.images.shape[1:]))
        kind = str(compressed.images.dtype).removeprefix("torch.")
        labels = "hard" if compressed.soft is None else "soft"
        images = {"Images": f"{len(compressed):,} of {shape} {kind}, {labels} labels"}
        facts = images | facts
    if card.student_lr is not None:
        facts["Learned rate"] = f"{card.student_lr:g}"
    return tuple(facts.items())


def _sheet(compressed: CompressedSet) -> str:
    """The contact sheet as a data address; one of large images is reduced to fit a page."""
    most = int(compressed.labels.bincount().max()) if len(compressed) else 1
    png = preview.sheet(compressed, per_class=max(1, min(_PER_CLASS, most)))
    with Image.open(io.BytesIO(png)) as drawn:
        if drawn.width > _MOST_PIXELS:
            stream = io.BytesIO()
            height = max(1, round(drawn.height * _MOST_PIXELS / drawn.width))
            drawn.resize((_MOST_PIXELS, height)).save(stream, format="PNG", optimize=True)
            png = stream.getvalue()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _judged(verdict: Verdict, runs: Mapping[str, Run]) -> Judged:
    return Judged(
        protocol=verdict.protocol,
        arms=tuple(_trained(arm, runs) for arm in verdict.arms),
        losses=figures.losses(verdict, runs),
        seconds=text.duration(verdict.seconds),
    )


def _trained(arm: ArmResult, runs: Mapping[str, Run]) -> Trained:
    mine = figures.chosen(arm, runs)
    return Trained(
        arm=text.arm(arm.name),
        rate=f"{arm.lr:g}",
        accuracies=tuple(
            (str(seed), text.percent(accuracy, 2))
            for seed, accuracy in zip(arm.seeds, arm.accuracy, strict=True)
        ),
        diverged=arm.diverged,
        recipe=mine[0].recipe if mine else None,
    )


def _glossary(verdicts: Sequence[Verdict]) -> tuple[tuple[str, str], ...]:
    readings = {r.key: r for v in verdicts for r in text.row(v).readings if ":" not in r.key}
    metrics = ((r.heading, explain.metric(r.key)) for r in readings.values())
    return (*explain.ARMS, ("Accuracy", explain.metric("accuracy")), *metrics)


def _environments(verdicts: Sequence[Verdict], runs: Mapping[str, Run]) -> tuple[str, ...]:
    places = [v.environment for v in verdicts] + [run.environment for run in runs.values()]
    return tuple(dict.fromkeys(_place(place) for place in places))


def _place(found: Environment) -> str:
    threads = f"{found.threads} thread{'s' * (found.threads != 1)}"
    return (
        f"hydrometer {found.hydrometer}, torch {found.torch}, python {found.python}, "
        f"{found.device}, {threads}"
    )


def _anchor(verdict: Verdict) -> str:
    return f"set-{verdict.set_digest}"


def _templates() -> Templates:
    templates = Templates(
        loader=PackageLoader("hydrometer.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"unbroken": _unbroken, "embed": _embed}
    return templates


def _unbroken(sentence: str) -> str:
    """The sentence with every percent sign tied to its number, and every interval in one piece."""
    tied = re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)
    return tied.replace(" %", "\N{NO-BREAK SPACE}%")


@cache
def _plotly() -> Markup:
    return Markup(get_plotlyjs().strip().replace("\r\n", "\n"))


def _script(name: str) -> Markup:
    return Markup(files("hydrometer.report").joinpath(name).read_text("utf-8").strip())


def _embed(figure: str) -> Markup:
    """JSON that can stand in a `<script>` whatever its strings hold."""
    return Markup(figure.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _hash(script: str) -> str:
    """A script's source expression in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
