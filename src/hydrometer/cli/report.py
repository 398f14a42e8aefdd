"""`hydrometer report`: everything a store knows, on one page or in tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import DEFAULT_STORE, JsonOption, StoreOption, new_file
from hydrometer.types import HydrometerError

if TYPE_CHECKING:
    from hydrometer.store import Store
    from hydrometer.types import CompressedSet, Verdict


def command(
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML page to write.", callback=new_file)
    ] = None,
    sets: Annotated[
        Path | None,
        typer.Option(help="Folder of sets whose images to show; by default `sets` by the store."),
    ] = None,
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
    """Write all verdicts of a store as a page that opens offline (report.html), or export its runs."""
    import json as encoder

    from hydrometer.cli.console import write
    from hydrometer.store import Store, export, verdicts

    if not store.is_file():
        raise HydrometerError(f"no store at {store}; `evaluate` and `bench run` make one")
    page = out or (None if csv or parquet or latex else Path("report.html"))
    with Store(store) as held:
        judged = verdicts.latest(held.verdicts())
        if page is not None:
            write_page(page, held, judged, sets or store.parent / "sets")
        if latex is not None:
            write_latex(latex, held, judged)
        for path, export_to in ((csv, export.to_csv), (parquet, export.to_parquet)):
            if path is not None:
                export_to(held.runs(), path)
    written = [str(path) for path in (page, csv, parquet, latex) if path is not None]
    told = {"verdicts": len(judged), "written": written}
    write(encoder.dumps(told) if json else f"{len(judged)} verdicts: {', '.join(written)}")


def write_page(path: Path, store: Store, judged: list[Verdict], folder: Path) -> None:
    """Write the HTML page, with the images of those sets that are in the folder."""
    from hydrometer.report import page

    if not judged:
        raise HydrometerError(f"store {store.path} has no verdicts to report")
    runs = store.get_many([key for v in judged for arm in v.arms for key in arm.runs])
    page.write(
        path,
        judged,
        load_sets(folder, {v.set_digest for v in judged}),
        runs.values(),
        title=f"Hydrometer: {store.path.name}",
        command=f"hydrometer report --store {store.path} --out {path}",
    )


def load_sets(folder: Path, wanted: set[str]) -> dict[str, CompressedSet]:
    """The wanted sets that lie in a folder, by digest."""
    from hydrometer.artifact import container

    found = [container.load(path) for path in sorted(folder.glob("*.safetensors"))]
    return {each.digest: each for each in found if each.digest in wanted}


def write_latex(path: Path, store: Store, judged: list[Verdict]) -> None:
    """Write the verdicts as ranked LaTeX tables."""
    from hydrometer.artifact.writing import whole
    from hydrometer.board import entry, latex, ranking

    entries = []
    for verdict in judged:
        runs = store.get_many([key for arm in verdict.arms for key in arm.runs])
        entries.append(entry.make(verdict, runs.values(), "", None))
    with whole(path) as draft:
        draft.write_text(latex.render(ranking.tables(entries)), encoding="utf-8")
