"""`hydrometer report`: a store or a board as a static site, as one page, or as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer import units
from hydrometer.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    again,
    new_file,
    new_place,
)
from hydrometer.types import HydrometerError

if TYPE_CHECKING:
    from hydrometer.attribute.attribution import Attribution
    from hydrometer.board.entry import Entry
    from hydrometer.store import Store
    from hydrometer.types import CompressedSet, Verdict


def command(
    place: Annotated[
        Path | None,
        typer.Argument(
            help="Store (a file) or board (a folder) to report; by default --store.",
            metavar="STORE|BOARD",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the site; a name in .html is one page.",
            callback=new_place,
        ),
    ] = None,
    sets: Annotated[
        Path | None,
        typer.Option(help="Folder of sets whose images to show; by default `sets` beside."),
    ] = None,
    attributions: Annotated[
        Path | None,
        typer.Option(help="Folder of `attribute --json` files; by default `attributions` beside."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the site.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Runs as CSV.", callback=new_file)
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Runs as parquet.", callback=new_file)
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option("--latex", help="Ranked LaTeX tables, ties in bold.", callback=new_file),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write all verdicts of a store or a board as a site that opens offline, or export them."""
    import json as encoder

    from hydrometer.cli.console import write

    asked = place or store
    site = out or (None if csv or parquet or latex else Path("report"))
    if asked.is_dir():
        if csv or parquet or (site is not None and site.suffix == ".html"):
            raise HydrometerError(
                f"{asked} is a board: it gives a site or --latex; name the store for other forms"
            )
        entries = read_board(asked)
    else:
        entries = read_store(asked, page_for(site), sets, csv, parquet)
    beside = asked if asked.is_dir() else asked.parent
    if site is not None and page_for(site) is None:
        write_site(
            site,
            entries,
            beside,
            sets,
            attributions,
            title,
            again("report", asked, out=site, sets=sets, attributions=attributions, title=title),
        )
    if latex is not None:
        write_latex(latex, entries)
    written = [str(path) for path in (site, csv, parquet, latex) if path is not None]
    told = {"verdicts": len(entries), "written": written}
    write(
        encoder.dumps(told)
        if json
        else f"{units.counted(len(entries), 'verdict')}: {', '.join(written)}"
    )


def page_for(out: Path | None) -> Path | None:
    """The one page that was asked for, if it was."""
    return out if out is not None and out.suffix == ".html" else None


def read_board(folder: Path) -> list[Entry]:
    """The entries of a board."""
    from hydrometer.board import entry

    return entry.read_all(folder)


def read_store(
    path: Path, page: Path | None, sets: Path | None, csv: Path | None, parquet: Path | None
) -> list[Entry]:
    """The verdicts of a store as entries, with what only a store can give written on the way."""
    from hydrometer.store import Store, export, verdicts

    if not path.is_file():
        raise HydrometerError(f"no store at {path}; `evaluate` and `bench run` make one")
    with Store(path) as held:
        judged = verdicts.latest(held.verdicts())
        if page is not None:
            write_page(page, held, judged, sets)
        for file, export_to in ((csv, export.to_csv), (parquet, export.to_parquet)):
            if file is not None:
                export_to(held.runs(), file)
        return entries_of(held, judged)


def write_page(path: Path, store: Store, judged: list[Verdict], sets: Path | None) -> None:
    """Write the one HTML page, with the images of those sets that are in the folder of sets."""
    from hydrometer.report import page

    if not judged:
        raise HydrometerError(f"store {store.path} has no verdicts to report")
    runs = store.get_many([key for v in judged for arm in v.arms for key in arm.runs])
    page.write(
        path,
        judged,
        load_sets(sets or store.path.parent / "sets", {v.set_digest for v in judged}),
        runs.values(),
        title=f"Hydrometer: {store.path.name}",
        command=again("report", store.path, out=path, sets=sets),
    )


def write_site(
    out: Path,
    entries: list[Entry],
    beside: Path,
    sets: Path | None,
    attributions: Path | None,
    title: str | None,
    made_by: str,
) -> None:
    """Write the site, with the sets, contact sheets and attributions that lie beside the entries."""
    from hydrometer.board import sheets
    from hydrometer.site import build

    board = build.Board(
        entries,
        load_sets(sets or beside / "sets", {entry.set.digest for entry in entries}),
        sheets.read_all(beside),
        read_attributions(attributions or beside / "attributions"),
    )
    build.write(out, board, title=title or "Hydrometer board", command=made_by)


def load_sets(folder: Path, wanted: set[str]) -> dict[str, CompressedSet]:
    """The wanted sets that lie in a folder, by digest."""
    from hydrometer.artifact import container

    found = [container.load(path) for path in sorted(folder.glob("*.safetensors"))]
    return {each.digest: each for each in found if each.digest in wanted}


def read_attributions(folder: Path) -> list[Attribution]:
    """What `hydrometer attribute --json` wrote into a folder."""
    from pydantic import ValidationError

    from hydrometer.attribute.attribution import Attribution

    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Attribution.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise HydrometerError(
                f"{path} is not an attribution; write it with `hydrometer attribute --json`"
            ) from error
    return found


def entries_of(store: Store, judged: list[Verdict]) -> list[Entry]:
    """Verdicts of a store as a board would hold them."""
    from hydrometer.board import entry

    entries = []
    for verdict in judged:
        runs = store.get_many([key for arm in verdict.arms for key in arm.runs])
        entries.append(entry.make(verdict, runs.values(), "", None))
    return entries


def write_latex(path: Path, entries: list[Entry]) -> None:
    """Write entries as ranked LaTeX tables."""
    from hydrometer.artifact.writing import whole
    from hydrometer.board import latex, ranking

    with whole(path) as draft:
        draft.write_text(latex.render(ranking.tables(entries)), encoding="utf-8")
