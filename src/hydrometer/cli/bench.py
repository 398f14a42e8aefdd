"""`hydrometer bench`: a grid of verdicts from one plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer import units
from hydrometer.cli.options import (
    DEFAULT_ON,
    DryRunOption,
    JsonOption,
    LogOption,
    OnOption,
    QuietOption,
    VerboseOption,
    on_this_machine,
)

if TYPE_CHECKING:
    from hydrometer.bench.plan import Plan
    from hydrometer.bench.results import CellResult, Progress

app = typer.Typer(
    help="Make every verdict of a plan, in any number of sittings.", no_args_is_help=True
)

PlanArgument = Annotated[
    Path, typer.Argument(help="Plan: a TOML file with a table [plan].", metavar="PLAN.toml")
]
AHEAD = 32
"""Verdicts whose students other executors than the serial one get together."""
FAILED = 1
"""Exit code when a plan ended with cells that failed."""


@app.command("run")
def run(
    plan: PlanArgument,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try cells again that failed before.")
    ] = False,
    dry_run: DryRunOption = False,
    log: LogOption = None,
    on: OnOption = DEFAULT_ON,
    ahead: Annotated[
        int | None,
        typer.Option(
            help="Verdicts whose students are trained together; more keep more machines busy. "
            "1 on this machine, 32 elsewhere.",
            min=1,
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Go on with a plan until every cell is done or has failed; stop it any time.

    Leaves with code 1 if cells have failed; `bench status` says why.
    """
    from hydrometer.bench import names, results
    from hydrometer.cli.console import write

    asked = names.read(plan)
    if dry_run:
        if show_price(asked, retry_failed, json, on):
            raise typer.Exit(FAILED)
        return
    finish(asked, on, ahead, retry_failed=retry_failed, log=log, quiet=quiet, verbose=verbose)
    found = results.progress(asked)
    write(progress_json(found) if json else progress_text(found))
    if found.failed:
        raise typer.Exit(FAILED)


@app.command("status")
def status(plan: PlanArgument, json: JsonOption = False) -> None:
    """Show what is done, failed and left of a plan, and how long the rest may take.

    Names are not looked up, which keeps it quick; `run` and `run --dry-run` do that first of all.
    """
    from hydrometer.bench import plan as plans
    from hydrometer.bench import results
    from hydrometer.cli.console import write

    found = results.progress(plans.read(plan))
    write(progress_json(found) if json else progress_text(found))


def finish(
    plan: Plan,
    on: str,
    ahead: int | None = None,
    *,
    retry_failed: bool,
    log: list[str] | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Bring every cell of a plan to its end, and tell of each that ends."""
    from hydrometer.bench import run as runner
    from hydrometer.cli.console import talk
    from hydrometer.cli.logs import watched
    from hydrometer.engine.environment import default_device
    from hydrometer.execute import executor

    with executor(on) as execute, watched(quiet, verbose, log or ()) as observer:
        ended = runner.run(
            plan,
            default_device(),
            observer,
            retry_failed=retry_failed,
            execute=execute,
            ahead=ahead or (1 if on_this_machine(on) else AHEAD),
        )
        for result in ended:
            if not quiet:
                talk.print(cell_line(result))


def show_price(plan: Plan, retry_failed: bool, json: bool, on: str) -> set[str]:
    """Print what is left to pay on this machine, and the cells that will have failed at the end.

    Returns:
        The digests of those cells: they cannot be run, or failed before and are not to be tried again.
    """
    import dataclasses
    import json as encoder

    from hydrometer.bench import results
    from hydrometer.bench.price import price
    from hydrometer.cli.console import write
    from hydrometer.engine.environment import default_device
    from hydrometer.execute import executor
    from hydrometer.report import text

    device = default_device()
    with executor(on if on_this_machine(on) else DEFAULT_ON) as execute:
        found = price(plan, device, retry_failed=retry_failed, execute=execute)
    before = () if retry_failed else results.progress(plan).failed
    if json:
        told = {
            "plan": plan.name,
            "cells": found.cells,
            "cost": dataclasses.asdict(found.cost),
            "impossible": list(map(str, found.impossible)),
            "failed": [result.model_dump(mode="json") for result in before],
        }
        write(encoder.dumps(told))
    else:
        what = f"{plan.name}, {units.counted(found.cells, 'cell')}"
        write(text.cost(found.cost, what, device.type))
        if found.cells > len(found.impossible):
            write("making the sets comes on top")
        for impossible in found.impossible:
            write(f"cannot run {impossible}")
        for result in before:
            write(f"not tried again without --retry-failed: {cell_line(result)}")
    return {one.cell.digest for one in found.impossible} | {result.digest for result in before}


def cell_line(result: CellResult) -> str:
    """One ended cell as one line."""
    trusting = f", trust {result.trust}" if result.trust else ""
    what = f"{result.method} ({result.budget}, seed {result.seed}{trusting}) on {result.source}"
    judge = f"{result.protocol} with {result.student}" if result.student else result.protocol
    end = units.duration(result.seconds) if result.status == "done" else f"failed: {result.reason}"
    return f"{what}, {judge}: {end}"


def progress_json(found: Progress) -> str:
    """The progress of a plan as one JSON object."""
    import json as encoder

    told = {
        "plan": found.name,
        "cells": found.cells,
        "done": found.done,
        "failed": [result.model_dump(mode="json") for result in found.failed],
        "left": found.left,
        "seconds_left": found.seconds_left,
        "students": found.students,
        "processes": found.processes,
    }
    return encoder.dumps(told)


def progress_text(found: Progress) -> str:
    """The progress of a plan: one line, then one for each failed cell."""
    time = "" if not found.left else ", time not known yet"
    if found.left and found.seconds_left is not None:
        time = f", about {units.duration(found.seconds_left)}"
    head = (
        f"{found.name}: {found.done:,} of {units.counted(found.cells, 'cell')} done, "
        f"{len(found.failed):,} failed, {found.left:,} left{time}"
    )
    workers = units.counted(found.processes, "process", "processes")
    by = f", {workers} at work" if found.processes else ""
    lines = [head, f"{units.counted(found.students, 'student')} in the store{by}"]
    return "\n".join([*lines, *map(cell_line, found.failed)])
