"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hydrometer import units
from hydrometer.types import Budget, HydrometerError


def on_this_machine(on: str) -> bool:
    """Whether an executor is this machine, where one verdict after the other keeps it busy."""
    return on.partition(":")[0] in ("local", "serial")


def new_file(path: Path | None) -> Path | None:
    """The path of a file to write, refused before any work is done if it cannot be one."""
    if path is not None and path.is_dir():
        raise HydrometerError(f"{path} is a folder; name a file in it")
    return new_place(path)


def new_place(path: Path | None) -> Path | None:
    """The path of a file or folder to write, refused if the folder around it cannot be written to."""
    if path is not None and not path.parent.is_dir():
        raise HydrometerError(
            f"cannot write {path}: there is no folder {path.parent}; make it first"
        )
    if path is not None and not os.access(path.parent, os.W_OK):
        raise HydrometerError(f"cannot write {path}: no permission; choose another place")
    return path


def new_folder(path: Path | None) -> Path | None:
    """The path of a folder to write, refused before any work is done if it cannot be one."""
    if path is not None and path.exists() and not path.is_dir():
        raise HydrometerError(f"{path} is a file; name a folder to write, such as {path.stem}-out")
    return new_place(path)


def again(*words: object, **options: object) -> str:
    """The command line that does something again, ready for a shell; options of None are left out.

    Plug-in files are named with it, for without them it may know fewer names.

    >>> again("report", "board", out="my site", title=None)
    "hydrometer report board --out 'my site'"
    """
    import shlex

    from hydrometer import registry

    uses = [word for path in dict.fromkeys(registry.used()) for word in ("--use", path)]
    given = [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name}", value)
    ]
    return shlex.join(map(str, ("hydrometer", *uses, *words, *given)))


def known_executor(on: str) -> str:
    """The executor that was asked for, refused before any work is done if there is none of its name."""
    if on != DEFAULT_ON:
        from hydrometer import registry

        registry.get("executor", on.partition(":")[0])
    return on


def known_loggers(log: list[str] | None) -> list[str] | None:
    """The loggers that were asked for, refused before any work is done if one does not exist.

    What a dry run needs to say as well, while it opens none of them.
    """
    if log:
        from hydrometer import loggers

        for text in log:
            loggers.known(text)
    return log


def budget(ipc: int | None, fraction: float | None, size: str | None) -> Budget:
    """The budget of the three options; all but one of them must be left out, and it must buy some."""
    stored = units.read_bytes(size) if size else None
    return Budget(per_class=ipc, fraction=fraction, bytes=stored).some()


SourceOption = Annotated[
    str,
    typer.Option(
        "--source",
        "-s",
        help="Real dataset: digits, cifar10, folder:PATH, parquet:PATH … (hydrometer list sources); "
        "cifar10+symmetric:0.4 has wrong labels, cifar10+share:0.2 is a fifth of it.",
        metavar="SOURCE",
    ),
]
IpcOption = Annotated[int | None, typer.Option(help="Budget: images per class.")]
FractionOption = Annotated[float | None, typer.Option(help="Budget: this share of train.")]
BytesOption = Annotated[
    str | None, typer.Option("--bytes", help="Budget: bytes stored, e.g. 200kB.")
]
StudentOption = Annotated[
    str | None, typer.Option(help="Another student, e.g. resnet18. Renames the protocol.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the cost and train nothing.")]
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
LogOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Also log students and verdicts: tensorboard:DIR, mlflow, mlflow:EXPERIMENT (repeatable).",
        metavar="LOGGER",
        callback=known_loggers,
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="File to write.", callback=new_file)]
SetArgument = Annotated[
    Path,
    typer.Argument(help="A compressed set (.safetensors), from compress or import.", metavar="SET"),
]
OnOption = Annotated[
    str,
    typer.Option(
        help="Where students are trained: local, local:N, serial, ray, ray:auto, ray://HOST:PORT, "
        "torchrun (hydrometer list executors; docs/clusters.md).",
        metavar="EXECUTOR",
        callback=known_executor,
    ),
]
DEFAULT_STORE = Path("runs.sqlite")
DEFAULT_ON = "local"
