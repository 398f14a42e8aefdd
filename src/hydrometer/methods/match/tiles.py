"""Partition and expansion: an image to learn holds several, enlarged before a network sees them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.augment.geometry import tile_sides
from hydrometer.types import HydrometerError, Source


def expand(images: Tensor, factor: int) -> Tensor:
    """The tiles (n f², c, h, w) of images (n, c, h, w), each enlarged bilinearly to a full image.

    Image by image, row by row. Kim et al., "Dataset Condensation via Efficient Synthetic-Data
    Parameterization" (ICML 2022, arXiv 2205.14959), section 4.1; Zhao et al. (CVPR 2023, arXiv
    2307.09742), section 4.1. Where f does not divide a side, the first tiles are a pixel larger.
    """
    if factor == 1:
        return images
    heights, widths = (tile_sides(side, factor) for side in images.shape[-2:])
    bands = torch.split(images, heights, dim=-2)
    tiles = [tile for band in bands for tile in torch.split(band, widths, dim=-1)]
    full = images.shape[-2:]
    enlarged = [F.interpolate(tile, size=full, mode="bilinear") for tile in tiles]
    return torch.stack(enlarged, dim=1).flatten(0, 1)


def refuse_bad_factor(factor: int, source: Source) -> None:
    """Raise an error unless images can be cut into `factor` x `factor` tiles."""
    side = min(source.shape[1:])
    if not 1 <= factor <= side:
        raise HydrometerError(f"factor={factor} tiles a side is out of range; choose 1 to {side}")
