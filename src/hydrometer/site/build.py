"""Write a board as a folder of pages: the leaderboard, and one page for each entry.

Pages ask the network for nothing. Their content security policy allows the style sheet and the
images beside them, and one script, by its digest, so that text from data cannot run even unescaped.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment as Templates
from markupsafe import Markup

from hydrometer.attribute import page as attributions
from hydrometer.attribute.attribution import Attribution
from hydrometer.board import commands
from hydrometer.board.entry import Entry
from hydrometer.report import exhibits, explain, text
from hydrometer.report.templates import asset, file_of, templates
from hydrometer.site import rows as table
from hydrometer.site.charts import Chart, charts
from hydrometer.site.rows import Row
from hydrometer.types import CompressedSet, HydrometerError, Verdict

MARK = 'name="generator" content="hydrometer"'
"""What tells a site of ours, which may be replaced, from another folder."""
_SAID = ("Method", "Budget")
"""Facts of a card that stand in the heading of its page."""


@dataclass(frozen=True)
class Board:
    """All that a site is made from; images, contact sheets and attributions by digest of the set."""

    entries: Sequence[Entry]
    sets: Mapping[str, CompressedSet]
    sheets: Mapping[str, bytes]
    attributions: Sequence[Attribution] = ()

    def sheet(self, digest: str) -> bytes | None:
        """The contact sheet of a set: drawn now, or the one kept beside the entry."""
        found = self.sets.get(digest)
        return exhibits.sheet(found) if found is not None else self.sheets.get(digest)


@dataclass(frozen=True)
class Choice:
    """What the leaderboard can be filtered by, and the values there are."""

    key: str
    title: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """One source and exact protocol: its settings, notices and charts."""

    source: str
    protocol: str
    settings: str
    notices: tuple[str, ...]
    charts: tuple[Chart, ...]


def write(folder: Path, board: Board, *, title: str, command: str) -> None:
    """Write the site; `command` is what makes it again. The same arguments give the same bytes.

    A site that was written there before is replaced, any other folder only where it is empty.

    Raises:
        HydrometerError: There is nothing to show, or `folder` cannot be written.
    """
    if not board.entries:
        raise HydrometerError(
            "there are no results to report; `evaluate` or `board add` some first"
        )
    _refuse_foreign(folder)
    try:
        with TemporaryDirectory(dir=folder.parent, prefix=".hydrometer-") as scratch:
            draft, old = Path(scratch) / "new", Path(scratch) / "old"
            _write_all(draft, board, table.rows(board.entries), title, command)
            if folder.exists():
                folder.replace(old)
            draft.replace(folder)
    except OSError as error:
        raise HydrometerError(f"cannot write {folder}: {error.strerror or error}") from error


def _write_all(folder: Path, board: Board, found: list[Row], title: str, command: str) -> None:
    made = templates("hydrometer.site")
    for place in (folder, folder / "rows", folder / "sets", folder / "recipes"):
        place.mkdir()
    styles = f"{asset('hydrometer.report', 'page.css')}\n{asset('hydrometer.site', 'site.css')}\n"
    _save(folder / "site.css", styles)
    _save(folder / "index.html", _index(made, found, title, command))
    shown = {digest for row in found if (digest := row.entry.set.digest)}
    pictured = {d: png for d in sorted(shown) if (png := board.sheet(d)) is not None}
    for digest, png in pictured.items():
        (folder / "sets" / f"{file_of(digest)}.png").write_bytes(png)
    for row in found:
        _save(folder / "rows" / row.file, _page(made, row, board, title, pictured))
        for arm in row.entry.arms:
            if arm.recipe_digest in row.entry.recipes:
                recipe = row.entry.recipes[arm.recipe_digest]
                _save(folder / "recipes" / f"{file_of(arm.recipe_digest)}.json", recipe)


def _index(made: Templates, found: list[Row], title: str, command: str) -> str:
    script = asset("hydrometer.site", "site.js")
    verdicts = [row.entry.verdict for row in found]
    choices = _choices(found)
    least, strips = table.strips(found)
    return made.get_template("index.html.j2").render(
        title=title,
        command=command,
        rows=found,
        tests=list(dict.fromkeys(row.test for row in found)),
        metrics=table.metrics_of(found),
        choices=choices,
        strips=strips,
        least=text.percent(least, 0),
        picked=[
            [c.values.index(v) for c, v in zip(choices, _values(r), strict=True)] for r in found
        ],
        groups=_groups(found),
        meanings=exhibits.glossary(verdicts),
        environments=exhibits.environments(v.environment for v in verdicts),
        level=_levels(found),
        words=text,
        script=script,
        hash=_hash(script),
    )


def _values(row: Row) -> tuple[str, str, str, str]:
    entry = row.entry
    return entry.source, text.budget(entry.card.budget), entry.protocol, row.regime


def _choices(found: Sequence[Row]) -> list[Choice]:
    titles = ("Source", "Budget", "Protocol", "Labels")
    values = zip(*(_values(row) for row in found), strict=True)
    return [
        Choice(title.lower(), title, tuple(dict.fromkeys(of)))
        for title, of in zip(titles, values, strict=True)
    ]


def _groups(found: Sequence[Row]) -> list[Group]:
    """Charts of each source and exact protocol, rows keeping their number in the whole table."""
    members: dict[tuple[str, str], list[tuple[int, Row]]] = {}
    for number, row in enumerate(found):
        members.setdefault((row.entry.source, row.entry.protocol), []).append((number, row))
    return [
        Group(
            source=source,
            protocol=protocol,
            settings=explain.protocol(protocol),
            notices=tuple(dict.fromkeys(n for _, row in of for n in row.entry.notices))[:8],
            charts=charts(of),
        )
        for (source, protocol), of in members.items()
    ]


def _page(
    made: Templates, row: Row, board: Board, title: str, pictured: Mapping[str, bytes]
) -> str:
    entry, verdict = row.entry, row.entry.verdict
    compressed = board.sets.get(entry.set.digest)
    explained = [
        found
        for found in board.attributions
        if (found.set_digest, found.source_digest) == (entry.set.digest, entry.source_digest)
    ]
    return made.get_template("row.html.j2").render(
        title=title,
        row=row,
        entry=entry,
        sentence=text.sentence(verdict),
        readings=text.row(verdict).readings,
        facts=_facts(row, verdict, compressed),
        sheet=f"{file_of(entry.set.digest)}.png" if entry.set.digest in pictured else None,
        alt=exhibits.alt(entry.card.classes),
        judged=exhibits.judged(verdict, entry.full_runs),
        attributed=list(map(attributions.told, explained)),
        commands=(*commands.commands(entry), *map(_explained_again, explained)),
        environments=exhibits.environments([entry.environment]),
        level=_levels([row]),
        words=text,
    )


def _explained_again(found: Attribution) -> str:
    words = ["hydrometer", "attribute", "set.safetensors", "--source", found.source]
    return shlex.join([*words, "--protocol", found.protocol, "--fraction", found.fraction])


def _facts(
    row: Row, verdict: Verdict, compressed: CompressedSet | None
) -> tuple[tuple[str, str], ...]:
    """The card, and what the board adds to it."""
    entry = row.entry
    more = [("Where to get it", entry.set.where)] if entry.set.where else []
    took = "unknown" if row.seconds is None else text.duration(row.seconds)
    more.append(("Set and one student", took))
    if entry.steps:
        more.append(("Steps of all students", f"{entry.steps:,}"))
    if entry.teacher_bytes:
        more.append(("Teacher at training time", text.bytes(entry.teacher_bytes)))
    card = [fact for fact in exhibits.facts(verdict, compressed) if fact[0] not in _SAID]
    return (*card, *more)


def _levels(found: Sequence[Row]) -> str:
    levels = sorted({row.reached.level for row in found})
    return " and ".join(f"{100 * level:g} %" for level in levels)


def _hash(script: Markup) -> str:
    """A script's source expression in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _save(path: Path, page: str) -> None:
    path.write_text(page, encoding="utf-8", newline="\n")


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds anything but a site of ours."""
    if folder.is_dir() and any(folder.iterdir()):
        index = folder / "index.html"
        if not index.is_file() or MARK not in index.read_text("utf-8", errors="replace")[:4000]:
            raise HydrometerError(
                f"{folder} holds other files; name a new folder, an empty one, or an earlier report"
            )
    elif folder.exists() and not folder.is_dir():
        raise HydrometerError(f"{folder} is a file; name a folder for the report")
