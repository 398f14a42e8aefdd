"""The geometry against loops, scipy.ndimage, torchvision and torch's own samplers."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch.nn import functional as F
from torch.testing import assert_close
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as vision

from hydrometer.augment.geometry import (
    CROP_DRAWS,
    Boxes,
    crop_and_resize,
    crops,
    rotate,
    shift,
    squares,
    stretch,
)

SIZES = pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 9), (32, 32), (12, 20)])


def boxes(*rows):
    return Boxes(*torch.tensor(rows).T)


@SIZES
def test_shift_agrees_with_a_loop(h, w, draws):
    images = draws(1, 4, 3, h, w)
    down, right = torch.tensor([0, 2, -3, 50]), torch.tensor([1, -2, 0, 1])
    expected = torch.zeros_like(images)
    for n in range(4):
        for y in range(h):
            for x in range(w):
                row, column = y + int(down[n]), x + int(right[n])
                if 0 <= row < h and 0 <= column < w:
                    expected[n, :, y, x] = images[n, :, row, column]
    assert torch.equal(shift(images, down, right), expected)


def read(image, rows, columns):
    """Bilinear reading with zeros outside, by scipy."""
    at = [rows, columns]
    return np.stack([ndimage.map_coordinates(c, at, order=1, mode="grid-constant") for c in image])


@pytest.mark.parametrize("size", [8, 9, 32])
def test_rotate_agrees_with_scipy_and_with_both_corner_conventions(size, draws):
    images, angle = draws(2, 3, 2, size, size).double(), torch.tensor([0.0, 0.2, -0.25]).double()
    turned = rotate(images, angle)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    for n, a in enumerate(angle.numpy()):
        rows, columns = np.sin(a) * x + np.cos(a) * y, np.cos(a) * x - np.sin(a) * y
        expected = read(images[n].numpy(), rows + (size - 1) / 2, columns + (size - 1) / 2)
        assert_close(turned[n].numpy(), expected)
    turn = [[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0]] for a in angle.tolist()]
    for aligned in (True, False):
        grid = F.affine_grid(torch.tensor(turn), list(images.shape), align_corners=aligned)
        assert_close(turned, F.grid_sample(images, grid, align_corners=aligned))


@SIZES
def test_stretch_agrees_with_scipy_and_with_both_corner_conventions(h, w, draws):
    images = draws(3, 3, 2, h, w).double()
    down, right = torch.tensor([[1.0, 0.85, 1.2], [1.0, 1.15, 0.9]]).double()
    stretched = stretch(images, down, right)
    y, x = np.mgrid[:h, :w]
    for n in range(3):
        rows = (y - (h - 1) / 2) * down[n].item() + (h - 1) / 2
        columns = (x - (w - 1) / 2) * right[n].item() + (w - 1) / 2
        assert_close(stretched[n].numpy(), read(images[n].numpy(), rows, columns))
    matrix = torch.zeros(3, 2, 3).double()
    matrix[:, 0, 0], matrix[:, 1, 1] = right, down
    for aligned in (True, False):
        grid = F.affine_grid(matrix, list(images.shape), align_corners=aligned)
        assert_close(stretched, F.grid_sample(images, grid, align_corners=aligned))


def test_identity_maps_are_exact(draws):
    images, one = draws(4, 2, 3, 32, 32), torch.ones(2)
    assert torch.equal(stretch(images, one, one), images)
    assert torch.equal(crop_and_resize(images, boxes((0, 0, 32, 32), (0, 0, 32, 32))), images)


@SIZES
def test_crop_and_resize_agrees_with_torchvision(h, w, draws):
    images = draws(5, 5, 3, h, w)
    cut = boxes((0, 0, h, w), (1, 2, 3, 5), (h - 2, w - 1, 2, 1), (0, 1, h, 2), (2, 0, 1, w))
    resized = crop_and_resize(images, cut)
    for n in range(5):
        box = [int(side[n]) for side in (cut.top, cut.left, cut.height, cut.width)]
        expected = vision.resized_crop(images[n], *box, size=[h, w], antialias=True)
        assert_close(resized[n], expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("area", [(0.08, 1.0), (0.5, 1.0), (0.25, 0.25)])
@pytest.mark.parametrize(("h", "w"), [(32, 32), (24, 40)])
def test_crops_are_distributed_as_in_torchvision(area, h, w, draws):
    ratio = (3 / 4, 4 / 3)
    ours = crops(draws(6, 1500, CROP_DRAWS), area, ratio, h, w)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.zeros(3, h, w)
        theirs = np.array([RandomResizedCrop.get_params(image, area, ratio) for _ in range(1500)])
    for mine, other in zip((ours.top, ours.left, ours.height, ours.width), theirs.T, strict=True):
        assert stats.ks_2samp(mine.numpy(), other).pvalue > 1e-3
    assert stats.ks_2samp(ours.area(h, w).numpy(), theirs[:, 2] * theirs[:, 3]).pvalue > 1e-3
    assert torch.equal(ours.area(h, w), ours.height * ours.width)


@pytest.mark.parametrize(("h", "w"), [(32, 32), (8, 64), (64, 8), (20, 30)])
@pytest.mark.parametrize("ratio", [(1.2, 1.3), (0.7, 0.8)])
def test_crops_that_never_fit_fall_back_as_in_torchvision(h, w, ratio, draws):
    ours = crops(draws(7, 1, CROP_DRAWS), (1.0, 1.0), ratio, h, w)
    with torch.random.fork_rng():
        expected = RandomResizedCrop.get_params(torch.zeros(1, h, w), (1.0, 1.0), ratio)
    assert [int(side) for side in (ours.top, ours.left, ours.height, ours.width)] == [*expected]


def test_the_first_try_that_fits_is_taken():
    u = torch.zeros(1, CROP_DRAWS)
    u[0, :10], u[0, 10:20] = 0.99, 0.0  # nearly the whole area, much too tall: does not fit
    u[0, 3], u[0, 13] = 0.0, 0.5  # a square of a quarter of the area: fits
    u[0, 7], u[0, 17] = 0.5, 0.5  # fits too, but later
    box = crops(u, (0.25, 1.0), (3 / 4, 4 / 3), 32, 32)
    assert (box.height.item(), box.width.item()) == (16, 16)
    assert (box.top.item(), box.left.item()) == (0, 0)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("size", [8, 9, 28])
def test_squares_are_centred_everywhere_and_clipped(fraction, size, draws):
    drawn = squares(draws(8, 3000, 2), fraction, size, size)
    side = int(size * fraction + 0.5)
    assert (drawn.height == side).all()
    for start in (drawn.top, drawn.left):
        places = np.bincount((start + side // 2).numpy(), minlength=size + 1 - side % 2)
        assert len(places) == size + 1 - side % 2
        assert stats.chisquare(places).pvalue > 1e-3
    counted = drawn.mask(size, size).sum(dim=(1, 2, 3))
    assert torch.equal(counted, drawn.area(size, size))
    assert counted.max() == side**2


def test_masks_agree_with_slices():
    mask = boxes((-2, 3, 4, 2), (5, 6, 9, 9)).mask(8, 10)
    expected = torch.zeros(2, 1, 8, 10, dtype=torch.bool)
    expected[0, 0, 0:2, 3:5], expected[1, 0, 5:8, 6:10] = True, True
    assert torch.equal(mask, expected)
