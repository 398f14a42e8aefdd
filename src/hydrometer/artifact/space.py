"""From the space a foreign set's images are stored in to pixel space."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hydrometer.types import HydrometerError

SPACES = ("pixel", "normalised", "zca")

_MOST_OUTSIDE = 0.45
_FARTHEST = 16.0
"""No pixel of a distilled set is as far from white: DATM's, learned without bounds, end at 3.4."""
_FAR_LOW, _FAR_HIGH, _MOST_FAR = -0.5, 1.5, 0.01
"""Values that cannot be pixels: 45 % outside [0, 1], and 1 % outside [-0.5, 1.5].

Whatever is centred on zero has half its values below zero, which distilled pixels have not. Shares
outside the two intervals in the published CIFAR-10 sets: DC (IPC 1) 6 % and 0.03 % as pixels, 71 %
and 46 % normalised; DATM (IPC 10) 37 % and 9 % as pixels, 54 % and 19 % whitened.
"""


class Whitening(Protocol):
    """A fitted, invertible map between pixel space and a normalised or whitened one."""

    def whiten(self, x: Tensor) -> Tensor:
        """Pixels (n, c, h, w) into the other space."""

    def unwhiten(self, x: Tensor) -> Tensor:
        """The other space back into pixels (n, c, h, w)."""


def to_pixels(
    images: Tensor, space: str, whitening: Whitening | None
) -> tuple[Tensor, tuple[str, ...]]:
    """Images in pixel space, and notes on values that left [0, 1], which are kept.

    uint8 images stay uint8; all others come back float32.

    Raises:
        HydrometerError: The values cannot be of the stated space, or the whitening is missing.
    """
    if space not in SPACES:
        raise HydrometerError(f"no space {space!r}; choose from {', '.join(SPACES)}")
    if images.dtype == torch.uint8:
        return _bytes(images, space), ()
    if space != "pixel":
        images = _unwhitened(images, space, whitening)
    return _pixels(images, space)


def outside(images: Tensor) -> int:
    """How many values of float images lie outside [0, 1]."""
    return int(((images < 0) | (images > 1)).sum())


def _bytes(images: Tensor, space: str) -> Tensor:
    if space != "pixel":
        raise HydrometerError(f"images are uint8, which cannot be {space}; use space pixel")
    if images.numel() and int(images.max()) <= 1:
        raise HydrometerError(
            "images are uint8 with no value above 1, like fractions cast to bytes; "
            "store them as float32 or scale them to 0..255"
        )
    return images


def _unwhitened(images: Tensor, space: str, whitening: Whitening | None) -> Tensor:
    if whitening is None:
        raise HydrometerError(f"space {space} needs the whitening that made it; none was given")
    low, high = _range(images)
    if low >= 0 and high <= 1:
        raise HydrometerError(
            f"values outside the stated space {space}: min {low:.3g}, max {high:.3g}; is it pixel?"
        )
    return whitening.unwhiten(images).to(torch.float32)


def _pixels(images: Tensor, space: str) -> tuple[Tensor, tuple[str, ...]]:
    low, high = _range(images)
    if _implausible(images):
        others = " or ".join(s for s in SPACES if s != space)
        pixels = "" if space == "pixel" else " after its inversion to pixels"
        raise HydrometerError(
            f"values outside the stated space {space}{pixels}: min {low:.3g}, max {high:.3g}; "
            f"is it {others}, or scaled otherwise?"
        )
    count = outside(images)
    if not count:
        return images, ()
    share = f"{count} of {images.numel()} values lie outside [0, 1] (min {low:.3g}, max {high:.3g})"
    return images, (f"{share}; they are kept",)


def _implausible(images: Tensor) -> bool:
    """Whether values show another space: many out of range and some far, or one out of all reason."""
    low, high = _range(images)
    if max(-low, high) > _FARTHEST:
        return True
    far = ((images < _FAR_LOW) | (images > _FAR_HIGH)).sum()
    return outside(images) > _MOST_OUTSIDE * images.numel() and bool(
        far > _MOST_FAR * images.numel()
    )


def _range(images: Tensor) -> tuple[float, float]:
    return (images.min().item(), images.max().item()) if images.numel() else (0.0, 0.0)
