"""Image files in and out of uint8 tensors, with a limit on what is decoded."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hydrometer.artifact.space import outside
from hydrometer.types import CompressedSet, HydrometerError

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_MODES = {1: ("L", "1"), 3: ("RGB", "P", "L", "1")}
"""Modes that convert to this many channels without losing colour, depth or transparency."""


def decode(data: Path | bytes, shape: tuple[int, int, int], name: str) -> Tensor:
    """An image file as a (c, h, w) uint8 tensor; `name` is what errors call it.

    The size is compared with `shape` before any pixel is decoded, which also bounds the memory.

    Raises:
        HydrometerError: The file is no image, truncated, or of another size or mode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            stream = data if isinstance(data, Path) else io.BytesIO(data)
            with Image.open(stream, formats=_FORMATS) as image:
                return _pixels(image, shape, name)
    except HydrometerError:
        raise
    except Exception as error:
        # Decoders raise whatever a damaged file makes them trip over: OSError, SyntaxError, zlib's.
        raise HydrometerError(f"{name} is no readable image ({error})") from error


def encode(image: Tensor) -> bytes:
    """A (c, h, w) uint8 image as PNG, which keeps every value.

    Raises:
        HydrometerError: The image has neither 1 nor 3 channels.
    """
    if len(image) not in _MODES:
        raise HydrometerError(f"images have {len(image)} channels; image files need 1 or 3")
    array = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(np.ascontiguousarray(array.squeeze(2) if len(image) == 1 else array))
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def bytes_of(images: Tensor) -> Tensor:
    """Images as uint8: floats are clipped to [0, 1] and rounded to the nearest 255th."""
    if images.dtype == torch.uint8:
        return images
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def loss_note(compressed: CompressedSet) -> tuple[str, ...]:
    """What 8-bit image files lose of a set, with the count of clipped values; nothing for uint8."""
    images = compressed.images
    if images.dtype == torch.uint8:
        return ()
    return (
        f"float values rounded to 8 bits; {outside(images)} of {images.numel()} lay outside "
        f"[0, 1] and were clipped",
    )


def _pixels(image: Image.Image, shape: tuple[int, int, int], name: str) -> Tensor:
    channels, height, width = shape
    if image.size != (width, height):
        raise HydrometerError(
            f"{name} is {image.width} x {image.height} pixels, not {width} x {height}"
        )
    modes = _MODES.get(channels, ())
    if image.mode not in modes:
        raise HydrometerError(
            f"{name} has image mode {image.mode}, which does not convert to {channels} channels; "
            f"save it as {modes[0] if modes else 'another format'}"
        )
    array = np.array(image.convert(modes[0]), dtype=np.uint8).reshape(height, width, channels)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()
