"""From image files to uint8 tensors, within a pixel limit and with every failure named."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hydrometer.sources.parts import Shape
from hydrometer.types import HydrometerError

MAX_PIXELS = 64_000_000
"""Largest image that is decoded; a small file can claim far more and exhaust the memory."""

BATCH = 512
THREADED_PIXELS = 96 * 96
"""Smaller images decode faster on one thread: Python's part of the work is not parallel."""

_GREY = ("1", "L")
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Blob(NamedTuple):
    """An encoded image, or the file that holds it, and what errors call it."""

    data: bytes | Path
    name: str


def survey(blobs: Iterable[Blob], size: int | None = None) -> Shape:
    """The common shape of images, read from headers: one channel if all are grey, else three.

    Args:
        blobs: The images; decoded later with `batches`.
        size: Height and width after `batches` has resized them; then they may differ now.

    Raises:
        HydrometerError: Two images differ in size and no size is given, or there are none.
    """
    first: tuple[str, tuple[int, int]] | None = None
    grey = True
    for blob in blobs:
        with _opened(blob) as image:
            grey &= image.mode in _GREY
            first = first or (blob.name, image.size)
            if size is None and image.size != first[1]:
                raise _mixed(blob.name, image.size, *first)
    if first is None:
        raise HydrometerError("no images to decode")
    width, height = (size, size) if size is not None else first[1]
    return (1 if grey else 3, height, width)


def batches(blobs: Iterable[Blob], shape: Shape, *, resize: bool = False) -> Iterator[Tensor]:
    """Decode images in order, as (m, c, h, w) uint8 batches.

    Grey, palette and transparent images become RGB unless the shape has one channel; transparency
    is dropped, and orientation tags are ignored, as in torchvision's ImageFolder.

    Args:
        blobs: The images.
        shape: Channels, height and width of every image.
        resize: Resize the shorter side (PIL bilinear, antialiased) and crop the centre, instead of
            refusing images of another size.
    """
    channels, height, width = shape
    fill = partial(_fill, shape=shape, resize=resize)
    remaining = iter(blobs)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        spread = pool.map if height * width >= THREADED_PIXELS or resize else map
        while group := list(islice(remaining, BATCH)):
            pixels = np.empty((len(group), height, width, channels), np.uint8)
            for _ in spread(fill, group, pixels):
                pass
            yield torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _fill(blob: Blob, target: NDArray[np.uint8], *, shape: Shape, resize: bool) -> None:
    channels, height, width = shape
    with _opened(blob) as image:
        if not resize and image.size != (width, height):
            raise _mixed(blob.name, image.size, "the others", (width, height))
        plain = _plain(image, "L" if channels == 1 else "RGB")
        if resize:
            plain = ImageOps.fit(plain, (width, height), Image.Resampling.BILINEAR)
        target[:] = np.asarray(plain).reshape(height, width, channels)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    # A palette with transparency loses it without a warning only by way of RGBA.
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert(mode)
    return image if image.mode == mode else image.convert(mode)


@contextmanager
def _opened(blob: Blob) -> Iterator[Image.Image]:
    """The image with its header read; whatever fails, here or in the block, names the image."""
    try:
        with Image.open(
            io.BytesIO(blob.data) if isinstance(blob.data, bytes) else blob.data
        ) as image:
            _check_header(blob.name, image)
            yield image
    except _BOMB as error:
        raise HydrometerError(f"{blob.name}: {error}; at most {MAX_PIXELS} are decoded") from None
    except UnidentifiedImageError:
        raise HydrometerError(
            f"{blob.name} cannot be decoded: it is no known image format"
        ) from None
    except _BROKEN as error:
        raise HydrometerError(f"{blob.name} cannot be decoded: {error}") from None


def _check_header(name: str, image: Image.Image) -> None:
    count = image.width * image.height
    if count > MAX_PIXELS:
        raise HydrometerError(
            f"{name} has {count} pixels ({image.width}×{image.height}); "
            f"at most {MAX_PIXELS} are decoded"
        )
    if image.mode in _DEEP:
        raise HydrometerError(
            f"{name} has more than 8 bits per channel (mode {image.mode}); convert it to 8"
        )


def _mixed(
    name: str, size: tuple[int, int], other: str, expected: tuple[int, int]
) -> HydrometerError:
    return HydrometerError(
        f"all images must have one size: {other} {'is' if other != 'the others' else 'are'} "
        f"{expected[0]}×{expected[1]}, but {name} is {size[0]}×{size[1]}; "
        f"resize them, or ask for one size with folder:PATH@SIZE"
    )
