"""`hydrometer export`: write a set in a format others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import SetArgument


def command(
    path: SetArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    to: Annotated[
        str, typer.Option("--format", "-f", help="image-folder, pt-pair or parquet.")
    ] = "image-folder",
) -> None:
    """Export a set as an ImageFolder of PNGs, a pair of .pt files, or Hugging Face parquet."""
    from hydrometer.artifact import container, foreign
    from hydrometer.cli.console import talk, write

    for note in foreign.export_set(container.load(path), out, to):
        talk.print(note)
    write(f"{out}: {to}")
