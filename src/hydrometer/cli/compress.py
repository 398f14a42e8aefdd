"""`hydrometer compress`: make a compressed set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import JsonOption, OutOption, SourceOption


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
    seed: Annotated[int, typer.Option(help="Seed of everything random in the method.")] = 0,
    json: JsonOption = False,
) -> None:
    """Make a small training set from a source, by one method and within one budget."""
    from hydrometer import methods, registry, seeds, sources
    from hydrometer.artifact import container
    from hydrometer.cli.console import write
    from hydrometer.report import text
    from hydrometer.types import Budget

    budget = Budget(per_class=ipc, fraction=fraction, bytes=text.read_bytes(size) if size else None)
    spec = registry.parse(method)
    made = methods.compress(
        sources.load(source), spec, budget, rng=seeds.numpy_rng(seed, f"method/{spec}"), seed=seed
    )
    container.save(made, out)
    if json:
        write(made.card.model_dump_json())
    else:
        write(
            f"{out}: {len(made)} images by {made.card.method}, {text.bytes(made.card.bytes.total)}, "
            f"{text.duration(made.card.seconds)}"
        )
