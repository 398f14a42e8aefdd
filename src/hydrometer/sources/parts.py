"""From the original parts of a dataset, train and test, to a `Source`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hydrometer import digest
from hydrometer.sources.split import VAL_PERCENT, VAL_PURPOSE, VAL_RULE, held_out
from hydrometer.types import HydrometerError, Source, Split

LEVELS = 256
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """One original part: labels (n,) int64, and images in the same order, decoded on demand."""

    labels: Tensor
    images: Iterable[Tensor]
    """Batches (m, c, h, w), uint8; read once."""


@dataclass(frozen=True)
class Parts:
    """A dataset as it was published, before `val` is cut.

    `mean` and `std` are given where the field has agreed on constants, and computed elsewhere.
    """

    train: Part
    test: Part
    classes: tuple[str, ...]
    shape: Shape
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __iter__(self) -> Iterator[Part]:
        return iter((self.train, self.test))


def check(name: str, parts: Parts) -> None:
    """Refuse parts that no student can be trained and tested on."""
    if len(parts.classes) < 2:
        raise HydrometerError(
            f"source {name!r} has the classes {list(parts.classes)}; at least 2 are needed"
        )
    twice = [c for c, count in Counter(parts.classes).items() if count > 1]
    if twice:
        raise HydrometerError(f"source {name!r} has two classes named {twice[0]!r}; rename one")
    for part, labels in (("train", parts.train.labels), ("test", parts.test.labels)):
        _check_labels(f"source {name!r}: {part}", labels, len(parts.classes))
    _check_coverage(name, parts.train.labels, parts.classes)


def _check_labels(who: str, labels: Tensor, classes: int) -> None:
    if not len(labels):
        raise HydrometerError(f"{who} has no images")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise HydrometerError(
            f"{who} label {int(wrong[0])} is out of range; "
            f"{classes} classes have 0 to {classes - 1}"
        )


def _check_coverage(name: str, labels: Tensor, classes: tuple[str, ...]) -> None:
    counts = torch.bincount(labels, minlength=len(classes))
    empty = [classes[i] for i in (counts == 0).nonzero().flatten()]
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise HydrometerError(f"source {name!r} has no train image of class {empty[0]!r}{more}")
    if counts.max() < 2:
        raise HydrometerError(
            f"source {name!r} has one train image per class; at least one class needs two, "
            f"or no val can be cut"
        )


def rows(parts: Parts) -> tuple[Tensor, Tensor, Tensor]:
    """The original rows of train, val and test, each ascending; train and val share one part."""
    held = held_out(parts.train.labels, VAL_PERCENT, VAL_PURPOSE)
    return (
        (~held).nonzero().flatten(),
        held.nonzero().flatten(),
        torch.arange(len(parts.test.labels)),
    )


def batches(name: str, part: Part, shape: Shape) -> Iterator[Tensor]:
    """The images of a part, batch by batch, each checked to be uint8 of this shape."""
    count = 0
    for batch in part.images:
        if batch.dtype != torch.uint8 or batch.shape[1:] != shape:
            raise HydrometerError(
                f"source {name!r} decodes to {batch.dtype} {tuple(batch.shape[1:])}, "
                f"not uint8 {shape}"
            )
        count += len(batch)
        yield batch
    if count != len(part.labels):
        raise HydrometerError(f"source {name!r} has {count} images but {len(part.labels)} labels")


def in_memory(name: str, parts: Parts) -> Source:
    """The source made of these parts, held in memory and stored nowhere."""
    check(name, parts)
    images = [torch.cat(list(batches(name, part, parts.shape))) for part in parts]
    train, val, test = rows(parts)
    return assemble(
        name,
        parts,
        Split(images[0][train], parts.train.labels[train], train),
        Split(images[0][val], parts.train.labels[val], val),
        Split(images[1], parts.test.labels, test),
    )


def assemble(name: str, parts: Parts, train: Split, val: Split, test: Split) -> Source:
    """The source made of these splits, with what remains to be computed from their pixels."""
    mean, std = parts.mean, parts.std
    if mean is None or std is None:
        mean, std = moments(train.images)
    tensors = [t for split in (train, val, test) for t in (split.images, split.labels, split.index)]
    identity = digest.of_tensors(*tensors, salt=digest.canonical([parts.classes, mean, std]))
    return Source(name, train, val, test, parts.classes, mean, std, identity, VAL_RULE)


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel for pixels in [0, 1], to four decimals.

    They come from counts of the 256 levels, so they are exact and alike on every machine. The
    deviation is that of the population, and at least one level: a blank channel divides by no zero.

    Args:
        images: Shape (n, c, h, w), uint8; read in blocks, so it may be memory-mapped.

    Returns:
        Mean and standard deviation, each with c values.
    """
    channels = images.shape[1]
    counts = torch.zeros(channels, LEVELS, dtype=torch.int64)
    for block in torch.split(images, 1024):
        for channel in range(channels):
            counts[channel] += torch.bincount(block[:, channel].flatten(), minlength=LEVELS)
    level = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)
    share = counts / counts.sum(dim=1, keepdim=True).double()
    mean = share @ level
    variance = (share * (level - mean[:, None]) ** 2).sum(dim=1)
    std = variance.sqrt().clamp(min=1 / (LEVELS - 1))
    return _rounded(mean), _rounded(std)


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)
