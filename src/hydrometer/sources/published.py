"""Datasets that the field shares: found as parquet or as torchvision left them, else downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hydrometer.sources import tables
from hydrometer.sources.cache import cached
from hydrometer.sources.parts import Part, Parts, Shape
from hydrometer.sources.place import Place, missing
from hydrometer.types import Source

_BLOCK = 4096


@dataclass(frozen=True)
class Published:
    """What must be known of a published dataset to find, fetch and read it.

    `mean` and `std` are the constants the field normalises with, where it has agreed on some.
    """

    name: str
    torchvision: str
    """The class in torchvision.datasets."""
    unpacked: str
    """The folder that class unpacks to."""
    shape: Shape
    classes: tuple[str, ...]
    label_columns: tuple[str, ...] = ("label",)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def folder(self) -> str:
        """The folder below the root, which is also the module's name."""
        return self.name.replace("-", "_")


def load(place: Place, published: Published) -> Source:
    """The dataset, from `ROOT/<name>/{train,test}*.parquet` or from torchvision's own files.

    Torchvision's files are looked for below the root and below `ROOT/<name>`, and downloaded to the
    latter. Parquet files go first. Copies differ: the digest tells a JPEG copy from the original.

    Raises:
        HydrometerError: The dataset is nowhere and cannot be downloaded, or is damaged.
    """
    place.no_path(published.name)
    folder = place.root / published.folder
    train, test = tables.find(folder)
    if train:
        read = partial(_from_tables, published, train, test)
        return cached(published.name, folder, [*train, *test], read)
    bases = [base for base in (place.root, folder) if _files(base, published)]
    base = bases[0] if bases else folder
    if not bases:
        place.accepts_downloads()
        _open(published, base, train=True)
    read = partial(_from_torchvision, published, base)
    return cached(published.name, base, _files(base, published), read)


def _files(base: Path, published: Published) -> list[Path]:
    return sorted(f for f in (base / published.unpacked).rglob("*") if f.is_file())


def _from_tables(published: Published, train: list[Path], test: list[Path]) -> Parts:
    read = tables.read(
        train, test, published.label_columns, shape=published.shape, classes=published.classes
    )
    return _normalised(published, read.train, read.test)


def _from_torchvision(published: Published, base: Path) -> Parts:
    train, test = (_part(_open(published, base, train=train)) for train in (True, False))
    return _normalised(published, train, test)


def _normalised(published: Published, train: Part, test: Part) -> Parts:
    p = published
    return Parts(train, test, p.classes, p.shape, p.mean, p.std)


def _open(published: Published, base: Path, *, train: bool) -> Any:
    """Torchvision's dataset; it checks its files and downloads them where they are not whole."""
    # Imported late: a start from the cache does without torchvision, and is quicker by a second.
    from torchvision import datasets

    try:
        return getattr(datasets, published.torchvision)(base, train=train, download=True)
    except (RuntimeError, OSError, EOFError, HTTPException) as error:
        looked = [base / "train.parquet", base / published.unpacked]
        altered = (
            " (files are there, but not as torchvision knows them)"
            if _files(base, published)
            else ""
        )
        reason = f"{altered}, and the download failed ({_one_line(error)})"
        raise missing(published.name, looked, reason) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _part(dataset: Any) -> Part:
    pixels = torch.as_tensor(np.asarray(dataset.data))
    images = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    labels = torch.as_tensor(np.asarray(dataset.targets), dtype=torch.int64)
    return Part(labels, torch.split(images, _BLOCK))
