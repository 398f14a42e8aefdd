"""Pixels to network input: whitening fitted once per source, evaluation splits prepared once."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from hydrometer.registry import build
from hydrometer.types import Source, Spec

PREPARED_BYTES = 64 * 2**20
"""Splits up to this size are kept as ready float tensors; larger ones are prepared batch by batch."""


_FIELDS = "__dataclass_fields__"


class Whitening(Protocol):
    """An invertible affine map fitted on the training images of a source."""

    def whiten(self, images: Tensor) -> Tensor:
        """Pixels with 1.0 for white to network input."""

    def unwhiten(self, images: Tensor) -> Tensor:
        """Network input back to pixels."""


def pixels(images: Tensor) -> Tensor:
    """Float pixels with 1.0 for white, from uint8 or from floats that already are."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()


def fit(source: Source, whiten: Spec) -> Whitening:
    """The whitening of a spec, fitted on the training images of a source."""
    fitted: Whitening = build("whitening", whiten).fit(source.train.images, source.mean, source.std)
    return fitted


def moved(whitening: Whitening, device: torch.device) -> Whitening:
    """The whitening with its tensors on a device, which would else be copied there for every batch."""
    held = ((name, getattr(whitening, name)) for name in getattr(whitening, _FIELDS, ()))
    tensors = {name: value.to(device) for name, value in held if isinstance(value, Tensor)}
    return dataclasses.replace(whitening, **tensors) if tensors else whitening  # type: ignore[type-var]


class Lens:
    """How the students of one recipe see images; shared by every student that sees them the same way."""

    def __init__(self, source: Source, whiten: Spec | None, device: torch.device) -> None:
        self.device = device
        self.whitening = moved(fit(source, whiten or Spec("normalise")), device)

    def __call__(self, images: Tensor) -> Tensor:
        """Network input (n, c, h, w) float32 on the device, from stored images of any type."""
        return self.whitening.whiten(pixels(images.to(self.device)))


class Images:
    """Images of a set or split on the device, read by row; small ones are whitened ahead of time."""

    def __init__(self, images: Tensor, lens: Lens) -> None:
        self.lens = lens
        self.ready = images.numel() * 4 <= PREPARED_BYTES
        self.images = (
            torch.cat([lens(part) for part in torch.split(images, 1024)])
            if self.ready and len(images)
            else images.to(lens.device)
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> Tensor:
        picked = self.images[rows.to(self.images.device)]
        return picked if self.ready else self.lens(picked)

    def batches(self, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Every image once, in order, in batches ready for a network."""
        for start in range(0, len(self.images), size):
            rows = slice(start, start + size)
            yield rows, self.images[rows] if self.ready else self.lens(self.images[rows])


def joined(parts: Sequence[Images]) -> Images | None:
    """All images of some sets behind each other, for one reading; the sets become views of them.

    None where some are ready and others not, or of other types.
    """
    if len({(part.ready, part.images.dtype) for part in parts}) > 1:
        return None
    if len(parts) == 1:
        return parts[0]
    whole = copy.copy(parts[0])
    whole.images = torch.cat([part.images for part in parts])
    for part, view in zip(parts, torch.split(whole.images, [len(p) for p in parts]), strict=True):
        part.images = view
    return whole
