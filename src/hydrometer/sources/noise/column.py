"""Human label noise: another label column of the dataset's own parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hydrometer import digest
from hydrometer.registry import register
from hydrometer.sources import tables
from hydrometer.sources.noise import Labels, Part
from hydrometer.types import HydrometerError

LABELS = ("label", "fine_label")
STANDARD = {"cifar10": "60e4280db7df98f5a799"}
"""Digest of the labels in the standard order, in which the human labels were collected."""
LEAST_AGREEMENT = 0.1


@register("noise")
def column(part: Part, column: str, *, rng: np.random.Generator) -> Labels:
    """The labels of another column of `train*.parquet`: `cifar10+column:label_worse`.

    For CIFAR-10N: Wei et al., "Learning with noisy labels revisited" (ICLR 2022), CC BY-NC 4.0. Its
    labels follow the standard order, so the file's own labels must equal the source's row by row,
    those of CIFAR-10 must be in the standard order, and the two columns must agree beyond chance
    (Cohen's kappa of at least 0.1). Nothing is drawn; a seed changes nothing.

    Raises:
        HydrometerError: The source has no parquet file or no such column, its rows are in another
            order, or a label names no class.
    """
    files = _files(part)
    clean = tables.column(files, LABELS)
    given = tables.column(files, (column,))
    _same_order(part, clean, column)
    if given.min() < 0 or given.max() >= len(part.classes):
        raise HydrometerError(
            f"column {column!r} holds labels from {given.min()} to {given.max()}, "
            f"but {part.source} has {len(part.classes)} classes"
        )
    if kappa(clean, given, len(part.classes)) < LEAST_AGREEMENT:
        raise HydrometerError(
            f"column {column!r} agrees with the labels of {part.source} no better than chance: "
            "its rows seem to be in another order"
        )
    return given


def kappa(first: Labels, second: Labels, classes: int) -> float:
    """Agreement of two labellings beyond that of chance; Cohen (1960)."""
    shares = [np.bincount(labels, minlength=classes) / len(labels) for labels in (first, second)]
    chance = float(shares[0] @ shares[1])
    return (float((first == second).mean()) - chance) / max(1 - chance, 1e-12)


def _files(part: Part) -> list[Path]:
    kind, _, path = part.source.partition(":")
    folders = [part.root / kind.replace("-", "_")]
    if kind == "parquet":
        folders = [Path(path).expanduser(), part.root / path]
    for folder in folders:
        train, _ = tables.find(folder)
        if train:
            return train
    raise HydrometerError(
        f"column noise reads train*.parquet, and {part.source} has none at "
        f"{' or '.join(map(str, folders))}"
    )


def _same_order(part: Part, clean: Labels, column: str) -> None:
    expected = STANDARD.get(part.source)
    if not np.array_equal(clean, part.labels):
        raise HydrometerError(
            f"column {column!r} cannot be laid over {part.source}: the labels beside it are not the "
            "source's, row by row; it must be the first modifier, and of the same file"
        )
    if expected is not None and digest.of_tensors(torch.from_numpy(clean)) != expected:
        raise HydrometerError(
            f"the rows of {part.source} are not in the standard order, in which column {column!r} "
            "was labelled"
        )
