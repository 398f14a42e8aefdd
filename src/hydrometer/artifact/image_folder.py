"""One folder per class, one image file per sample: how RDED and SRe2L publish sets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch

from hydrometer.artifact.formats import Foreign
from hydrometer.artifact.raster import bytes_of, decode, encode, loss_note
from hydrometer.artifact.writing import whole
from hydrometer.registry import register
from hydrometer.types import CompressedSet, HydrometerError, Source

_JPEG = {".jpg", ".jpeg"}
_SUFFIXES = {".png", ".bmp", ".webp", *_JPEG}
_PLAIN = re.compile(r"\w[\w ,'()+-]{0,99}")
"""Class names that are safe as folder names: no dots or slashes, so none leads outside."""


@register("format", "image-folder")
class ImageFolder:
    """Folders named by class, or by the class's position, such as `00007/class00007_id00000.jpg`.

    Folders are classes by name if every one names a class, else by position in the source's class
    order if every one is a number below the class count; anything else is refused. Samples come in
    class order, then by file name. Export writes PNG.
    """

    def fits(self, path: Path) -> bool:
        """Whether the path is a folder with a folder that has an image."""
        return path.is_dir() and any(_images(folder) for folder in _folders(path))

    def read(self, path: Path, source: Source) -> Foreign:
        """Read every image of every class folder, all of the source's shape."""
        if not path.is_dir():
            raise HydrometerError(f"no folder {path}")
        folders = _folders(path)
        classes, notes = _classes([folder.name for folder in folders], source)
        ordered = sorted(zip(classes, folders, strict=True))
        files = [(label, file) for label, folder in ordered for file in _images(folder)]
        if not files:
            raise HydrometerError(
                f"{path} holds no images; expected class folders with PNG or JPEG files"
            )
        images = torch.stack([decode(file, source.shape, str(file)) for _, file in files])
        labels = torch.tensor([label for label, _ in files], dtype=torch.int64)
        return Foreign(images, labels, notes=(*notes, *_file_notes(folders)))

    def write(self, compressed: CompressedSet, path: Path) -> tuple[str, ...]:
        """Write PNG files; soft labels and weights have no place here and are named in a note."""
        names = folder_names(compressed.card.classes)
        seen: Counter[int] = Counter()
        with whole(path) as draft:
            for name in names:
                (draft / name).mkdir(parents=True)
            for image, label in zip(compressed.images, compressed.labels.tolist(), strict=True):
                file = f"class{label:05d}_id{seen[label]:05d}.png"
                (draft / names[label] / file).write_bytes(encode(bytes_of(image)))
                seen[label] += 1
        lost = [
            name for name in ("soft", "weights", "index") if getattr(compressed, name) is not None
        ]
        lost += ["student_lr"] if compressed.card.student_lr is not None else []
        unkept = (f"not kept by image-folder: {', '.join(lost)}",) if lost else ()
        return (*loss_note(compressed), *unkept)


def folder_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Class names where all are plain and differ beyond case, else zero-padded positions."""
    plain = all(_PLAIN.fullmatch(name) for name in classes)
    if plain and len({name.casefold() for name in classes}) == len(classes):
        return classes
    return tuple(f"{position:05d}" for position in range(len(classes)))


def _classes(names: list[str], source: Source) -> tuple[list[int], tuple[str, ...]]:
    if all(name in source.classes for name in names):
        return [source.classes.index(name) for name in names], ()
    numbers = [int(name) if name.isascii() and name.isdigit() else -1 for name in names]
    if all(0 <= number < len(source.classes) for number in numbers):
        if len(set(numbers)) != len(numbers):
            raise HydrometerError("two class folders have the same number; merge or rename them")
        return numbers, (f"folder numbers read as positions in the class order of {source.name}",)
    strange = next(name for name in names if name not in source.classes)
    raise HydrometerError(
        f"folder {strange!r} is no class of source {source.name!r}; name every folder by its class "
        f"({', '.join(source.classes[:5])}, ...) or every one by its position, 00000 first"
    )


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.name[0] != ".")


def _file_notes(folders: Iterable[Path]) -> tuple[str, ...]:
    suffixes = Counter(
        p.suffix.lower() for folder in folders for p in folder.iterdir() if p.name[0] != "."
    )
    lossy = sum(suffixes[suffix] for suffix in _JPEG)
    ignored = sum(count for suffix, count in suffixes.items() if suffix not in _SUFFIXES)
    notes = [f"{lossy} images are JPEG, which is lossy"] if lossy else []
    return (*notes, *((f"{ignored} files that are no images were ignored",) if ignored else ()))
