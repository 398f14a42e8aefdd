"""`hydrometer import`: bring a set in from a foreign format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hydrometer import units
from hydrometer.cli.options import JsonOption, OutOption, SourceOption, new_file


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder with images.pt and labels.pt, a .pt file, an ImageFolder, indices.npy, or "
            "the manifest that compress wrote.",
            metavar="PATH",
        ),
    ],
    source: SourceOption,
    space: Annotated[
        str,
        typer.Option(help="What the stored values are: pixel, normalised (mean/std), or zca."),
    ],
    out: OutOption = Path("set.safetensors"),
    preview: Annotated[
        Path | None,
        typer.Option(help="Contact sheet to write; by default beside --out.", callback=new_file),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Format, if it cannot be guessed: hydrometer list formats.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of the labels, if it does not lie beside the images.")
    ] = None,
    student_lr: Annotated[
        float | None, typer.Option(help="Student learning rate that was learned with the set.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import a published set: normalised or whitened images come back to pixels, with a preview.

    --space has no default on purpose: files do not say how their images were normalised, and a wrong
    guess costs most of the accuracy. Look at the preview: it must show natural colours.
    """
    from hydrometer import sources
    from hydrometer.artifact import container, foreign
    from hydrometer.artifact import preview as sheets
    from hydrometer.cli.console import talk, write
    from hydrometer.cli.describe import set_json
    from hydrometer.engine.data import fit
    from hydrometer.methods.select import manifest
    from hydrometer.types import HydrometerError, Spec

    sheet = preview or out.with_suffix(".png")
    if sheet.resolve() == out.resolve():
        raise HydrometerError(
            f"the set and its preview cannot both be {out}; name another --preview"
        )
    real = sources.load(source)
    spaces = {"normalised": Spec("normalise"), "zca": Spec("zca", (("eps", 0.1),))}
    whitening = fit(real, spaces[space]) if space in spaces else None
    if format is None and manifest.is_manifest(path):
        made = manifest.rebuild(manifest.read(path), real)
    else:
        made = foreign.import_set(
            path,
            source=real,
            space=space,
            whitening=whitening,
            format=format,
            labels_path=labels,
            student_lr=student_lr,
        )
    container.save(made, out)
    sheets.sheet(made, sheet)
    for note in made.card.notes:
        talk.print(note)
    if json:
        write(set_json(out, made))
    else:
        kind = "soft" if made.soft is not None else "hard"
        write(f"{out}: {units.counted(len(made), 'image')} with {kind} labels; look at {sheet}")
