"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourceOption = Annotated[
    str,
    typer.Option(
        "--source",
        "-s",
        help="Real dataset: digits, cifar10, folder:PATH, parquet:PATH … (hydrometer list sources).",
        metavar="SOURCE",
    ),
]
StoreOption = Annotated[
    Path,
    typer.Option(help="SQLite file that keeps every run; a run found there is not trained again."),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON object on standard output, all else on standard error."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is batched, cached and chosen.")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
SetArgument = Annotated[
    Path,
    typer.Argument(help="A compressed set (.safetensors), from compress or import.", metavar="SET"),
]
DEFAULT_STORE = Path("runs.sqlite")
