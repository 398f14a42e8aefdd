"""ZCA whitening: decorrelate pixels while staying as close as possible to the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hydrometer.augment.pixels import as_float
from hydrometer.registry import register
from hydrometer.types import HydrometerError

_CHUNK = 2000


@dataclass(frozen=True, eq=False)
class DecorrelatedPixels:
    """An affine map of all pixels of an image together; a `Whitening`.

    `mean` is (d,), `matrix` and its `inverse` are (d, d) and symmetric, for images of d = c·h·w
    values. They follow the images to another device; fit on the device of use to spare the copies.
    """

    mean: Tensor
    matrix: Tensor
    inverse: Tensor

    def whiten(self, images: Tensor) -> Tensor:
        """(images - mean) matrix, for images (..., c, h, w), uint8 or float in pixel space.

        Raises:
            HydrometerError: when the images have another size than those the map was fitted to.
        """
        flat = self._flat(images)
        return ((flat - self.mean.to(flat)) @ self.matrix.to(flat)).view(images.shape)

    def unwhiten(self, images: Tensor) -> Tensor:
        """The float images in pixel space that `whiten` maps to these.

        Raises:
            HydrometerError: when the images have another size than those the map was fitted to.
        """
        flat = self._flat(images)
        return (flat @ self.inverse.to(flat) + self.mean.to(flat)).view(images.shape)

    def _flat(self, images: Tensor) -> Tensor:
        flat = as_float(images).flatten(-3)
        if flat.shape[-1] != len(self.mean):
            raise HydrometerError(
                f"zca was fitted to images of {len(self.mean)} values, not of {flat.shape[-1]}; "
                "whiten images of the fitted size, or fit again"
            )
        return flat


@register("whitening", "zca")
@dataclass(frozen=True)
class ZCA:
    """Fit ZCA whitening to pixels in [0, 1]; `eps` is added to every eigenvalue of the covariance.

    Agrees with `kornia.enhance.ZCAWhitening`, which the field's code uses: no normalisation by
    channel before it, covariance with n - 1.

    Raises:
        HydrometerError: when `eps` is not positive.
    """

    eps: float = 0.1

    def __post_init__(self) -> None:
        if self.eps <= 0:
            raise HydrometerError(f"zca: eps={self.eps} is not positive; try 0.1")

    def fit(
        self, images: Tensor, mean: Sequence[float] = (), std: Sequence[float] = ()
    ) -> DecorrelatedPixels:
        """The whitening of `images` (n, c, h, w), uint8 or float in pixel space.

        Channel statistics play no part. Images are read twice, in chunks, so that a memory-mapped
        tensor stays on disk; d x d matrices are held, with eigenvalues found in float64.

        Raises:
            HydrometerError: when there are fewer than two images.
        """
        if len(images) < 2:
            raise HydrometerError(f"zca: {len(images)} images have no covariance; give two or more")
        centre = _mean(images)
        values, vectors = torch.linalg.eigh(_covariance(images, centre))
        roots = (values.clamp(min=0) + self.eps).sqrt()
        kept = torch.float64 if images.dtype == torch.float64 else torch.float32
        return DecorrelatedPixels(
            mean=centre.to(kept),
            matrix=((vectors / roots) @ vectors.mT).to(kept),
            inverse=((vectors * roots) @ vectors.mT).to(kept),
        )


def _mean(images: Tensor) -> Tensor:
    """Mean of every value, (d,) float64."""
    sums = [chunk.sum(dim=0, dtype=torch.float64) for chunk in _chunks(images)]
    return torch.stack(sums).sum(dim=0) / len(images)


def _covariance(images: Tensor, centre: Tensor) -> Tensor:
    """Covariance of every pair of values, (d, d) float64, summed in float64 over exact chunks."""
    total = torch.zeros(len(centre), len(centre), dtype=torch.float64, device=images.device)
    for chunk in _chunks(images):
        centred = chunk - centre.to(chunk.dtype)
        total += centred.mT @ centred
    return total / (len(images) - 1)


def _chunks(images: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(images), _CHUNK):
        yield as_float(images[start : start + _CHUNK]).flatten(1)
