"""`hydrometer list`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from hydrometer.cli.options import JsonOption


def command(
    kind: Annotated[
        str,
        typer.Argument(
            help="sources, methods, protocols, metrics, students, augmentations, formats …"
        ),
    ],
    json: JsonOption = False,
) -> None:
    """List everything of a kind, with one line about each."""
    import json as encoder

    from hydrometer import registry
    from hydrometer.cli.console import write
    from hydrometer.cli.describe import about

    singular = kind if kind in registry.PACKAGES else kind.removesuffix("s")
    if singular not in registry.PACKAGES:
        raise registry.unknown("kind", kind, sorted(registry.PACKAGES))
    lines = {name: about(singular, name) for name in registry.names(singular)}
    if json:
        write(encoder.dumps(lines))
        return
    width = max(map(len, lines), default=0)
    for name, line in lines.items():
        write(f"{name:{width}}  {line}")
