"""A folder of images of one's own."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path

import torch

from hydrometer.registry import register
from hydrometer.sources import image_files
from hydrometer.sources.cache import cached
from hydrometer.sources.image_files import Labelled
from hydrometer.sources.place import Place
from hydrometer.sources.split import held_out
from hydrometer.types import HydrometerError, Source

TEST_FOLDERS = ("test", "val", "validation")
NAMES = "classes.txt"
TEST_PERCENT, TEST_PURPOSE = 20, "test@1"
_SIZED = re.compile(r"(.+)@(\d+)")


@register("source")
def folder(place: Place) -> Source:
    """The images of `folder:PATH`, laid out as `train/<class>/*` and `test/<class>/*`, or `<class>/*`.

    Without a usable `test/` folder, `val/` or `validation/` becomes `test`; `val` is always cut
    from `train`. A folder with none of these holds classes: a fifth of each, drawn by the row
    numbers of its sorted files, is `test`, so that near duplicates may be on both sides. Classes are
    the folders, sorted; lines `folder<TAB>name` in `classes.txt` give them readable names.
    `folder:PATH@64` resizes the shorter side of every image to 64 (PIL bilinear, antialiased) and
    crops the centre; without it all images must have one size.

    Raises:
        HydrometerError: A folder is missing, train and test have other classes, or sizes differ.
    """
    place, size = _sized(place)
    root = place.folder("folder")
    classes, train, test = _found(root)
    names = root / NAMES
    return cached(
        f"folder:{place.path}" + (f"@{size}" if size else ""),
        root,
        [path for path, _ in [*train, *test]] + ([names] if names.is_file() else []),
        partial(
            image_files.parts,
            train,
            test,
            image_files.readable(classes, image_files.names_in(names)),
            size=size,
        ),
        variant=f"size={size}",
    )


def _sized(place: Place) -> tuple[Place, int | None]:
    """The place without `@SIZE`, and the size."""
    match = _SIZED.fullmatch(str(place.path or ""))
    if match is None:
        return place, None
    size = int(match[2])
    if not 1 <= size <= 4096:
        raise HydrometerError(f"size {size} in 'folder:{place.path}' must be from 1 to 4096")
    return dataclasses.replace(place, path=Path(match[1])), size


def _found(root: Path) -> tuple[list[str], Labelled, Labelled]:
    """Classes, and the files of train and test."""
    if not any((root / part).is_dir() for part in ("train", *TEST_FOLDERS)):
        return _cut(root)
    classes = _subfolders(root / "train")
    if not classes:
        raise HydrometerError(f"{root} needs train/<class>/ folders; {root / 'train'} has none")
    part = _test_folder(root, classes)
    train, test = _labelled(root / "train", classes), _labelled(part, classes)
    untested = sorted({label for _, label in train} - {label for _, label in test})
    if untested:
        name = classes[untested[0]]
        raise HydrometerError(
            f"{part / name} holds no image, so class {name} would not be tested; add some, or "
            "remove it from train/"
        )
    return classes, train, test


def _cut(root: Path) -> tuple[list[str], Labelled, Labelled]:
    """A folder of classes alone, of which a part is held out."""
    classes = _subfolders(root)
    if not classes:
        raise HydrometerError(
            f"{root} needs a folder for every class, or train/<class>/ and test/<class>/; it has none"
        )
    files = _labelled(root, classes)
    labels = torch.tensor([label for _, label in files], dtype=torch.int64)
    held = held_out(labels, TEST_PERCENT, TEST_PURPOSE).tolist() if files else []
    train = [file for file, away in zip(files, held, strict=True) if not away]
    return classes, train, [file for file, away in zip(files, held, strict=True) if away]


def _subfolders(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _test_folder(root: Path, classes: list[str]) -> Path:
    for name in TEST_FOLDERS:
        found = _subfolders(root / name)
        if set(found) & set(classes):
            _refuse_unknown(root / name, found, classes)
            return root / name
    raise HydrometerError(
        f"{root} needs {'/ or '.join(TEST_FOLDERS)}/ with the class folders of train/, "
        f"such as {classes[0]}/"
    )


def _refuse_unknown(path: Path, found: list[str], classes: list[str]) -> None:
    unknown = [name for name in found if name not in classes]
    if unknown:
        raise HydrometerError(
            f"{path / unknown[0]} is a class that train/ has not; remove or add it"
        )


def _labelled(part: Path, classes: list[str]) -> Labelled:
    return [(path, i) for i, name in enumerate(classes) for path in image_files.below(part / name)]
