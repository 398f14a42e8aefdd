"""DSA against a naive loop over images, and its parameters against their distributions.

A picture of its own coordinates reads every geometric parameter off its centre.
"""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch.testing import assert_close

from hydrometer import seeds
from hydrometer.augment.dsa import DSA, OPERATIONS


def draws(operation, b=8, seed=1):
    """Draws for one student whose batch undergoes the operation."""
    u = seeds.uniform([seed], 0, 1, b * 4).view(1, b, 4)
    u[:, 0, 0] = (OPERATIONS.index(operation) + 0.5) / 6
    return u


def coordinates(b, size=9):
    """Images whose two channels hold x and y, zero at the centre: (1, b, 2, size, size)."""
    line = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y]).expand(1, b, 2, size, size)


def naive(operation, image, u):
    """One image (c, h, w) in numpy under the default parameters; u are its three parameters."""
    _, h, w = image.shape
    y, x = np.mgrid[:h, :w] - np.array([(h - 1) / 2, (w - 1) / 2])[:, None, None]
    if operation == "flip":
        return image[:, :, ::-1] if u[0] < 0.5 else image
    if operation == "colour":
        image = image + (u[0] - 0.5)
        image = (image - image.mean(0)) * (2 * u[1]) + image.mean(0)
        return (image - image.mean()) * (u[2] + 0.5) + image.mean()
    if operation == "cutout":
        image = image.copy()
        top, left = (int(v * (h + 1)) - h // 4 for v in u[:2])
        image[:, max(top, 0) : max(top + h // 2, 0), max(left, 0) : max(left + w // 2, 0)] = 0
        return image
    if operation == "crop":
        reach = int(h * 0.125 + 0.5)
        down, right = (int(v * (2 * reach + 1)) - reach for v in u[:2])
        rows, columns = y + down, x + right
    elif operation == "scale":
        sx, sy = (v * (1.2 - 1 / 1.2) + 1 / 1.2 for v in u[:2])
        rows, columns = y * sy, x * sx
    else:
        a = math.radians((u[0] - 0.5) * 2 * 15)
        rows, columns = x * math.sin(a) + y * math.cos(a), x * math.cos(a) - y * math.sin(a)
    at = [rows + (h - 1) / 2, columns + (w - 1) / 2]
    return np.stack([ndimage.map_coordinates(i, at, order=1, mode="grid-constant") for i in image])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size", [8, 28, 32])
def test_every_operation_agrees_with_a_loop(operation, size):
    images = seeds.uniform([3], 0, 1, 8 * 3 * size * size).view(1, 8, 3, size, size).double() - 0.4
    u = draws(operation)
    views = DSA()(images, u).images[0]
    for image, drawn, view in zip(images[0], u[0].double(), views, strict=True):
        expected = naive(operation, image.numpy(), drawn[1:].tolist())
        assert_close(view.numpy(), np.ascontiguousarray(expected), rtol=0, atol=1e-5)


def test_the_first_sample_draws_the_operation_of_the_whole_batch():
    images, one = coordinates(8), draws("crop")
    other = one.clone()
    other[:, 1:, 0] = 0.999
    assert torch.equal(DSA()(images, one).images, DSA()(images, other).images)


def test_students_of_a_cohort_draw_their_own_operations():
    images = coordinates(8).repeat(12, 1, 1, 1, 1)
    order = [OPERATIONS[i % 6] for i in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8)]
    u = torch.cat([draws(operation, seed=s) for s, operation in enumerate(order)])
    together = DSA()(images, u).images
    for student, operation in enumerate(order):
        alone = DSA()(images[:1], draws(operation, seed=student)).images[0]
        assert_close(together[student], alone, rtol=0, atol=1e-12)


def test_operations_are_equally_likely():
    u = seeds.uniform([5], 0, 1, 3000).view(3000, 1, 1).expand(3000, 1, 4)
    views = DSA(flip=1.0)(coordinates(1, size=5).expand(3000, 1, 2, 5, 5), u).images
    mirrored = (views == coordinates(1, size=5).flip(-1)).all(dim=(1, 2, 3, 4)).sum().item()
    assert stats.binomtest(mirrored, 3000, 1 / 6).pvalue > 1e-3


def test_angles_are_uniform():
    views = DSA()(coordinates(2000), draws("rotate", 2000)).images[0]
    angle = torch.atan2(views[:, 1, 4, 5], views[:, 0, 4, 5]).rad2deg()
    assert stats.kstest(angle.numpy(), stats.uniform(-15, 30).cdf).pvalue > 1e-3


def test_scales_are_uniform_and_independent():
    views = DSA()(coordinates(2000), draws("scale", 2000)).images[0]
    right, down = views[:, 0, 4, 5].numpy(), views[:, 1, 5, 4].numpy()
    for factor in (right, down):
        assert stats.kstest(factor, stats.uniform(1 / 1.2, 1.2 - 1 / 1.2).cdf).pvalue > 1e-3
    assert stats.spearmanr(right, down).pvalue > 1e-3


@pytest.mark.parametrize(("size", "reach"), [(33, 4), (27, 3), (9, 1)])
def test_shifts_are_uniform_and_independent(size, reach):
    views = DSA()(coordinates(2000, size), draws("crop", 2000)).images[0]
    moved = views[:, :, size // 2, size // 2].long() + reach
    counts = np.zeros((2 * reach + 1, 2 * reach + 1))
    np.add.at(counts, tuple(moved.T.numpy()), 1)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_colour_parameters_are_uniform():
    plain, u = torch.zeros(1, 2000, 2, 4, 4).double(), draws("colour", 2000)
    bright = DSA()(plain, u).images[0, :, 0, 0, 0]
    assert stats.kstest(bright.numpy(), stats.uniform(-0.5, 1).cdf).pvalue > 1e-3
    halves, opposed = plain.clone(), plain.clone()
    halves[..., :2], halves[..., 2:] = 1, -1
    opposed[:, :, 0], opposed[:, :, 1] = 1, -1
    contrast = (DSA()(halves, u).images[0, :, 0, 0, 0] - bright).numpy()
    assert stats.kstest(contrast, stats.uniform(0.5, 1).cdf).pvalue > 1e-3
    saturation = (DSA()(opposed, u).images[0, :, 0, 0, 0] - bright).numpy() / contrast
    assert stats.kstest(saturation, stats.uniform(0, 2).cdf).pvalue > 1e-3


def test_grey_images_have_no_saturation():
    grey, u = coordinates(8)[:, :, :1], draws("colour")
    assert_close(DSA(saturation=0.0)(grey, u).images, DSA(saturation=9.0)(grey, u).images)


def test_one_row_of_draws_for_all_is_one_view_for_all():
    u = draws("rotate")[:, :1].expand(1, 8, 4)
    views = DSA()(coordinates(8), u).images
    assert torch.equal(views, views[:, :1].expand_as(views))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_is_differentiable(operation):
    u, dsa = draws(operation, b=3), DSA()
    images = seeds.uniform([9], 0, 1, 3 * 2 * 6 * 6).view(1, 3, 2, 6, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dsa(x, u).images, images)
