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

    singular = next((k for k in registry.PACKAGES if kind in (k, plural(k))), None)
    if singular is None:
        raise registry.unknown("kind", kind, sorted(map(plural, registry.PACKAGES)))
    lines = {name: about(singular, name) for name in registry.names(singular)}
    if json:
        write(encoder.dumps(lines))
        return
    width = max(map(len, lines), default=0)
    for name, line in lines.items():
        write(f"{name:{width}}  {line}")


def plural(kind: str) -> str:
    """A kind as the command line calls all of it.

    >>> plural("source"), plural("loss"), plural("labels")
    ('sources', 'losses', 'labels')
    """
    if kind.endswith("ss"):
        return f"{kind}es"
    return kind if kind.endswith("s") else f"{kind}s"
