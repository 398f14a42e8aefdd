"""Labelled image files in folders, as parts of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from hydrometer.sources import decode
from hydrometer.sources.decode import Blob
from hydrometer.sources.parts import Part, Parts

SUFFIXES = frozenset(
    ".bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)

Labelled = Sequence[tuple[Path, int]]
"""Image files, each with its class."""


def below(folder: Path) -> list[Path]:
    """All image files in a folder and its subfolders, sorted; hidden ones are none of ours."""
    found = (f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    return sorted((f for f in found if not f.name.startswith(".")), key=str)


def parts(
    train: Labelled, test: Labelled, classes: tuple[str, ...], *, size: int | None = None
) -> Parts:
    """The parts made of these files, decoded on demand and resized if a size is given."""
    shape = decode.survey(_blobs([*train, *test]), size)
    resize = size is not None
    decoded = (
        Part(
            torch.tensor([label for _, label in files], dtype=torch.int64),
            decode.batches(_blobs(files), shape, resize=resize),
        )
        for files in (train, test)
    )
    return Parts(next(decoded), next(decoded), classes, shape)


def readable(folders: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Class names for folders, in order; the folder is added where two classes share a name.

    >>> readable(["n1", "n2", "n3"], {"n1": "crane", "n2": "crane"})
    ('crane (n1)', 'crane (n2)', 'n3')
    """
    chosen = [names.get(folder, folder) for folder in folders]
    count = Counter(chosen)
    return tuple(
        name if count[name] == 1 else f"{name} ({folder})"
        for name, folder in zip(chosen, folders, strict=True)
    )


def names_in(path: Path) -> dict[str, str]:
    """Readable names by folder, from lines `folder<TAB>name`; other lines are passed over."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {folder.strip(): name.strip() for folder, name in pairs}


def _blobs(files: Labelled) -> Iterator[Blob]:
    return (Blob(path, str(path)) for path, _ in files)
