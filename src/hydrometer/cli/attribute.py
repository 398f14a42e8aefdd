"""`hydrometer attribute`: where an accuracy comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import (
    DEFAULT_ON,
    DEFAULT_STORE,
    JsonOption,
    OnOption,
    QuietOption,
    SourceOption,
    StoreOption,
    VerboseOption,
    again,
    new_file,
)

if TYPE_CHECKING:
    from hydrometer.attribute.across import Across
    from hydrometer.attribute.attribution import Attribution


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A compressed set (.safetensors); with --across, any number.", metavar="SET"
        ),
    ],
    source: SourceOption,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", "-p", help="Whose labels, augmentation and recipe are switched."
        ),
    ] = "rd3-quick@1",
    reference: Annotated[
        str | None,
        typer.Option(help="Protocol whose recipe is the reference; DD-Ranking's unless given."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Other number of seeds. Renames the protocol.")
    ] = None,
    fraction: Annotated[
        str, typer.Option(help="full: all cells; half: 8 of 16; ladder: one switch after another.")
    ] = "full",
    across: Annotated[
        str | None,
        typer.Option(help="Protocols, with commas: instead rank the sets under each, and compare."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write an HTML file with the waterfall.", callback=new_file),
    ] = None,
    on: OnOption = DEFAULT_ON,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Split an accuracy between images, labels, augmentation and recipe.

    Trains every combination of the four and gives each its exact Shapley value. Every finished student
    is stored at once, and shared with `evaluate`: stop it any time, and the same command goes on.
    """
    from hydrometer import protocols, registry, sources
    from hydrometer.artifact import container
    from hydrometer.attribute import attribution, page
    from hydrometer.attribute.across import across as compare
    from hydrometer.attribute.design import cheaper
    from hydrometer.cli.console import talk, watching, write
    from hydrometer.engine.environment import default_device
    from hydrometer.execute import executor
    from hydrometer.execute.lab import Lab
    from hydrometer.report import text
    from hydrometer.store import Store
    from hydrometer.types import HydrometerError

    changes = {} if seeds is None else {"seeds": str(seeds)}
    named = [protocol] if across is None else registry.listed(across)
    chosen = [protocols.adjusted(name, changes) for name in named]
    against = None if reference is None else protocols.load(reference).settings
    if across is None and len(paths) > 1:
        raise HydrometerError("attribute takes one set; give --across to compare several")
    subjects = [container.load(path) for path in paths]
    lab = Lab(sources.load(source), default_device())
    with (
        executor(on) as execute,
        Store(store) as runs,
        watching(quiet, verbose) as observer,
    ):
        if across is not None:
            compared = compare(subjects, chosen, lab, runs, observer, execute)
            write(compared.model_dump_json() if json else across_table(compared))
            return
        planned = attribution.plan(
            subjects[0], chosen[0], lab, fraction=fraction, reference=against
        )
        if not quiet:
            left = attribution.cost(planned, runs)
            talk.print(text.cost(left, chosen[0].name, lab.device.type))
            if left.done < left.students and (said := cheaper(planned.design)):
                talk.print(said)
        found = attribution.attribute(planned, lab, runs, observer, execute)
    if out is not None:
        told = again(
            "attribute",
            paths[0],
            source=source,
            protocol=chosen[0].name,
            reference=reference,
            fraction=fraction,
            on=None if on == DEFAULT_ON else on,
            store=None if store == DEFAULT_STORE else store,
            out=out,
        )
        page.write(out, found, command=told)
    write(found.model_dump_json() if json else attribution_table(found))


def attribution_table(found: Attribution) -> str:
    """The sentence, the parts and the notices."""
    from hydrometer.attribute import words

    title = f"{found.card.method} ({found.card.budget}) on {found.source}, {found.protocol}"
    notices = "\n".join(f"note: {notice}" for notice in found.notices)
    body = _table(title, ("", "value [95 % interval]"), words.rows(found))
    return f"{body}\n{words.sentence(found)}\n{notices}".rstrip()


def across_table(found: Across) -> str:
    """Every set under every protocol, and the agreement of the rankings."""
    from hydrometer.attribute import words

    body = _table(found.source, ("protocol", "set", "accuracy"), words.across_rows(found))
    return "\n".join((body, *words.across_sentences(found)))


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    import io

    from rich.console import Console
    from rich.table import Table

    out = Console(file=io.StringIO(), width=100, highlight=False, color_system=None)
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    for position, column in enumerate(head):
        table.add_column(column, justify="right" if position == len(head) - 1 else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    return out.file.getvalue().rstrip()  # type: ignore[attr-defined,no-any-return]
