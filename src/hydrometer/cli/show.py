"""`hydrometer show`: everything about one thing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydrometer.cli.options import JsonOption

if TYPE_CHECKING:
    from hydrometer.types import CompressedSet


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="A set (.safetensors), a label bank (folder), or a name that `list` lists."
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Show a set's card and bytes, or a plug-in's settings, arguments and sources."""
    from hydrometer import registry

    if name.endswith(".safetensors") or Path(name).is_file():
        return show_set(Path(name), json)
    if Path(name).is_dir():
        return show_bank(Path(name), json)
    if "@" in name or "{" in name:
        return show_protocol(name, json)
    if "(" in name:
        name = registry.parse(name).name  # as cards spell it, with its arguments
    kinds = [kind for kind in registry.PACKAGES if name in registry.names(kind)]
    if not kinds:
        known = sorted({n for kind in registry.PACKAGES for n in registry.names(kind)})
        raise registry.unknown("thing", name, known, listable=False)
    return show_plugins(name, kinds, json)


def show_plugins(name: str, kinds: list[str], json: bool) -> None:
    """Print what the plug-ins of one name say of themselves, by kind as JSON."""
    import json as encoder

    from hydrometer.cli.console import write
    from hydrometer.cli.describe import story

    stories = {kind: story(kind, name) for kind in kinds}
    write(encoder.dumps(stories) if json else "\n\n".join(stories.values()))


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


def show_bank(folder: Path, json: bool) -> None:
    """Print what a label bank holds, what it weighs piece by piece, and whether it is intact."""
    from hydrometer.cli.console import write
    from hydrometer.cli.describe import bank_rows
    from hydrometer.labels.shards import open_bank

    bank = open_bank(folder)
    bank.verify()
    if json:
        write(bank.contents.model_dump_json())
        return
    write(f"{folder}: a label bank, {bank.card.form}")
    for label, value in bank_rows(bank):
        write(f"  {label:8} {value}")


def show_set(path: Path, json: bool) -> None:
    """Print a set's card."""
    from hydrometer.artifact import container
    from hydrometer.cli.console import write
    from hydrometer.cli.describe import set_json
    from hydrometer.report import text

    loaded = container.load(path)
    card = loaded.card
    if json:
        write(set_json(path, loaded))
        return
    shape = "×".join(map(str, loaded.images.shape[1:]))
    kind = str(loaded.images.dtype).removeprefix("torch.")
    counts = text.counted(len(loaded), "image"), text.counted(len(card.classes), "class", "classes")
    write(f"{path}: {counts[0]} {shape} {kind}, {counts[1]}")
    including = ", scoring and its networks included" if card.seconds else ""
    for label, value in (
        ("digest", loaded.digest),
        ("source", f"{card.source} ({card.source_digest})"),
        ("method", card.method),
        ("budget", card.budget),
        ("seed", card.seed),
        ("time", text.made_in(card) + including),
        ("labels", "soft" if loaded.soft is not None else "hard"),
        ("bytes", pieces(loaded)),
        ("as files", as_files(loaded)),
        ("rate", card.student_lr),
        ("trust", card.trust and text.trust(card.trust)),
    ):
        if value is not None:
            write(f"  {label:8} {value}")
    for note in card.notes:
        write(f"  note     {note}")


def pieces(compressed: CompressedSet) -> str:
    """What must be stored, piece by piece; the card counts weights among the labels."""
    from hydrometer.report import text

    card, weights = compressed.card, compressed.weights
    weighing = 0 if weights is None else weights.numel() * weights.element_size()
    parts = [
        ("images", card.bytes.images, f" ({card.codec})"),
        ("labels", card.bytes.labels - weighing, ""),
        *([("weights", weighing, "")] if weighing else []),
        ("teacher", card.bytes.teacher, ""),
    ]
    listed = " + ".join(f"{name} {text.bytes(size)}{how}" for name, size, how in parts)
    return f"{text.bytes(card.bytes.total)} = {listed}"


def as_files(compressed: CompressedSet) -> str | None:
    """What the images of a uint8 set weigh as image files; other sets and channels have none."""
    from hydrometer.methods.bytes import PAPER_QUALITY, jpeg_bytes, png_bytes
    from hydrometer.report import text

    images = compressed.images
    if images.is_floating_point() or images.shape[1] not in (1, 3):
        return None
    png, jpeg = text.bytes(png_bytes(images)), text.bytes(jpeg_bytes(images))
    return f"PNG {png}, JPEG q{PAPER_QUALITY} {jpeg}"
