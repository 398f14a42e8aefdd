"""`hydrometer board`: a leaderboard of reviewable entries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import JsonOption, QuietOption, SourceOption, VerboseOption
from hydrometer.types import HydrometerError

if TYPE_CHECKING:
    from hydrometer.board.entry import Reported
    from hydrometer.board.ranking import Table
    from hydrometer.board.verify import Verification
    from hydrometer.store import Store
    from hydrometer.types import CompressedSet, Verdict

app = typer.Typer(help="Add, verify and rank entries of a leaderboard.", no_args_is_help=True)
DIFFERS = 1
"""Exit code of an entry that does not reproduce."""


@app.command("add")
def add(
    store: Annotated[
        Path, typer.Argument(help="Store that holds the verdict and its runs.", metavar="STORE")
    ],
    path: Annotated[Path, typer.Option("--set", help="The judged set (.safetensors).")],
    board: Annotated[Path, typer.Option(help="Folder of the board.")] = Path("board"),
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Which verdict, if there are several.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Where others get the set; by default the path given with --set."),
    ] = None,
    reported: Annotated[
        float | None, typer.Option(help="Accuracy others reported for this set, in percent.")
    ] = None,
    reported_in: Annotated[
        str | None, typer.Option("--reported-in", help="Paper and table of that number.")
    ] = None,
    sheet: Annotated[
        bool, typer.Option(help="Keep a contact sheet of the images beside the entry.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Turn a verdict of a store into one JSON file that can be reviewed and verified."""
    from hydrometer.artifact import container
    from hydrometer.board import entry as entries
    from hydrometer.board import sheets
    from hydrometer.cli.console import write
    from hydrometer.store import Store

    told = read_reported(reported, reported_in)
    judged = container.load(path)
    if not store.is_file():
        raise HydrometerError(f"no store at {store}; give the one that `evaluate` wrote")
    with Store(store) as held:
        found = choose(held, judged, protocol)
        keys = [key for arm in found.arms for key in arm.runs]
        runs = held.get_many(keys).values()
        made = entries.make(found, runs, where or str(path), told)
    file = entries.write(made, board)
    if sheet:
        sheets.write(judged, board)
    write(made.model_dump_json() if json else f"{file}: {made.card.title}, {made.protocol}")


def read_reported(percent: float | None, where: str | None) -> Reported | None:
    """A number that others reported, from percent."""
    from hydrometer.board.entry import Reported

    if percent is None:
        if where is not None:
            raise HydrometerError("--reported-in needs the number itself: --reported 66.8")
        return None
    if not 1 < percent <= 100:
        raise HydrometerError(f"--reported {percent:g} must be in percent, such as 66.8")
    return Reported(accuracy=percent / 100, where=where)


