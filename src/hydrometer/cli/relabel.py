"""`hydrometer relabel`: write a teacher's labels of every view of a set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import (
    JsonOption,
    QuietOption,
    SetArgument,
    SourceOption,
    VerboseOption,
    new_folder,
)


def command(
    path: SetArgument,
    source: SourceOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", callback=new_folder)],
    protocol: Annotated[
        str, typer.Option("--protocol", "-p", help="Whose teacher, views and epochs.")
    ] = "rd3-quick@1",
    top: Annotated[
        int | None, typer.Option(help="Keep only the largest logits of each view, renormalised.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Keep only the first epochs; students cycle through them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the views.")] = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Label every view of a set once, so that students need no teacher: evaluate --bank reads it.

    Crops, flips and mixes are drawn again from the seed, so only labels are stored. Stop it any time,
    and the same command goes on where it was.
    """
    from hydrometer import protocols, sources, verdict
    from hydrometer.artifact import container
    from hydrometer.cli.console import watching, write
    from hydrometer.cli.describe import bank_rows
    from hydrometer.engine.environment import default_device
    from hydrometer.execute.lab import Lab
    from hydrometer.execute.relabel import Form, relabel

    chosen = protocols.load(protocol)
    lab = Lab(sources.load(source), default_device())
    with watching(quiet, verbose) as observer:
        data, recipe = verdict.relabelled(container.load(path), chosen, lab, observer)
        form = Form(epochs, top)
        bank = relabel(
            data, recipe, lab, out, form=form, seed=seed, protocol=chosen.name, observer=observer
        )
    if json:
        write(bank.contents.model_dump_json())
        return
    size = dict(bank_rows(bank))["bytes"]
    write(f"{out}: {bank.card.form}: {size}")
