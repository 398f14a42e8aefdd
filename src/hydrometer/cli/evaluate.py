"""`hydrometer evaluate`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import (
    DEFAULT_ON,
    DEFAULT_STORE,
    DryRunOption,
    JsonOption,
    LogOption,
    OnOption,
    QuietOption,
    SetArgument,
    SourceOption,
    StoreOption,
    StudentOption,
    VerboseOption,
    again,
    new_file,
    on_this_machine,
)

if TYPE_CHECKING:
    from hydrometer.execute.lab import Lab
    from hydrometer.verdict import Plan


def command(
    path: SetArgument,
    source: SourceOption,
    protocol: Annotated[
        str,
        typer.Option("--protocol", "-p", help="name@version; see hydrometer list protocols."),
    ] = "ddranking-hard-quick@1",
    store: StoreOption = DEFAULT_STORE,
    student: StudentOption = None,
    epochs: Annotated[int | None, typer.Option(help="Other epochs. Renames the protocol.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Other number of seeds. Renames the protocol.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32 or bfloat16. Renames the protocol.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, e.g. rates=0.01|0.1. Renames the protocol."),
    ] = None,
    bank: Annotated[
        Path | None,
        typer.Option(help="Read the teacher's labels from this bank (see relabel). Renames."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML report to this file.", callback=new_file)
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Write where the time goes: a table, and a trace to this .json file.",
            callback=new_file,
        ),
    ] = None,
    dry_run: DryRunOption = False,
    log: LogOption = None,
    on: OnOption = DEFAULT_ON,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score a compressed set: train students on it and on its baselines, print gains with intervals.

    Prints what it will cost before it starts. Every finished student is stored at once: stop it any
    time, and the same command goes on where it was.
    """
    from hydrometer import protocols, sources, verdict
    from hydrometer.artifact import container
    from hydrometer.cli.console import talk, write
    from hydrometer.cli.logs import watched
    from hydrometer.cli.tables import verdict_table
    from hydrometer.engine.environment import default_device
    from hydrometer.execute import executor
    from hydrometer.execute.lab import Lab
    from hydrometer.labels.shards import open_bank
    from hydrometer.report import page, text
    from hydrometer.store import Store
    from hydrometer.types import HydrometerError

    changes = {"student": student, "epochs": epochs, "seeds": seeds, "precision": precision}
    chosen = protocols.adjusted(
        protocol,
        {k: str(v) for k, v in changes.items() if v is not None},
        *map(protocols.read_changes, change or ()),
    )
    subject = container.load(path)
    lab = Lab(sources.load(source), default_device())
    named = chosen.name  # without the bank, which is known by its folder
    if bank is not None:
        if not on_this_machine(on):
            raise HydrometerError(f"--bank is read by this process alone; leave out --on {on}")
        chosen = protocols.adjusted(chosen.name, {"bank": lab.add_bank(open_bank(bank))})
    place = DEFAULT_ON if dry_run and not on_this_machine(on) else on
    with executor(place) as execute, Store(store) as runs:
        plan = verdict.plan(subject, chosen, lab)
        cost = verdict.cost(plan, lab, runs, execute)
        if not (quiet or dry_run):
            talk.print(text.cost(cost, chosen.name, lab.device.type))
        if profile is not None:
            show_profile(profile, plan, lab)
        if dry_run:
            told = text.cost(cost, chosen.name, lab.device.type)
            write(cost_json(cost, chosen.name) if json else told)
            return
        with watched(quiet, verbose, log or ()) as observer:
            judged = verdict.evaluate(plan, lab, runs, observer, execute)
        if report is not None:
            used = list(runs.get_many([key for arm in judged.arms for key in arm.runs]).values())
            page.write(
                report,
                [judged],
                {plan.subject.digest: plan.subject},
                used,
                title=f"{subject.card.title} on {lab.source.name}",
                command=again(
                    "evaluate",
                    path,
                    source=source,
                    protocol=named,
                    bank=bank,
                    on=None if on == DEFAULT_ON else on,
                    store=None if store == DEFAULT_STORE else store,
                    report=report,
                ),
            )
    if json:
        write(judged.model_dump_json())
    else:
        write(verdict_table([judged]))


def show_profile(trace: Path, plan: Plan, lab: Lab) -> None:
    """Profile the first student of the plan and print the table on standard error."""
    from hydrometer.cli.console import talk
    from hydrometer.engine import profile

    job = plan.jobs[0]
    lens = lab.lens(job.trial.recipe.whiten)
    recipe = job.trial.recipe
    teachers = lab.teachers(recipe.teacher, lens, recipe.labels)
    exam = lab.exams(job.trial.recipe.whiten)[1]
    held = lab.bank(recipe.bank)
    with lab.choice(job).applied():
        found = profile.spans(
            job, lab.source, lens, exam, teachers, trace, bank=held, alone=lab.alone(job)
        )
    total = sum(span.seconds for span in found)
    for span in found:
        talk.print(
            f"{span.part:22} {span.seconds:8.3f} s  {span.seconds / total:6.1%}  {span.calls} calls"
        )
    talk.print(f"trace: {trace} (open it at ui.perfetto.dev)")


def cost_json(cost: object, protocol: str) -> str:
    """The cost as one JSON object."""
    import dataclasses
    import json as encoder

    return encoder.dumps({"protocol": protocol, "cost": dataclasses.asdict(cost)})  # type: ignore[call-overload]
