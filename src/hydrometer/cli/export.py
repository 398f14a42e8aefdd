"""`hydrometer export`: write a set in a format others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import JsonOption, SetArgument, new_place


def command(
    path: SetArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder to write, or .parquet file.", callback=new_place),
    ],
    to: Annotated[
        str, typer.Option("--format", "-f", help="image-folder, pt-pair or parquet.")
    ] = "image-folder",
    json: JsonOption = False,
) -> None:
    """Export a set as an ImageFolder of PNGs, a pair of .pt files, or Hugging Face parquet."""
    import json as encoder

    from hydrometer.artifact import container, foreign
    from hydrometer.cli.console import talk, write

    notes = foreign.export_set(container.load(path), out, to)
    for note in notes:
        talk.print(note)
    write(
        encoder.dumps({"out": str(out), "format": to, "notes": notes}) if json else f"{out}: {to}"
    )