def choose(store: Store, judged: CompressedSet, protocol: str | None) -> Verdict:
    """The one verdict of a store on a set, by a protocol if that is needed to tell.

    Two methods may choose the very same images; the card tells whose set it is.
    """
    from hydrometer import protocols
    from hydrometer.store import verdicts

    of_set = [
        verdict
        for verdict in verdicts.latest(store.verdicts())
        if verdict.set_digest == judged.digest
        and (verdict.card.title, verdict.card.budget, verdict.card.seed)
        == (judged.card.title, judged.card.budget, judged.card.seed)
    ]
    wanted = protocols.load(protocol).name if protocol else None
    found = [v for v in of_set if wanted in (None, v.protocol)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(dict.fromkeys(v.protocol for v in of_set)) or "none; evaluate the set first"
    several = "several verdicts" if found else "no such verdict"
    raise HydrometerError(
        f"store {store.path} has {several} on set {judged.digest}; choose with --protocol: {known}"
    )


@app.command("verify")
def verify(
    path: Annotated[Path, typer.Argument(help="Entry of a board.", metavar="ENTRY.json")],
    source: SourceOption,
    subject: Annotated[
        Path | None, typer.Option("--set", help="The set, where it is not at the entry's place.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Only this arm, such as subject (repeatable): quicker, and says less."),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train every student of an entry again, and say whether it reproduces (exit code 0 or 1).

    On the entry's machine and versions all digits must be the same; elsewhere no arm may differ by
    more than chance. Anywhere, the entry's card must be that of the set.
    """
    from hydrometer import sources
    from hydrometer.board import entry as entries
    from hydrometer.board import verify as verification
    from hydrometer.cli.console import watching, write
    from hydrometer.engine.environment import default_device
    from hydrometer.execute.lab import Lab

    entry = entries.read(path)
    lab = Lab(sources.load(source), default_device())
    with watching(quiet, verbose) as observer:
        found = verification.verify(entry, lab, observer, subject, arm or ())
    write(verification_json(found) if json else verification_text(found))
    if not found.reproduces:
        raise typer.Exit(DIFFERS)


@app.command("show")
def show(
    board: Annotated[Path, typer.Argument(help="Folder of the board.")] = Path("board"),
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Only this exact protocol.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only this source.")] = None,
    budget: Annotated[str | None, typer.Option(help="Only this budget, e.g. ipc=10.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX tables instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Rank entries within one source and one exact protocol; ties, as tests see them, share ranks."""
    from hydrometer import protocols
    from hydrometer.board import entry as entries
    from hydrometer.board import latex as tex
    from hydrometer.board import ranking
    from hydrometer.cli.console import write

    wanted = protocols.load(protocol).name if protocol else None
    kept = [
        entry
        for entry in entries.read_all(board)
        if wanted in (None, entry.protocol)
        and source in (None, entry.source)
        and budget in (None, entry.card.budget)
    ]
    tables = ranking.tables(kept)
    if json:
        write(tables_json(tables))
    elif latex:
        write(tex.render(tables).rstrip())
    else:
        write("\n\n".join(map(table_text, tables)) or f"{board}: no entries")


def verification_json(found: Verification) -> str:
    """A verification as one JSON object."""
    import json as encoder

    told = {
        "reproduces": found.reproduces,
        "same_environment": found.same_environment,
        "same_digits": found.same_digits,
        "differences": list(found.differences),
        "arms": [
            {
                "arm": arm.name,
                "entered": arm.entered,
                "again": arm.again,
                "difference": arm.difference.model_dump(),
                "agrees": arm.agrees,
            }
            for arm in found.arms
        ],
    }
    return encoder.dumps(told)


def verification_text(found: Verification) -> str:
    """A verification in words: the answer, then every arm."""
    from hydrometer.report import text

    place = (
        "on the same machine and versions" if found.same_environment else "in another environment"
    )
    digits = "the same digits" if found.same_digits else "other digits"
    answer = "reproduces" if found.reproduces else "does NOT reproduce"
    card = ", but another card" if found.differences else ""
    lines = [f"{answer}: {digits} {place}{card}", *(f"  {said}" for said in found.differences)]
    for arm in found.arms:
        lines.append(
            f"  {text.arm(arm.name)}: {text.percent(arm.entered)} % then, {text.percent(arm.again)}"
            f" % now, difference {text.interval(arm.difference, 'points')}"
        )
    return "\n".join(lines)


def tables_json(tables: list[Table]) -> str:
    """Ranked entries as one JSON array of tables."""
    import json as encoder

    told = [
        {
            "source": table.source,
            "protocol": table.protocol,
            "test": table.test,
            "places": [
                {
                    "rank": place.rank,
                    "tied": place.tied,
                    "holds": place.holds,
                    "entry": place.entry.model_dump(mode="json"),
                }
                for place in table.places
            ],
        }
        for table in tables
    ]
    return encoder.dumps(told)


def table_text(table: Table) -> str:
    """One table for the terminal, widths fitted to its content."""
    from hydrometer.report import text

    rows = [("rank", "method", "budget", "bytes", "accuracy", "reported", "n", "position holds")]
    for place in table.places:
        entry = place.entry
        found = entry.estimates[f"accuracy:{entry.subject.name}"]
        rows.append(
            (
                f"{place.rank}{'=' if place.tied else ''}",
                entry.card.title,
                text.budget(entry.card.budget),
                text.bytes(entry.card.bytes.total),
                text.estimate(found, "accuracy"),
                f"{text.percent(entry.reported.accuracy)} %" if entry.reported else "",
                str(found.n),
                f"{place.holds:.0%}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([f"{table.source}, {table.protocol} ({table.test})", *lines])
