"""`hydrometer compress`: make a compressed set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import (
    BytesOption,
    FractionOption,
    IpcOption,
    JsonOption,
    OutOption,
    SourceOption,
    budget,
    new_file,
)


def command(
    source: SourceOption,
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="e.g. random, herding, herding(features=pixels)."),
    ],
    ipc: IpcOption = None,
    fraction: FractionOption = None,
    size: BytesOption = None,
    codec: Annotated[
        str,
        typer.Option(help="How images are stored and counted: raw, png, jpeg, jpeg(quality=50)."),
    ] = "raw",
    teacher_of: Annotated[
        str | None,
        typer.Option("--for", help="Also pay for the teacher that this protocol trains with."),
    ] = None,
    out: OutOption = Path("set.safetensors"),
    trust: Annotated[
        str | None,
        typer.Option(help="Use only images whose labels this believes: tad, cleanlab, combined …"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random in the method.")] = 0,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Also list the kept rows, ranks and scores in this file.", callback=new_file
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a small training set from a source, by one method and within one budget."""
    from hydrometer import methods, protocols, registry, seeds, sources, verdict
    from hydrometer.artifact import container
    from hydrometer.cli.console import talk, working, write
    from hydrometer.cli.describe import set_json
    from hydrometer.methods.budget import refuse_none
    from hydrometer.methods.codec import read, warnings
    from hydrometer.methods.select import manifest as manifests
    from hydrometer.report import text

    limit = budget(ipc, fraction, size)
    spec, stored_as, loaded = registry.parse(method), read(codec), sources.load(source)
    refuse_none(loaded, limit)
    with working(f"{spec} on {source}"):
        made = methods.compress(
            loaded,
            spec,
            limit,
            trust=registry.parse(trust) if trust else None,
            stored_as=stored_as,
            teacher=verdict.teacher_bytes(protocols.load(teacher_of), loaded) if teacher_of else 0,
            rng=seeds.numpy_rng(seed, f"method/{spec}"),
            seed=seed,
        )
    container.save(made, out)
    if manifest is not None:
        manifests.write(manifests.describe(made), manifest)
    for warning in warnings(made):
        talk.print(f"warning: {warning}")
    if json:
        write(set_json(out, made))
    else:
        write(
            f"{out}: {text.counted(len(made), 'image')} by {made.card.title}, "
            f"{text.bytes(made.card.bytes.total)}, {text.duration(made.card.seconds)}"
        )
