"""Normalisation by the mean and standard deviation of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from hydrometer.augment.pixels import as_float
from hydrometer.registry import register
from hydrometer.types import HydrometerError


@dataclass(frozen=True)
class ChannelScaling:
    """Distance from a channel's mean, in standard deviations; a `Whitening`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def whiten(self, images: Tensor) -> Tensor:
        """(images - mean) / std, for images (..., c, h, w), uint8 or float in pixel space."""
        images = as_float(images)
        mean, std = self._like(images)
        return (images - mean) / std

    def unwhiten(self, images: Tensor) -> Tensor:
        """The float images in pixel space that `whiten` maps to these."""
        images = as_float(images)
        mean, std = self._like(images)
        return images * std + mean

    def _like(self, images: Tensor) -> tuple[Tensor, Tensor]:
        kind = images.dtype, images.device
        return _per_channel(self.mean, *kind), _per_channel(self.std, *kind)


@cache
def _per_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept, because an accelerator waits for every copy from the host."""
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]


@register("whitening", "normalise")
@dataclass(frozen=True)
class Normalise:
    """Scale channels by the mean and standard deviation of a source."""

    def fit(self, images: Tensor, mean: Sequence[float], std: Sequence[float]) -> ChannelScaling:
        """The scaling for `images` (n, c, h, w) with these statistics, one of each per channel.

        Raises:
            HydrometerError: when their number is not that of the channels, or a deviation is not
                positive.
        """
        channels = images.shape[1]
        if len(mean) != channels or len(std) != channels:
            raise HydrometerError(
                f"normalise: {len(mean)} means and {len(std)} deviations for {channels} channels; "
                "give one of each per channel"
            )
        if min(std) <= 0:
            raise HydrometerError(f"normalise: std={tuple(std)} must be positive in every channel")
        return ChannelScaling(tuple(mean), tuple(std))
