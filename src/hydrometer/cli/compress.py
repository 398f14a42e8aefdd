"""`hydrometer compress`: make a compressed set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import JsonOption, OutOption, SourceOption, new_file


def command(
    source: SourceOption,
    method: Annotated[
        str,
        typer.Option("--method", "-m", help="e.g. random, herding, herding(features=pixels)."),
    ],
    ipc: Annotated[int | None, typer.Option(help="Budget: images per class.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Budget: this share of train.")] = None,
    size: Annotated[
        str | None, typer.Option("--bytes", help="Budget: bytes stored, e.g. 200kB.")
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
    from hydrometer import methods, registry, seeds, sources
    from hydrometer.artifact import container
    from hydrometer.cli.console import write
    from hydrometer.cli.describe import set_json
    from hydrometer.methods.select import manifest as manifests
    from hydrometer.report import text
    from hydrometer.types import Budget

    budget = Budget(per_class=ipc, fraction=fraction, bytes=text.read_bytes(size) if size else None)
    spec = registry.parse(method)
    made = methods.compress(
        sources.load(source),
        spec,
        budget,
        trust=registry.parse(trust) if trust else None,
        rng=seeds.numpy_rng(seed, f"method/{spec}"),
        seed=seed,
    )
    container.save(made, out)
    if manifest is not None:
        manifests.write(manifests.describe(made), manifest)
    if json:
        write(set_json(out, made))
    else:
        write(
            f"{out}: {len(made)} images by {made.card.method}, {text.bytes(made.card.bytes.total)}, "
            f"{text.duration(made.card.seconds)}"
        )
