"""Tiny-ImageNet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hydrometer.registry import register
from hydrometer.sources import image_files
from hydrometer.sources.cache import cached
from hydrometer.sources.image_files import Labelled
from hydrometer.sources.place import Place, missing
from hydrometer.types import HydrometerError, Source

FOLDERS = ("tiny-imagenet-200", "tiny_imagenet")


@register("source")
def tiny_imagenet(place: Place) -> Source:
    """100 000 + 10 000 photographs in 200 classes, 3×64×64, whose labelled `val` becomes `test`.

    Read from `tiny-imagenet-200/` as http://cs231n.stanford.edu/tiny-imagenet-200.zip unpacks; the
    official test part has no labels. Classes are sorted by wnid and named by `words.txt`.
    Le and Yang, "Tiny ImageNet visual recognition challenge" (Stanford CS231n, 2015).
    """
    place.no_path("tiny-imagenet")
    looked = [place.root / name for name in FOLDERS]
    root = next((path for path in looked if (path / "wnids.txt").is_file()), None)
    if root is None:
        raise missing("tiny-imagenet", [path / "wnids.txt" for path in looked])
    wnids = sorted((root / "wnids.txt").read_text().split())
    train = _train(root, wnids)
    test = _test(root, wnids)
    classes = image_files.readable(wnids, image_files.names_in(root / "words.txt"))
    return cached(
        "tiny-imagenet",
        root,
        [path for path, _ in [*train, *test]],
        partial(image_files.parts, train, test, classes),
    )


def _train(root: Path, wnids: list[str]) -> Labelled:
    return [
        (path, label)
        for label, wnid in enumerate(wnids)
        for path in image_files.below(root / "train" / wnid)
    ]


def _test(root: Path, wnids: list[str]) -> Labelled:
    """Images of `val/` with the classes of `val_annotations.txt`: file, wnid and a box per line."""
    annotations = root / "val" / "val_annotations.txt"
    if not annotations.is_file():
        raise missing("tiny-imagenet", [annotations])
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    labelled = []
    for line in annotations.read_text().splitlines():
        name, wnid = line.split("\t")[:2]
        if wnid not in label_of:
            raise HydrometerError(f"{annotations} names {wnid!r}, which wnids.txt does not")
        labelled.append((root / "val" / "images" / name, label_of[wnid]))
    return labelled
