"""`hydrometer noisy`: what a filter of labels is worth to a method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer import units
from hydrometer.cli.options import (
    DEFAULT_ON,
    BytesOption,
    DryRunOption,
    FractionOption,
    IpcOption,
    JsonOption,
    LogOption,
    OnOption,
    QuietOption,
    SourceOption,
    StudentOption,
    VerboseOption,
    budget,
    new_folder,
)

if TYPE_CHECKING:
    from hydrometer.bench.noisy import Answer

FAILED = 1
"""Exit code when nothing could be compared."""


def command(
    source: SourceOption,
    method: Annotated[
        str, typer.Option("--method", "-m", help="e.g. herding, dm, el2n(policy=easy).")
    ],
    trust: Annotated[
        str, typer.Option("--trust", "-t", help="Estimators, with commas: tad,cleanlab,combined.")
    ] = "tad,cleanlab,combined",
    ipc: IpcOption = None,
    fraction: FractionOption = None,
    size: BytesOption = None,
    noise_seeds: Annotated[
        int | None,
        typer.Option(help="How often labels are drawn and sets made anew; 5 unless given.", min=1),
    ] = None,
    protocol: Annotated[
        str, typer.Option("--protocol", "-p", help="How students are trained and chosen.")
    ] = "noisy-quick@1",
    student: StudentOption = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, e.g. epochs=20. Renames the protocol."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of sets and runs.", callback=new_folder)
    ] = Path("noisy"),
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try arms again that failed before.")
    ] = False,
    dry_run: DryRunOption = False,
    log: LogOption = None,
    on: OnOption = DEFAULT_ON,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make sets from wrong labels with no filter, with estimators and with the oracle, and compare.

    Rates are chosen on a `val` as noisy as the rest; `test` is clean. Everything but the oracle runs on
    clean labels too. Every set and student is stored at once: the same command goes on where it was.
    """
    from hydrometer import protocols, registry, sources
    from hydrometer.bench import noisy
    from hydrometer.cli.bench import finish, show_price
    from hydrometer.cli.console import write
    from hydrometer.methods.budget import refuse_none
    from hydrometer.protocols.noisy import REPLICATES
    from hydrometer.sources.noise import NoisySource

    limit = budget(ipc, fraction, size)
    changes = [{"student": student} if student else {}, *map(protocols.read_changes, change or ())]
    asked = noisy.Question(
        source=source,
        method=str(registry.parse(method)),
        budget=str(limit),
        trusts=tuple(str(registry.parse(name)) for name in registry.listed(trust)),
        protocol=protocols.adjusted(protocol, *changes).name,
        replicates=noise_seeds or REPLICATES,
    )
    noisy.check(asked)
    loaded = sources.load(sources.redrawn(source, 0))
    refuse_none(loaded, limit)
    notes = loaded.notes if isinstance(loaded, NoisySource) else ()
    plan = noisy.plan(out.name, out, [asked])
    if dry_run:
        if not noisy.comparable(asked, show_price(plan, retry_failed, json, on)):
            raise typer.Exit(FAILED)
        return
    finish(plan, on, retry_failed=retry_failed, log=log, quiet=quiet, verbose=verbose)
    found = noisy.answer(asked, noisy.known(plan), notes)
    write(found.model_dump_json() if json else answer_table(found))
    if not found.noisy:
        raise typer.Exit(FAILED)


def answer_table(found: Answer) -> str:
    """All arms on noisy and on clean labels, a sentence for each estimator, and the notices."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from hydrometer.bench import noisy_words as words

    out = Console(file=io.StringIO(), width=118, highlight=False, color_system=None, markup=False)
    n = len(found.noisy[0].by_replicate) if found.noisy else 0
    out.print(f"{found.method}, {found.budget}: {found.protocol}, {units.counted(n, 'noise seed')}")
    for name, scores in ((found.source, found.noisy), (found.clean_source, found.clean)):
        table = Table(box=box.SIMPLE, title=f"on {name}", title_justify="left")
        for position, column in enumerate(words.HEAD):
            table.add_column(column, justify="right" if position else "left", no_wrap=True)
        for row in words.rows(scores):
            table.add_row(*row)
        out.print(table)
    said = [*words.sentences(found), *(f"note: {notice}" for notice in found.notices)]
    written: str = out.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join([written.rstrip(), "", *said])
