"""Composites: whole images shrunk and tiled f x f into one image of the same size, and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.artifact.container import make
from hydrometer.augment.geometry import tile_sides
from hydrometer.types import Card, CompressedSet, HydrometerError, Source

Shrink = Callable[[Tensor, int, int], Tensor]
_CHUNK = 256
"""Composites made at a time, which bounds the memory of their float copies."""
_NOTE = "source rows of each image: "


def tile(images: Tensor, factor: int, *, filter: str = "nearest") -> Tensor:
    """Shrink images (m f², c, h, w) uint8 and tile each f² in turn, row by row, into (m, c, h, w).

    Where f does not divide a side, the first tiles are a pixel larger. `nearest` decimates without
    antialiasing, as the released Combine step does; `area` averages the pixels a new one covers;
    `bicubic` is antialiased. The combine step of arXiv 2502.06434, there for f = 2 alone.

    Raises:
        HydrometerError: The filter is unknown, the factor is not in 1 ... side, the images are not
            uint8, or their number is no multiple of f².
    """
    shrink = filter_named(filter)
    _check(images, factor)
    if factor == 1:
        return images
    parts = torch.split(images, _CHUNK * factor**2)
    return torch.cat([_tiled(part, factor, shrink) for part in parts])


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


def combined(
    source: Source,
    chosen: CompressedSet,
    groups: Tensor,
    *,
    filter: str = "nearest",
    method: str,
    budget: str,
    seed: int | None = None,
    seconds: float = 0.0,
) -> CompressedSet:
    """The set whose image i tiles the rows `groups[i]` (n, f²) of a set of real images, of one class.

    Weights are averaged over the tiles. With f = 1 the set keeps its index; a composite has f²
    rows, which a note of the card lists: see `rows_of`.
    """
    factor = math.isqrt(groups.shape[1])
    rows = None if chosen.index is None else chosen.index[groups]
    listed = () if rows is None or factor == 1 else (_NOTE + _listed(rows),)
    return make(
        tile(chosen.images[groups.flatten()], factor, filter=filter),
        chosen.labels[groups[:, 0]],
        source=source,
        method=method,
        budget=budget,
        seed=seed,
        seconds=seconds,
        weights=None if chosen.weights is None else chosen.weights[groups].mean(1),
        index=rows.flatten() if rows is not None and factor == 1 else None,
        notes=(*chosen.card.notes, *listed),
    )


def with_rows(made: CompressedSet, rows: Tensor) -> CompressedSet:
    """The set without an index; a note of its card lists the rows (n, f²) behind its images."""
    card = made.card.model_copy(update={"notes": (*made.card.notes, _NOTE + _listed(rows))})
    return replace(made, card=card, index=None)


def rows_of(card: Card) -> Tensor | None:
    """The original rows (n, f²) behind the images of a card, or None where it lists none."""
    for note in card.notes:
        if note.startswith(_NOTE):
            text = note.removeprefix(_NOTE)
            groups = [[int(r) for r in re.findall(r"\d+", g)] for g in text.split(";") if g]
            return torch.tensor(groups, dtype=torch.int64)
    return None


def filter_named(name: str) -> Shrink:
    """The filter that shrinks whole images, by name."""
    if name not in _FILTERS:
        raise HydrometerError(f"filter {name!r} is unknown; known: {', '.join(_FILTERS)}")
    return _FILTERS[name]


def _listed(rows: Tensor) -> str:
    return ";".join(" ".join(map(str, group)) for group in rows.tolist())


def _tiled(images: Tensor, factor: int, shrink: Shrink) -> Tensor:
    cells = images.view(len(images) // factor**2, factor, factor, *images.shape[1:])
    heights, widths = (tile_sides(side, factor) for side in images.shape[-2:])
    bands = [
        torch.cat([shrink(cells[:, i, j], tall, wide) for j, wide in enumerate(widths)], dim=-1)
        for i, tall in enumerate(heights)
    ]
    return torch.cat(bands, dim=-2)


def _nearest(images: Tensor, h: int, w: int) -> Tensor:
    rows = torch.arange(h) * images.shape[-2] // h
    columns = torch.arange(w) * images.shape[-1] // w
    return images[..., rows, :][..., columns]


def _area(images: Tensor, h: int, w: int) -> Tensor:
    tall, wide = _coverage(h, images.shape[-2]), _coverage(w, images.shape[-1])
    return (tall @ images.float() @ wide.T).round().to(torch.uint8)


def _coverage(new: int, old: int) -> Tensor:
    """Share (new, old) of each new pixel that each old one fills, in sum 1."""
    edges = torch.arange(new + 1) * (old / new)
    first = torch.arange(old)
    upper = torch.minimum(edges[1:, None], first + 1)
    return (upper - torch.maximum(edges[:-1, None], first)).clamp(min=0) * (new / old)


def _bicubic(images: Tensor, h: int, w: int) -> Tensor:
    if not len(images):
        return images[..., :h, :w]
    shrunk = F.interpolate(images.float(), (h, w), mode="bicubic", antialias=True)
    return shrunk.round().clamp(0, 255).to(torch.uint8)


_FILTERS: dict[str, Shrink] = {"nearest": _nearest, "area": _area, "bicubic": _bicubic}


def _check(images: Tensor, factor: int) -> None:
    side = min(images.shape[-2:])
    if not 1 <= factor <= side:
        raise HydrometerError(
            f"factor={factor} tiles a side cannot be cut from {side} pixels; choose 1 to {side}"
        )
    if images.dtype != torch.uint8:
        raise HydrometerError(f"images to tile must be uint8, not {images.dtype}")
    if len(images) % factor**2:
        raise HydrometerError(
            f"{len(images)} images do not fill composites of {factor} x {factor}; "
            f"give a multiple of {factor**2}"
        )
