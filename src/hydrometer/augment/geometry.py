"""Which pixels a new view is made of: shifts, rotations, boxes to crop, fill or swap.

Images here are (n, c, h, w); nothing depends on values of tensors, so nothing waits for the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.augment.draws import between, integers

CROP_TRIES = 10
CROP_DRAWS = 2 * CROP_TRIES + 2


@dataclass(frozen=True)
class Boxes:
    """Rectangles of whole pixels, one per image: int64 tensors of one shape; they may stick out."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def moved(self, down: Tensor, right: Tensor) -> Boxes:
        """The boxes elsewhere."""
        return replace(self, top=self.top + down, left=self.left + right)

    def where(self, these: Tensor, others: Boxes) -> Boxes:
        """These boxes where a mask says so, and others elsewhere."""
        pairs = ((vars(self)[name], vars(others)[name]) for name in vars(self))
        return Boxes(*(torch.where(these, one, other) for one, other in pairs))

    def area(self, h: int, w: int) -> Tensor:
        """Pixels of each box that lie inside an h x w image."""
        tall = (self.top + self.height).clamp(0, h) - self.top.clamp(0, h)
        wide = (self.left + self.width).clamp(0, w) - self.left.clamp(0, w)
        return tall * wide

    def mask(self, h: int, w: int) -> Tensor:
        """Which pixels lie inside, (..., 1, h, w) bool."""
        rows = torch.arange(h, device=self.top.device) - self.top[..., None]
        columns = torch.arange(w, device=self.top.device) - self.left[..., None]
        tall = (rows >= 0) & (rows < self.height[..., None])
        wide = (columns >= 0) & (columns < self.width[..., None])
        return (tall[..., :, None] & wide[..., None, :]).unsqueeze(-3)


def tile_sides(side: int, factor: int) -> list[int]:
    """Lengths of `factor` tiles along a side, a remainder given to the first pixel by pixel."""
    return [side // factor + (place < side % factor) for place in range(factor)]


def nearest(length: float) -> int:
    """A length in whole pixels, halves rounded up."""
    return int(length + 0.5)


def squares(u: Tensor, fraction: float, h: int, w: int) -> Boxes:
    """Boxes of a fraction of the side, centred anywhere in the image, from `u` (..., 2).

    Centres of even sides fall between pixels, from border to border; of odd sides, on pixels.
    """
    tall, wide = nearest(h * fraction), nearest(w * fraction)
    top = integers(u[..., 0], h + 1 - tall % 2) - tall // 2
    left = integers(u[..., 1], w + 1 - wide % 2) - wide // 2
    return Boxes(top, left, torch.full_like(top, tall), torch.full_like(left, wide))


def crops(
    u: Tensor, area: tuple[float, float], ratio: tuple[float, float], h: int, w: int
) -> Boxes:
    """The boxes of torchvision's RandomResizedCrop in an h x w image, from `u` (..., CROP_DRAWS).

    Area is uniform, width / height log-uniform; the first of ten tries that fits is taken, else the
    largest central box of an admissible ratio. All ten are drawn: no sample waits for another.
    """
    size = between(u[..., :CROP_TRIES], *area) * (h * w)
    shape = between(u[..., CROP_TRIES : 2 * CROP_TRIES], *map(math.log, ratio)).exp()
    wide, tall = (size * shape).sqrt().round().long(), (size / shape).sqrt().round().long()
    fits = (wide > 0) & (wide <= w) & (tall > 0) & (tall <= h)
    first, any_fits = fits.int().argmax(-1, keepdim=True), fits.any(-1)
    central_h, central_w = _central(ratio, h, w)
    height = torch.where(any_fits, tall.gather(-1, first).squeeze(-1), central_h)
    width = torch.where(any_fits, wide.gather(-1, first).squeeze(-1), central_w)
    top = torch.where(any_fits, integers(u[..., -2], h - height + 1), (h - central_h) // 2)
    left = torch.where(any_fits, integers(u[..., -1], w - width + 1), (w - central_w) // 2)
    return Boxes(top, left, height, width)


def _central(ratio: tuple[float, float], h: int, w: int) -> tuple[int, int]:
    low, high = ratio
    if w / h < low:
        return round(w / low), w
    if w / h > high:
        return h, round(h * high)
    return h, w


def crop_and_resize(images: Tensor, boxes: Boxes) -> Tensor:
    """Each image's box, enlarged to the full image, as `torchvision.functional.resized_crop` does.

    Bilinear, without reading beyond the box. A box is never larger than the image, so antialiasing
    would change nothing.
    """
    h, w = images.shape[-2:]
    rows = _within(boxes.top, boxes.height, h)
    columns = _within(boxes.left, boxes.width, w)
    return resample(images, rows.to(images.dtype), columns.to(images.dtype))


def _within(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Where `size` new pixels lie in an old stretch of pixels, (n, size), its ends repeated."""
    start, length = start[:, None], length[:, None]
    new = torch.arange(size, device=start.device) + 0.5
    return (new * (length / size) - 0.5).clamp(min=0).minimum(length - 1) + start


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images read bilinearly at `rows` (n, h) and `columns` (n, w), with zeros outside.

    Two matrix products instead of a `grid_sample`: exact where positions are whole, and with a
    gradient that is the same from run to run on a GPU.
    """
    h, w = images.shape[-2:]
    return _tents(rows, h).unsqueeze(1) @ images @ _tents(columns, w).unsqueeze(1).mT


def _tents(at: Tensor, size: int) -> Tensor:
    """Weights of linear interpolation, (n, new, size): 1 - distance to an old pixel, or zero."""
    old = torch.arange(size, device=at.device, dtype=at.dtype)
    return (1 - (at.unsqueeze(-1) - old).abs()).clamp_(min=0)


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Images read `down` rows lower and `right` columns farther, (n,) int64, zeros outside."""
    n, c, h, w = images.shape
    rows = (torch.arange(h, device=images.device) + down[:, None] + 1).clamp(0, h + 1)
    columns = (torch.arange(w, device=images.device) + right[:, None] + 1).clamp(0, w + 1)
    index = (rows[:, :, None] * (w + 2) + columns[:, None, :]).view(n, 1, h * w)
    framed = F.pad(images, (1, 1, 1, 1)).flatten(2)
    return framed.gather(2, index.expand(n, c, h * w)).view_as(images)


def rotate(images: Tensor, angle: Tensor) -> Tensor:
    """Images turned about their centre by `angle` (n,) in radians, bilinear, zeros outside."""
    cos, sin = angle.cos(), angle.sin()
    flat = torch.zeros_like(cos)
    turn = torch.stack([cos, -sin, flat, sin, cos, flat], dim=-1).view(-1, 2, 3).to(images.dtype)
    grid = F.affine_grid(turn, list(images.shape), align_corners=True)
    return F.grid_sample(images, grid, align_corners=True)


def stretch(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Images read at `down` and `right` (n,) times the distance to their centre, zeros outside."""
    h, w = images.shape[-2:]
    return resample(images, _about_centre(down, h, images), _about_centre(right, w, images))


def _about_centre(factor: Tensor, size: int, like: Tensor) -> Tensor:
    centre = (size - 1) / 2
    offset = torch.arange(size, device=like.device, dtype=like.dtype) - centre
    return factor[:, None].to(like.dtype) * offset + centre


def working(images: Tensor) -> Tensor:
    """Images in at least float32, in which positions and weights of pixels can be told apart."""
    return images.to(torch.promote_types(images.dtype, torch.float32))
