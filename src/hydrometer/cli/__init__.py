"""The command line: one command, one file; heavy imports wait until a command runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import hydrometer
from hydrometer.cli import (
    attribute,
    bench,
    board,
    cache,
    compress,
    demo,
    doctor,
    evaluate,
    export,
    import_,
    list_,
    noisy,
    relabel,
    report,
    serve,
    show,
    trust,
)
from hydrometer.types import HydrometerError

# Idle OpenMP threads sleep instead of spinning: on a busy machine that is several times faster.
# It must be set before torch is first imported, and a user's own choice wins.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

MISTAKE, INTERRUPTED = 2, 130
"""Exit codes: of a user's mistake, as typer's own, and of Ctrl-C."""

app = typer.Typer(
    name="hydrometer",
    help="Make compressed image datasets, and measure them so that the number belongs to the images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hydrometer {hydrometer.__version__}")
        raise typer.Exit


@app.callback()
def options(
    use: Annotated[
        list[Path] | None,
        typer.Option(help="Load plug-ins from this Python file (repeatable).", metavar="FILE.py"),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options shared by all commands."""
    from hydrometer import registry

    for path in use or []:
        registry.use(path)


for module, name in (
    (demo, "demo"),
    (compress, "compress"),
    (import_, "import"),
    (export, "export"),
    (relabel, "relabel"),
    (evaluate, "evaluate"),
    (attribute, "attribute"),
    (report, "report"),
    (serve, "serve"),
    (list_, "list"),
    (show, "show"),
    (trust, "trust"),
    (noisy, "noisy"),
    (doctor, "doctor"),
):
    app.command(name)(module.command)
app.add_typer(bench.app, name="bench")
app.add_typer(board.app, name="board")
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except HydrometerError as error:
        fail(str(error), MISTAKE)
    except OSError as error:
        fail(of_system(error), MISTAKE)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        fail("not enough memory; take a smaller student, batch or source", MISTAKE)
    except SystemExit as leaving:
        # typer turns Ctrl-C into this code, without a word.
        if leaving.code != INTERRUPTED:
            raise
        fail("stopped; finished students are stored: run the same command to go on", INTERRUPTED)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; torch says it of a processor in a plain RuntimeError."""
    said = str(error)
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


def of_system(error: OSError) -> str:
    """What the operating system refused, and what to do about it."""
    where = error.filename or "while writing"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({where}); free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"no permission for {where}; choose another place"
    return f"{error.strerror or error} ({where})"


def fail(sentence: str, code: int) -> NoReturn:
    """Say what went wrong in one line on standard error, and leave."""
    sys.stderr.write(f"hydrometer: {' '.join(sentence.split())}\n")
    sys.exit(code)
