"""A contact sheet: the fastest way to see whether images are of the classes they claim."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hydrometer.artifact.raster import bytes_of
from hydrometer.artifact.writing import whole
from hydrometer.types import CompressedSet, HydrometerError

_CELL, _GAP, _TEXT, _FONT = 64, 4, 150, 14
_MOST_ROWS, _MOST_LETTERS = 50, 20


def sheet(
    compressed: CompressedSet,
    path: Path | None = None,
    per_class: int = 10,
    scale: int | None = None,
) -> bytes:
    """Draw up to `per_class` images of each class in one row behind its name, as PNG bytes.

    Values outside [0, 1] are clipped for display alone. Each pixel becomes `scale` x `scale`, by
    default as many as make an image at least 64 high. Classes beyond the first 50 are left out;
    written to `path` where one is given.

    Raises:
        HydrometerError: `per_class` or `scale` is below 1, or the file cannot be written.
    """
    if per_class < 1 or (scale is not None and scale < 1):
        raise HydrometerError(
            f"per_class is {per_class} and scale {scale}; both must be at least 1"
        )
    _, _, height, width = compressed.images.shape
    scale = scale or max(1, -(-_CELL // height))
    names = compressed.card.classes[:_MOST_ROWS]
    step = height * scale + _GAP, width * scale + _GAP
    canvas = Image.new("RGB", (_TEXT + per_class * step[1], len(names) * step[0] + _GAP), "white")
    font = ImageFont.load_default(_FONT)
    for row, name in enumerate(names):
        top = _GAP + row * step[0]
        ImageDraw.Draw(canvas).text((_GAP, top), _short(name), fill="black", font=font)
        chosen = (compressed.labels == row).nonzero().flatten()[:per_class]
        for column, image in enumerate(compressed.images[chosen]):
            canvas.paste(_thumbnail(image, scale), (_TEXT + column * step[1], top))
    stream = io.BytesIO()
    canvas.save(stream, format="PNG")
    if path is not None:
        with whole(path) as draft:
            draft.write_bytes(stream.getvalue())
    return stream.getvalue()


def _thumbnail(image: Tensor, scale: int) -> Image.Image:
    """One image enlarged without smoothing; other than 3 channels are shown as their mean, grey."""
    image = bytes_of(image)
    if len(image) != 3:
        image = image.float().mean(dim=0, keepdim=True).round().to(torch.uint8).expand(3, -1, -1)
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    size = picture.width * scale, picture.height * scale
    return picture.resize(size, Image.Resampling.NEAREST)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"
