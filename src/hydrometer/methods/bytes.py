"""What images weigh as image files, each a file of its own with its headers."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hydrometer.artifact.raster import bytes_of, decode, encode
from hydrometer.types import HydrometerError

PAPER_QUALITY = 75
"""JPEG quality of the released Combine step of arXiv 2502.06434, and Pillow's default; chroma 4:2:0."""


def png_bytes(images: Tensor) -> int:
    """Bytes of images (n, c, h, w) as PNG files, which lose nothing of uint8.

    Float images are rounded to 8 bits first.

    Raises:
        HydrometerError: The images have neither 1 nor 3 channels.
    """
    return sum(len(encode(image)) for image in bytes_of(images))


def jpeg_bytes(images: Tensor, quality: int = PAPER_QUALITY) -> int:
    """Bytes of images (n, c, h, w) as JPEG files of a stated quality.

    A set counted so must be trained on what these files hold: `after_jpeg`.

    Raises:
        HydrometerError: The images have neither 1 nor 3 channels, or the quality is not in 1 ... 95.
    """
    return sum(len(file) for file in _jpeg_files(images, quality))


def after_jpeg(images: Tensor, quality: int = PAPER_QUALITY) -> Tensor:
    """The images (n, c, h, w) as uint8, as their JPEG files hold them; raises as `jpeg_bytes`."""
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    files = _jpeg_files(images, quality)
    decoded = [decode(file, shape, f"image {row}") for row, file in enumerate(files)]
    return torch.stack(decoded) if decoded else bytes_of(images)


def _jpeg_files(images: Tensor, quality: int) -> list[bytes]:
    if not 1 <= quality <= 95:
        raise HydrometerError(f"JPEG quality {quality} is out of range; give 1 to 95")
    if images.shape[1] not in (1, 3):
        raise HydrometerError(f"images have {images.shape[1]} channels; JPEG files need 1 or 3")
    return [_jpeg(image, quality) for image in bytes_of(images)]


def _jpeg(image: Tensor, quality: int) -> bytes:
    array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    picture = Image.fromarray(array.squeeze(2) if len(image) == 1 else array)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=quality)
    return stream.getvalue()
