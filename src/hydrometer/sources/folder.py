"""A folder of images of one's own."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path

from hydrometer.registry import register
from hydrometer.sources import image_files
from hydrometer.sources.cache import cached
from hydrometer.sources.image_files import Labelled
from hydrometer.sources.place import Place
from hydrometer.types import HydrometerError, Source

TEST_FOLDERS = ("test", "val", "validation")
NAMES = "classes.txt"
_SIZED = re.compile(r"(.+)@(\d+)")


@register("source")
def folder(place: Place) -> Source:
    """The images of `folder:PATH`, laid out as `train/<class>/*` and `test/<class>/*`.

    Without a usable `test/` folder, `val/` or `validation/` becomes `test`; `val` is always cut
    from `train`. Classes are the folders of `train/`, sorted; lines `folder<TAB>name` in
    `classes.txt` give them readable names. `folder:PATH@64` resizes the shorter side of every
    image to 64 (PIL bilinear, antialiased) and crops the centre; without it all images must have
    one size.

    Raises:
        HydrometerError: A folder is missing or has a class that train has not, or sizes differ.
    """
    place, size = _sized(place)
    root = place.folder("folder")
    classes = _subfolders(root / "train")
    if not classes:
        raise HydrometerError(f"{root} needs train/<class>/ folders; {root / 'train'} has none")
    train = _labelled(root / "train", classes)
    test = _labelled(_test_folder(root, classes), classes)
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
