"""`hydrometer demo`: embedded data, end to end, in about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import DEFAULT_ON, JsonOption, QuietOption, VerboseOption, new_file

METHODS = ("random", "herding", "el2n")
IPC = 1


def command(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Report to write.", callback=new_file)
    ] = Path("report.html"),
    store: Annotated[
        Path | None, typer.Option(help="Keep the runs here; by default they are thrown away.")
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compress scikit-learn's digits with three methods, score them, and write report.html."""
    import tempfile

    from hydrometer import methods, protocols, registry, seeds, sources, verdict
    from hydrometer.cli.console import talk, watching, write
    from hydrometer.cli.tables import verdict_table
    from hydrometer.engine.environment import default_device
    from hydrometer.execute import executor
    from hydrometer.execute.lab import Lab
    from hydrometer.report import page, text
    from hydrometer.store import Store
    from hydrometer.types import Budget

    source = sources.load("digits")
    lab = Lab(source, default_device())
    protocol = protocols.load("ddranking-hard-quick@1")
    made = [
        methods.compress(
            source,
            registry.parse(name),
            Budget(per_class=IPC),
            rng=seeds.numpy_rng(0, f"method/{name}"),
            seed=0,
        )
        for name in METHODS
    ]
    with (
        executor(DEFAULT_ON) as execute,
        tempfile.TemporaryDirectory() as scratch,
        Store(store or Path(scratch) / "runs.sqlite") as runs,
    ):
        judged = []
        for subject in made:
            plan = verdict.plan(subject, protocol, lab)
            if not quiet:
                talk.print(
                    text.cost(
                        verdict.cost(plan, lab, runs, execute),
                        f"{protocol.name} of {subject.card.method}",
                        lab.device.type,
                    )
                )
            with watching(quiet, verbose) as observer:
                judged.append(verdict.evaluate(plan, lab, runs, observer, execute))
        page.write(
            out,
            judged,
            {subject.digest: subject for subject in made},
            list(runs.get_many([k for v in judged for arm in v.arms for k in arm.runs]).values()),
            title="Hydrometer demo: scikit-learn's digits",
            command="hydrometer demo",
        )
    if json:
        write('{"verdicts":[' + ",".join(v.model_dump_json() for v in judged) + "]}")
    else:
        write(verdict_table(judged))
        write(f"report: {out}")
