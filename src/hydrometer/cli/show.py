"""`hydrometer show`: everything about one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer.cli.options import JsonOption


def command(
    name: Annotated[
        str, typer.Argument(help="A set (.safetensors), or the name of anything `list` lists.")
    ],
    json: JsonOption = False,
) -> None:
    """Show a set's card and bytes, or a plug-in's settings, arguments and sources."""
    from hydrometer import registry
    from hydrometer.cli.console import write

    if name.endswith(".safetensors") or Path(name).is_file():
        return show_set(Path(name), json)
    if "@" in name or "{" in name:
        return show_protocol(name, json)
    kinds = [kind for kind in registry.PACKAGES if name in registry.names(kind)]
    if not kinds:
        known = sorted({n for kind in registry.PACKAGES for n in registry.names(kind)})
        raise registry.unknown("thing", name, known)
    from hydrometer.cli.describe import story

    write("\n\n".join(story(kind, name) for kind in kinds))
    return None


def show_protocol(name: str, json: bool) -> None:
    """Print a protocol's settings, changed ones included."""
    import json as encoder

    from hydrometer import digest, protocols
    from hydrometer.cli.console import write
    from hydrometer.cli.describe import protocol_story

    found = protocols.load(name)
    if json:
        settings = encoder.loads(digest.canonical(found.settings))
        write(
            encoder.dumps({"protocol": found.name, "settings": settings, "metrics": found.metrics})
        )
    else:
        write(protocol_story(found))


def show_set(path: Path, json: bool) -> None:
    """Print a set's card."""
    from hydrometer.artifact import container
    from hydrometer.cli.console import write
    from hydrometer.report import text

    loaded = container.load(path)
    card = loaded.card
    if json:
        write(card.model_dump_json())
        return
    shape = "×".join(map(str, loaded.images.shape[1:]))
    kind = str(loaded.images.dtype).removeprefix("torch.")
    write(f"{path}: {len(loaded)} images {shape} {kind}, {len(card.classes)} classes")
    for label, value in (
        ("digest", loaded.digest),
        ("source", f"{card.source} ({card.source_digest})"),
        ("method", card.method),
        ("budget", card.budget),
        ("seed", card.seed),
        ("time", text.duration(card.seconds)),
        ("labels", "soft" if loaded.soft is not None else "hard"),
        (
            "bytes",
            f"{text.bytes(card.bytes.total)} = images {text.bytes(card.bytes.images)} + "
            f"labels {text.bytes(card.bytes.labels)} + teacher {text.bytes(card.bytes.teacher)}",
        ),
        ("rate", card.student_lr),
    ):
        if value is not None:
            write(f"  {label:8} {value}")
    for note in card.notes:
        write(f"  note     {note}")
