"""`hydrometer cache`: what is kept of trained things, and how to be rid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import JsonOption

if TYPE_CHECKING:
    from hydrometer.store.trained import Item

app = typer.Typer(
    help="Show and forget experts, distillations, recordings and teachers that are kept.",
    no_args_is_help=True,
)


@app.command("show")
def show(
    kind: Annotated[
        str, typer.Argument(help="experts, matching, recordings or teachers; else all of them.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """List what is kept, largest first: size, days since it changed, name, and what it is."""
    import json as encoder

    from hydrometer import units
    from hydrometer.cli.console import write
    from hydrometer.sources.cache import directory
    from hydrometer.store import trained

    found = trained.items()
    if kind:
        found = sorted(trained.chosen([kind]), key=lambda item: -item.bytes)
    if json:
        write(encoder.dumps([as_json(item) for item in found]))
        return
    for item in found:
        write(line(item))
    total = units.bytes(sum(item.bytes for item in found))
    write(f"{len(found)} kept in {directory()}, {total}")


@app.command("forget")
def forget(
    names: Annotated[
        list[str], typer.Argument(help="A kind, or KIND/NAME as `show` has it; several at once.")
    ],
    days: Annotated[
        float, typer.Option(min=0, help="Only what has not changed for so many days.")
    ] = 0.0,
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and keep it.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete what is kept; it is made again when it is asked for.

    What a process is just making stays.
    """
    import json as encoder

    from hydrometer import units
    from hydrometer.cli.console import talk, write
    from hydrometer.store import trained

    gone = []
    for item in trained.chosen(names, days):
        if dry_run or trained.forget(item):
            gone.append(item)
            (talk.print if json else write)(line(item))
        else:
            talk.print(f"{item.name} is in use and stays")
    if json:
        write(encoder.dumps([as_json(item) for item in gone]))
        return
    said = "would be forgotten" if dry_run else "forgotten"
    write(f"{len(gone)} {said}, {units.bytes(sum(item.bytes for item in gone))}")


def line(item: Item) -> str:
    """An item in one line."""
    from hydrometer import units

    return f"{units.bytes(item.bytes):>9}  {age(item):5.1f} d  {item.name}  {item.about}".rstrip()


def age(item: Item) -> float:
    """Days since an item changed."""
    import time

    return max(0.0, (time.time() - item.changed) / 86_400)


def as_json(item: Item) -> dict[str, str | int | float]:
    """An item as plain data."""
    return {
        "name": item.name,
        "bytes": item.bytes,
        "days": round(age(item), 3),
        "about": item.about,
    }
