"""The command line: one command, one file; heavy imports wait until a command runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli import (
    compress,
    demo,
    doctor,
    evaluate,
    export,
    import_,
    list_,
    show,
)
from hydrometer.types import HydrometerError

# Idle OpenMP threads sleep instead of spinning: on a busy machine that is several times faster.
# It must be set before torch is first imported, and a user's own choice wins.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(
    name="hydrometer",
    help="Make compressed image datasets, and measure them so that the number belongs to the images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    use: Annotated[
        list[Path] | None,
        typer.Option(help="Load plug-ins from this Python file (repeatable).", metavar="FILE.py"),
    ] = None,
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
    (evaluate, "evaluate"),
    (list_, "list"),
    (show, "show"),
    (doctor, "doctor"),
):
    app.command(name)(module.command)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except HydrometerError as error:
        fail(str(error), 2)
    except KeyboardInterrupt:
        fail("stopped; finished students are stored: run the same command to go on", 130)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            fail(f"the disk is full ({error.filename or 'while writing'}); free some space", 2)
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            fail(f"no permission to write {error.filename}; choose another place", 2)
        raise


def fail(sentence: str, code: int) -> None:
    """Say what went wrong on standard error and leave."""
    sys.stderr.write(f"hydrometer: {sentence}\n")
    sys.exit(code)
