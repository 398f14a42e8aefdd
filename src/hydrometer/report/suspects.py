"""A contact sheet of images whose labels are not believed, for a person to decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hydrometer.artifact.raster import bytes_of
from hydrometer.artifact.writing import whole

COLUMNS, MOST = 8, 64
_IMAGE, _WIDTH, _HEIGHT, _GAP, _FONT, _LETTERS = 96, 132, 136, 4, 12, 18


def sheet(images: Tensor, given: Sequence[str], suggested: Sequence[str], path: Path) -> None:
    """Draw up to 64 images (n, c, h, w), each over its given and its suggested label, as PNG.

    Raises:
        HydrometerError: The file cannot be written.
    """
    count = min(len(images), MOST)
    rows = max(1, -(-count // COLUMNS))
    canvas = Image.new("RGB", (COLUMNS * _WIDTH + _GAP, rows * _HEIGHT + _GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT)
    for i in range(count):
        left, top = _GAP + i % COLUMNS * _WIDTH, _GAP + i // COLUMNS * _HEIGHT
        canvas.paste(_thumbnail(images[i]), (left, top))
        below = top + _IMAGE + 2
        draw.text((left, below), _short(given[i]), fill="firebrick", font=font)
        draw.text((left, below + _FONT + 3), f"→ {_short(suggested[i])}", fill="black", font=font)
    with whole(path) as draft:
        canvas.save(draft, format="PNG")


def _thumbnail(image: Tensor) -> Image.Image:
    """One image, enlarged without smoothing; other than 3 channels are shown as their mean, grey."""
    image = bytes_of(image)
    if len(image) != 3:
        image = image.float().mean(dim=0, keepdim=True).round().to(torch.uint8).expand(3, -1, -1)
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    share = _IMAGE / max(picture.size)
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    return picture.resize(size, Image.Resampling.NEAREST)


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
